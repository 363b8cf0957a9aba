"""A run of a batch, and what the API shows of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

from airflow_provider_omics_batch.emulator.plan.tally import (
    outcome,
    run_status,
    running_from,
    submission_status,
)
from airflow_provider_omics_batch.emulator.requests.filters import fits
from airflow_provider_omics_batch.emulator.requests.times import timestamp
from airflow_provider_omics_batch.emulator.resources.batch import Batch
from airflow_provider_omics_batch.emulator.resources.run_settings import RunSetting, merge

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

_DEFAULTS = {"networkingMode": "RESTRICTED", "retentionMode": "RETAIN", "scratchStorageMode": "SHARED"}

_COPIED = (
    "cacheId",
    "cacheBehavior",
    "engineSettings",
    "logLevel",
    "name",
    "networkingMode",
    "outputUri",
    "parameters",
    "priority",
    "retentionMode",
    "roleArn",
    "runGroupId",
    "runId",
    "scratchStorageMode",
    "sessionPolicy",
    "storageType",
    "workflowId",
    "workflowOwnerId",
    "workflowType",
    "workflowVersionName",
)


@dataclass(frozen=True, slots=True)
class Run:
    """The run at a place of a batch; made for one answer, it keeps nothing."""

    batch: Batch
    place: int

    @property
    def id(self) -> str:
        return str(self.batch.first_run_id + self.place)

    @property
    def uuid(self) -> str:
        return str(uuid5(UUID(self.batch.uuid), str(self.place)))

    @property
    def arn(self) -> str:
        return self.batch.arn.rsplit(":", 1)[0] + f":run/{self.id}"

    @property
    def name(self) -> str | None:
        return self.batch.run_settings[self.place].get("name") or self.batch.default.get("name")

    def status(self, now: float) -> str | None:
        return run_status(self.batch.course, self.place, now)

    def submission(self, now: float) -> dict[str, Any]:
        """Give what ListRunsInBatch shows."""
        course = self.batch.course
        shown = {
            "runSettingId": self.batch.run_settings.names[self.place],
            "submissionStatus": submission_status(course, self.place, now),
        }
        if course.submitted[self.place] > now:
            return shown
        if refusal := course.fates[self.place].refusal:
            return {
                **shown,
                "submissionFailureReason": refusal.reason,
                "submissionFailureMessage": refusal.message,
            }
        return {**shown, "runId": self.id, "runArn": self.arn, "runInternalUuid": self.uuid}

    def matches(self, filters: Mapping[str, str], now: float) -> bool:
        """Tell whether ListRuns is to show this one."""
        status = self.status(now)
        facts = {
            "name": self.name if "name" in filters else None,
            "runGroupId": self.batch.default.get("runGroupId"),
            "batchId": self.batch.batch_id,
            "status": status,
        }
        return status not in (None, "DELETED") and fits(filters, facts, self.batch.settings)

    def item(self, now: float) -> dict[str, Any]:
        """Give what ListRuns shows."""
        default = self.batch.default
        priority = self.batch.run_settings[self.place].get("priority")
        return {
            "arn": self.arn,
            "id": self.id,
            "batchId": self.batch.batch_id,
            "name": self.name,
            "status": self.status(now),
            "workflowId": default.get("workflowId"),
            "workflowName": self.batch.workflow.get("workflowName"),
            "workflowVersionName": default.get("workflowVersionName"),
            "priority": default.get("priority") if priority is None else priority,
            "storageType": self.batch.storage_type,
            "storageCapacity": self.batch.storage_capacity,
            **self._times(now),
        }

    def started(self, now: float) -> dict[str, Any]:
        """Give what StartRun answers."""
        described = self.describe(now)
        names = ("arn", "id", "status", "tags", "uuid", "runOutputUri", "configuration")
        answer = {name: described[name] for name in names if name in described}
        return {**answer, "networkingMode": described["networkingMode"]}

    @property
    def tags(self) -> dict[str, str]:
        changed = self.batch.run_tags.get(self.place)
        return self.settings()["runTags"] if changed is None else changed

    @property
    def output_uri(self) -> str:
        """Tell where the run writes its output."""
        return f"{self.settings()['outputUri'].rstrip('/')}/{self.id}/{self.uuid}"

    def settings(self) -> RunSetting:
        """Put the run's own settings over those of the batch."""
        return merge(self.batch.default, self.batch.run_settings[self.place])

    def describe(self, now: float) -> dict[str, Any]:
        """Give what GetRun answers."""
        setting = self.settings()
        return {
            **_DEFAULTS,
            **{name: setting[name] for name in _COPIED if setting.get(name) is not None},
            **self.item(now),
            "uuid": self.uuid,
            "tags": self.tags,
            "workflowUuid": self.batch.workflow.get("workflowUuid"),
            "digest": self.batch.workflow.get("digest"),
            "accelerators": self.batch.workflow.get("accelerators"),
            "runOutputUri": self.output_uri,
            "startedBy": setting["roleArn"],
            "logLocation": self._log_location(),
            **self._configuration(setting),
            **self._failure(now),
        }

    @property
    def log_stream(self) -> str:
        _, partition, _, region, account = self.arn.split(":")[:5]
        group = f"arn:{partition}:logs:{region}:{account}:log-group:/aws/omics/WorkflowLog"
        return f"{group}:log-stream:run/{self.id}"

    def _log_location(self) -> dict[str, str]:
        return {"engineLogStream": f"{self.log_stream}/engine", "runLogStream": self.log_stream}

    def _configuration(self, setting: RunSetting) -> dict[str, Any]:
        name = setting.get("configurationName")
        if not name:
            return {}
        arn = self.arn.rsplit(":", 1)[0] + f":configuration/{name}"
        return {"configuration": {"name": name, "arn": arn, "uuid": str(uuid5(UUID(int=0), arn))}}

    def _failure(self, now: float) -> dict[str, str]:
        course = self.batch.course
        failure = course.fates[self.place].failure
        if failure is None or course.ended[self.place] > now or outcome(course, self.place) != "FAILED":
            return {}
        return {"failureReason": failure.reason, "statusMessage": failure.message}

    def _times(self, now: float) -> dict[str, datetime]:
        course, place = self.batch.course, self.place
        times = {
            "creationTime": course.submitted[place],
            "startTime": running_from(course, place),
            "stopTime": course.ended[place],
        }
        return {name: timestamp(time) for name, time in times.items() if time <= now}


def candidates(batch: Batch, filters: Mapping[str, str], places: range, now: float) -> Iterable[int]:
    """Narrow down where ListRunsInBatch has to look, which is quick also where hardly any run is wanted."""
    found: Iterable[int] = places
    if name := filters.get("runSettingId"):
        names = batch.run_settings.names
        found = (place for place in found if names[place] == name)
    if run_id := filters.get("runId"):
        first = batch.first_run_id
        found = (place for place in found if str(first + place) == run_id)
    if status := filters.get("submissionStatus"):
        found = (place for place in found if submission_status(batch.course, place, now) == status)
    return found


def batch_runs(batch: Batch, first_run_id: int, now: float) -> Iterator[Run]:
    """Go through the runs of a batch from a run id on."""
    first = max(0, first_run_id - batch.first_run_id)
    return (Run(batch, place) for place in range(first, batch.course.submissions(now)))


@dataclass(eq=False, kw_only=True)
class SingleRun(Batch):
    """A run that StartRun has made: a batch of one, without a record."""

    deleted: bool = True

    @property
    def batch_id(self) -> None:
        return None

"""A run of a batch, and what the API shows of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

from airflow_provider_omics_batch.emulator.batch import Batch, timestamp
from airflow_provider_omics_batch.emulator.run_settings import RunSetting, merge
from airflow_provider_omics_batch.emulator.tally import outcome, run_status, submission_status

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

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
            "runSettingId": self.batch.run_settings[self.place]["runSettingId"],
            "submissionStatus": submission_status(course, self.place, now),
        }
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
            "name": self.name,
            "runGroupId": self.batch.default.get("runGroupId"),
            "batchId": self.batch.id,
            "status": status,
        }
        return status not in (None, "DELETED") and filters.items() <= facts.items()

    def item(self, now: float) -> dict[str, Any]:
        """Give what ListRuns shows."""
        default = self.batch.default
        priority = self.batch.run_settings[self.place].get("priority")
        return {
            "arn": self.arn,
            "id": self.id,
            "batchId": self.batch.id,
            "name": self.name,
            "status": self.status(now),
            "workflowId": default["workflowId"],
            "workflowVersionName": default.get("workflowVersionName"),
            "priority": default.get("priority") if priority is None else priority,
            "storageType": default.get("storageType"),
            "storageCapacity": default.get("storageCapacity"),
            **self._times(now),
        }

    def describe(self, now: float) -> dict[str, Any]:
        """Give what GetRun answers."""
        setting = merge(self.batch.default, self.batch.run_settings[self.place])
        output_uri = f"{setting['outputUri'].rstrip('/')}/{self.id}/{self.uuid}"
        return {
            **{name: setting.get(name) for name in _COPIED},
            **self.item(now),
            "uuid": self.uuid,
            "tags": setting["runTags"],
            "runOutputUri": output_uri,
            "startedBy": setting["roleArn"],
            "logLocation": self._log_location(),
            **self._configuration(setting),
            **self._failure(now),
        }

    def _log_location(self) -> dict[str, str]:
        _, partition, _, region, account = self.arn.split(":")[:5]
        group = f"arn:{partition}:logs:{region}:{account}:log-group:/aws/omics/WorkflowLog"
        return {
            "engineLogStream": f"{group}:log-stream:run/{self.id}/engine",
            "runLogStream": f"{group}:log-stream:run/{self.id}",
        }

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
            "startTime": course.started[place] + course.settings.starting_seconds,
            "stopTime": course.ended[place],
        }
        return {name: timestamp(time) for name, time in times.items() if time <= now}


def batch_runs(batch: Batch, first_run_id: int, now: float) -> Iterator[Run]:
    """Go through the runs of a batch from a run id on."""
    first = max(0, first_run_id - batch.first_run_id)
    return (Run(batch, place) for place in range(first, batch.course.submissions(now)))

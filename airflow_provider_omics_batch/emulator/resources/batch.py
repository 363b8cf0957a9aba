"""A batch, and what the API shows of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Any

from airflow_provider_omics_batch.emulator.plan.course import Course, fail
from airflow_provider_omics_batch.emulator.plan.tally import Tally
from airflow_provider_omics_batch.emulator.requests.filters import fits
from airflow_provider_omics_batch.emulator.requests.times import timestamp

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from airflow_provider_omics_batch.emulator.plan.failures import FailureRule
    from airflow_provider_omics_batch.emulator.resources.run_settings import FileMark, RunSetting, RunSettings
    from airflow_provider_omics_batch.emulator.settings import Settings

CAN_CANCEL = ("PENDING", "SUBMITTING", "INPROGRESS")
CAN_FAIL = ("CREATING", *CAN_CANCEL)
CAN_DELETE_RUNS = ("PROCESSED", "CANCELLED")
CAN_DELETE = ("PROCESSED", "FAILED", "CANCELLED", "RUNS_DELETED", "RUNS_DELETE_FAILED")

#: Static storage of a run that does not say how much it needs, in GiB.
DEFAULT_CAPACITY = 1200

#: How HealthOmics says that a batch failed through no fault of its own.
TRANSIENT_ERROR = "There was a transient error in the service. Retry the batch."


@dataclass(eq=False, kw_only=True)
class Batch:
    """
    A batch of runs.

    :param first_run_id: run ids of the batch are this and the ones after it, by the place of the run.
    :param request: what StartRunBatch was called with.
    :param run_settings: empty if the settings made no sense.
    :param failure_reason: why the batch fails; ``None`` for a good one.
    :param file: the settings file, where there is one; its ETag is compared once more.
    :param workflow: what runs show of their workflow, if it is one of ours.
    :param tags: those of the batch alone.
    :param run_tags: the tags of single runs that were changed, by the place of the run.
    :param passing: the places of the runs that fail for a passing reason, and by which rule, if it is by one.
    :param deleted: the record is gone, its runs may still be there.
    """

    id: str
    arn: str
    uuid: str
    first_run_id: int
    request: dict[str, Any]
    run_settings: RunSettings
    created_at: float
    settings: Settings
    course: Course
    failure_reason: str | None = None
    file: FileMark | None = None
    workflow: dict[str, Any] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    run_tags: dict[int, dict[str, str]] = field(default_factory=dict)
    passing: dict[int, FailureRule | None] = field(default_factory=dict)
    deleted: bool = False
    _tally: Tally | None = field(default=None, init=False)

    def __getstate__(self) -> dict[str, Any]:
        # It can be counted again.
        return {**vars(self), "_tally": None}

    @property
    def default(self) -> RunSetting:
        default: RunSetting = self.request["defaultRunSetting"]
        return default

    @property
    def ready_at(self) -> float:
        return self.course.ready_at

    @property
    def batch_id(self) -> str | None:
        """What its runs give as the id of their batch."""
        return self.id

    @property
    def total_runs(self) -> int:
        return len(self.run_settings)

    @property
    def storage_type(self) -> str:
        return self.default.get("storageType") or self.settings.default_storage_type

    @property
    def storage_capacity(self) -> int | None:
        default = DEFAULT_CAPACITY if self.storage_type == "STATIC" else None
        return self.default.get("storageCapacity", default)

    @property
    def id_count(self) -> int:
        """How many run ids it has; one at least, so that no two batches begin with the same."""
        return max(1, len(self.course.fates))

    def is_empty(self, now: float) -> bool:
        """Tell whether all of its runs are deleted."""
        course = self.course
        if course.deleted_at <= now:
            return not course.undeleted
        return 0 < len(course.fates) == len(course.gone) and max(course.gone.values()) <= now

    def fail(self, reason: str, submissions: int = 0, since: float | None = None) -> None:
        """Let the batch fail with so many submissions, not before the end of PENDING or a given time."""
        self.failure_reason = reason
        fail(self.course, submissions, self.ready_at if since is None else since)

    def tally(self) -> Tally:
        if self._tally is None or (self._tally.course, self._tally.revision) != (
            self.course,
            self.course.revision,
        ):
            self._tally = Tally(self.course)
        return self._tally

    def status(self, now: float) -> str:
        course = self.course
        if course.deleting_at <= now:
            deleted = "RUNS_DELETE_FAILED" if course.undeleted else "RUNS_DELETED"
            return "RUNS_DELETING" if now < course.deleted_at else deleted
        if course.cancelled_at <= now:
            return "STOPPING" if now < course.stopped_at else "CANCELLED"
        if course.failed_at <= now:
            return "FAILED"
        if now < self.ready_at:
            return "CREATING" if now < self.created_at + self.settings.creating_seconds else "PENDING"
        if now < course.submitted[-1]:
            return "SUBMITTING"
        return "INPROGRESS" if now < course.last_change else self._last_status()

    def _last_status(self) -> str:
        instead = self.settings.all_submissions_failed
        if instead == "PROCESSED" or not all(fate.refusal for fate in self.course.fates):
            return "PROCESSED"
        return instead

    def turns(self) -> list[float]:
        """List the moments when the status may change."""
        course = self.course
        times = (
            self.created_at,
            self.created_at + self.settings.creating_seconds,
            self.ready_at,
            course.submitted[-1] if course.submitted else inf,
            course.last_change,
            course.failed_at,
            course.cancelled_at,
            course.stopped_at,
            course.deleting_at,
            course.deleted_at,
        )
        return [time for time in times if time < inf]

    def started(self, now: float) -> dict[str, Any]:
        """Give what StartRunBatch answers."""
        return {
            "id": self.id,
            "arn": self.arn,
            "uuid": self.uuid,
            "status": self.status(now),
            "tags": self.tags,
        }

    def describe(self, now: float) -> dict[str, Any]:
        """Give what GetBatch answers."""
        tally, status = self.tally(), self.status(now)
        lag = 0.0 if status == "PROCESSED" else self.settings.count_lag_seconds
        return {
            **self.started(now),
            "name": self.request.get("batchName"),
            "totalRuns": self.total_runs,
            "defaultRunSetting": self.default,
            "submissionSummary": tally.submissions(now),
            "runSummary": tally.runs(now - lag),
            **self._times(now),
            "failureReason": self.reason() if status == "FAILED" else None,
        }

    def reason(self) -> str:
        """Say why the batch has failed."""
        return self.failure_reason or "All run submissions failed."

    def _times(self, now: float) -> dict[str, datetime]:
        course = self.course
        done = course.last_change if course.cancelled_at == inf else inf
        failed = course.failed_at if course.cancelled_at == inf else inf
        if self._last_status() == "FAILED":
            done, failed = inf, min(done, failed)
        times = {
            "creationTime": self.created_at,
            "submittedTime": course.submitted[-1] if course.submitted else inf,
            "processedTime": inf if self.failure_reason else done,
            "failedTime": failed,
        }
        return {name: timestamp(time) for name, time in times.items() if time <= now}

    def matches(self, filters: Mapping[str, str], now: float) -> bool:
        """Tell whether ListBatch is to show this one."""
        facts = {
            "status": self.status(now),
            "name": self.request.get("batchName"),
            "runGroupId": self.default.get("runGroupId"),
        }
        return not self.deleted and fits(filters, facts, self.settings)

    def item(self, now: float) -> dict[str, Any]:
        """Give what ListBatch shows."""
        return {
            "id": self.id,
            "name": self.request.get("batchName"),
            "status": self.status(now),
            "createdAt": timestamp(self.created_at),
            "totalRuns": self.total_runs,
            "workflowId": self.default["workflowId"],
        }

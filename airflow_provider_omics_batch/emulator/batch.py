"""A batch, and what the API shows of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import inf
from typing import TYPE_CHECKING, Any

from airflow_provider_omics_batch.emulator.schedule import Course, fail
from airflow_provider_omics_batch.emulator.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_omics_batch.emulator.run_settings import FileMark, RunSetting
    from airflow_provider_omics_batch.emulator.settings import Settings

CAN_CANCEL = ("PENDING", "SUBMITTING", "INPROGRESS")
CAN_FAIL = ("CREATING", *CAN_CANCEL)
CAN_DELETE_RUNS = ("PROCESSED", "CANCELLED")
CAN_DELETE = ("PROCESSED", "FAILED", "CANCELLED", "RUNS_DELETED", "RUNS_DELETE_FAILED")

#: How HealthOmics says that a batch failed through no fault of its own.
TRANSIENT_ERROR = "There was a transient error in the service. Retry the batch."


def timestamp(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


@dataclass(eq=False, kw_only=True)
class Batch:
    """
    A batch of runs.

    :param first_run_id: run ids of the batch are this and the ones after it, by the place of the run.
    :param request: what StartRunBatch was called with.
    :param run_settings: empty if the settings made no sense.
    :param failure_reason: why the batch fails; ``None`` for a good one.
    :param file: the settings file, where there is one; its ETag is compared once more.
    :param deleted: the record is gone, its runs may still be there.
    """

    id: str
    arn: str
    uuid: str
    first_run_id: int
    request: dict[str, Any]
    run_settings: Sequence[RunSetting]
    created_at: float
    settings: Settings
    course: Course
    failure_reason: str | None = None
    file: FileMark | None = None
    deleted: bool = False
    _tally: Tally | None = field(default=None, init=False)

    @property
    def default(self) -> RunSetting:
        default: RunSetting = self.request["defaultRunSetting"]
        return default

    @property
    def ready_at(self) -> float:
        return self.course.ready_at

    @property
    def total_runs(self) -> int:
        return len(self.run_settings)

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
            return "RUNS_DELETING" if now < course.deleted_at else "RUNS_DELETED"
        if course.cancelled_at <= now:
            return "STOPPING" if now < course.stopped_at else "CANCELLED"
        if course.failed_at <= now:
            return "FAILED"
        if now < self.ready_at:
            return "CREATING" if now < self.created_at + self.settings.creating_seconds else "PENDING"
        if now < course.submitted[-1]:
            return "SUBMITTING"
        return "INPROGRESS" if now < course.last_change else "PROCESSED"

    def started(self, now: float) -> dict[str, Any]:
        """Give what StartRunBatch answers."""
        return {
            "id": self.id,
            "arn": self.arn,
            "uuid": self.uuid,
            "status": self.status(now),
            "tags": self.request.get("tags") or {},
        }

    def describe(self, now: float) -> dict[str, Any]:
        """Give what GetBatch answers."""
        tally = self.tally()
        return {
            **self.started(now),
            "name": self.request.get("batchName"),
            "totalRuns": self.total_runs,
            "defaultRunSetting": self.default,
            "submissionSummary": tally.submissions(now),
            "runSummary": tally.runs(now),
            **self._times(now),
            "failureReason": self.failure_reason if self.status(now) == "FAILED" else None,
        }

    def _times(self, now: float) -> dict[str, datetime]:
        course = self.course
        done = course.last_change if course.cancelled_at == inf else inf
        times = {
            "creationTime": self.created_at,
            "submittedTime": course.submitted[-1] if course.submitted else inf,
            "processedTime": inf if self.failure_reason else done,
            "failedTime": course.failed_at if course.cancelled_at == inf else inf,
        }
        return {name: timestamp(time) for name, time in times.items() if time <= now}

    def matches(self, filters: Mapping[str, str], now: float) -> bool:
        """Tell whether ListBatch is to show this one."""
        facts = {
            "status": self.status(now),
            "name": self.request.get("batchName"),
            "runGroupId": self.default.get("runGroupId"),
        }
        return not self.deleted and filters.items() <= facts.items()

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

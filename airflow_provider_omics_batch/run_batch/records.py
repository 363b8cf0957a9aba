"""What is known of single runs, and of all of them together."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypedDict

from airflow_provider_omics_batch.run_batch.model import json_bytes
from airflow_provider_omics_batch.run_batch.states import BatchState, Runs

#: The status of a run that costs, or is going to.
UNDER_WAY = ("PENDING", "STARTING", "RUNNING", "STOPPING")


class RunRecord(TypedDict):
    """
    One run setting and what became of it; a line of the manifest.

    HealthOmics gives the ids of deleted runs to new ones: ``run_arn`` and ``run_uuid`` are what lasts.
    """

    run_setting_id: str
    run_id: str | None
    run_arn: str | None
    run_uuid: str | None
    batch_id: str
    submission_status: str | None
    submission_failure_reason: str | None
    submission_failure_message: str | None
    run_status: str | None
    failure_reason: str | None


@dataclass
class Outcome:
    """
    How a batch ended.

    :param state: Its last state, recounted from the records where the service's counts do not add up.
    :param failures: The first failed submissions and failed or cancelled runs, with reason and message.
    """

    state: BatchState
    failures: list[dict[str, Any]] = field(default_factory=list)

    def summary(self, manifest_uri: str | None = None) -> dict[str, Any]:
        """Return the task's result: counts and the first failures, a few KB at any size."""
        state = self.state
        return {
            "batch_id": state.batch_id,
            "status": state.status,
            "total": state.total,
            "submissions": asdict(state.submissions),
            "runs": asdict(state.runs),
            "failure_reason": state.failure_reason,
            "failures": self.failures,
            "manifest_uri": manifest_uri,
        }


def was_submitted(record: RunRecord) -> bool:
    """Return whether there is a run for this run setting."""
    return bool(record["run_id"]) and record["submission_status"] != "FAILED"


def went_wrong(record: RunRecord) -> bool:
    return not was_submitted(record) or record["run_status"] in ("FAILED", "CANCELLED")


def counted_as(record: RunRecord) -> str:
    """Return under which name a record is counted."""
    return record["run_status"] or f"submission {record['submission_status']}"


def recounted(state: BatchState, counts: Counter[str]) -> BatchState:
    """Return a state with the counts of its records, as :func:`counted_as` names them."""
    runs = Runs(**{name: counts[name.upper()] for name in Runs.__annotations__})
    failed = counts["submission FAILED"]
    submissions = replace(state.submissions, successful=counts.total() - failed, failed=failed)
    return replace(state, total=max(state.total, counts.total()), submissions=submissions, runs=runs)


class RunIds:
    """
    ``{runSettingId: runId}`` of the runs that were submitted, as long as it is small enough for XCom.

    :param max_bytes: The largest size as JSON.
    """

    def __init__(self, max_bytes: int) -> None:
        self.seen = 0
        self._run_ids: dict[str, str] = {}
        self._bytes_left = max_bytes

    def add(self, record: RunRecord) -> None:
        self.seen += 1
        if record["run_id"] and was_submitted(record) and self._bytes_left >= 0:
            self._run_ids[record["run_setting_id"]] = record["run_id"]
            self._bytes_left -= len(json_bytes({record["run_setting_id"]: record["run_id"]}))

    @property
    def value(self) -> dict[str, str] | None:
        return self._run_ids if self._bytes_left >= 0 else None

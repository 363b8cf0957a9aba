"""What is known of single runs, and of all of them together."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from itertools import accumulate
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


#: So many failures are told with the task's result, where they are read by people; fewer of long texts.
SHOWN_FAILURES = 10
SHOWN_FAILURES_BYTES = 2_000


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
        """Return the task's result: counts and the first failures, up to 3 KB at any size."""
        state = self.state
        return {
            "batch_id": state.batch_id,
            "status": state.status,
            "total": state.total,
            "submissions": asdict(state.submissions),
            "runs": asdict(state.runs),
            "cancellations": asdict(state.cancellations),
            "deletions": asdict(state.deletions),
            "failure_reason": state.failure_reason,
            "failures": self.failures,
            "manifest_uri": manifest_uri,
        }


def was_submitted(record: RunRecord) -> bool:
    """Return whether there is a run for this run setting."""
    return bool(record["run_id"]) and record["submission_status"] != "FAILED"


class FirstNames:
    """How many runs there are of a kind, the first ones by name."""

    def __init__(self) -> None:
        self.count = 0
        self.names: list[str] = []

    def add(self, record: RunRecord) -> None:
        self.count += 1
        if len(self.names) < SHOWN_FAILURES:
            self.names.append(f"{record['run_setting_id']} (run {record['run_id']})")


class FirstFailures:
    """
    The first runs that went wrong, those that failed before those that were cancelled with many others.

    :param most: How many are kept.
    """

    def __init__(self, most: int = SHOWN_FAILURES) -> None:
        self._most = most
        self._failed: list[dict[str, Any]] = []
        self._cancelled: list[dict[str, Any]] = []

    def wants(self, record: RunRecord) -> bool:
        return went_wrong(record) and len(self._list_for(record)) < self._most

    def add(self, record: RunRecord, failure: dict[str, Any]) -> None:
        self._list_for(record).append(failure)

    @property
    def value(self) -> list[dict[str, Any]]:
        """As many as fit into :data:`SHOWN_FAILURES_BYTES` as Airflow stores them, at least the first one."""
        sizes = accumulate(len(json.dumps(failure)) for failure in self._all)
        fitting = sum(size <= SHOWN_FAILURES_BYTES for size in sizes)
        return self._all[: max(1, fitting)]

    @property
    def _all(self) -> list[dict[str, Any]]:
        return [*self._failed, *self._cancelled][: self._most]

    def _list_for(self, record: RunRecord) -> list[dict[str, Any]]:
        return self._cancelled if record["run_status"] == "CANCELLED" else self._failed


def went_wrong(record: RunRecord) -> bool:
    """Return whether a run counts as failed: one that was not submitted, has failed or was cancelled."""
    return not was_submitted(record) or record["run_status"] in ("FAILED", "CANCELLED")


def counted_as(record: RunRecord) -> str:
    """Return under which name a record is counted."""
    return record["run_status"] or f"submission {record['submission_status']}"


def recounted(state: BatchState, counts: Counter[str]) -> BatchState:
    """Return a state with the counts of its records, as :func:`counted_as` names them."""
    runs = Runs(**{name: counts[name.upper()] for name in Runs.__annotations__})
    failed = counts["submission FAILED"]
    # Of runs that no list has, the service may know that they were submitted.
    successful = max(state.submissions.successful, counts.total() - failed)
    submissions = replace(state.submissions, successful=successful, failed=failed)
    return replace(state, total=max(state.total, counts.total()), submissions=submissions, runs=runs)


class RunIds:
    """
    ``{runSettingId: runId}`` of the runs that were submitted, as long as it is small enough for XCom.

    :param max_bytes: The largest size as JSON.
    """

    def __init__(self, max_bytes: int) -> None:
        self._run_ids: dict[str, str] = {}
        self._bytes_left = max_bytes

    def add(self, record: RunRecord) -> None:
        if record["run_id"] and was_submitted(record) and self._bytes_left >= 0:
            self._run_ids[record["run_setting_id"]] = record["run_id"]
            self._bytes_left -= len(json_bytes({record["run_setting_id"]: record["run_id"]}))

    @property
    def value(self) -> dict[str, str] | None:
        return self._run_ids if self._bytes_left >= 0 else None

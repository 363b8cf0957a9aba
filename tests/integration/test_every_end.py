"""Every way in which a batch can end, under every policy, over rounds and tries, in both ways of waiting."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NamedTuple

import pytest

from airflow_provider_omics_batch.emulator import ManualClock, OmicsBackend, Settings
from airflow_provider_omics_batch.emulator.plan.chance import fate_of
from airflow_provider_omics_batch.exceptions import RunBatchFailedError
from airflow_provider_omics_batch.operators.omics import StartRunBatchOperator
from airflow_provider_omics_batch.run_batch import read_run_manifest
from tests.integration.conftest import BUCKET, DEFAULT, Emulator
from tests.integration.tasks import StateStore, TaskInstance

SETTINGS = Settings(fail_submissions=0.5, fail_runs=0.5, creating_seconds=0)
A_WHILE = 20.0
FOR_EVER = 1_000_000.0


def _named(reason: str | None) -> str:
    """Return a run setting's id that the emulator lets go wrong for this reason."""
    for name in (f"S{number}" for number in range(10_000)):
        fate = fate_of(name, SETTINGS)
        failure = fate.refusal or fate.failure
        if reason == (failure and failure.reason):
            return name
    raise AssertionError(reason)


GOOD = _named(None)
#: Goes wrong for a reason that passes by itself, in the emulator when it is sent again.
THROTTLED = _named("ThrottlingException")
UNLUCKY = _named("SERVICE_ERROR")
#: Goes wrong for good.
REFUSED = _named("ValidationException")
HUNGRY = _named("OUT_OF_MEMORY_ERROR")

COHORT = (GOOD, THROTTLED, UNLUCKY, REFUSED, HUNGRY)
PASSING = {THROTTLED, UNLUCKY}
LASTING = {REFUSED, HUNGRY}

#: What happens to a batch as soon as it is submitted.
End = Callable[[OmicsBackend, ManualClock, str], None]


def processed(backend: OmicsBackend, clock: ManualClock, batch_id: str) -> None:
    clock.advance(FOR_EVER)


def cancelled(backend: OmicsBackend, clock: ManualClock, batch_id: str) -> None:
    backend.cancel_run_batch({"batchId": batch_id})
    clock.advance(FOR_EVER)


def cancelled_halfway(backend: OmicsBackend, clock: ManualClock, batch_id: str) -> None:
    """By then all submissions have been tried, and no run has ended."""
    clock.advance(A_WHILE)
    cancelled(backend, clock, batch_id)


def failed_in_passing(backend: OmicsBackend, clock: ManualClock, batch_id: str) -> None:
    backend.fail_batch(batch_id, "There was a transient error in the service. Retry the batch.")
    clock.advance(FOR_EVER)


def failed_for_good(backend: OmicsBackend, clock: ManualClock, batch_id: str) -> None:
    backend.fail_batch(batch_id, "Expected 5 unique runSettingIds but there were 4")
    clock.advance(FOR_EVER)


def failed_with_runs(backend: OmicsBackend, clock: ManualClock, batch_id: str) -> None:
    clock.advance(A_WHILE)
    failed_in_passing(backend, clock, batch_id)


def runs_deleted(backend: OmicsBackend, clock: ManualClock, batch_id: str) -> None:
    clock.advance(FOR_EVER)
    backend.delete_run_batch({"batchId": batch_id})
    clock.advance(FOR_EVER)


class Case(NamedTuple):
    """
    What is to come of a task and its retry.

    :param end: How the first batch ends; those after it are processed.
    :param rounds: ``retry_failed_rounds``, and ``retry_failed`` where it is not the default.
    :param sent: The run settings of each batch of the first try.
    :param sent_by_retry: Those of each batch of the second try.
    :param failed: How many runs have gone wrong in the end, be it that they never were started.
    :param status: Of the last batch.
    """

    end: End
    rounds: tuple[Any, ...]
    sent: list[set[str]]
    sent_by_retry: list[set[str]]
    failed: int
    status: str = "PROCESSED"


ALL = set(COHORT)
NONE_MORE: list[set[str]] = []
NO_ROUNDS, ONE_ROUND, ONE_ROUND_OF_ALL = (0,), (1,), (1, "all")

CASES = [
    Case(processed, NO_ROUNDS, [ALL], [PASSING], 2),
    Case(processed, (0, "all"), [ALL], [PASSING | LASTING], 2),
    Case(processed, ONE_ROUND, [ALL, PASSING], NONE_MORE, 2),
    Case(processed, (3,), [ALL, PASSING], NONE_MORE, 2),
    Case(processed, ONE_ROUND_OF_ALL, [ALL, PASSING | LASTING], [LASTING, LASTING], 2),
    Case(processed, (2, "all"), [ALL, PASSING | LASTING, LASTING], [LASTING] * 3, 2),
    # Where nothing was submitted, nothing has gone wrong yet.
    Case(cancelled, NO_ROUNDS, [ALL], [ALL], 4),
    Case(cancelled, ONE_ROUND, [ALL], [ALL, PASSING], 2),
    Case(cancelled, ONE_ROUND_OF_ALL, [ALL], [ALL, PASSING | LASTING], 2),
    # What was refused before the cancellation was so once, or stays so; what was at work has not failed.
    Case(cancelled_halfway, NO_ROUNDS, [ALL], [ALL - {REFUSED}], 3),
    Case(cancelled_halfway, ONE_ROUND, [ALL], [ALL - {REFUSED}, {UNLUCKY}], 2),
    Case(cancelled_halfway, ONE_ROUND_OF_ALL, [ALL], [ALL, {UNLUCKY} | LASTING], 2),
    Case(failed_in_passing, NO_ROUNDS, [ALL], [ALL], 4),
    Case(failed_in_passing, ONE_ROUND, [ALL, ALL], [PASSING], 2),
    Case(failed_in_passing, (2, "all"), [ALL, ALL, PASSING | LASTING], [LASTING] * 3, 2),
    Case(failed_for_good, NO_ROUNDS, [ALL], [ALL], 4),
    Case(failed_for_good, ONE_ROUND, [ALL], [ALL, PASSING], 2),
    Case(failed_for_good, ONE_ROUND_OF_ALL, [ALL], [ALL, PASSING | LASTING], 2),
    # The runs that a failed batch has left go on: they count as they end, and are not run twice.
    Case(failed_with_runs, NO_ROUNDS, [ALL], [PASSING], 2),
    Case(failed_with_runs, ONE_ROUND, [ALL, PASSING], NONE_MORE, 2),
    Case(runs_deleted, NO_ROUNDS, [ALL], NONE_MORE, 5, "RUNS_DELETED"),
    Case(runs_deleted, ONE_ROUND, [ALL], NONE_MORE, 5, "RUNS_DELETED"),
    Case(runs_deleted, ONE_ROUND_OF_ALL, [ALL], NONE_MORE, 5, "RUNS_DELETED"),
]


@dataclass
class Account:
    """
    A HealthOmics in which a batch comes to its end as soon as it is submitted.

    :param ends: Of the next batches; those after them are processed.
    :param sent: The run settings of each batch so far.
    """

    emulator: Emulator
    ends: deque[End]
    clock: ManualClock = field(default_factory=ManualClock)
    sent: list[set[str]] = field(default_factory=list)

    def open(self) -> None:
        self.emulator.reset()
        self.emulator.backend.configure(SETTINGS, self.clock)
        self.emulator.client("s3").create_bucket(Bucket=BUCKET)

    def started(self, backend: OmicsBackend, batch: dict[str, Any], settings: list[dict[str, Any]]) -> None:
        self.sent.append({setting["runSettingId"] for setting in settings})
        end = self.ends.popleft() if self.ends else processed
        end(backend, self.clock, batch["id"])


@pytest.fixture(name="new_account")
def _new_account(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Account]:
    start, accounts = OmicsBackend.start_run_batch, list[Account]()

    def start_run_batch(backend: OmicsBackend, params: dict[str, Any], *more: Any) -> Any:
        known = len(backend.list_batch({})[0])
        batch = start(backend, params, *more)
        if len(backend.list_batch({})[0]) > known:
            accounts[-1].started(backend, batch, params["batchRunSettings"]["inlineSettings"])
        return batch

    def new_account(*ends: End) -> Account:
        accounts.append(Account(emulator, deque(ends)))
        accounts[-1].open()
        return accounts[-1]

    monkeypatch.setattr(OmicsBackend, "start_run_batch", start_run_batch)
    return new_account


NewAccount = Callable[..., Account]


def start(case: Case, *, deferrable: bool, **arguments: Any) -> StartRunBatchOperator:
    rounds, which = (*case.rounds, "retriable")[:2]
    return StartRunBatchOperator(
        task_id="call_variants",
        default_run_setting=DEFAULT,
        batch_run_settings=[{"runSettingId": name} for name in COHORT],
        deferrable=deferrable,
        retry_failed_rounds=rounds,
        retry_failed=which,
        poll_interval=0.01,
        retries=1,
        retry_delay=timedelta(0),
        **arguments,
    )


def outcome(ti: TaskInstance, operator: StartRunBatchOperator) -> dict[str, Any]:
    """Run a task, and return its XCom and its error."""
    failure = None
    try:
        ti.run(operator)
    except RunBatchFailedError as error:
        failure = error
    assert failure is None or failure.summary == ti.xcom["return_value"]
    return {**_without_uuids(ti.xcom), "error": failure and (str(failure), failure.batch_id)}


def _without_uuids(xcom: dict[str, Any]) -> dict[str, Any]:
    """They are new in every account."""
    same: dict[str, Any] = json.loads(
        re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "", json.dumps(xcom))
    )
    return same


STAGING = f"s3://{BUCKET}/airflow/"


POLICIES = [
    pytest.param(0, True, id="none-may-fail"),
    pytest.param(2, True, id="two-may-fail"),
    pytest.param(1.0, True, id="all-may-fail"),
    pytest.param(0, False, id="airflow-3.2"),
]


def _walks(case: Case) -> Iterator[Any]:
    for policy in POLICIES:
        max_failed_runs, kept = policy.values
        # Without anything kept, a batch that ends at once looks like one of the earlier try.
        if kept or len(case.sent) > case.rounds[0]:
            name = f"{case.end.__name__}-{case.rounds}-{policy.id}"
            yield pytest.param(case, max_failed_runs, kept, id=name)


@pytest.mark.parametrize(
    ("case", "max_failed_runs", "kept"), [walk for case in CASES for walk in _walks(case)]
)
def test_every_end_is_the_same_in_both_ways_of_waiting_and_only_what_is_left_is_sent_again(
    new_account: NewAccount, case: Case, max_failed_runs: float, kept: bool
) -> None:
    """The first try is followed by another one, where it fails; by then Airflow has kept something or not."""
    told = []
    staging_uri = STAGING if case.rounds == ONE_ROUND and kept and max_failed_runs == 2 else None
    for deferrable in (True, False):
        account = new_account(case.end)
        tries = [TaskInstance(max_tries=1)]
        tries[0].state_store = StateStore() if kept else None
        ends = []
        while True:
            operator = start(
                case, deferrable=deferrable, max_failed_runs=max_failed_runs, staging_uri=staging_uri
            )
            ends.append(outcome(tries[-1], operator))
            if ends[-1]["error"] is None or len(tries) == 2:
                break
            tries.append(tries[-1].retry())
        told.append(ends)

        assert account.sent == [*case.sent, *(case.sent_by_retry if len(tries) == 2 else [])]
        last = ends[-1]
        summary = last["return_value"]
        assert last["batch_ids"] == [batch["id"] for batch in reversed(account.emulator.batches)]
        assert last["batch_id"] == summary["batch_id"] == last["batch_ids"][-1]
        lost = summary["total"] - summary["runs"]["completed"]
        allowed = max_failed_runs if isinstance(max_failed_runs, int) else len(COHORT)
        assert (last["error"] is None) is (summary["status"] == "PROCESSED" and lost <= allowed)
        if len(tries) == 2:
            assert (summary["status"], lost) == (case.status, case.failed)
        if staging_uri:
            records = list(read_run_manifest(tries[-1].xcom["manifest_uri"]))
            assert {record["run_setting_id"] for record in records} == ALL
            assert last["run_ids"] == {
                record["run_setting_id"]: record["run_id"]
                for record in records
                if record["run_id"] and record["submission_status"] != "FAILED"
            }
    assert told[0] == told[1]

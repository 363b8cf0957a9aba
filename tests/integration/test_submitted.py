"""Tasks that end once every submission has been tried, while the runs go on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest
from airflow.triggers.base import TriggerEvent
from structlog.testing import capture_logs

from airflow_provider_omics_batch.emulator import ManualClock
from airflow_provider_omics_batch.exceptions import RunBatchFailedError, RunBatchTimeoutError
from airflow_provider_omics_batch.operators.omics import StartRunBatchOperator
from airflow_provider_omics_batch.run_batch import read_run_manifest
from airflow_provider_omics_batch.sensors.omics import RunBatchSensor
from airflow_provider_omics_batch.triggers import ownership
from airflow_provider_omics_batch.triggers.omics import RunBatchTrigger
from tests.integration.conftest import Emulator
from tests.integration.tasks import StateStore, TaskInstance
from tests.integration.test_every_end import (
    COHORT,
    DEFAULT,
    GOOD,
    HUNGRY,
    REFUSED,
    SETTINGS,
    STAGING,
    THROTTLED,
    UNLUCKY,
)

FOR_EVER = 1_000_000.0
SUBMITTED = {GOOD, HUNGRY, UNLUCKY}


@pytest.fixture(autouse=True, name="clock")
def _clock(emulator: Emulator) -> ManualClock:
    clock = ManualClock()
    emulator.backend.configure(SETTINGS, clock)
    return clock


@pytest.fixture(autouse=True)
def _passing_time(emulator: Emulator, clock: ManualClock) -> None:
    """Let twenty seconds pass after each submission: by then all runs are submitted, and none has ended."""

    def submit(environ: Any, start_response: Callable[..., Any]) -> Any:
        answer = emulator.application(environ, start_response)
        clock.advance(20)
        return answer

    emulator.answers["StartRunBatch"].extend([submit] * 10)


@pytest.fixture(name="start", params=[True, False], ids=["deferred", "sync"])
def _start(request: pytest.FixtureRequest) -> Callable[..., StartRunBatchOperator]:
    def start(names: Any = COHORT, **arguments: Any) -> StartRunBatchOperator:
        return StartRunBatchOperator(
            task_id="call_variants",
            default_run_setting=DEFAULT,
            batch_run_settings=[{"runSettingId": name} for name in names],
            poll_interval=0.05,
            deferrable=request.param,
            wait_until="submitted",
            retry_delay=timedelta(0),
            **arguments,
        )

    return start


Start = Callable[..., StartRunBatchOperator]


class KilledError(Exception):
    pass


def with_store(**arguments: Any) -> TaskInstance:
    ti = TaskInstance(**arguments)
    ti.state_store = StateStore()
    return ti


def statuses(uri: str) -> dict[str, Any]:
    return {record["run_setting_id"]: record["run_status"] for record in read_run_manifest(uri)}


def test_the_task_ends_with_the_whole_mapping_while_the_runs_go_on(start: Start, emulator: Emulator) -> None:
    ti = TaskInstance()

    with capture_logs() as logged:
        summary = ti.run(start(max_failed_runs=2, staging_uri=STAGING))

    assert summary["status"] == "INPROGRESS"
    assert summary["submissions"] == {"successful": 3, "failed": 2, "pending": 0}
    assert set(ti.xcom["run_ids"]) == SUBMITTED
    assert statuses(ti.xcom["manifest_uri"]) == {
        GOOD: "STARTING",
        HUNGRY: "STARTING",
        UNLUCKY: "STARTING",
        REFUSED: None,
        THROTTLED: None,
    }
    assert not any("was broken off" in line["event"] for line in logged)
    assert not any("Cancel" in operation for operation in emulator.calls)


def test_more_failed_submissions_than_may_fail_the_task_and_leave_the_batch_alone(
    start: Start, emulator: Emulator
) -> None:
    ti = TaskInstance()

    with pytest.raises(
        RunBatchFailedError, match="was submitted, but of its 5 runs, 2 could not be submitted"
    ):
        ti.run(start(max_failed_runs=1))

    assert set(ti.xcom["run_ids"]) == SUBMITTED
    assert [batch["status"] for batch in emulator.batches] == ["INPROGRESS"]


def test_fail_fast_cancels_a_batch_of_which_too_many_runs_cannot_be_submitted(
    start: Start, emulator: Emulator
) -> None:
    emulator.configure(speed=600, fail_submissions=0.5, fail_runs=0.5, run_seconds=1_000_000)

    with pytest.raises(RunBatchFailedError, match=r"is CANCELLED.*; fail_fast cancels"):
        TaskInstance().run(start(fail_fast=True))


def test_fail_fast_lets_runs_fail_while_others_are_submitted(
    start: Start, emulator: Emulator, clock: ManualClock
) -> None:
    emulator.backend.configure(replace(SETTINGS, start_run_tps=0.001, run_seconds=10), clock)

    def look(environ: Any, start_response: Callable[..., Any]) -> Any:
        clock.advance(500)
        return emulator.application(environ, start_response)

    emulator.answers["GetBatch"].extend([look] * 20)

    with capture_logs() as logged:
        TaskInstance().run(start((HUNGRY, GOOD), fail_fast=True))

    told = [line["event"] for line in logged]
    assert any("1 submitted, 1 failed" in line for line in told)
    assert "CancelRunBatch" not in emulator.calls


def test_what_becomes_of_runs_afterwards_is_not_the_tasks_matter(
    start: Start, emulator: Emulator, clock: ManualClock
) -> None:
    """A small batch may have ended when somebody looks."""
    ti, operator = TaskInstance(), start({GOOD, HUNGRY, UNLUCKY})
    ti.run(start({GOOD, HUNGRY, UNLUCKY}, wait_for_completion=False))
    clock.advance(FOR_EVER)

    summary = ti.run(operator)

    assert (summary["status"], summary["runs"]["failed"]) == ("PROCESSED", 2)


def test_a_sensor_that_waits_on_leaves_the_earlier_manifest_as_it_is(
    start: Start, emulator: Emulator, clock: ManualClock
) -> None:
    """Tasks may be at work on pieces of it."""
    ti, later = TaskInstance(), TaskInstance(task_id="wait")
    ti.run(start({GOOD}, staging_uri=STAGING))
    clock.advance(FOR_EVER)

    later.run(RunBatchSensor(task_id="wait", batch_id=ti.xcom["batch_id"], staging_uri=STAGING))

    assert statuses(ti.xcom["manifest_uri"]) == {GOOD: "STARTING"}
    assert statuses(later.xcom["manifest_uri"]) == {GOOD: "COMPLETED"}
    assert later.xcom["run_ids"] == ti.xcom["run_ids"]


@pytest.mark.parametrize("ended", [True, False])
def test_a_retry_submits_what_could_not_be_and_may_be_now(
    start: Start, emulator: Emulator, clock: ManualClock, ended: bool
) -> None:
    """And, of a batch that has ended meanwhile, what has failed by then for a reason that passes."""
    first = with_store(max_tries=1)
    second = first.retry()
    with pytest.raises(RunBatchFailedError):
        first.run(start(max_failed_runs=1, retries=1, staging_uri=STAGING))
    clock.advance(FOR_EVER if ended else 0)

    summary = second.run(start(max_failed_runs=1, retries=1, staging_uri=STAGING))

    omics = emulator.client("omics")
    _, again = second.xcom["batch_ids"]
    sent = {run["runSettingId"] for run in omics.list_runs_in_batch(batchId=again)["runs"]}
    assert sent == ({THROTTLED, UNLUCKY} if ended else {THROTTLED})
    assert summary["submissions"] == {"successful": 4, "failed": 1, "pending": 0}
    assert set(second.xcom["run_ids"]) == SUBMITTED | {THROTTLED}
    assert statuses(second.xcom["manifest_uri"])[GOOD] == ("COMPLETED" if ended else "STARTING")


def test_runs_of_an_earlier_batch_that_goes_on_are_not_called_broken_off(
    start: Start, emulator: Emulator
) -> None:
    """Whoever believed that would cancel good runs one by one."""
    first = with_store(max_tries=1)
    second = first.retry()
    arguments = {"names": {GOOD, REFUSED}, "retries": 1, "retry_failed": "all"}
    with pytest.raises(RunBatchFailedError):
        first.run(start(**arguments))

    with pytest.raises(RunBatchFailedError), capture_logs() as logged:
        second.run(start(**arguments))

    assert {batch["status"] for batch in emulator.batches} == {"INPROGRESS", "PROCESSED"}
    assert not any("was broken off" in line["event"] for line in logged)


def test_a_retry_after_a_crash_finds_the_batch_and_tells_of_it_as_it_is(
    start: Start, emulator: Emulator, clock: ManualClock
) -> None:
    first = with_store(max_tries=1)
    second = first.retry()
    first.run(start({GOOD}, retries=1, staging_uri=STAGING))
    clock.advance(FOR_EVER)

    second.run(start({GOOD}, retries=1, staging_uri=STAGING))

    assert len(emulator.batches) == 1
    assert second.xcom["run_ids"] == first.xcom["run_ids"]
    assert second.xcom["return_value"]["status"] == "PROCESSED"
    assert statuses(second.xcom["manifest_uri"]) == {GOOD: "COMPLETED"}


def test_a_batch_that_is_not_submitted_in_time_is_cancelled(start: Start, emulator: Emulator) -> None:
    emulator.answers["StartRunBatch"].clear()
    emulator.configure(speed=1, pending_seconds=FOR_EVER, creating_seconds=0)

    with pytest.raises(
        RunBatchTimeoutError, match="had not been submitted within execution_timeout"
    ) as caught:
        TaskInstance().run(start(execution_timeout=timedelta(seconds=2)))

    batch = emulator.client("omics").get_batch(batchId=caught.value.batch_id)
    assert batch["status"] in {"STOPPING", "CANCELLED"}


def test_a_timeout_in_a_retry_cancels_the_batches_of_earlier_tries_too(
    start: Start, emulator: Emulator
) -> None:
    first = with_store(max_tries=1)
    with pytest.raises(RunBatchFailedError):
        first.run(start(max_failed_runs=1, retries=1))
    # From here on the clock stands still.
    emulator.answers["StartRunBatch"].clear()

    with pytest.raises(RunBatchTimeoutError, match="was cancelled"):
        first.retry().run(start(max_failed_runs=1, retries=1, execution_timeout=timedelta(seconds=2)))

    states = [emulator.client("omics").get_batch(batchId=batch["id"])["status"] for batch in emulator.batches]
    assert len(states) == 2
    assert set(states) <= {"STOPPING", "CANCELLED"}


def test_a_kill_while_the_mapping_is_published_ends_the_batch_too(
    start: Start, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ownership, "_state_of", lambda task_instance: "failed")
    ti, operator = TaskInstance(), start()
    publisher = operator._publisher

    def killed(context: Any) -> Any:
        operator.on_kill()
        return publisher(context)

    monkeypatch.setitem(operator.__dict__, "_publisher", killed)

    with pytest.raises(RunBatchFailedError):
        ti.run(operator)

    assert emulator.calls["CancelRunBatch"] == 1


def test_a_kill_in_a_retry_ends_the_batches_of_earlier_tries_that_go_on(
    start: Start, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clear is a kill, and starts all runs again: whatever goes on by then is paid for twice."""
    first = with_store(max_tries=1)
    second, operator = first.retry(), start(retries=1)
    with pytest.raises(RunBatchFailedError):
        first.run(start(retries=1))
    monkeypatch.setattr(ownership, "_state_of", lambda task_instance: None)
    monkeypatch.setattr(ownership, "_batch_id_of", lambda task_instance: None)

    async def kill(trigger: RunBatchTrigger) -> AsyncIterator[TriggerEvent]:
        if operator.deferrable:
            trigger.task_instance = cast("Any", second)
            await trigger.on_kill()
        else:
            operator.on_kill()
        raise KilledError
        yield

    monkeypatch.setattr(RunBatchTrigger, "run", kill)
    with pytest.raises(KilledError):
        second.run(operator)

    assert len(second.xcom["batch_ids"]) == 2
    assert {batch["status"] for batch in emulator.batches} <= {"STOPPING", "CANCELLED"}

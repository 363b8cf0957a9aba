from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Iterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException, TaskDeferralTimeout, TaskDeferred

from airflow_provider_omics_batch.emulator import Fault
from airflow_provider_omics_batch.exceptions import RunBatchTimeoutError
from airflow_provider_omics_batch.hooks.shared import shared_client
from airflow_provider_omics_batch.operators.omics import StartRunBatchOperator
from airflow_provider_omics_batch.triggers import omics as triggers
from airflow_provider_omics_batch.triggers import ownership
from airflow_provider_omics_batch.triggers.omics import RunBatchTrigger
from airflow_provider_omics_batch.triggers.ownership import uninterrupted
from tests.integration.conftest import DEFAULT, Emulator
from tests.integration.tasks import TaskInstance


@pytest.fixture(autouse=True, name="slow")
def _slow(emulator: Emulator) -> Emulator:
    """Let the runs take days, and all before them a moment."""
    emulator.configure(speed=100, run_seconds=1_000_000)
    return emulator


def start(**arguments: Any) -> StartRunBatchOperator:
    settings = [{"runSettingId": f"S{number}"} for number in range(3)]
    arguments = {
        "default_run_setting": DEFAULT,
        "batch_run_settings": settings,
        "poll_interval": 0.05,
        **arguments,
    }
    return StartRunBatchOperator(task_id="call_variants", **arguments)


def status(emulator: Emulator, batch_id: str) -> str:
    return str(emulator.client("omics").get_batch(batchId=batch_id)["status"])


@pytest.mark.parametrize("deferrable", [True, False])
@pytest.mark.parametrize(
    ("on_timeout", "left_as"),
    [("cancel", {"STOPPING", "CANCELLED"}), ("leave", {"PENDING", "SUBMITTING", "INPROGRESS"})],
)
def test_a_batch_that_takes_too_long_is_cancelled_or_left_as_asked(
    slow: Emulator, deferrable: bool, on_timeout: str, left_as: set[str]
) -> None:
    ti = TaskInstance()
    operator = start(deferrable=deferrable, on_timeout=on_timeout, execution_timeout=timedelta(seconds=3))

    with pytest.raises(
        RunBatchTimeoutError, match=r"had not ended within execution_timeout \(0:00:03\)"
    ) as caught:
        ti.run(operator)

    assert caught.value.batch_id == ti.xcom["batch_id"]
    assert caught.value.summary == ti.xcom["return_value"]
    assert list(ti.xcom["run_ids"]) == ["S0", "S1", "S2"]
    assert status(slow, ti.xcom["batch_id"]) in left_as
    assert ("was cancelled" in str(caught.value)) is (on_timeout == "cancel")


def test_the_deadline_is_counted_from_the_start_of_the_try_and_comes_before_airflows_own() -> None:
    ti = TaskInstance()
    ti.start_date = datetime.now(UTC) - timedelta(minutes=10)

    with pytest.raises(TaskDeferred) as deferred:
        start(execution_timeout=timedelta(hours=1)).execute(ti.context)

    _, arguments = deferred.value.trigger.serialize()
    assert arguments["deadline"] == ti.start_date.timestamp() + 3600 - 30
    assert deferred.value.timeout is not None
    assert deferred.value.timeout > timedelta(seconds=arguments["deadline"] - time.time())


def test_a_task_without_execution_timeout_waits_without_end() -> None:
    with pytest.raises(TaskDeferred) as deferred:
        start().execute(TaskInstance().context)

    assert deferred.value.timeout is None
    assert deferred.value.trigger.serialize()[1]["deadline"] is None


def test_a_timeout_that_no_trigger_lived_to_tell_ends_in_the_same_way(slow: Emulator) -> None:
    ti, operator = TaskInstance(), start(execution_timeout=timedelta(hours=1))
    with pytest.raises(TaskDeferred):
        operator.execute(ti.context)

    with pytest.raises(RunBatchTimeoutError):
        operator.resume_execution("__fail__", {"error": "Trigger timeout"}, ti.context)

    assert status(slow, ti.xcom["batch_id"]) in {"STOPPING", "CANCELLED"}


def test_any_other_end_of_a_trigger_stays_what_it_is(slow: Emulator) -> None:
    ti, operator = TaskInstance(), start()
    with pytest.raises(TaskDeferred):
        operator.execute(ti.context)

    with pytest.raises(Exception, match="Trigger failure") as caught:
        operator.resume_execution("__fail__", {"error": "Trigger failure"}, ti.context)

    assert not isinstance(caught.value, TaskDeferralTimeout)
    assert not any("Cancel" in operation for operation in slow.calls)


@pytest.fixture(name="state_of_task")
def _state_of_task(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """Let Airflow's API server tell a state of the task, or fail to."""

    def be(state: Any) -> None:
        def tell(task_instance: Any) -> Any:
            assert task_instance.task_id == "call_variants"
            if isinstance(state, Exception):
                raise state
            return state

        monkeypatch.setattr(ownership, "_state_of", tell)

    be("failed")
    return be


StateOfTask = Callable[[Any], None]


@pytest.mark.parametrize(
    ("state", "cancelled"),
    [
        ("failed", True),
        ("success", True),
        ("restarting", True),
        ("removed", True),
        (None, True),
        # The worker is asked to end, or Airflow has given up this try for want of heartbeats.
        ("running", False),
        ("up_for_retry", False),
        ("queued", False),
        ("deferred", False),
        (ConnectionError("the API server is away"), False),
    ],
)
def test_a_signal_cancels_a_batch_only_where_somebody_has_ended_its_task(
    slow: Emulator, state_of_task: StateOfTask, state: Any, cancelled: bool
) -> None:
    ti, operator = TaskInstance(), start()
    with pytest.raises(TaskDeferred):
        operator.execute(ti.context)
    state_of_task(state)

    operator.on_kill()

    assert (status(slow, ti.xcom["batch_id"]) in {"STOPPING", "CANCELLED"}) is cancelled


@pytest.mark.parametrize(("on_timeout", "cancelled"), [("cancel", True), ("leave", False)])
def test_airflows_own_timeout_does_what_was_asked_for(
    slow: Emulator, state_of_task: StateOfTask, on_timeout: str, cancelled: bool
) -> None:
    """Should it come before ours, the task counts as running still."""
    ti, operator = TaskInstance(), start(on_timeout=on_timeout, execution_timeout=timedelta(seconds=10))
    ti.start_date = datetime.now(UTC) - timedelta(minutes=1)
    with pytest.raises(TaskDeferred):
        operator.execute(ti.context)
    state_of_task("running")

    operator.on_kill()

    assert (status(slow, ti.xcom["batch_id"]) in {"STOPPING", "CANCELLED"}) is cancelled


@pytest.mark.usefixtures("state_of_task")
@pytest.mark.parametrize(("cancel_on_kill", "cancelled"), [(True, True), (False, False)])
def test_a_task_that_is_killed_on_the_worker_cancels_its_batch_unless_told_not_to(
    slow: Emulator, cancel_on_kill: bool, cancelled: bool
) -> None:
    """Also in the midst of an event loop, as the signal may come while the task waits."""
    ti = TaskInstance()
    operator = start(cancel_on_kill=cancel_on_kill)
    with pytest.raises(TaskDeferred):
        operator.execute(ti.context)

    async def killed_while_waiting() -> None:
        operator.on_kill()

    asyncio.run(killed_while_waiting())

    assert (status(slow, ti.xcom["batch_id"]) in {"STOPPING", "CANCELLED"}) is cancelled


@pytest.mark.usefixtures("state_of_task")
def test_a_task_that_is_killed_while_it_submits_cancels_its_batch_as_soon_as_it_knows_it(
    slow: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow calls on_kill in the midst of whatever the task does, and lets it go on for a while."""
    ti, operator = TaskInstance(), start()
    submit = operator.hook.start_run_batch

    def submit_and_be_killed(**request: Any) -> Any:
        answer = submit(**request)
        operator.on_kill()
        return answer

    monkeypatch.setattr(operator.hook, "start_run_batch", submit_and_be_killed)

    with pytest.raises(AirflowException, match="The task was killed"):
        operator.execute(ti.context)

    assert status(slow, "1000001") in {"STOPPING", "CANCELLED"}


@pytest.mark.usefixtures("state_of_task")
@pytest.mark.parametrize(("try_number", "submits"), [(1, False), (2, True)])
def test_a_task_that_is_killed_while_it_reads_submits_only_to_find_what_it_has_to_cancel(
    slow: Emulator, try_number: int, submits: bool
) -> None:
    """The first try has nothing to find."""

    def settings() -> Iterator[dict[str, str]]:
        operator.on_kill()
        yield {"runSettingId": "S0"}

    ti, operator = TaskInstance(try_number=try_number, max_tries=1), start(retries=1)
    operator.batch_run_settings = settings()
    with pytest.raises(AirflowException, match="The task was killed"):
        operator.execute(ti.context)

    assert ("StartRunBatch" in slow.calls) is submits
    assert ("CancelRunBatch" in slow.calls) is submits


@pytest.mark.usefixtures("state_of_task")
def test_a_task_that_is_killed_before_it_has_submitted_cancels_nothing(slow: Emulator) -> None:
    def killed(number: int) -> Any:
        operator.on_kill()
        raise KeyboardInterrupt

    # It reads what it is to submit.
    operator = start(batch_run_settings=map(killed, range(3)))
    with pytest.raises(KeyboardInterrupt):
        operator.execute(TaskInstance().context)

    assert operator._killed
    assert not slow.calls


@pytest.fixture(name="trigger")
def _trigger() -> RunBatchTrigger:
    ti = TaskInstance()
    with pytest.raises(TaskDeferred) as deferred:
        start().execute(ti.context)
    trigger = deferred.value.trigger
    assert isinstance(trigger, RunBatchTrigger)
    trigger.task_instance = ti  # type: ignore[assignment]
    return trigger


@pytest.mark.parametrize("still_ours", [True, False])
async def test_a_trigger_cancels_its_batch_only_where_its_task_does_not_wait_for_it_any_more(
    slow: Emulator, trigger: RunBatchTrigger, monkeypatch: pytest.MonkeyPatch, still_ours: bool
) -> None:
    async def answer(batch_id: str, task_instance: Any) -> bool:
        assert (batch_id, task_instance) == (trigger.batch_id, trigger.task_instance)
        return still_ours

    monkeypatch.setattr(triggers, "is_still_deferred_on", answer)

    await trigger.on_kill()

    assert (status(slow, trigger.batch_id) in {"STOPPING", "CANCELLED"}) is not still_ours


async def test_a_trigger_told_not_to_cancels_nothing(slow: Emulator, trigger: RunBatchTrigger) -> None:
    trigger.cancel_on_kill = False

    await trigger.on_kill()

    assert not any("Cancel" in operation for operation in slow.calls)


async def test_a_trigger_that_is_shut_down_cancels_nothing(slow: Emulator, trigger: RunBatchTrigger) -> None:
    async def wait() -> None:
        async with aclosing(trigger.run()) as events:
            await anext(events)

    waiting = asyncio.create_task(wait())
    async with asyncio.timeout(10):
        while not slow.calls.get("GetBatch"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await trigger.cleanup()

    assert not any("Cancel" in operation for operation in slow.calls)


async def test_the_end_of_a_batch_is_not_cut_short_by_further_cancellations() -> None:
    finished = asyncio.Event()

    async def work() -> None:
        await asyncio.sleep(0.2)
        finished.set()

    caller = asyncio.create_task(uninterrupted(work(), seconds=5))
    for _ in range(5):
        await asyncio.sleep(0.02)
        caller.cancel()
    await caller

    assert finished.is_set()


async def test_work_that_takes_too_long_is_left_alone() -> None:
    before = time.monotonic()

    await uninterrupted(asyncio.sleep(1.0), seconds=0.05)

    assert time.monotonic() - before < 0.9


async def test_a_batch_that_has_ended_is_not_cancelled(
    slow: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    slow.configure(speed=3600)
    ti = TaskInstance()
    operator = start()
    await asyncio.to_thread(ti.run, operator)

    assert await operator._cancel([ti.xcom["batch_id"]]) is False
    assert status(slow, ti.xcom["batch_id"]) == "PROCESSED"


async def _is_killed(batch_id: str, task_instance: Any) -> bool:
    return False


async def test_a_kill_does_not_queue_behind_those_who_wait(
    slow: Emulator, trigger: RunBatchTrigger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a thousand waiting batches, each is looked at every few minutes."""
    async with asyncio.timeout(10):
        while status(slow, trigger.batch_id) == "CREATING":  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    monkeypatch.setenv("AIRFLOW__OMICS_BATCH__REQUESTS_PER_SECOND", "0.01")
    monkeypatch.setattr(triggers, "is_still_deferred_on", _is_killed)
    async with shared_client(**trigger.hook_params) as client:
        await client.call("get_batch", batchId=trigger.batch_id)
        waiting = asyncio.create_task(client.call("get_batch", batchId=trigger.batch_id))

        await trigger.on_kill()

        assert not waiting.done()
        waiting.cancel()
    assert status(slow, trigger.batch_id) in {"STOPPING", "CANCELLED"}


async def test_a_kill_that_takes_longer_than_airflow_waits_goes_on(
    slow: Emulator, trigger: RunBatchTrigger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(triggers, "ON_KILL_SECONDS", 0)
    monkeypatch.setattr(triggers, "is_still_deferred_on", _is_killed)

    await trigger.on_kill()
    gc.collect()

    async with asyncio.timeout(10):
        while status(slow, trigger.batch_id) not in {"STOPPING", "CANCELLED"}:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("error", ["AccessDeniedException", "InternalServerException"])
def test_a_timeout_is_told_as_one_whatever_aws_answers_by_then(
    slow: Emulator, monkeypatch: pytest.MonkeyPatch, error: str
) -> None:
    monkeypatch.setattr("airflow_provider_omics_batch.operators.following.SECONDS_BEFORE_AIRFLOW", 3)
    limit = timedelta(minutes=5)
    ti, operator = TaskInstance(), start(on_timeout="leave", deferrable=False, execution_timeout=limit)
    ti.run(start(wait_for_completion=False))
    for operation in ("GetBatch", "ListRunsInBatch", "ListRuns"):
        slow.faults.add(Fault(operation=operation, kind="error", error=error, times=20))

    with pytest.raises(RunBatchTimeoutError, match="was left as it is"):
        operator.execute_complete(ti.context, {"status": "timeout", "batch_id": ti.xcom["batch_id"]})

    assert ti.xcom["return_value"]["batch_id"] == ti.xcom["batch_id"]


def test_a_task_that_resumes_to_no_answer_fails_before_airflows_own_timeout_strikes(slow: Emulator) -> None:
    ti, operator = TaskInstance(), start(on_timeout="leave", execution_timeout=timedelta(seconds=6))
    ti.run(start(wait_for_completion=False))
    slow.faults.add(Fault(operation="GetBatch", kind="error", error="InternalServerException", times=100))
    event, began = {"status": "timeout", "batch_id": ti.xcom["batch_id"]}, time.monotonic()

    with pytest.raises(RunBatchTimeoutError):
        operator.resume_execution("execute_complete", {"event": event}, ti.context)

    assert time.monotonic() - began < 6
    assert ti.xcom["return_value"]["status"] == "UNKNOWN"


@pytest.mark.usefixtures("state_of_task")
def test_a_batch_that_was_to_be_left_is_not_cancelled_by_airflows_own_timeout(slow: Emulator) -> None:
    """Airflow kills a task whose time is over, also while it says how far the batch is."""
    slow.configure(speed=0, creating_seconds=0)
    limit = timedelta(minutes=5)
    ti, operator = TaskInstance(), start(on_timeout="leave", wait_until="submitted", execution_timeout=limit)
    ti.start_date -= limit
    with pytest.raises(TaskDeferred):
        operator.execute(ti.context)
    with pytest.raises(RunBatchTimeoutError):
        operator.execute_complete(ti.context, {"status": "timeout", "batch_id": ti.xcom["batch_id"]})

    operator.on_kill()

    assert status(slow, ti.xcom["batch_id"]) == "PENDING"

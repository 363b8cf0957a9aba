from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator
from airflow.sdk.exceptions import AirflowSkipException
from botocore.exceptions import ClientError
from structlog.testing import capture_logs

from airflow_provider_omics_batch.emulator import Fault, ManualClock, Settings
from airflow_provider_omics_batch.exceptions import RunBatchFailedError, RunBatchTimeoutError
from airflow_provider_omics_batch.hooks.omics import OmicsHook
from airflow_provider_omics_batch.operators.omics import (
    CancelRunBatchOperator,
    DeleteBatchOperator,
    DeleteRunBatchOperator,
)
from tests.integration.conftest import Emulator, answer
from tests.integration.tasks import TaskInstance, lines

FOR_EVER = 1_000_000.0


@pytest.fixture(autouse=True, name="clock")
def _clock(emulator: Emulator) -> ManualClock:
    """Let time stand still unless a test lets it pass."""
    clock = ManualClock()
    emulator.backend.configure(Settings(), clock)
    return clock


@pytest.fixture(name="make", params=[True, False], ids=["deferred", "sync"])
def _make(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Make an operator that waits in the one way or the other."""

    def make(operator: type[BaseOperator], batch_id: str, **arguments: Any) -> BaseOperator:
        arguments = {"deferrable": request.param, "poll_interval": 0.01, **arguments}
        return operator(task_id="end", batch_id=batch_id, **arguments)

    return make


Make = Callable[..., Any]


@pytest.fixture(name="under_way")
def _under_way(emulator: Emulator, clock: ManualClock) -> str:
    batch_id = emulator.start_batch()
    clock.advance(20)
    return batch_id


@pytest.fixture(name="processed")
def _processed(emulator: Emulator, clock: ManualClock) -> str:
    batch_id = emulator.start_batch()
    clock.advance(FOR_EVER)
    return batch_id


def status(emulator: Emulator, batch_id: str) -> str:
    return str(emulator.client("omics").get_batch(batchId=batch_id)["status"])


def time_passes_with_each_look(emulator: Emulator, clock: ManualClock, seconds: float) -> None:
    """Let so many seconds pass before each of the next looks at a batch."""

    def look_later(environ: Any, start_response: Callable[..., Any]) -> Any:
        clock.advance(seconds)
        return emulator.application(environ, start_response)

    emulator.answers["GetBatch"].extend([look_later] * 100)


def test_a_batch_is_cancelled_and_waited_for(
    make: Make, emulator: Emulator, clock: ManualClock, under_way: str
) -> None:
    time_passes_with_each_look(emulator, clock, 10)
    ti = TaskInstance(task_id="end")

    summary = ti.run(make(CancelRunBatchOperator, under_way))

    assert summary["status"] == "CANCELLED"
    assert summary["cancellations"] == {"successful": 3, "failed": 0}
    assert ti.xcom["run_ids_left"] == {}
    assert emulator.calls["CancelRunBatch"] == 1


@pytest.fixture(name="quick")
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let hardly any time pass before HealthOmics is asked again."""
    monkeypatch.setattr("airflow_provider_omics_batch.operators.ending.SHORTEST_PAUSE", 0.01)
    monkeypatch.setattr("airflow_provider_omics_batch.operators.ending.LONGEST_PAUSE", 0.01)


def test_a_batch_is_cancelled_as_soon_as_it_is_created(
    make: Make, emulator: Emulator, clock: ManualClock, quick: None
) -> None:
    batch_id = emulator.start_batch()
    time_passes_with_each_look(emulator, clock, 2)

    assert TaskInstance(task_id="end").run(make(CancelRunBatchOperator, batch_id))["status"] == "CANCELLED"


def test_a_batch_that_is_being_created_holds_no_worker(emulator: Emulator) -> None:
    batch_id, ti = emulator.start_batch(), TaskInstance(task_id="end")

    with capture_logs() as logged:
        ti.until_deferred(CancelRunBatchOperator(task_id="end", batch_id=batch_id).execute)

    assert emulator.calls["CancelRunBatch"] == 1
    assert any(f"Run batch {batch_id} is CREATING" in line for line in lines(logged))


@pytest.mark.parametrize("code", ["ValidationException", "ConflictException"])
def test_a_refusal_of_what_can_be_cancelled_fails_the_task(
    make: Make, emulator: Emulator, under_way: str, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_omics_batch.run_batch.cancel.GRACE_FOR_A_NEW_BATCH", 0)
    emulator.faults.add(Fault(operation="CancelRunBatch", kind="error", error=code, times=None))

    with pytest.raises(ClientError, match=rf"{code}.*CancelRunBatch"):
        TaskInstance(task_id="end").run(make(CancelRunBatchOperator, under_way))


@pytest.mark.parametrize("code", ["ValidationException", "ConflictException", "ResourceNotFoundException"])
def test_a_cancellation_is_tried_as_long_as_a_new_batch_may_not_be_known(
    make: Make, emulator: Emulator, clock: ManualClock, under_way: str, code: str, quick: None
) -> None:
    emulator.faults.add(Fault(operation="CancelRunBatch", kind="error", error=code, times=5))
    time_passes_with_each_look(emulator, clock, 2)

    assert TaskInstance(task_id="end").run(make(CancelRunBatchOperator, under_way))["status"] == "CANCELLED"
    assert emulator.calls["CancelRunBatch"] == 6


def test_a_cancellation_is_tried_until_there_is_no_time_left(make: Make, emulator: Emulator) -> None:
    batch_id, began = emulator.start_batch(), time.monotonic()

    with pytest.raises(RunBatchTimeoutError, match=rf"runs of batch {batch_id} were not cancelled within"):
        TaskInstance(task_id="end").run(
            make(CancelRunBatchOperator, batch_id, execution_timeout=timedelta(seconds=4))
        )

    assert time.monotonic() - began > 3
    assert emulator.calls["CancelRunBatch"] >= 2


def test_a_batch_that_nobody_knows_is_not_asked_for_for_ever_in_a_test_of_the_dag(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, quick: None
) -> None:
    """There a task that resumes has started only now."""
    monkeypatch.setattr("airflow_provider_omics_batch.run_batch.cancel.GRACE_FOR_A_NEW_BATCH", 1)
    ti = TaskInstance(task_id="end")
    ti.starts_anew = True

    with pytest.raises(RunBatchFailedError, match="neither a record nor runs of batch 424242"):
        ti.run(CancelRunBatchOperator(task_id="end", batch_id="424242"))


@pytest.mark.parametrize("ended", ["STOPPING", "CANCELLED"])
def test_a_batch_that_somebody_has_cancelled_is_told_so(
    make: Make, emulator: Emulator, clock: ManualClock, under_way: str, ended: str
) -> None:
    emulator.client("omics").cancel_run_batch(batchId=under_way)
    clock.advance(FOR_EVER if ended == "CANCELLED" else 0)
    time_passes_with_each_look(emulator, clock, 0 if ended == "CANCELLED" else 10)

    with capture_logs() as logged:
        TaskInstance(task_id="end").run(make(CancelRunBatchOperator, under_way))

    assert any(f"Run batch {under_way} is " in line and "already" in line for line in lines(logged))


@pytest.mark.parametrize("lag", [0, 300])
@pytest.mark.parametrize("fails", [False, True])
def test_runs_that_a_failed_batch_has_left_are_told(
    make: Make, emulator: Emulator, clock: ManualClock, lag: int, fails: bool
) -> None:
    """Also where HealthOmics has not counted them yet."""
    emulator.backend.configure(Settings(count_lag_seconds=lag), clock)
    emulator.faults.add(Fault(operation="StartRunBatch", kind="failed_batch", submissions=2))
    batch_id, ti = emulator.start_batch(), TaskInstance(task_id="end")
    clock.advance(20)

    with capture_logs() as logged, pytest.raises(RunBatchFailedError) if fails else nullcontext():
        ti.run(make(CancelRunBatchOperator, batch_id, fail_if_ended=fails))

    assert set(ti.xcom["run_ids_left"]) == {"S0", "S1"}
    assert any(
        "Of the 3 runs of batch" in line and "2 could not be cancelled" in line for line in lines(logged)
    )


def test_a_cancellation_need_not_be_waited_for(make: Make, emulator: Emulator, under_way: str) -> None:
    ti = TaskInstance(task_id="end")

    summary = ti.run(make(CancelRunBatchOperator, under_way, wait_for_completion=False))

    assert ti.deferred is None
    assert summary["status"] == "STOPPING"


def test_runs_that_could_not_be_cancelled_are_told_and_do_not_fail_the_task(
    make: Make, emulator: Emulator, clock: ManualClock
) -> None:
    settings = Settings(run_seconds=100, starting_seconds=0, stopping_seconds=1_000, start_run_tps=1_000)
    emulator.backend.configure(settings, clock)
    batch_id = emulator.start_batch()
    clock.advance(15 + 100)
    time_passes_with_each_look(emulator, clock, 500)
    ti = TaskInstance(task_id="end")

    with capture_logs() as logged:
        summary = ti.run(make(CancelRunBatchOperator, batch_id))

    left = ti.xcom["run_ids_left"]
    assert 0 < len(left) == summary["cancellations"]["failed"]
    told = f"Of the 3 runs of batch {batch_id}, {len(left)} could not be cancelled: "
    assert any(told in line and all(run_id in line for run_id in left.values()) for line in lines(logged))


def test_a_batch_that_has_ended_need_not_be_cancelled(make: Make, emulator: Emulator, processed: str) -> None:
    ti = TaskInstance(task_id="end")

    assert ti.run(make(CancelRunBatchOperator, processed))["status"] == "PROCESSED"
    assert ti.deferred is None


def test_a_batch_that_has_ended_fails_its_cancellation_where_that_is_wanted(
    make: Make, emulator: Emulator, processed: str
) -> None:
    ti = TaskInstance(task_id="end")

    with pytest.raises(RunBatchFailedError, match="is PROCESSED; it could not be cancelled any more"):
        ti.run(make(CancelRunBatchOperator, processed, fail_if_ended=True))

    assert ti.xcom["return_value"]["status"] == "PROCESSED"


@pytest.mark.parametrize("fail_if_ended", [True, False])
def test_a_retry_after_a_crash_waits_for_the_cancellation_of_the_first_try(
    make: Make, emulator: Emulator, clock: ManualClock, under_way: str, fail_if_ended: bool
) -> None:
    """Be the batch being cancelled by then, or cancelled."""
    crashed = make(CancelRunBatchOperator, under_way, wait_for_completion=False)
    TaskInstance(task_id="end").run(crashed)
    operator = make(CancelRunBatchOperator, under_way, fail_if_ended=fail_if_ended)
    time_passes_with_each_look(emulator, clock, 10)

    for _ in range(2):
        assert TaskInstance(task_id="end").run(operator)["status"] == "CANCELLED"


def test_runs_are_deleted_and_waited_for(
    make: Make, emulator: Emulator, clock: ManualClock, processed: str
) -> None:
    time_passes_with_each_look(emulator, clock, 0.15)
    ti = TaskInstance(task_id="end")

    summary = ti.run(make(DeleteRunBatchOperator, processed))

    assert summary["status"] == "RUNS_DELETED"
    assert summary["deletions"] == {"successful": 3, "failed": 0}
    assert ti.xcom["run_ids_left"] == {}
    assert not emulator.client("omics").list_runs(batchId=processed)["items"]


def test_a_retry_after_a_crash_waits_for_the_deletion_of_the_first_try(
    make: Make, emulator: Emulator, clock: ManualClock, processed: str
) -> None:
    summary = TaskInstance(task_id="end").run(
        make(DeleteRunBatchOperator, processed, wait_for_completion=False)
    )
    assert summary["status"] == "RUNS_DELETING"
    time_passes_with_each_look(emulator, clock, 0.15)

    for _ in range(2):
        ti = TaskInstance(task_id="end")
        assert ti.run(make(DeleteRunBatchOperator, processed))["status"] == "RUNS_DELETED"


def test_a_lost_answer_to_a_deletion_is_not_an_error(
    make: Make, emulator: Emulator, clock: ManualClock, processed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_omics_batch.run_batch.client.LONGEST_PAUSE", 0.01)
    emulator.faults.add(Fault(operation="DeleteRunBatch", kind="lost_answer"))
    time_passes_with_each_look(emulator, clock, 0.15)

    ti = TaskInstance(task_id="end")

    assert ti.run(make(DeleteRunBatchOperator, processed))["status"] == "RUNS_DELETED"


def json_answer(**body: Any) -> Any:
    return answer("200 OK", json.dumps(body).encode(), **{"Content-Type": "application/json"})


#: As ListRunsInBatch tells of them.
NOT_DELETED = [
    {"runSettingId": name, "runId": run_id, "submissionStatus": "DELETE_FAILED"}
    for name, run_id in (("S1", "5000002"), ("S2", "5000003"))
]


def test_runs_that_could_not_be_deleted_fail_the_task_with_their_ids(
    make: Make, emulator: Emulator, processed: str
) -> None:
    counts = {"successfulDeleteSubmissionCount": 1, "failedDeleteSubmissionCount": 2}
    emulator.answers["GetBatch"].append(
        json_answer(status="RUNS_DELETE_FAILED", totalRuns=3, submissionSummary=counts)
    )
    emulator.answers["ListRunsInBatch"].append(json_answer(runs=NOT_DELETED))
    ti = TaskInstance(task_id="end")

    with pytest.raises(RunBatchFailedError) as caught:
        ti.run(make(DeleteRunBatchOperator, processed))

    assert str(caught.value) == (
        f"Of the 3 runs of batch {processed}, 2 could not be deleted: S1 (run 5000002), S2 (run 5000003)"
    )
    assert ti.xcom["run_ids_left"] == {"S1": "5000002", "S2": "5000003"}
    assert ti.xcom["return_value"]["deletions"] == {"successful": 1, "failed": 2}


def test_runs_that_could_not_be_deleted_fail_the_task_also_where_they_are_not_counted(
    make: Make, emulator: Emulator, processed: str
) -> None:
    emulator.answers["GetBatch"].append(json_answer(status="RUNS_DELETE_FAILED", totalRuns=3))
    emulator.answers["ListRunsInBatch"].append(json_answer(runs=NOT_DELETED))

    with pytest.raises(RunBatchFailedError, match=r"2 could not be deleted: S1 \(run 5000002\), S2 "):
        TaskInstance(task_id="end").run(make(DeleteRunBatchOperator, processed))


def test_runs_that_are_under_way_are_not_deleted(make: Make, emulator: Emulator, under_way: str) -> None:
    told = "is INPROGRESS; HealthOmics deletes the runs of a batch that is PROCESSED or CANCELLED"

    with pytest.raises(RunBatchFailedError, match=told):
        TaskInstance(task_id="end").run(make(DeleteRunBatchOperator, under_way))


def test_a_batch_that_failed_before_it_had_runs_has_none_to_delete(
    make: Make, emulator: Emulator, clock: ManualClock
) -> None:
    batch_id = emulator.start_batch()
    emulator.backend.fail_batch(batch_id)
    clock.advance(20)

    assert TaskInstance(task_id="end").run(make(DeleteRunBatchOperator, batch_id))["status"] == "FAILED"


def test_a_batch_that_failed_with_runs_says_that_they_are_left(
    make: Make, emulator: Emulator, under_way: str
) -> None:
    emulator.backend.fail_batch(under_way)

    with pytest.raises(RunBatchFailedError, match="is FAILED; HealthOmics deletes the runs of a batch that"):
        TaskInstance(task_id="end").run(make(DeleteRunBatchOperator, under_way))


def test_a_record_is_deleted_once(emulator: Emulator, processed: str) -> None:
    for _ in range(2):
        TaskInstance(task_id="end").run(DeleteBatchOperator(task_id="end", batch_id=processed))

    assert not emulator.batches


def test_the_record_of_a_batch_that_goes_on_is_not_deleted(emulator: Emulator, under_way: str) -> None:
    with pytest.raises(RunBatchFailedError, match="is INPROGRESS; HealthOmics deletes the record of"):
        TaskInstance(task_id="end").run(DeleteBatchOperator(task_id="end", batch_id=under_way))


def test_a_batch_without_a_record_has_nothing_to_cancel(
    make: Make, emulator: Emulator, processed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_omics_batch.run_batch.cancel.GRACE_FOR_A_NEW_BATCH", 0)
    emulator.client("omics").delete_batch(batchId=processed)
    ti = TaskInstance(task_id="end")

    with capture_logs() as logged:
        summary = ti.run(make(CancelRunBatchOperator, processed))

    assert summary["status"] == "GONE"
    assert ti.xcom["run_ids_left"] == {}
    assert any(f"has no record of run batch {processed}" in line for line in lines(logged))


def test_a_cancellation_in_another_region_fails_and_names_it(
    make: Make, emulator: Emulator, under_way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_omics_batch.run_batch.cancel.GRACE_FOR_A_NEW_BATCH", 0)
    ti = TaskInstance(task_id="end")

    with pytest.raises(RunBatchFailedError, match=r"Nothing was cancelled: .* in us-west-2"):
        ti.run(make(CancelRunBatchOperator, under_way, region_name="us-west-2"))

    assert ti.xcom["return_value"]["status"] == "GONE"


def test_a_deletion_in_another_region_names_it(make: Make, emulator: Emulator, processed: str) -> None:
    with capture_logs() as logged:
        TaskInstance(task_id="end").run(make(DeleteRunBatchOperator, processed, region_name="us-west-2"))

    assert f"HealthOmics has no record of run batch {processed} in us-west-2" in lines(logged)


@pytest.mark.parametrize("recorded", [True, False])
def test_runs_left_that_are_too_many_for_xcom_are_listed_by_the_hook_as_it_says(
    make: Make, emulator: Emulator, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, recorded: bool
) -> None:
    monkeypatch.setenv("AIRFLOW__OMICS_BATCH__RUN_IDS_MAX_BYTES", "10")
    emulator.backend.configure(Settings(fail_deletions=1.0), clock)
    batch_id, ti = emulator.start_batch(), TaskInstance(task_id="end")
    clock.advance(FOR_EVER)
    if not recorded:
        emulator.client("omics").delete_batch(batchId=batch_id)
    time_passes_with_each_look(emulator, clock, FOR_EVER)

    with capture_logs() as logged, pytest.raises(RunBatchFailedError):
        ti.run(make(DeleteRunBatchOperator, batch_id))

    assert ti.xcom["run_ids_left"] is None
    [line] = [line for line in lines(logged) if "too many run ids" in line]
    call = line.removeprefix("There are too many run ids for XCom; ").removesuffix(" lists the runs")
    assert len(list(eval(call, {"OmicsHook": OmicsHook}))) == 3  # noqa: S307 - what a reader would type


def test_runs_without_a_record_of_their_batch_are_not_called_deleted(
    make: Make, emulator: Emulator, processed: str
) -> None:
    emulator.client("omics").delete_batch(batchId=processed)

    ti = TaskInstance(task_id="end")
    with pytest.raises(
        RunBatchFailedError, match=r"Of the 3 runs of batch .* 3 could not be deleted: 5000001 "
    ):
        ti.run(make(DeleteRunBatchOperator, processed))

    assert ti.xcom["run_ids_left"] == {run_id: run_id for run_id in ("5000001", "5000002", "5000003")}


def test_without_a_record_a_deletion_fails_where_it_is_not_known_whether_there_are_runs(
    make: Make, emulator: Emulator, processed: str
) -> None:
    emulator.client("omics").delete_batch(batchId=processed)
    emulator.faults.add(Fault(operation="ListRuns", kind="error", error="AccessDeniedException"))

    with pytest.raises(ClientError, match=r"AccessDenied.*ListRuns"):
        TaskInstance(task_id="end").run(make(DeleteRunBatchOperator, processed))


def test_a_batch_with_neither_a_record_nor_runs_has_none_to_delete(
    make: Make, emulator: Emulator, clock: ManualClock, processed: str
) -> None:
    emulator.client("omics").delete_run_batch(batchId=processed)
    clock.advance(FOR_EVER)
    emulator.client("omics").delete_batch(batchId=processed)

    with capture_logs() as logged:
        summary = TaskInstance(task_id="end").run(make(DeleteRunBatchOperator, processed))

    assert summary["status"] == "GONE"
    assert any(f"has no record of run batch {processed}" in line for line in lines(logged))


@pytest.mark.parametrize("operator", [CancelRunBatchOperator, DeleteRunBatchOperator, DeleteBatchOperator])
def test_an_id_that_was_rendered_as_a_number_is_an_id(
    emulator: Emulator, clock: ManualClock, processed: str, operator: type[BaseOperator]
) -> None:
    """As in a Dag with render_template_as_native_obj; a cancellation must not fail for that."""
    with DAG("d", schedule=None, render_template_as_native_obj=True) as dag:
        task = operator(task_id="end", batch_id="{{ batch_id }}")
    time_passes_with_each_look(emulator, clock, 10)
    task.render_template_fields({"batch_id": processed}, dag.get_template_env())

    TaskInstance(task_id="end").run(task)

    assert task.batch_id == int(processed)


ENDING = [CancelRunBatchOperator, DeleteRunBatchOperator, DeleteBatchOperator]


@pytest.mark.parametrize("missing", [None, "", "None"])
@pytest.mark.parametrize("operator", ENDING)
def test_without_a_batch_there_is_nothing_to_do(
    emulator: Emulator, operator: type[BaseOperator], missing: Any
) -> None:
    with pytest.raises(AirflowSkipException, match="there is no batch, and nothing to do"):
        TaskInstance(task_id="end").run(operator(task_id="end", batch_id=missing))

    assert not emulator.calls


@pytest.mark.parametrize("operator", ENDING)
def test_a_permission_that_is_missing_is_named(
    emulator: Emulator, processed: str, operator: type[BaseOperator]
) -> None:
    name = operator.__name__.removesuffix("Operator")
    emulator.faults.add(Fault(operation=name, kind="error", error="AccessDeniedException"))

    with capture_logs() as logged, pytest.raises(ClientError, match="AccessDeniedException"):
        TaskInstance(task_id="end").run(operator(task_id="end", batch_id=processed))

    assert any(f"The caller needs omics:{name}" in line for line in lines(logged))


@pytest.mark.parametrize(
    ("operator", "done"), [(CancelRunBatchOperator, "cancelled"), (DeleteRunBatchOperator, "deleted")]
)
def test_what_is_not_done_in_time_fails_the_task(
    make: Make,
    emulator: Emulator,
    clock: ManualClock,
    operator: type[BaseOperator],
    done: str,
) -> None:
    batch_id = emulator.start_batch()
    clock.advance(FOR_EVER if operator is DeleteRunBatchOperator else 20)

    with pytest.raises(RunBatchTimeoutError, match=rf"were not {done} within execution_timeout \(0:00:02\)"):
        TaskInstance(task_id="end").run(make(operator, batch_id, execution_timeout=timedelta(seconds=2)))


@pytest.mark.parametrize("operator", [CancelRunBatchOperator, DeleteRunBatchOperator])
def test_a_kill_while_waiting_does_nothing_more(
    emulator: Emulator, clock: ManualClock, operator: type[BaseOperator]
) -> None:
    batch_id = emulator.start_batch()
    clock.advance(FOR_EVER if operator is DeleteRunBatchOperator else 20)
    waiting = operator(task_id="end", batch_id=batch_id)

    deferred = TaskInstance(task_id="end").until_deferred(waiting.execute)
    calls = emulator.calls
    waiting.on_kill()

    assert deferred.trigger.serialize()[1]["cancel_on_kill"] is False
    assert emulator.calls == calls


@pytest.mark.parametrize("operator", ENDING)
def test_it_can_be_a_teardown_and_takes_templates(operator: type[BaseOperator]) -> None:
    with DAG("cohort", schedule=None):
        setup = BaseOperator(task_id="start")
        task: Any = operator(
            task_id="end",
            batch_id="{{ ti.xcom_pull(task_ids='start', key='batch_id') }}",
            aws_conn_id="{{ ds }}",
        ).as_teardown(setups=setup)

    class Pulled:
        def xcom_pull(self, task_ids: str, key: str) -> str:
            return f"{key} of {task_ids}"

    task.render_template_fields({"ti": Pulled(), "ds": "2026-11-22"})

    assert task.is_teardown
    assert (task.batch_id, task.aws_conn_id) == ("batch_id of start", "2026-11-22")


def test_runs_that_go_on_though_their_record_was_deleted_are_told(
    make: Make, emulator: Emulator, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_omics_batch.run_batch.cancel.GRACE_FOR_A_NEW_BATCH", 0)
    emulator.faults.add(Fault(operation="StartRunBatch", kind="failed_batch", submissions=2))
    batch_id, ti = emulator.start_batch(), TaskInstance(task_id="end")
    clock.advance(20)
    emulator.client("omics").delete_batch(batchId=batch_id)

    with capture_logs() as logged:
        summary = ti.run(make(CancelRunBatchOperator, batch_id))

    assert summary["status"] == "GONE"
    assert len(ti.xcom["run_ids_left"]) == 2
    assert any("2 could not be cancelled" in line and "one by one" in line for line in lines(logged))


def test_a_retry_finds_no_runs_left_that_were_deleted_one_by_one_since(
    make: Make, emulator: Emulator, clock: ManualClock
) -> None:
    emulator.backend.configure(Settings(fail_deletions=1.0), clock)
    batch_id, ti = emulator.start_batch(), TaskInstance(task_id="end")
    clock.advance(FOR_EVER)
    time_passes_with_each_look(emulator, clock, 100)
    with pytest.raises(RunBatchFailedError, match="3 could not be deleted"):
        ti.run(make(DeleteRunBatchOperator, batch_id))
    for run_id in ti.xcom["run_ids_left"].values():
        emulator.client("omics").delete_run(id=run_id)

    again = ti.retry()
    again.run(make(DeleteRunBatchOperator, batch_id))

    assert again.xcom["run_ids_left"] == {}


@pytest.mark.parametrize("operator", [CancelRunBatchOperator, DeleteRunBatchOperator])
def test_a_timeout_of_which_no_trigger_lived_to_tell_is_one(operator: type[Any]) -> None:
    task = operator(task_id="end", batch_id="7", execution_timeout=timedelta(minutes=5))
    ti = TaskInstance(task_id="end")

    with pytest.raises(RunBatchTimeoutError, match="The runs of batch 7 were not"):
        task.resume_execution("__fail__", {"error": "Trigger timeout"}, ti.context)


@pytest.mark.parametrize("operator", [CancelRunBatchOperator, DeleteRunBatchOperator])
def test_a_record_that_is_deleted_while_a_task_is_deferred_is_no_error(
    emulator: Emulator, operator: type[Any]
) -> None:
    ti = TaskInstance(task_id="end")
    error = {"Code": "ResourceNotFoundException", "Message": "The batch 7 does not exist"}
    event = {"status": "error", "batch_id": "7", "operation": "GetBatch", "error": error}

    summary = operator(task_id="end", batch_id="7").execute_complete({**ti.context}, event)

    assert summary["status"] == "GONE"


def test_a_cancellation_that_is_not_answered_frees_the_worker(
    emulator: Emulator, under_way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_omics_batch.operators.ending.LONGEST_REQUEST", 1)
    emulator.faults.add(
        Fault(operation="CancelRunBatch", kind="error", error="ThrottlingException", times=None)
    )
    ti = TaskInstance(task_id="end")

    deferred = ti.until_deferred(CancelRunBatchOperator(task_id="end", batch_id=under_way).execute)

    assert deferred.method_name == "request"


def test_the_deletion_of_a_record_takes_what_the_others_take(make: Make, processed: str) -> None:
    assert (
        TaskInstance(task_id="end").run(
            DeleteBatchOperator(task_id="end", batch_id=processed, deferrable=False)
        )
        is None
    )

"""Failed runs that are sent again: in rounds, after pauses, by retries, and from what is there by then."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.standard.triggers.temporal import DateTimeTrigger
from airflow.sdk.exceptions import AirflowException
from botocore.exceptions import ClientError
from structlog.testing import capture_logs

from airflow_provider_omics_batch.emulator import Fault, ManualClock, Settings
from airflow_provider_omics_batch.exceptions import (
    RunBatchFailedError,
    RunBatchTimeoutError,
    RunSettingsError,
)
from airflow_provider_omics_batch.operators.memory import remember
from airflow_provider_omics_batch.operators.omics import StartRunBatchOperator
from airflow_provider_omics_batch.run_batch import SampleSheet, read_run_manifest
from tests.integration.conftest import BUCKET, Emulator
from tests.integration.tasks import StateStore, TaskInstance, lines
from tests.integration.test_cancel_and_delete import time_passes_with_each_look
from tests.integration.test_every_end import (
    COHORT,
    DEFAULT,
    FOR_EVER,
    GOOD,
    HUNGRY,
    LASTING,
    PASSING,
    REFUSED,
    SETTINGS,
    STAGING,
    THROTTLED,
    UNLUCKY,
)

pytestmark = pytest.mark.usefixtures("emulator")


@pytest.fixture(autouse=True, name="account")
def _account(emulator: Emulator) -> Emulator:
    emulator.configure(fail_submissions=0.5, fail_runs=0.5, start_run_tps=100_000, concurrent_runs=100_000)
    return emulator


@pytest.fixture(name="ended_batches")
def _ended_batches(account: Emulator) -> ManualClock:
    """Let a batch end before anybody looks; else the clock stands still."""
    clock = ManualClock()
    account.backend.configure(SETTINGS, clock)

    def submit(environ: Any, start_response: Callable[..., Any]) -> Any:
        answer = account.application(environ, start_response)
        clock.advance(FOR_EVER)
        return answer

    account.answers["StartRunBatch"].extend([submit] * 2)
    return clock


@pytest.fixture(name="start", params=[True, False], ids=["deferred", "sync"])
def _start(request: pytest.FixtureRequest) -> Callable[..., StartRunBatchOperator]:
    def start(settings: Any = COHORT, **arguments: Any) -> StartRunBatchOperator:
        if isinstance(settings, tuple | list | set):
            settings = [{"runSettingId": name} for name in settings]
        arguments = {"retry_failed_rounds": 1, "retry_delay": timedelta(0), **arguments}
        return StartRunBatchOperator(
            task_id="call_variants",
            default_run_setting=arguments.pop("default_run_setting", DEFAULT),
            batch_run_settings=settings,
            poll_interval=0.05,
            deferrable=request.param,
            **arguments,
        )

    return start


Start = Callable[..., StartRunBatchOperator]


def sent(emulator: Emulator) -> list[set[str]]:
    """Return the run settings of each batch, the first one's first."""
    omics = emulator.client("omics")
    return [
        {run["runSettingId"] for run in omics.list_runs_in_batch(batchId=batch["id"])["runs"]}
        for batch in reversed(emulator.batches)
    ]


def with_store(**arguments: Any) -> TaskInstance:
    ti = TaskInstance(**arguments)
    ti.state_store = StateStore()
    return ti


def test_mapping_and_manifest_show_the_last_run_of_every_run_setting(start: Start, account: Emulator) -> None:
    ti = TaskInstance()

    summary = ti.run(start(max_failed_runs=2, staging_uri=STAGING))

    first, second = ti.xcom["batch_ids"]
    records = {record["run_setting_id"]: record for record in read_run_manifest(summary["manifest_uri"])}
    assert {name: record["batch_id"] for name, record in records.items()} == {
        GOOD: first,
        THROTTLED: second,
        UNLUCKY: second,
        REFUSED: first,
        HUNGRY: first,
    }
    assert {name for name, record in records.items() if record["run_status"] == "COMPLETED"} == {
        GOOD,
        THROTTLED,
        UNLUCKY,
    }
    assert ti.xcom["run_ids"] == {
        name: record["run_id"] for name, record in records.items() if record["run_id"]
    }
    assert ti.xcom["batch_id"] == summary["batch_id"] == second
    assert (summary["total"], summary["runs"]["completed"], summary["runs"]["failed"]) == (5, 3, 1)
    assert summary["submissions"] == {"successful": 4, "failed": 1, "pending": 0}


def test_failures_are_told_with_reason_message_run_and_log_stream(start: Start, account: Emulator) -> None:
    ti = TaskInstance()

    with capture_logs() as logged, pytest.raises(RunBatchFailedError) as caught:
        ti.run(start())

    by_name = {failure["run_setting_id"]: failure for failure in caught.value.summary["failures"]}
    assert set(by_name) == LASTING
    assert by_name[REFUSED]["reason"] == "ValidationException"
    assert by_name[HUNGRY]["reason"] == "OUT_OF_MEMORY_ERROR"
    run_id = by_name[HUNGRY]["run_id"]
    assert by_name[HUNGRY]["log_stream"] == f"run/{run_id}/engine"
    assert by_name[HUNGRY]["message"]
    assert any(
        f"{HUNGRY} (run {run_id}, log stream run/{run_id}/engine) is FAILED" in line for line in lines(logged)
    )
    assert str(caught.value) == (
        "Run batch 1000002 was processed, but of the 5 runs of batches 1000001 and 1000002, "
        "1 could not be submitted, 1 failed; max_failed_runs=0 allows 0"
    )


def test_a_pause_comes_before_runs_that_failed_for_want_of_rate(account: Emulator) -> None:
    operator = StartRunBatchOperator(
        task_id="call_variants",
        default_run_setting=DEFAULT,
        batch_run_settings=[{"runSettingId": THROTTLED}],
        retry_failed_rounds=1,
        retry_delay=timedelta(minutes=7),
        poll_interval=0.05,
    )
    ti, before = TaskInstance(), datetime.now(UTC)
    ti.until_deferred(operator.execute)

    trigger = ti.until_deferred(operator.execute_complete).trigger

    assert isinstance(trigger, DateTimeTrigger)
    assert timedelta(minutes=7) <= trigger.moment - before < timedelta(minutes=8)
    assert len(account.batches) == 1


def test_a_task_that_waits_on_its_worker_pauses_there(
    account: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = StartRunBatchOperator(
        task_id="call_variants",
        default_run_setting=DEFAULT,
        batch_run_settings=[{"runSettingId": THROTTLED}],
        retry_failed_rounds=1,
        retry_delay=timedelta(minutes=7),
        poll_interval=0.05,
        deferrable=False,
    )
    pauses = []
    monkeypatch.setattr(time, "sleep", lambda seconds: pauses.append((seconds, len(account.batches))))

    TaskInstance().run(operator)

    assert (420, 1) in pauses
    assert len(account.batches) == 2


def test_a_task_that_is_killed_in_a_pause_has_nothing_to_cancel(
    start: Start, account: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_omics_batch.triggers.ownership._state_of", lambda ti: "failed")
    ti, operator = TaskInstance(), start((THROTTLED,))

    def killed(*args: Any) -> None:
        operator.on_kill()
        raise KeyboardInterrupt

    monkeypatch.setattr(operator, "_pause", killed)
    with pytest.raises(KeyboardInterrupt):
        ti.run(operator)

    assert "CancelRunBatch" not in account.calls


def test_no_round_is_begun_that_execution_timeout_leaves_no_time_for(start: Start, account: Emulator) -> None:
    ti = TaskInstance()

    with capture_logs() as logged, pytest.raises(RunBatchFailedError):
        ti.run(start((THROTTLED,), retry_delay=timedelta(hours=2), execution_timeout=timedelta(hours=1)))

    assert len(account.batches) == 1
    assert any("execution_timeout leaves no time" in line for line in lines(logged))


def test_the_deadline_is_the_same_in_every_round(account: Emulator) -> None:
    operator = StartRunBatchOperator(
        task_id="call_variants",
        default_run_setting=DEFAULT,
        batch_run_settings=[{"runSettingId": UNLUCKY}],
        retry_failed_rounds=1,
        execution_timeout=timedelta(hours=1),
        poll_interval=0.05,
    )
    ti = TaskInstance()

    triggers = [
        ti.until_deferred(operator.execute).trigger,
        ti.until_deferred(operator.execute_complete).trigger,
    ]

    first, second = (trigger.serialize()[1] for trigger in triggers)
    assert first["batch_id"] != second["batch_id"]
    assert first["deadline"] == second["deadline"]


def test_a_timeout_in_a_later_round_tells_of_all_runs(start: Start, account: Emulator) -> None:
    ti, operator = TaskInstance(), start((GOOD, UNLUCKY), execution_timeout=timedelta(minutes=5))
    complete = operator.execute_complete

    def slow_down(context: Any, event: Any) -> Any:
        account.configure(run_seconds=1_000_000_000)
        operator.execution_timeout = datetime.now(UTC) - ti.start_date + timedelta(seconds=5)
        return complete(context, event)

    operator.execute_complete = slow_down  # type: ignore[method-assign]

    with pytest.raises(RunBatchTimeoutError, match=r"1 of 2 runs completed") as caught:
        ti.run(operator)

    assert len(ti.xcom["batch_ids"]) == 2
    assert caught.value.batch_id == ti.xcom["batch_ids"][1]
    assert ti.xcom["run_ids"].keys() == {GOOD, UNLUCKY}


def test_an_input_that_has_changed_is_told_and_only_failed_runs_are_taken_from_it(
    start: Start, account: Emulator
) -> None:
    first = with_store(max_tries=1)
    with pytest.raises(RunBatchFailedError):
        first.run(start((GOOD, UNLUCKY, THROTTLED), retry_failed_rounds=0, retries=1))

    second = first.retry()
    with capture_logs() as logged:
        second.run(start((GOOD, UNLUCKY, HUNGRY), retry_failed_rounds=0, retries=1, max_failed_runs=1))

    assert sent(account) == [{GOOD, UNLUCKY, THROTTLED}, {UNLUCKY}]
    told = lines(logged)
    assert any("has changed since it submitted run batch 1000001" in line for line in told)
    assert any(
        "1 runs were worth another one, but are not in batch_run_settings any more" in line for line in told
    )


def test_an_input_that_is_the_same_is_not_called_another(start: Start, account: Emulator) -> None:
    first = with_store(max_tries=1)
    with pytest.raises(RunBatchFailedError):
        first.run(start(retries=1))

    with capture_logs() as logged, pytest.raises(RunBatchFailedError):
        first.retry().run(start(retries=1))

    assert not any("has changed" in line for line in lines(logged))


def test_an_input_that_has_none_of_the_failed_runs_any_more_is_told(start: Start, account: Emulator) -> None:
    first = with_store(max_tries=1)
    with pytest.raises(RunBatchFailedError):
        first.run(start((GOOD, UNLUCKY), retry_failed_rounds=0, retries=1))

    second = first.retry()
    with pytest.raises(RunBatchFailedError, match="of its 2 runs, 1 failed") as caught:
        second.run(start((GOOD, HUNGRY), retry_failed_rounds=0, retries=1))

    assert isinstance(caught.value.__cause__, RunSettingsError)
    assert "it has none of the runs any more that are to be sent again" in str(caught.value.__cause__)

    assert second.xcom["run_ids"].keys() == {GOOD, UNLUCKY}
    assert len(account.batches) == 1


@pytest.mark.parametrize("staging_uri", [STAGING, None])
def test_after_a_record_has_gone_a_retry_starts_another_batch(
    start: Start, account: Emulator, monkeypatch: pytest.MonkeyPatch, staging_uri: str | None
) -> None:
    """Of what completed the manifest tells, where there is one."""
    monkeypatch.setattr("airflow_provider_omics_batch.run_batch.look.GRACE_FOR_A_NEW_BATCH", 0)
    first = with_store(max_tries=1)
    arguments = {"retry_failed_rounds": 0, "retries": 1, "staging_uri": staging_uri, "max_failed_runs": 2}
    with pytest.raises(RunBatchFailedError):
        first.run(start(**{**arguments, "max_failed_runs": 0}))
    account.client("omics").delete_batch(batchId=first.xcom["batch_id"])

    second = first.retry()
    summary = second.run(start(**arguments))

    assert sent(account) == [set(PASSING) if staging_uri else set(COHORT)]
    assert summary["runs"]["completed"] == 3
    assert len(second.xcom["batch_ids"]) == 2


def test_a_retry_whose_batch_has_ended_well_meanwhile_pays_for_nothing(
    start: Start, account: Emulator
) -> None:
    """As after a worker that died between the event and the last XCom."""
    first = with_store(max_tries=1)
    first.run(start((GOOD, UNLUCKY), retries=1))

    second = first.retry()
    second.run(start((GOOD, UNLUCKY), retries=1))

    assert second.xcom == first.xcom
    assert len(account.batches) == 2


def test_a_given_request_id_names_the_first_batch_and_those_after_it_differ(
    start: Start, account: Emulator
) -> None:
    for task_id in ("one", "other"):
        TaskInstance(task_id=task_id).run(start((UNLUCKY,), request_id="night-7" * 10))

    assert len(account.batches) == 2


def test_failed_runs_are_taken_from_the_file_that_the_author_has_staged(
    start: Start, account: Emulator
) -> None:
    settings = [{"runSettingId": name, "parameters": {"depth": 30.5}} for name in COHORT]
    body = json.dumps(settings, indent=1).encode()
    account.client("s3").put_object(Bucket=BUCKET, Key="mine.json", Body=body)
    ti = TaskInstance()

    ti.run(start({"s3UriSettings": f"s3://{BUCKET}/mine.json"}, max_failed_runs=2))

    assert sent(account) == [set(COHORT), set(PASSING)]
    run = account.client("omics").get_run(id=ti.xcom["run_ids"][UNLUCKY])
    assert run["parameters"] == {"depth": 30.5}


def test_failed_runs_of_a_sheet_are_found_in_it_by_their_rows(
    start: Start, account: Emulator, tmp_path: Path
) -> None:
    sheet = tmp_path / "cohort.csv"
    sheet.write_text("sample\n" + "".join(f"{name}\n" for name in COHORT))

    TaskInstance().run(start(SampleSheet(sheet, run_setting_id="{sample}"), max_failed_runs=2))

    assert sent(account) == [set(COHORT), set(PASSING)]


def test_more_than_100_failed_runs_are_staged(start: Start, account: Emulator) -> None:
    names = [f"R{number}" for number in range(400)]
    ti = TaskInstance()

    ti.run(start(names, staging_uri=STAGING, max_failed_runs=400))

    assert len(ti.xcom["batch_ids"]) == 2
    batches = account.backend._batches
    assert "s3UriSettings" in batches[1].request["batchRunSettings"]
    assert 100 < batches[1].total_runs < 400
    assert len(list(read_run_manifest(ti.xcom["manifest_uri"]))) == 400


def test_all_that_a_task_asks_of_aws_it_asks_by_its_own_connection(
    account: Emulator, ended_batches: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the settings that it stages to the manifests that it writes and reads again."""
    account.backend.configure(Settings(fail_runs=0.1), ended_batches)
    monkeypatch.setenv("AIRFLOW_CONN_LAB", os.environ["AIRFLOW_CONN_AWS_DEFAULT"])
    monkeypatch.setenv(
        "AIRFLOW_CONN_AWS_DEFAULT", '{"conn_type": "aws", "extra": {"endpoint_url": "nowhere"}}'
    )
    operator = StartRunBatchOperator(
        task_id="call_variants",
        default_run_setting=DEFAULT,
        batch_run_settings=[{"runSettingId": f"R{number}"} for number in range(101)],
        staging_uri=STAGING,
        max_failed_runs=101,
        retry_failed_rounds=1,
        retry_delay=timedelta(0),
        poll_interval=0.05,
        aws_conn_id="lab",
    )
    ti = TaskInstance()

    with capture_logs() as logged:
        ti.run(operator)

    assert len(ti.xcom["batch_ids"]) == 2
    assert not any("runs.jsonl cannot be read" in line for line in lines(logged))
    assert len(list(read_run_manifest(ti.xcom["manifest_uri"], aws_conn_id="lab"))) == 101


def test_a_generator_that_was_read_says_why_failed_runs_cannot_be_sent_again(account: Emulator) -> None:
    operator = StartRunBatchOperator(
        task_id="call_variants",
        default_run_setting=DEFAULT,
        batch_run_settings=({"runSettingId": name} for name in COHORT),
        retry_failed_rounds=1,
        retry_delay=timedelta(0),
        poll_interval=0.05,
        deferrable=False,
    )
    ti = TaskInstance()

    with pytest.raises(RunBatchFailedError) as caught:
        ti.run(operator)

    assert "can be read only once" in str(caught.value.__cause__)
    assert ti.xcom["run_ids"].keys() == {GOOD, UNLUCKY, HUNGRY}


@pytest.mark.parametrize(("cache_id", "told"), [(None, True), ("7654321", False)])
def test_a_missing_run_cache_is_hinted_at_where_runs_begin_anew(
    start: Start, account: Emulator, cache_id: str | None, told: bool
) -> None:
    default = {**DEFAULT, "cacheId": cache_id} if cache_id else DEFAULT

    with capture_logs() as logged:
        TaskInstance().run(start((UNLUCKY,), default_run_setting=default))

    assert any("With a cacheId and cacheBehavior CACHE_ON_FAILURE" in line for line in lines(logged)) is told


def test_a_round_that_aws_refuses_leaves_what_there_is_and_a_retry_makes_up_for_it(
    start: Start, account: Emulator
) -> None:
    account.faults.add(Fault(operation="StartRunBatch", kind="error", error="AccessDeniedException", call=2))
    ti = with_store(max_tries=1)

    with pytest.raises(RunBatchFailedError, match="of its 2 runs, 1 failed") as caught:
        ti.run(start((GOOD, UNLUCKY), retries=1))
    assert isinstance(caught.value.__cause__, ClientError)
    assert ti.xcom["run_ids"].keys() == {GOOD, UNLUCKY}

    assert ti.retry().run(start((GOOD, UNLUCKY), retries=1))["runs"]["completed"] == 2
    assert sent(account) == [{GOOD, UNLUCKY}, {UNLUCKY}]


@pytest.mark.parametrize("gone", ["refused", "input"])
def test_a_round_that_cannot_be_submitted_does_not_spoil_a_result_that_is_good_enough(
    start: Start, account: Emulator, tmp_path: Path, gone: str
) -> None:
    sheet = tmp_path / "cohort.csv"
    sheet.write_text("sample\n" + "".join(f"{name}\n" for name in COHORT))
    operator = start(SampleSheet(sheet, run_setting_id="{sample}"), max_failed_runs=4)
    if gone == "refused":
        account.faults.add(
            Fault(operation="StartRunBatch", kind="error", error="AccessDeniedException", call=2)
        )
    else:
        complete = operator.execute_complete

        def remove(context: Any, event: Any) -> Any:
            sheet.unlink()
            return complete(context, event)

        operator.execute_complete = remove  # type: ignore[method-assign]

    assert TaskInstance().run(operator)["runs"]["completed"] == 1


@pytest.mark.parametrize("cancel_on_kill", [True, False])
def test_nothing_is_submitted_once_somebody_has_ended_the_task(
    start: Start, account: Emulator, monkeypatch: pytest.MonkeyPatch, cancel_on_kill: bool
) -> None:
    """As in the pause before a round, in which Airflow lets a task go on after its on_kill."""
    monkeypatch.setattr("airflow_provider_omics_batch.triggers.ownership._state_of", lambda ti: "failed")
    ti, operator = TaskInstance(), start((THROTTLED,), cancel_on_kill=cancel_on_kill)
    monkeypatch.setattr(operator, "_pause", lambda *args: operator.on_kill())

    with pytest.raises(AirflowException, match="was killed"):
        ti.run(operator)

    assert len(account.batches) == 1


@pytest.mark.parametrize("staged_by_the_author", [False, True])
def test_a_record_that_went_between_rounds_leaves_its_runs_unaccounted_for(
    start: Start, account: Emulator, staged_by_the_author: bool
) -> None:
    settings: Any = (GOOD, UNLUCKY, HUNGRY)
    if staged_by_the_author:
        body = json.dumps([{"runSettingId": name} for name in settings]).encode()
        account.client("s3").put_object(Bucket=BUCKET, Key="mine.json", Body=body)
        settings = {"s3UriSettings": f"s3://{BUCKET}/mine.json"}
    operator = start(settings)
    complete = operator.execute_complete

    def delete_the_first(context: Any, event: Any) -> Any:
        if len(account.batches) == 2:
            account.client("omics").delete_batch(batchId="1000001")
        return complete(context, event)

    operator.execute_complete = delete_the_first  # type: ignore[method-assign]

    with pytest.raises(RunBatchFailedError, match=r"the 3 runs of batches .*, 2 are not accounted for"):
        TaskInstance().run(operator)


def test_a_retry_that_finds_its_batch_being_cancelled_runs_the_rest_once_it_is(
    start: Start, account: Emulator
) -> None:
    account.configure(speed=400, cancel_run_tps=0.02)
    first = with_store(max_tries=1)
    names = [f"R{number}" for number in range(3)]
    first.run(start(names, retries=1, retry_failed_rounds=0, wait_for_completion=False))
    omics, batch_id = account.client("omics"), first.xcom["batch_id"]
    while omics.get_batch(batchId=batch_id)["status"] in ("CREATING", "PENDING"):
        pass
    omics.cancel_run_batch(batchId=batch_id)
    assert omics.get_batch(batchId=batch_id)["status"] == "STOPPING"

    assert first.retry().run(start(names, retries=1))["runs"]["completed"] == 3
    assert len(account.batches) == 2


def test_a_retry_publishes_the_manifest_that_no_trigger_has_written(start: Start, account: Emulator) -> None:
    first = with_store(max_tries=1)
    arguments = {"retries": 1, "retry_failed_rounds": 0, "staging_uri": STAGING}
    first.run(start((GOOD, UNLUCKY), wait_for_completion=False, **arguments))

    second = first.retry()
    second.run(start((GOOD, UNLUCKY), max_failed_runs=1, **arguments))

    records = list(read_run_manifest(second.xcom["manifest_uri"]))
    assert {record["run_setting_id"] for record in records} == {GOOD, UNLUCKY}


def test_a_retry_tells_the_same_of_a_batch_that_has_ended_well_enough(
    start: Start, account: Emulator
) -> None:
    first = with_store(max_tries=1)
    arguments = {"retries": 1, "staging_uri": STAGING, "max_failed_runs": 4, "retry_failed_rounds": 0}
    first.run(start(**arguments))

    second = first.retry()
    second.run(start(**arguments))

    assert second.xcom == first.xcom
    assert len(second.xcom["return_value"]["failures"]) == 4


def test_a_retry_learns_the_reasons_that_were_not_told_before(start: Start, account: Emulator) -> None:
    denied = Fault(operation="GetRun", kind="error", error="AccessDeniedException", times=None)
    account.faults.add(denied)
    first = with_store(max_tries=1)
    arguments = {"retries": 1, "staging_uri": STAGING, "retry_failed_rounds": 0}
    with pytest.raises(RunBatchFailedError):
        first.run(start((GOOD, UNLUCKY), **arguments))
    account.faults.clear()

    assert first.retry().run(start((GOOD, UNLUCKY), **arguments))["runs"]["completed"] == 2


def test_a_timeout_of_a_retry_tells_whether_its_own_batch_was_cancelled(account: Emulator) -> None:
    """That of the try before has ended by itself."""
    clock = ManualClock()
    account.backend.configure(Settings(fail_submissions=0.5, creating_seconds=0), clock)
    operator = StartRunBatchOperator(
        task_id="call_variants",
        default_run_setting=DEFAULT,
        batch_run_settings=[{"runSettingId": name} for name in (GOOD, THROTTLED)],
        wait_until="submitted",
        retries=1,
        execution_timeout=timedelta(hours=1),
    )
    first = with_store(max_tries=1)
    first.until_deferred(operator.execute)
    clock.advance(1_000_000)
    with pytest.raises(RunBatchFailedError, match="1 could not be submitted"):
        first.until_deferred(operator.execute_complete)
    second = first.retry()
    second.until_deferred(operator.execute)

    with pytest.raises(
        RunBatchTimeoutError, match=r"^Run batch 1000002 .* and was cancelled: it is STOPPING"
    ):
        operator.resume_execution("__fail__", {"error": "Trigger timeout"}, second.context)


def test_a_timeout_leaves_a_manifest_of_the_runs_so_far(start: Start, account: Emulator) -> None:
    account.configure(run_seconds=1_000_000_000)
    ti = TaskInstance()

    with pytest.raises(RunBatchTimeoutError):
        ti.run(start((GOOD,), staging_uri=STAGING, execution_timeout=timedelta(seconds=3)))

    [record] = read_run_manifest(ti.xcom["manifest_uri"])
    assert (record["run_setting_id"], record["run_id"]) == (GOOD, ti.xcom["run_ids"][GOOD])


def test_a_batch_that_has_ended_by_the_time_of_its_timeout_is_judged_as_any_other(
    start: Start, account: Emulator
) -> None:
    ti = TaskInstance()
    operator = start((GOOD,), execution_timeout=timedelta(hours=1))
    ti.run(operator)

    summary = operator.execute_complete(ti.context, {"status": "timeout", "batch_id": ti.xcom["batch_id"]})

    assert summary["runs"]["completed"] == 1


def test_a_lost_answer_between_rounds_starts_no_second_batch(start: Start, account: Emulator) -> None:
    account.faults.add(Fault(operation="StartRunBatch", kind="lost_answer", call=2))

    TaskInstance().run(start((GOOD, UNLUCKY)))

    assert sent(account) == [{GOOD, UNLUCKY}, {UNLUCKY}]
    assert account.calls["StartRunBatch"] == 3


def test_a_worker_that_died_after_sending_again_is_followed_by_one_that_finds_that_batch(
    start: Start, account: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before Airflow could keep that it did."""
    first = with_store(max_tries=1)

    def die(context: Any, batches: Any) -> None:
        if len(batches) > 1:
            raise KeyboardInterrupt
        remember(context, batches)

    with monkeypatch.context() as patch:
        patch.setattr("airflow_provider_omics_batch.operators.omics.remember", die)
        with pytest.raises(KeyboardInterrupt):
            first.run(start((GOOD, UNLUCKY), retries=1))

    assert first.retry().run(start((GOOD, UNLUCKY), retries=1))["runs"]["completed"] == 2
    assert sent(account) == [{GOOD, UNLUCKY}, {UNLUCKY}]


def test_a_batch_is_cancelled_as_soon_as_too_many_runs_have_failed(start: Start, account: Emulator) -> None:
    account.configure(speed=600, fail_runs=0.6, start_run_tps=20, run_seconds=600, concurrent_runs=10)
    names = [f"R{number}" for number in range(60)]
    ti = with_store(max_tries=1)
    arguments = {"retry_failed_rounds": 0, "max_failed_runs": 0.1, "fail_fast": True, "retries": 1}

    with pytest.raises(RunBatchFailedError, match="is CANCELLED; of its 60 runs, ") as caught:
        ti.run(start(names, **arguments))

    runs = caught.value.summary["runs"]
    assert runs["failed"] > 6
    assert runs["cancelled"] > 0
    assert account.calls["CancelRunBatch"] == 1

    with pytest.raises(RunBatchFailedError):
        ti.retry().run(start(names, **arguments))


@pytest.mark.parametrize("failed", [UNLUCKY, THROTTLED])
def test_fail_fast_bears_what_another_round_may_mend(start: Start, account: Emulator, failed: str) -> None:
    settings = Settings(fail_submissions=0.5, fail_runs=0.5, run_seconds=300, concurrent_runs=1)
    clock = ManualClock()
    account.backend.configure(settings, clock)
    time_passes_with_each_look(account, clock, 100)

    # The run that fails comes first, so that it is seen to have failed while the other one is under way.
    assert TaskInstance().run(start((failed, GOOD), fail_fast=True))["runs"]["completed"] == 2
    assert "CancelRunBatch" not in account.calls


@pytest.mark.usefixtures("ended_batches")
def test_fail_fast_bears_less_in_a_round_after_runs_that_have_failed_for_good(account: Emulator) -> None:
    operator = StartRunBatchOperator(
        task_id="call_variants",
        default_run_setting=DEFAULT,
        batch_run_settings=[{"runSettingId": name} for name in (GOOD, UNLUCKY, HUNGRY)],
        max_failed_runs=1,
        fail_fast=True,
        retry_failed_rounds=1,
        poll_interval=0.05,
    )
    ti = TaskInstance()

    triggers = [
        ti.until_deferred(operator.execute).trigger,
        ti.until_deferred(operator.execute_complete).trigger,
    ]

    assert sent(account) == [{GOOD, UNLUCKY, HUNGRY}, {UNLUCKY}]
    assert [trigger.serialize()[1]["fail_fast_beyond"] for trigger in triggers] == [1, 0]


@pytest.mark.usefixtures("ended_batches")
@pytest.mark.parametrize(("fail_fast", "batches"), [(True, 1), (False, 2)])
def test_fail_fast_pays_for_no_round_after_more_have_failed_for_good_than_may(
    start: Start, account: Emulator, fail_fast: bool, batches: int
) -> None:
    with pytest.raises(RunBatchFailedError):
        TaskInstance().run(start((UNLUCKY, *LASTING), max_failed_runs=1, fail_fast=fail_fast))

    assert len(account.batches) == batches


def test_runs_that_a_failed_batch_has_left_are_named(start: Start, account: Emulator) -> None:
    account.configure(speed=600, start_run_tps=1, run_seconds=1_000_000)
    account.faults.add(Fault(operation="StartRunBatch", kind="failed_batch", submissions=3))
    names = [f"R{number}" for number in range(5)]

    with (
        capture_logs() as logged,
        pytest.raises(RunBatchFailedError, match="3 are under way, 2 were not started"),
    ):
        TaskInstance().run(start(names, retry_failed_rounds=0))

    told = [line for line in lines(logged) if "under way, and paid for unless" in line]
    assert len(told) == 1
    assert [name for name in names if f"{name} (run " in told[0]] == ["R0", "R1", "R2"]

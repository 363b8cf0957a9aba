"""``@task.start_run_batch`` from the function to the end of its batches."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from weakref import WeakSet

import pytest
from airflow.sdk import DAG, task
from airflow.sdk.exceptions import AirflowSkipException
from structlog.testing import capture_logs

from airflow_provider_omics_batch.exceptions import RunBatchFailedError, RunSettingsError
from airflow_provider_omics_batch.run_batch import SampleSheet
from airflow_provider_omics_batch.run_batch.limits import MAX_INLINE_RUNS
from tests.integration.conftest import BUCKET, Emulator
from tests.integration.tasks import StateStore, TaskInstance
from tests.integration.test_every_end import COHORT, DEFAULT, LASTING, PASSING, STAGING

pytestmark = pytest.mark.usefixtures("emulator")

Start = Callable[..., Any]


@pytest.fixture(name="start", params=[True, False], ids=["deferred", "sync"])
def _start(request: pytest.FixtureRequest) -> Start:
    """Make an operator of a function, as it is when its arguments have been rendered."""

    def start(function: Callable[..., Any], *args: Any, **arguments: Any) -> Any:
        given = {"default_run_setting": DEFAULT, "retry_delay": timedelta(0), **arguments}
        with DAG("cohort", schedule=None):
            decorator = task.start_run_batch(
                task_id="call_variants", poll_interval=0.05, deferrable=request.param, **given
            )
            return decorator(function)(*args).operator

    return start


def named(*names: str) -> Iterator[dict[str, Any]]:
    for name in names:
        yield {"runSettingId": name}


def sent(emulator: Emulator) -> list[set[str]]:
    """Return the run settings of each batch, the first one's first."""
    omics = emulator.client("omics")
    return [
        {run["runSettingId"] for run in omics.list_runs_in_batch(batchId=batch["id"])["runs"]}
        for batch in reversed(emulator.batches)
    ]


def left_behind(emulator: Emulator) -> list[Any]:
    """Return objects and unfinished uploads."""
    s3 = emulator.client("s3")
    uploads = s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
    return [*uploads, *s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])]


def test_what_a_function_yields_is_run(start: Start, emulator: Emulator) -> None:
    ti = TaskInstance()

    summary = ti.run(start(named, "NA12878", "NA12891", batch_name="trio"))

    assert sent(emulator) == [{"NA12878", "NA12891"}]
    assert list(ti.xcom["run_ids"]) == ["NA12878", "NA12891"]
    assert summary["runs"]["completed"] == 2
    assert emulator.batches[0]["name"] == "trio"


@pytest.mark.parametrize("form", ["list", "sheet", "inlineSettings", "s3UriSettings"])
def test_a_function_returns_whatever_the_operator_takes(
    start: Start, emulator: Emulator, tmp_path: Path, form: str
) -> None:
    settings = list(named("NA12878", "NA12891"))

    def function() -> Any:
        if form == "list":
            return settings
        if form == "inlineSettings":
            return {"inlineSettings": settings}
        if form == "s3UriSettings":
            emulator.client("s3").put_object(Bucket=BUCKET, Key="mine.json", Body=json.dumps(settings))
            return {"s3UriSettings": f"s3://{BUCKET}/mine.json"}
        (tmp_path / "cohort.csv").write_text("sample\nNA12878\nNA12891\n")
        return SampleSheet(tmp_path / "cohort.csv", run_setting_id="{sample}")

    TaskInstance().run(start(function))

    assert sent(emulator) == [{"NA12878", "NA12891"}]


class Setting(dict[str, Any]):
    """A run setting of which a test can tell whether somebody still has it."""

    __hash__ = object.__hash__


def test_what_is_yielded_streams_to_the_staging_place(start: Start, emulator: Emulator) -> None:
    """Of all settings only those are in memory that may yet go inline."""
    emulator.configure(start_run_tps=100_000, concurrent_runs=100_000)
    alive: WeakSet[Setting] = WeakSet()
    most = 0

    def many() -> Iterator[Setting]:
        nonlocal most
        for number in range(20 * MAX_INLINE_RUNS):
            setting = Setting(runSettingId=f"S{number}")
            alive.add(setting)
            most = max(most, len(alive))
            yield setting

    summary = TaskInstance().run(start(many, staging_uri=STAGING))

    assert summary["total"] == 20 * MAX_INLINE_RUNS
    assert MAX_INLINE_RUNS < most < MAX_INLINE_RUNS + 10


@pytest.mark.parametrize("error", [KeyError("cram"), AirflowSkipException("nothing has arrived")])
@pytest.mark.parametrize("after", [0, 1, 10 * MAX_INLINE_RUNS])
def test_a_function_that_fails_submits_and_leaves_nothing(
    start: Start, emulator: Emulator, after: int, error: Exception
) -> None:
    def breaks_off() -> Iterator[dict[str, Any]]:
        yield from named(*(f"S{number}" for number in range(after)))
        raise error

    with pytest.raises(type(error)) as caught:
        TaskInstance().run(start(breaks_off, staging_uri=STAGING))

    assert caught.value is error
    assert not emulator.calls
    assert left_behind(emulator) == []


@pytest.mark.parametrize("given", [None, "NA12878", {"runSettingId": "NA12878"}, 3])
def test_a_function_that_returns_no_run_settings_is_told_so(
    start: Start, emulator: Emulator, given: Any
) -> None:
    with pytest.raises(RunSettingsError, match="batch_run_settings"):
        TaskInstance().run(start(lambda: given))

    assert not emulator.calls


def test_a_round_calls_the_function_again_and_sends_only_what_failed(
    start: Start, emulator: Emulator
) -> None:
    emulator.configure(fail_submissions=0.5, fail_runs=0.5)
    calls: list[tuple[str, ...]] = []

    def counted(*names: str) -> Iterator[dict[str, Any]]:
        calls.append(names)
        yield from named(*names)

    summary = TaskInstance().run(start(counted, *COHORT, retry_failed_rounds=1, max_failed_runs=len(LASTING)))

    assert calls == [COHORT, COHORT]
    assert sent(emulator) == [set(COHORT), PASSING]
    assert summary["runs"]["completed"] == len(COHORT) - len(LASTING)


def failing_from_its_second_call_on() -> Callable[[], Iterator[dict[str, Any]]]:
    calls = iter(range(100))

    def function() -> Iterator[dict[str, Any]]:
        yield {"runSettingId": COHORT[0]}
        if next(calls):
            raise LookupError("no connection to the database")
        yield from named(*COHORT[1:])

    return function


def test_a_function_may_use_up_its_arguments(start: Start, emulator: Emulator) -> None:
    emulator.configure(fail_submissions=0.5, fail_runs=0.5)

    def using_up(samples: list[str]) -> Iterator[dict[str, Any]]:
        while samples:
            yield {"runSettingId": samples.pop()}

    TaskInstance().run(start(using_up, list(COHORT), retry_failed_rounds=1, max_failed_runs=len(LASTING)))

    assert sent(emulator) == [set(COHORT), PASSING]


def test_a_function_that_fails_in_a_round_does_not_spoil_what_is_good_enough(
    start: Start, emulator: Emulator
) -> None:
    emulator.configure(fail_submissions=0.5, fail_runs=0.5)
    operator = start(failing_from_its_second_call_on(), retry_failed_rounds=1, max_failed_runs=4)

    with capture_logs() as logged:
        assert TaskInstance().run(operator)["runs"]["completed"] == 1

    assert any("no connection to the database" in str(line) for line in logged)
    assert len(emulator.batches) == 1


def test_a_function_that_fails_in_a_round_is_the_cause_of_the_tasks_failure(
    start: Start, emulator: Emulator
) -> None:
    emulator.configure(fail_submissions=0.5, fail_runs=0.5)

    with pytest.raises(RunBatchFailedError) as caught:
        TaskInstance().run(start(failing_from_its_second_call_on(), retry_failed_rounds=1))

    assert isinstance(caught.value.__cause__, RunSettingsError)
    assert isinstance(caught.value.__cause__.__cause__, LookupError)


@pytest.mark.parametrize("kept", [True, False], ids=["3.3", "3.2"])
def test_a_retry_finds_the_batch_of_the_try_before(start: Start, emulator: Emulator, kept: bool) -> None:
    first = TaskInstance(max_tries=1)
    first.state_store = StateStore() if kept else None
    second = first.retry()

    for ti in (first, second):
        ti.run(start(named, "NA12878", retries=1))

    assert len(emulator.batches) == 1
    assert first.xcom == second.xcom


def test_a_retry_waits_for_its_batch_though_the_function_fails_now(start: Start, emulator: Emulator) -> None:
    """Its batch has been paid for, and goes on."""
    first = TaskInstance(max_tries=1)
    first.state_store = StateStore()
    operator = start(failing_from_its_second_call_on(), retries=1)
    first.run(operator)

    with capture_logs() as logged:
        second = first.retry()
        second.run(operator)

    assert len(emulator.batches) == 1
    assert second.xcom == first.xcom
    assert any("cannot be submitted" in line["event"] for line in logged)

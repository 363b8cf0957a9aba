"""The hook alone, as a task of somebody else's has it, on the emulator in process and over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.core import DEFAULT_ACCOUNT_ID
from structlog.testing import capture_logs

from airflow_provider_omics_batch.emulator import Fault, ManualClock, omics_backends, register
from airflow_provider_omics_batch.hooks.omics import OmicsHook
from airflow_provider_omics_batch.run_batch import read_run_manifest
from tests.integration.conftest import BUCKET, REGION, Emulator, answer
from tests.integration.tasks import TaskInstance
from tests.integration.test_every_end import COHORT, DEFAULT, GOOD, HUNGRY, REFUSED, SETTINGS, THROTTLED
from tests.integration.test_links import start

CLOCK = ManualClock()
A_DAY = 86_400.0

DAGS = Path(__file__).parents[2] / "dags"

TASKS = {"items": [{"taskId": "8", "name": "call_variants", "status": "FAILED"}]}
ONE_TASK = answer("200 OK", json.dumps(TASKS).encode(), **{"Content-Type": "application/json"})


def configure() -> None:
    omics_backends[DEFAULT_ACCOUNT_ID][REGION].configure(SETTINGS, CLOCK)


@pytest.fixture(name="over_http")
def _over_http(emulator: Emulator) -> OmicsHook:
    configure()
    return OmicsHook()


@pytest.fixture(name="in_process")
def _in_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[OmicsHook]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "any")
    register()
    with mock_aws():
        configure()
        yield OmicsHook(aws_conn_id=None, region_name=REGION)


@pytest.fixture(name="hook", params=["in_process", "over_http"])
def _hook(request: pytest.FixtureRequest) -> OmicsHook:
    hook: OmicsHook = request.getfixturevalue(request.param)
    return hook


def submit(hook: OmicsHook, names: tuple[str, ...] = COHORT, request_id: str = "r") -> str:
    batch = hook.start_run_batch(
        default_run_setting=DEFAULT,
        batch_run_settings={"inlineSettings": [{"runSettingId": name} for name in names]},
        request_id=request_id,
    )
    batch_id: str = batch["id"]
    return batch_id


def submit_and_wait(hook: OmicsHook, names: tuple[str, ...] = COHORT) -> str:
    batch_id = submit(hook, names)
    CLOCK.advance(A_DAY)
    return batch_id


def status(hook: OmicsHook, batch_id: str) -> str:
    return str(hook.get_batch(batch_id)["status"])


def test_a_batch_lives_its_whole_life_by_the_hook_alone(hook: OmicsHook) -> None:
    processed, cancelled = submit_and_wait(hook), submit(hook, request_id="other")
    CLOCK.advance(60)
    hook.cancel_run_batch(cancelled)
    hook.delete_run_batch(processed)
    CLOCK.advance(A_DAY)

    assert status(hook, cancelled) == "CANCELLED"
    assert status(hook, processed) == "RUNS_DELETED"
    hook.delete_batch(processed)
    assert [batch["id"] for batch in hook.list_batch()] == [cancelled]


def test_the_mapping_has_the_runs_that_were_submitted(hook: OmicsHook) -> None:
    batch_id = submit_and_wait(hook)

    mapping = hook.get_run_batch_mapping(batch_id)

    assert mapping.keys() == set(COHORT) - {THROTTLED, REFUSED}
    assert set(mapping.values()) == {run["id"] for run in hook.list_runs(batch_id)}
    [run] = hook.list_runs_in_batch(batch_id, run_id=mapping[GOOD])
    assert run["runSettingId"] == GOOD


def test_the_status_of_runs_is_listed_all_or_in_part(hook: OmicsHook) -> None:
    batch_id = submit_and_wait(hook)
    submit(hook, (GOOD,), request_id="other")

    mapping = hook.get_run_batch_mapping(batch_id)

    assert {run["id"] for run in hook.list_runs(batch_id, status="COMPLETED")} == {mapping[GOOD]}
    assert {run["id"]: run["status"] for run in hook.list_runs(batch_id)}[mapping[HUNGRY]] == "FAILED"


def test_records_tell_what_a_manifest_does(emulator: Emulator) -> None:
    ti = TaskInstance()
    ti.run(start())

    records = list(OmicsHook().list_run_records(ti.xcom["batch_id"]))

    assert records == list(read_run_manifest(ti.xcom["manifest_uri"]))


def test_records_tell_how_runs_ended_and_why(hook: OmicsHook) -> None:
    batch_id = submit_and_wait(hook)

    records = {record["run_setting_id"]: record for record in hook.list_run_records(batch_id)}

    assert records.keys() == set(COHORT)
    assert records[GOOD]["run_status"] == "COMPLETED"
    assert records[HUNGRY]["failure_reason"] == "OUT_OF_MEMORY_ERROR"
    assert records[REFUSED]["submission_failure_reason"] == "ValidationException"


def test_records_tell_how_far_runs_are_that_are_under_way(hook: OmicsHook) -> None:
    batch_id = submit(hook)
    CLOCK.advance(120)

    records = {record["run_setting_id"]: record["run_status"] for record in hook.list_run_records(batch_id)}

    assert records[GOOD] == "RUNNING"
    assert records[REFUSED] is None


def test_a_failed_run_is_told_with_the_log_streams_of_its_tasks(
    over_http: OmicsHook, emulator: Emulator
) -> None:
    run_id = over_http.get_run_batch_mapping(submit_and_wait(over_http))[HUNGRY]
    emulator.answers["ListRunTasks"].append(ONE_TASK)

    failure = over_http.get_run_failure(run_id)

    assert failure == {
        "run_id": run_id,
        "status": "FAILED",
        "reason": "OUT_OF_MEMORY_ERROR",
        "message": "A task of the run needed more memory than it had asked for.",
        "log_group": "/aws/omics/WorkflowLog",
        "engine_log_stream": f"run/{run_id}/engine",
        "run_log_stream": f"run/{run_id}",
        "failed_tasks": [
            {"task_id": "8", "name": "call_variants", "log_stream": f"run/{run_id}/task/8"},
        ],
    }


def test_why_a_run_failed_is_told_also_where_its_tasks_are_not(
    over_http: OmicsHook, emulator: Emulator
) -> None:
    run_id = over_http.get_run_batch_mapping(submit_and_wait(over_http))[HUNGRY]
    emulator.faults.add(
        Fault(operation="ListRunTasks", kind="error", error="AccessDeniedException", times=None)
    )

    with capture_logs() as logged:
        failure = over_http.get_run_failure(run_id)

    assert (failure["reason"], failure["failed_tasks"]) == ("OUT_OF_MEMORY_ERROR", [])
    assert any("In which tasks run" in line["event"] for line in logged)


def test_records_that_cannot_be_listed_are_given_up_after_a_while(
    over_http: OmicsHook, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_omics_batch.hooks.omics.PATIENCE", 0.1)
    batch_id = submit_and_wait(over_http)
    emulator.faults.add(
        Fault(operation="ListRunsInBatch", kind="error", error="InternalServerException", times=None)
    )

    with pytest.raises(ClientError, match="InternalServerException"):
        list(over_http.list_run_records(batch_id))


async def test_the_tasks_of_the_example_tell_what_became_of_a_batch(
    over_http: OmicsHook, emulator: Emulator
) -> None:
    batch_id = submit_and_wait(over_http)
    dag = DagBag(DAGS / "example_omics_hook.py").dags["example_omics_hook"]
    emulator.answers["ListRunTasks"].extend([ONE_TASK, ONE_TASK])
    failures, submissions = (dag.get_task(name).python_callable for name in ("failures", "submissions"))

    assert {failure["reason"] for failure in failures(batch_id)} == {"OUT_OF_MEMORY_ERROR", "SERVICE_ERROR"}
    assert await submissions(batch_id) == {"SUCCESS": 3, "FAILED": 2}


def test_a_list_that_is_refused_is_logged_with_the_permission_it_needs(
    over_http: OmicsHook, emulator: Emulator
) -> None:
    emulator.faults.add(Fault(operation="ListRuns", kind="error", error="AccessDeniedException"))

    with capture_logs() as logged, pytest.raises(ClientError):
        list(over_http.list_runs("1000001"))

    assert "The caller needs omics:ListRuns" in [line["event"] for line in logged]


@pytest.fixture(name="large")
def _large(over_http: OmicsHook, emulator: Emulator) -> str:
    """Submit a batch of two and a half pages of runs, and let it end."""
    settings = json.dumps([{"runSettingId": f"T{number}"} for number in range(250)])
    emulator.client("s3").put_object(Bucket=BUCKET, Key="settings.json", Body=settings)
    batch = over_http.start_run_batch(
        default_run_setting=DEFAULT,
        batch_run_settings={"s3UriSettings": f"s3://{BUCKET}/settings.json"},
        request_id="large",
    )
    CLOCK.advance(10 * A_DAY)
    return str(batch["id"])


async def test_a_lent_client_has_the_operations_and_the_iterators(over_http: OmicsHook, large: str) -> None:
    async with await over_http.get_async_conn() as client:
        batch = await client.get_batch(batchId=large)
        batches = [batch["id"] async for batch in over_http.list_batch_async(client, status="PROCESSED")]
        submissions = [run async for run in over_http.list_runs_in_batch_async(client, large)]
        runs = [run async for run in over_http.list_runs_async(client, large)]
        failed = [run async for run in over_http.list_runs_async(client, large, status="FAILED")]

    assert batch["status"] == "PROCESSED"
    assert batches == [large]
    assert submissions == list(over_http.list_runs_in_batch(large))
    assert len(submissions) == 250
    assert runs == list(over_http.list_runs(large))
    assert len(runs) == batch["submissionSummary"]["successfulStartSubmissionCount"]
    assert len(failed) == batch["runSummary"]["failedRunCount"]


async def test_an_iterator_of_a_lent_client_takes_a_page_at_a_time(
    over_http: OmicsHook, large: str, emulator: Emulator
) -> None:
    async with (
        await over_http.get_async_conn() as client,
        aclosing(over_http.list_runs_in_batch_async(client, large)) as runs,
    ):
        await anext(runs)

    assert emulator.calls["ListRunsInBatch"] == 1

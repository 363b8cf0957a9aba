from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.execution_time.context import NEVER_EXPIRE
from botocore.exceptions import ClientError, NoCredentialsError
from structlog.testing import capture_logs

from airflow_provider_omics_batch.emulator import Fault
from airflow_provider_omics_batch.exceptions import RunBatchFailedError, RunSettingsError
from airflow_provider_omics_batch.hooks.omics import OmicsHook
from airflow_provider_omics_batch.operators.memory import RUN_BATCHES
from airflow_provider_omics_batch.operators.omics import StartRunBatchOperator
from airflow_provider_omics_batch.run_batch import SampleSheet, read_run_manifest
from tests.integration.conftest import BUCKET, DEFAULT, Emulator, answer
from tests.integration.tasks import StateStore, TaskInstance, lines

STAGING = f"s3://{BUCKET}/airflow/"

pytestmark = pytest.mark.usefixtures("emulator")


@pytest.fixture(name="start", params=[True, False], ids=["deferred", "sync"])
def _start(request: pytest.FixtureRequest) -> Callable[..., StartRunBatchOperator]:
    """Make an operator that waits in the one way or the other."""

    def start(settings: Any, **arguments: Any) -> StartRunBatchOperator:
        arguments = {"default_run_setting": DEFAULT, "poll_interval": 0.05, **arguments}
        return StartRunBatchOperator(
            task_id="call_variants", batch_run_settings=settings, deferrable=request.param, **arguments
        )

    return start


Start = Callable[..., StartRunBatchOperator]


def settings(count: int) -> list[dict[str, Any]]:
    return [{"runSettingId": f"S{number}", "parameters": {"sample": f"S{number}"}} for number in range(count)]


def test_a_small_batch_goes_inline_and_its_run_ids_come_back(start: Start, emulator: Emulator) -> None:
    ti = TaskInstance()

    summary = ti.run(start(settings(3), batch_name="cohort-7", tags={"cost": "lab"}))

    batch = emulator.client("omics").get_batch(batchId=ti.xcom["batch_id"])
    assert batch["name"] == "cohort-7"
    assert batch["tags"] == {"cost": "lab"}
    assert ti.xcom["batch_arn"] == batch["arn"]
    assert ti.xcom["batch_uuid"] == batch["uuid"]
    assert ti.xcom["batch_ids"] == [batch["id"]]
    assert list(ti.xcom["run_ids"]) == ["S0", "S1", "S2"]
    assert ti.xcom["manifest_uri"] is None
    assert summary == ti.xcom["return_value"]
    assert summary["status"] == "PROCESSED"
    assert summary["total"] == 3
    assert summary["submissions"] == {"successful": 3, "failed": 0, "pending": 0}
    assert summary["runs"]["completed"] == 3
    assert summary["failures"] == []


def test_runs_get_what_is_shared_and_what_is_their_own(start: Start, emulator: Emulator) -> None:
    ti = TaskInstance()
    default = {**DEFAULT, "parameters": {"reference": "GRCh38"}, "runTags": {"project": "1000g"}}

    ti.run(start(settings(1), default_run_setting=default))

    run = emulator.client("omics").get_run(id=ti.xcom["run_ids"]["S0"])
    assert run["parameters"] == {"reference": "GRCh38", "sample": "S0"}
    assert run["tags"] == {"project": "1000g"}


def test_more_than_100_runs_are_staged_and_written_to_a_manifest(start: Start, emulator: Emulator) -> None:
    emulator.configure(start_run_tps=1000, concurrent_runs=1000)
    ti = TaskInstance()

    summary = ti.run(start(settings(101), staging_uri=STAGING))

    records = list(read_run_manifest(summary["manifest_uri"]))
    assert {record["run_setting_id"]: record["run_id"] for record in records} == ti.xcom["run_ids"]
    assert {record["run_status"] for record in records} == {"COMPLETED"}
    assert len(records) == 101
    assert ti.xcom["manifest_uri"] == summary["manifest_uri"]
    assert summary["manifest_uri"] == f"{STAGING}run-batches/{ti.xcom['batch_uuid']}/runs.jsonl"


def test_all_that_is_published_of_a_batch_with_a_manifest_is_small(
    start: Start, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever its runs have to say of their failure; with 100,000 runs, only the counts have more digits."""
    monkeypatch.setenv("AIRFLOW__OMICS_BATCH__RUN_IDS_MAX_BYTES", "1000")
    emulator.configure(start_run_tps=1000, concurrent_runs=1000, fail_runs=1.0)
    told = {"status": "FAILED", "failureReason": "RUN_TASK_FAILED", "statusMessage": 'out of "memory" ' * 50}
    emulator.answers["GetRun"].extend(
        answer("200 OK", json.dumps(told).encode(), **{"Content-Type": "application/json"})
        for _ in range(200)
    )
    ti = TaskInstance()

    ti.run(start(settings(200), staging_uri=STAGING, max_failed_runs=1.0))

    assert ti.xcom["run_ids"] is None
    assert ti.xcom["return_value"]["failures"][0]["message"].startswith('out of "memory" out')
    assert len(json.dumps(ti.xcom)) < 3_500


def test_a_generator_gives_run_settings_as_a_list_does(start: Start, emulator: Emulator) -> None:
    emulator.configure(start_run_tps=1000, concurrent_runs=1000)

    assert TaskInstance().run(start((s for s in settings(150)), staging_uri=STAGING))["total"] == 150


@pytest.mark.parametrize("place", ["local", "s3"])
def test_a_sample_sheet_is_read_where_it_lies(
    start: Start, emulator: Emulator, tmp_path: Path, place: str
) -> None:
    content = "sample\tcram\nNA12878\tNA12878.cram\nNA12891\tNA12891.cram\n"
    if place == "s3":
        uri = f"s3://{BUCKET}/sheets/cohort.tsv"
        emulator.client("s3").put_object(Bucket=BUCKET, Key="sheets/cohort.tsv", Body=content.encode())
    else:
        uri = str(tmp_path / "cohort.tsv")
        Path(uri).write_text(content)
    ti = TaskInstance()

    ti.run(
        start(SampleSheet(uri, run_setting_id="{sample}", parameters={"reads": f"s3://{BUCKET}/{{cram}}"}))
    )

    run = emulator.client("omics").get_run(id=ti.xcom["run_ids"]["NA12891"])
    assert run["parameters"] == {"reads": f"s3://{BUCKET}/NA12891.cram"}


@pytest.mark.parametrize("union", ["inlineSettings", "s3UriSettings"])
def test_the_apis_own_union_is_taken_as_it_is(start: Start, emulator: Emulator, union: str) -> None:
    given: dict[str, Any] = {"inlineSettings": settings(2)}
    if union == "s3UriSettings":
        body = json.dumps(settings(2)).encode()
        emulator.client("s3").put_object(Bucket=BUCKET, Key="mine.json", Body=body)
        given = {"s3UriSettings": f"s3://{BUCKET}/mine.json"}
    ti = TaskInstance()

    ti.run(start(given))

    assert list(ti.xcom["run_ids"]) == ["S0", "S1"]


def test_a_task_that_need_not_wait_ends_with_the_submission(start: Start, emulator: Emulator) -> None:
    emulator.configure(speed=1)
    ti = TaskInstance()

    summary = ti.run(start(settings(3), wait_for_completion=False))

    assert ti.deferred is None
    assert (summary["batch_id"], summary["status"], summary["total"]) == (ti.xcom["batch_id"], "CREATING", 3)
    assert "run_ids" not in ti.xcom


def test_a_task_whose_runs_failed_publishes_the_mapping_and_then_fails(
    start: Start, emulator: Emulator
) -> None:
    emulator.configure(fail_runs=0.5, fail_submissions=0.2, seed=1)
    ti = TaskInstance()

    with pytest.raises(
        RunBatchFailedError, match=r"could not be submitted, .* failed; max_failed_runs=0"
    ) as caught:
        ti.run(start(settings(20), staging_uri=STAGING))

    summary = ti.xcom["return_value"]
    assert caught.value.batch_id == ti.xcom["batch_id"]
    assert caught.value.summary == summary
    assert len(ti.xcom["run_ids"]) == summary["submissions"]["successful"]
    records = {record["run_setting_id"]: record for record in read_run_manifest(ti.xcom["manifest_uri"])}
    gone_wrong = [record for record in records.values() if record["run_status"] != "COMPLETED"]
    assert len(gone_wrong) == summary["runs"]["failed"] + summary["submissions"]["failed"] > 0
    assert all(record["failure_reason"] or record["submission_failure_reason"] for record in gone_wrong)
    assert all(failure["reason"] and failure["message"] for failure in summary["failures"])


def test_failures_within_the_limit_are_borne(start: Start, emulator: Emulator) -> None:
    emulator.configure(fail_runs=0.2, seed=1)

    assert TaskInstance().run(start(settings(20), max_failed_runs=0.9))["runs"]["failed"] > 0


def test_a_batch_that_somebody_else_has_cancelled_fails_the_task(start: Start, emulator: Emulator) -> None:
    emulator.configure(speed=200, creating_seconds=0)
    ti = TaskInstance()
    ti.run(start(settings(3), wait_for_completion=False))
    emulator.client("omics").cancel_run_batch(batchId=ti.xcom["batch_id"])

    with pytest.raises(RunBatchFailedError, match=f"Run batch {ti.xcom['batch_id']} is CANCELLED"):
        ti.run(start(settings(3)))


def test_a_batch_that_fails_as_a_whole_fails_the_task_with_its_reason(
    start: Start, emulator: Emulator
) -> None:
    emulator.client("s3").put_object(Bucket=BUCKET, Key="bad.json", Body=b"[{")

    with pytest.raises(RunBatchFailedError, match="FAILED: Invalid JSON format in run configurations"):
        TaskInstance().run(start({"s3UriSettings": f"s3://{BUCKET}/bad.json"}))


def test_a_retry_finds_the_batch_of_the_try_before(start: Start, emulator: Emulator) -> None:
    first = TaskInstance(max_tries=2)
    second = first.retry()

    for ti in (first, second):
        ti.run(start(settings(2), retries=2))

    assert len(emulator.batches) == 1
    assert first.xcom == second.xcom


def test_a_retry_does_not_submit_again_what_is_not_visible_yet(start: Start, emulator: Emulator) -> None:
    first = TaskInstance(max_tries=1)
    first.run(start(settings(2), retries=1, wait_for_completion=False))
    emulator.faults.add(refusal("ResourceNotFoundException"))

    first.retry().run(start(settings(2), retries=1))

    assert not emulator.faults.faults
    assert len(emulator.batches) == 1


@pytest.mark.parametrize(
    "other", [TaskInstance(max_tries=3), TaskInstance(map_index=1), TaskInstance(task_id="joint_calling")]
)
def test_a_clear_or_another_task_instance_starts_a_batch_of_its_own(
    start: Start, emulator: Emulator, other: TaskInstance
) -> None:
    for ti in (TaskInstance(), other):
        ti.run(start(settings(2)))

    assert len(emulator.batches) == 2


def test_a_given_request_id_is_used_as_it_is(start: Start, emulator: Emulator) -> None:
    for task_id in ("one", "other"):
        TaskInstance(task_id=task_id).run(start(settings(2), request_id="night-7"))

    assert len(emulator.batches) == 1
    with pytest.raises(ClientError, match="requestId night-7 was used before with other parameters"):
        emulator.client("omics").start_run_batch(
            requestId="night-7",
            defaultRunSetting=DEFAULT,
            batchRunSettings={"inlineSettings": settings(1)},
        )


def test_run_settings_that_are_there_already_are_not_sent_again(start: Start, emulator: Emulator) -> None:
    emulator.configure(start_run_tps=1000, concurrent_runs=1000)
    s3 = emulator.client("s3")
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})

    for map_index in (0, 1):
        TaskInstance(map_index=map_index).run(start(settings(101), staging_uri=STAGING))

    versions = s3.list_object_versions(Bucket=BUCKET, Prefix="airflow/run-settings/")["Versions"]
    assert len(versions) == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"settings": settings(101)}, "More than 100 run settings .* set staging_uri="),
        ({"settings": settings(2) * 2}, "runSettingId 'S0' is already that of run setting 1"),
        ({"settings": []}, "batch_run_settings is empty"),
        ({"settings": {"inlineSettings": [], "s3UriSettings": "s3://b/k"}}, "exactly one of"),
        (
            {"settings": settings(1), "staging_uri": "bucket/airflow"},
            "staging_uri: 'bucket/airflow' is not of the form",
        ),
        ({"settings": settings(1), "default_run_setting": {"roleArn": "arn:x"}}, "workflowId is missing"),
        ({"settings": settings(1), "request_id": "x" * 129}, "request_id: has 129 characters"),
    ],
)
def test_bad_input_ends_before_anything_is_sent(
    start: Start, emulator: Emulator, arguments: dict[str, Any], told: str
) -> None:
    with pytest.raises(RunSettingsError, match=told):
        TaskInstance().run(start(**arguments))

    assert not emulator.calls
    assert "Contents" not in emulator.client("s3").list_objects_v2(Bucket=BUCKET)


def test_a_bad_row_of_a_sheet_is_named_before_anything_is_sent(
    start: Start, emulator: Emulator, tmp_path: Path
) -> None:
    path = tmp_path / "cohort.csv"
    path.write_text("sample,out\n" + "".join(f"S{n},s3://out/\n" for n in range(15)) + "S15,gs://out/\n")
    sheet = SampleSheet(path, run_setting_id="{sample}", output_uri="{out}")

    with pytest.raises(
        RunSettingsError,
        match=r"^row 17: outputUri must be of the form s3://bucket/prefix/, not 'gs://out/'$",
    ):
        TaskInstance().run(start(sheet))

    assert not emulator.calls


def test_a_dry_run_shows_what_would_be_sent_and_sends_nothing(start: Start, emulator: Emulator) -> None:
    default = {**DEFAULT, "parameters": {"reference": "GRCh38"}}

    with capture_logs() as logged:
        start((s for s in settings(5)), default_run_setting=default).dry_run()

    first = {**default, "parameters": {"reference": "GRCh38", "sample": "S0"}, "runSettingId": "S0"}
    assert f"Would submit 5 runs; the first: {first}" in lines(logged)
    assert not emulator.calls


def test_a_dry_run_checks_the_last_run_setting_as_it_does_the_first(start: Start, emulator: Emulator) -> None:
    with pytest.raises(RunSettingsError, match="outputUri must be of the form"):
        start([*settings(5), {"runSettingId": "S5", "outputUri": "gs://out/"}]).dry_run()

    assert not emulator.calls


def test_what_the_service_refuses_stays_a_client_error(start: Start, emulator: Emulator) -> None:
    with pytest.raises(ClientError, match="ValidationException"):
        TaskInstance().run(start({"s3UriSettings": "s3://no-such-bucket/settings.json"}))


@pytest.fixture(name="no_pauses")
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_omics_batch.run_batch.client.LONGEST_PAUSE", 0.01)


def refusal(error: str, status: int | None = None) -> Fault:
    return Fault(operation="GetBatch", kind="error", error=error, status=status)


PASSING = [
    refusal("ThrottlingException"),
    refusal("InternalServerException"),
    refusal("RequestTimeoutException"),
    refusal("ExpiredTokenException", 403),
    Fault(operation="GetBatch", kind="dropped"),
]

NO_ANSWERS = [
    answer("502 Bad Gateway", b"<html>gateway</html>", **{"Content-Type": "text/html"}),
    answer("200 OK", b"<html>please log in</html>", **{"Content-Type": "text/html"}),
    answer("200 OK", b'{"status": "INPROG', **{"Content-Type": "application/json"}),
]


@pytest.mark.usefixtures("no_pauses")
def test_a_wait_outlasts_whatever_a_network_does(start: Start, emulator: Emulator) -> None:
    ti = TaskInstance()
    emulator.answers["GetBatch"].extend(NO_ANSWERS * 2)
    emulator.faults.add(*PASSING * 2)

    assert ti.run(start(settings(3), staging_uri=STAGING))["runs"]["completed"] == 3
    assert not emulator.answers["GetBatch"]
    assert not emulator.faults.faults
    assert len(emulator.batches) == 1


def test_a_refusal_while_waiting_ends_the_task_and_leaves_the_batch_alone(
    start: Start, emulator: Emulator
) -> None:
    emulator.faults.add(refusal("AccessDeniedException"))

    with pytest.raises(ClientError, match=r"AccessDeniedException.*GetBatch"):
        TaskInstance().run(start(settings(3)))

    assert not any("Cancel" in operation for operation in emulator.calls)


def test_a_lost_answer_to_the_submission_starts_no_second_batch(start: Start, emulator: Emulator) -> None:
    emulator.faults.add(Fault(operation="StartRunBatch", kind="lost_answer"))

    TaskInstance().run(start(settings(3)))

    assert emulator.calls["StartRunBatch"] == 2
    assert len(emulator.batches) == 1


def test_a_submission_that_goes_on_still_is_waited_for_where_its_answer_was_lost(emulator: Emulator) -> None:
    """HealthOmics refuses a second request of the same id until it is done with the first."""
    emulator.faults.add(
        Fault(operation="StartRunBatch", kind="lost_answer"),
        Fault(operation="StartRunBatch", kind="error", error="ConflictException", call=2),
    )
    operator = StartRunBatchOperator(
        task_id="call_variants",
        default_run_setting=DEFAULT,
        batch_run_settings=settings(2),
        wait_for_completion=False,
    )
    ti = TaskInstance()

    ti.run(operator)

    assert emulator.calls["StartRunBatch"] == 3
    assert [batch["id"] for batch in emulator.batches] == ti.xcom["batch_ids"]


def test_ids_that_were_rendered_as_numbers_are_ids(emulator: Emulator) -> None:
    """As in a Dag with render_template_as_native_obj."""
    with DAG("d", schedule=None, render_template_as_native_obj=True) as dag:
        operator = StartRunBatchOperator(
            task_id="call_variants",
            default_run_setting={
                **DEFAULT,
                "workflowId": "{{ number }}",
                "parameters": {"depth": "{{ number }}"},
            },
            batch_run_settings=settings(1),
            batch_name="{{ number }}",
            tags={"night": "{{ number }}"},
            request_id="{{ number }}",
            wait_for_completion=False,
        )
    operator.render_template_fields({"number": 20260101}, dag.get_template_env())

    ti = TaskInstance()
    ti.run(operator)

    batch = emulator.client("omics").get_batch(batchId=ti.xcom["batch_id"])
    assert (batch["name"], batch["tags"]) == ("20260101", {"night": "20260101"})
    assert batch["defaultRunSetting"]["workflowId"] == "20260101"
    assert batch["defaultRunSetting"]["parameters"] == {"depth": 20260101}


def test_the_arguments_of_a_trigger_tell_nothing_but_where_to_look(emulator: Emulator) -> None:
    ti = TaskInstance()
    default = {**DEFAULT, "parameters": {"token": "secret-value"}}
    operator = StartRunBatchOperator(
        task_id="call_variants",
        default_run_setting=default,
        batch_run_settings=settings(1),
        poll_interval=0.05,
        staging_uri=STAGING,
    )

    ti.run(operator)

    assert ti.deferred is not None
    _, arguments = ti.deferred.trigger.serialize()
    assert arguments == {
        "batch_id": ti.xcom["batch_id"],
        "manifest_uri": ti.xcom["manifest_uri"],
        "poll_interval": 0.05,
        "wait_until": "processed",
        "submitted": 1,
        "deadline": None,
        "cancel_on_kill": True,
        "earlier_batch_ids": [],
        "fail_fast_beyond": None,
        "retry_failed": None,
        "every_reason": False,
        "aws_conn_id": "aws_default",
        "region_name": None,
        "verify": None,
        "botocore_config": None,
    }


def test_a_retry_waits_for_its_batch_whatever_it_is_given_now(start: Start, emulator: Emulator) -> None:
    """A sheet that has changed, or has gone, must not be paid for twice."""
    first = TaskInstance(max_tries=2)
    first.state_store = StateStore()
    second = first.retry()

    first.run(start(settings(2), retries=2))
    with capture_logs() as logged:
        second.run(start(SampleSheet("gone.csv", run_setting_id="{sample}"), retries=5))

    assert len(emulator.batches) == 1
    assert second.xcom == first.xcom
    assert any("cannot be submitted" in line["event"] for line in logged)


def test_a_clear_starts_a_new_batch_though_airflow_has_kept_the_old(start: Start, emulator: Emulator) -> None:
    first, cleared = TaskInstance(max_tries=0), TaskInstance(max_tries=1)
    first.state_store = cleared.state_store = StateStore()

    first.run(start(settings(2)))
    cleared.run(start(settings(2)))

    assert len(emulator.batches) == 2


def test_what_airflow_keeps_of_a_batch_never_expires(start: Start, emulator: Emulator) -> None:
    ti = TaskInstance()
    ti.state_store = StateStore()

    ti.run(start(settings(2)))

    assert ti.state_store.retentions == {RUN_BATCHES: NEVER_EXPIRE}


@pytest.fixture(name="little_patience")
def _little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let it take two seconds, not two minutes, to find out that a submission is tried in vain."""
    monkeypatch.setattr("airflow_provider_omics_batch.hooks.omics.PATIENCE", 2)


@pytest.mark.usefixtures("little_patience")
def test_another_input_under_the_same_request_id_is_told_with_the_way_out(emulator: Emulator) -> None:
    def start(count: int) -> StartRunBatchOperator:
        return StartRunBatchOperator(
            task_id="call_variants",
            default_run_setting=DEFAULT,
            batch_run_settings=settings(count),
            wait_for_completion=False,
        )

    TaskInstance().run(start(2))
    with capture_logs() as logged, pytest.raises(ClientError, match="ConflictException"):
        TaskInstance().run(start(3))

    assert any("or clear the task to start a new one" in line["event"] for line in logged)
    assert emulator.calls["StartRunBatch"] == 2
    assert len(emulator.batches) == 1


@pytest.mark.usefixtures("no_pauses")
def test_an_answer_that_is_none_is_asked_for_again(start: Start, emulator: Emulator) -> None:
    emulator.answers["StartRunBatch"].append(
        answer("200 OK", b"<html>please log in</html>", **{"Content-Type": "text/html"})
    )

    TaskInstance().run(start(settings(2)))

    assert len(emulator.batches) == 1


def test_a_manifest_that_cannot_be_written_costs_only_itself(start: Start, emulator: Emulator) -> None:
    ti = TaskInstance()

    ti.run(start(settings(2), staging_uri="s3://no-such-bucket/"))

    assert ti.xcom["manifest_uri"] is None
    assert list(ti.xcom["run_ids"]) == ["S0", "S1"]


def test_a_permission_that_is_missing_while_waiting_is_named(start: Start, emulator: Emulator) -> None:
    emulator.faults.add(refusal("AccessDeniedException"))

    with capture_logs() as logged, pytest.raises(ClientError, match="AccessDeniedException"):
        TaskInstance().run(start(settings(2)))

    assert any(line["event"] == "The caller needs omics:GetBatch" for line in logged)


@pytest.mark.usefixtures("little_patience")
def test_missing_credentials_are_told_at_once(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = json.loads(os.environ["AIRFLOW_CONN_AWS_DEFAULT"])
    del connection["login"], connection["password"]
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    attempts, submit = [], OmicsHook._start

    def noted(hook: OmicsHook, request: dict[str, Any]) -> Any:
        attempts.append(request)
        return submit(hook, request)

    monkeypatch.setattr(OmicsHook, "_start", noted)

    with pytest.raises(NoCredentialsError):
        TaskInstance().run(start(settings(1)))

    assert len(attempts) == 1


@pytest.mark.parametrize(
    "left", [b"", b'{"run_setting_id": "S0", "run_id": "1", "submission_status": "SUCCESS"}\n{"run']
)
def test_a_manifest_that_is_not_whole_is_not_taken_for_the_mapping(
    start: Start, emulator: Emulator, monkeypatch: pytest.MonkeyPatch, left: bytes
) -> None:
    ti = TaskInstance()
    operator = start(settings(3), staging_uri=STAGING)
    complete = operator.execute_complete

    def cut(context: Any, event: dict[str, Any]) -> Any:
        key = event["manifest_uri"].removeprefix(f"s3://{BUCKET}/")
        emulator.client("s3").put_object(Bucket=BUCKET, Key=key, Body=left)
        return complete(context, event)

    monkeypatch.setattr(operator, "execute_complete", cut)

    ti.run(operator)

    assert list(ti.xcom["run_ids"]) == ["S0", "S1", "S2"]

"""The control of a running emulator, as Python meets it over HTTP."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from airflow_provider_omics_batch.emulator import Control, FailureRule, Fault
from airflow_provider_omics_batch.emulator.server.calls import MOST_BYTES, MOST_CALLS, Call, CallLog
from tests.integration.conftest import BUCKET, Emulator

DEFAULT = {
    "workflowId": "1234567",
    "roleArn": "arn:aws:iam::123456789012:role/omics",
    "outputUri": f"s3://{BUCKET}/out/",
}


@pytest.fixture(name="control")
def _control(server: Emulator) -> Any:
    """Control an emulator as it is at its start."""
    control = Control(server.url)
    control.reset()
    yield control
    control.reset()


@pytest.fixture(name="omics")
def _omics(server: Emulator) -> Any:
    client = server.client("omics", retries={"total_max_attempts": 1})
    yield client
    client.close()


def start(omics: Any, *run_setting_ids: str) -> Any:
    settings = [{"runSettingId": each} for each in run_setting_ids]
    return omics.start_run_batch(defaultRunSetting=DEFAULT, batchRunSettings={"inlineSettings": settings})


def status(omics: Any, batch: Any) -> str:
    return str(omics.get_batch(batchId=batch["id"])["status"])


def test_time_stands_still_until_it_is_moved(control: Control, omics: Any) -> None:
    stopped = control.set_speed(0)
    batch = start(omics, "a")

    assert stopped.speed == 0
    assert control.clock() == stopped
    assert omics.get_batch(batchId=batch["id"])["creationTime"] == stopped.now
    assert status(omics, batch) == "CREATING"
    control.advance(5)
    assert status(omics, batch) == "PENDING"
    moved = control.advance(36_000)
    assert status(omics, batch) == "PROCESSED"
    assert moved.now - stopped.now == timedelta(seconds=36_005)


def test_a_rule_hears_what_happens_from_when_it_is_made_until_it_is_disabled(
    control: Control, omics: Any, server: Emulator
) -> None:
    sqs, events = server.client("sqs"), server.client("events")
    with closing(sqs), closing(events):
        control.set_speed(0)
        start(omics, "a")
        control.advance(7)
        queue = sqs.create_queue(QueueName="batches")["QueueUrl"]
        pattern = {"source": ["aws.omics"], "detail-type": ["RunBatch Status Change"]}
        events.put_rule(Name="batches", EventPattern=json.dumps(pattern))
        target = {"Id": "queue", "Arn": "arn:aws:sqs:us-east-1:123456789012:batches"}
        events.put_targets(Rule="batches", Targets=[target])
        control.advance(9)
        events.disable_rule(Name="batches")
        control.advance(4000)
        events.enable_rule(Name="batches")
        messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])

        told = [json.loads(each["Body"])["detail"]["status"] for each in messages]
        assert told == ["SUBMITTING", "INPROGRESS"]


def test_time_runs_as_fast_as_told(control: Control) -> None:
    begin = control.set_speed(1e9).now

    assert control.clock().now - begin > timedelta(days=1)


def test_a_setting_may_be_a_fraction_after_it_was_whole(control: Control) -> None:
    control.configure(start_run_tps=100)

    assert control.configure(start_run_tps=2.5)["start_run_tps"] == 2.5


@pytest.mark.parametrize("seconds", [1e12, 10**400])
def test_a_leap_beyond_all_time_changes_nothing(control: Control, seconds: float) -> None:
    stopped = control.set_speed(0)

    with pytest.raises(ValueError, match=r"time ends|too large"):
        control.advance(seconds)

    assert control.clock() == stopped


def test_settings_change_for_all_accounts_and_regions(control: Control, server: Emulator, omics: Any) -> None:
    control.set_speed(0)
    omics.list_batch()

    settings = control.configure(run_seconds=7, fail_submissions=1, concurrent_runs=2)

    assert control.settings() == settings
    assert (settings["run_seconds"], settings["fail_submissions"], settings["concurrent_runs"]) == (7, 1, 2)
    assert settings["start_run_tps"] == 5
    batch = start(omics, "a")
    control.advance(3600)
    summary = omics.get_batch(batchId=batch["id"])["submissionSummary"]
    assert summary["failedStartSubmissionCount"] == 1


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"run_second": 5}, "there is no setting 'run_second'; settings: .*run_seconds"),
        ({"failures": []}, "there is no setting 'failures'"),
        ({"run_seconds": "5"}, 'run_seconds must be such as 1800.0, not "5"'),
        ({"concurrent_runs": 5.5}, "concurrent_runs must be such as 50, not 5.5"),
        ({"concurrent_runs": True}, "concurrent_runs must be such as 50, not true"),
        ({"fail_runs": 2}, "fail_runs must lie between 0 and 1"),
        ({"run_seconds": 10**400}, "too large"),
    ],
    ids=str,
)
def test_settings_that_make_no_sense_are_refused(
    control: Control, change: dict[str, Any], complaint: str
) -> None:
    before = control.settings()

    with pytest.raises(ValueError, match=complaint):
        control.configure(**change)

    assert control.settings() == before


@pytest.mark.parametrize(
    "move",
    [
        lambda control: control.set_speed(-1),
        lambda control: control.set_speed("fast"),
        lambda control: control.advance(-1),
        lambda control: control.advance(True),
        lambda control: control._call("POST", "clock/advance", {"minutes": 1}),
        lambda control: control._call("POST", "clock/advance", []),
        lambda control: control._call("POST", "clock/advance", "{"),
    ],
)
def test_a_move_of_the_clock_that_makes_no_sense_is_refused(control: Control, move: Any) -> None:
    with pytest.raises(ValueError, match=r"speed|backwards|seconds|object|JSON"):
        move(control)


def test_runs_fail_by_rule(control: Control, omics: Any) -> None:
    control.set_speed(0)
    rules = [
        FailureRule(reason="EXPORT_FAILED", run_setting_id="b"),
        FailureRule(reason="UNSUPPORTED_GPU_INSTANCE_TYPE"),
    ]
    control.add_failures(rules[0])
    control.add_failures(rules[1])
    assert control.failures() == rules
    batch = start(omics, "a", "b")
    control.advance(36_000)
    runs = omics.list_runs_in_batch(batchId=batch["id"])["runs"]

    reasons = [omics.get_run(id=run["runId"])["failureReason"] for run in runs]

    assert reasons == ["UNSUPPORTED_GPU_INSTANCE_TYPE", "EXPORT_FAILED"]
    control.clear_failures()
    assert control.failures() == []


def test_faults_go_over_http(control: Control, omics: Any) -> None:
    fault = Fault(operation="ListBatch", kind="error", error="ThrottlingException", times=2)
    control.add_faults(fault)
    assert control.faults() == [fault]

    with pytest.raises(omics.exceptions.ThrottlingException):
        omics.list_batch()

    [left] = control.faults()
    assert left.times == 1
    control.clear_faults()
    assert control.faults() == []
    assert control.calls() == {"ListBatch": 1}


def test_a_batch_whose_first_answer_was_lost_may_fail_at_the_repetition(
    control: Control, server: Emulator
) -> None:
    control.set_speed(0)
    control.add_faults(
        Fault(operation="StartRunBatch", kind="lost_answer"),
        Fault(operation="StartRunBatch", kind="failed_batch", submissions=1),
    )
    omics = server.client("omics")
    batch = start(omics, "a", "b")
    control.advance(10_000)

    answer = omics.get_batch(batchId=batch["id"])
    assert answer["status"] == "FAILED"
    assert answer["submissionSummary"]["successfulStartSubmissionCount"] == 1


def test_calls_are_logged_with_parameters_time_and_status(
    control: Control, server: Emulator, omics: Any
) -> None:
    now = control.set_speed(0).now
    control.add_faults(
        Fault(operation="GetBatch", kind="dropped"),
        Fault(operation="ListBatch", kind="error", error="ThrottlingException"),
    )
    batch = start(omics, "a")
    control.advance(60)
    for call in (
        lambda: omics.get_batch(batchId=batch["id"]),
        lambda: omics.get_batch(batchId="7"),
        lambda: omics.list_batch(status="FAILED", maxItems=3),
    ):
        with pytest.raises(Exception, match=r"(?i)closed|exist|told"):
            call()
    with pytest.raises(ClientError, match="NoSuchBucket"):
        server.client("s3").get_object(Bucket="nowhere", Key="a/b")

    log = control.log()

    assert [(call.operation, call.status) for call in log] == [
        ("StartRunBatch", 201),
        ("GetBatch", None),
        ("GetBatch", 404),
        ("ListBatch", 429),
        ("GetObject", 404),
    ]
    assert log[0].parameters["batchRunSettings"] == {"inlineSettings": [{"runSettingId": "a"}]}
    assert log[0].parameters["defaultRunSetting"] == DEFAULT
    assert [call.parameters for call in log[1:]] == [
        {"batchId": batch["id"]},
        {"batchId": "7"},
        {"status": "FAILED", "maxItems": 3},
        {"Bucket": "nowhere", "Key": "a/b"},
    ]
    assert [(call.time - now).seconds for call in log] == [0, 60, 60, 60, 60]


def test_the_log_forgets_the_oldest_calls_when_they_become_too_large() -> None:
    log, time = CallLog(), datetime.now(UTC)
    for number in range(5):
        call = Call(operation=f"Operation{number}", parameters={}, time=time)
        log.note(call, MOST_BYTES // 2)
    for _ in range(MOST_CALLS - 1):
        log.note(Call(operation="Small", parameters={}, time=time), 0)

    operations = [call.operation for call in log.calls()]

    assert len(operations) == MOST_CALLS
    assert operations[:2] == ["Operation4", "Small"]


def test_a_reset_brings_back_the_beginning(control: Control, omics: Any) -> None:
    settings, speed = control.settings(), control.clock().speed
    control.set_speed(0)
    control.advance(1e6)
    control.configure(fail_runs=1, seed=7)
    control.add_failures(FailureRule(reason="UNSUPPORTED_GPU_INSTANCE_TYPE"))
    control.add_faults(Fault(operation="GetBatch", kind="dropped"))
    start(omics, "a")

    control.reset()

    assert control.settings() == settings
    assert control.clock().speed == speed
    assert (control.failures(), control.faults(), control.log(), control.calls()) == ([], [], [], {})
    assert omics.list_batch()["items"] == []


def test_a_route_that_is_not_there_is_named(control: Control) -> None:
    with pytest.raises(ValueError, match="There is no PUT /moto-api/omics/clock"):
        control._call("PUT", "clock")

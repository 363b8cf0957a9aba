"""Events in moto's EventBridge."""

from __future__ import annotations

import json

import boto3
import pytest

from airflow_provider_omics_batch.emulator import omics_backends
from airflow_provider_omics_batch.emulator.resources.events import Herald

REGION = "eu-west-1"


@pytest.fixture(scope="module", name="events_client")
def _events_client():
    session = boto3.Session("any", "any", region_name=REGION)
    clients = session.client("events"), session.client("sqs")
    yield clients
    for client in clients:
        client.close()


@pytest.fixture(name="listen")
def _listen(events_client):
    """Make a rule with a queue as its target, and give what reads the queue."""
    events, sqs = events_client

    def listen(**pattern):
        queue = sqs.create_queue(QueueName="events")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        events.put_rule(Name="omics", EventPattern=json.dumps({"source": ["aws.omics"], **pattern}))
        events.put_targets(Rule="omics", Targets=[{"Id": "queue", "Arn": arn}])

        def received():
            found = []
            while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
                found += [json.loads(message["Body"]) for message in messages]
                for message in messages:
                    sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            return found

        return received

    return listen


@pytest.fixture(name="batch_events")
def _batch_events(listen):
    return lambda: listen(**{"detail-type": ["RunBatch Status Change"]})


def statuses(events):
    return [event["detail"]["status"] for event in events]


def test_each_status_of_a_batch_is_told_once(batch_events, start, omics, clock):
    received = batch_events()
    batch = start(3)
    for _ in range(40):
        clock.advance(1)
        omics.get_batch(batchId=batch)
    omics.delete_run_batch(batchId=batch)
    clock.advance(10)
    omics.list_batch()

    assert statuses(received()) == [
        *("CREATING", "PENDING", "SUBMITTING", "INPROGRESS", "PROCESSED", "RUNS_DELETING", "RUNS_DELETED")
    ]


@pytest.mark.parametrize("kind", [{"prefix": "RunBatch"}, {"anything-but": "Run Status Change"}])
def test_a_rule_may_describe_the_kinds_of_events(listen, start, omics, clock, kind):
    received = listen(**{"detail-type": [kind]})
    start(1)
    clock.advance(10_000)
    omics.list_batch()

    assert statuses(received())[-1] == "PROCESSED"


@pytest.mark.parametrize(
    ("source", "heard"),
    [
        (["my.app"], False),
        (["my.app", "aws.omics"], True),
        ([{"prefix": "aws."}], True),
        (["my.app", {"prefix": "aws."}], True),
    ],
)
def test_events_are_made_for_rules_that_want_their_source(listen, start, omics, clock, source, heard):
    received = listen(source=source)
    start(1)
    clock.advance(10_000)
    omics.list_batch()

    assert Herald("123456789012", REGION).is_heard() is heard
    assert ("COMPLETED" in statuses(received())) is heard


def test_what_has_passed_unseen_is_told_later_with_its_own_time(batch_events, start, omics, clock):
    received = batch_events()
    begin = clock.now
    start(3)
    clock.advance(5000)
    omics.list_batch()
    events = received()

    assert statuses(events) == ["CREATING", "PENDING", "SUBMITTING", "INPROGRESS", "PROCESSED"]
    assert begin == 1_800_000_000
    assert [event["time"] for event in events[:3]] == [
        *("2027-01-15T08:00:00Z", "2027-01-15T08:00:05Z", "2027-01-15T08:00:10Z")
    ]


def test_a_new_rule_hears_nothing_of_the_past(batch_events, start, clock):
    start(3)
    clock.advance(4000)
    received = batch_events()
    omics_backends["123456789012"][REGION].send_events()

    assert received() == []


def test_a_rule_hears_nothing_of_what_happens_while_it_is_disabled(
    batch_events, events_client, start, omics, clock
):
    received, (events, _) = batch_events(), events_client
    start(1)
    clock.advance(7)
    omics.list_batch()
    events.disable_rule(Name="omics")
    start(1)
    clock.advance(4000)
    events.enable_rule(Name="omics")
    omics.list_batch()
    assert statuses(received()) == ["CREATING", "PENDING"]

    start(1)
    clock.advance(4000)
    omics_backends["123456789012"][REGION].send_events()
    assert statuses(received()) == ["CREATING", "PENDING", "SUBMITTING", "INPROGRESS", "PROCESSED"]


def test_a_second_rule_hears_less_than_the_first(batch_events, events_client, start, omics, clock):
    received, (events, sqs) = batch_events(), events_client
    start(1)
    clock.advance(7)
    queue = sqs.create_queue(QueueName="later")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name="later", EventPattern=json.dumps({"source": ["aws.omics"]}))
    events.put_targets(Rule="later", Targets=[{"Id": "queue", "Arn": arn}])
    omics.list_batch()
    clock.advance(1)
    start(1)
    omics.list_batch()

    assert statuses(received()) == ["CREATING", "PENDING", "CREATING"]
    [message] = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
    assert json.loads(message["Body"])["detail"]["status"] == "CREATING"


def test_an_event_of_a_batch_is_as_documented(batch_events, start, omics, clock, configure):
    configure(fail_runs=0.5)
    received = batch_events()
    default = {"workflowVersionName": "1.1", "cacheId": "55", "cacheBehavior": "CACHE_ON_FAILURE"}
    batch = start(
        [{"runSettingId": "a"}, {"runSettingId": "b", "parameters": "none"}], default, batchName="cohort"
    )
    clock.advance(500)
    found = omics.get_batch(batchId=batch)
    event = received()[-1]

    assert (event["source"], event["detail-type"]) == ("aws.omics", "RunBatch Status Change")
    assert (event["account"], event["region"]) == ("123456789012", REGION)
    assert event["resources"] == [found["arn"]]
    base = "arn:aws:omics:eu-west-1:123456789012"
    failed = found["runSummary"]["failedRunCount"]
    assert event["detail"] == {
        "omicsVersion": "1.0.0",
        "arn": found["arn"],
        "batchId": batch,
        "status": "PROCESSED",
        "uuid": found["uuid"],
        "batchName": "cohort",
        "totalRuns": "2",
        "successfulStartSubmissionCount": "1",
        "failedStartSubmissionCount": "1",
        "pendingStartSubmissionCount": "0",
        "pendingRunCount": "0",
        "startingRunCount": "0",
        "runningRunCount": "0",
        "stoppingRunCount": "0",
        "completedRunCount": str(1 - failed),
        "failedRunCount": str(failed),
        "cancelledRunCount": "0",
        "deletedRunCount": "0",
        "workflowId": "1234567",
        "workflowArn": f"{base}:workflow/1234567",
        "workflowVersionArn": f"{base}:workflow/1234567/version/1.1",
        "runCache": f"{base}:runCache/55",
        "runCacheBehavior": "CACHE_ON_FAILURE",
    }


def test_a_batch_that_failed_gives_its_reason(batch_events, start, omics, clock):
    received = batch_events()
    batch = start([{"runSettingId": "a"}, {"runSettingId": "a"}])
    clock.advance(500)
    arn = omics.get_batch(batchId=batch)["arn"]
    *before, failed = received()

    assert statuses(before) == ["CREATING", "PENDING"]
    assert failed["detail"] == {
        "omicsVersion": "1.0.0",
        "arn": arn,
        "batchId": batch,
        "status": "FAILED",
        "failureReason": "VALIDATION_EXCEPTION",
        "failureMessage": "Expected 2 unique runSettingIds but there were 1",
    }


def test_a_cancelled_batch_is_told_at_once(batch_events, start, omics, clock):
    received = batch_events()
    batch = start(3)
    clock.advance(12)
    omics.cancel_run_batch(batchId=batch)
    omics.get_batch(batchId=batch)
    assert statuses(received()) == ["CREATING", "PENDING", "SUBMITTING", "STOPPING"]

    clock.advance(100)
    omics.get_batch(batchId=batch)
    assert statuses(received()) == ["CANCELLED"]


def test_each_status_of_each_run_is_told_once(listen, start, omics, clock, configure):
    configure(concurrent_runs=1)
    received = listen(**{"detail-type": ["Run Status Change"]})
    batch = start(3)
    for _ in range(100):
        clock.advance(0.7)
        omics.get_batch(batchId=batch)
    runs = omics.list_runs()["items"]
    omics.delete_run(id=runs[0]["id"])
    omics.get_batch(batchId=batch)
    events = received()

    for run in runs:
        of_run = [event for event in events if event["detail"]["runId"] == run["id"]]
        deleted = ["DELETED"] if run is runs[0] else []
        assert statuses(of_run) == ["PENDING", "STARTING", "RUNNING", "STOPPING", "COMPLETED", *deleted]
        assert of_run[0]["resources"] == [run["arn"]]


def test_a_batch_is_over_after_its_last_run(listen, start, omics, clock):
    received = listen()
    batch = start(3)
    clock.advance(500)
    omics.get_batch(batchId=batch)
    told = [(event["detail"]["status"], "runId" in event["detail"]) for event in received()]

    assert told[-1] == ("PROCESSED", False)
    assert told[-2] == ("COMPLETED", True)
    assert (
        told.index(("INPROGRESS", False))
        > [n for n, each in enumerate(told) if each == ("PENDING", True)][-1]
    )


def test_an_event_of_a_run_is_as_documented(listen, omics, default, clock):
    received = listen(**{"detail-type": ["Run Status Change"]})
    workflow = omics.create_workflow(name="variants", definitionZip=b"zip")["id"]
    clock.advance(10)
    started = omics.start_run(**{**default, "workflowId": workflow}, name="one")
    omics.get_run(id=started["id"])
    event = received()[0]

    assert event["detail"] == {
        "omicsVersion": "1.0.0",
        "arn": started["arn"],
        "status": "PENDING",
        "uuid": started["uuid"],
        "runId": started["id"],
        "runName": "one",
        "runOutputUri": started["runOutputUri"],
        "workflowId": workflow,
        "workflowName": "variants",
    }


def test_a_run_that_was_cancelled_while_starting_was_never_running(listen, omics, default, clock):
    received = listen(**{"detail-type": ["Run Status Change"]})
    run = omics.start_run(**default)["id"]
    clock.advance(0.5)
    omics.cancel_run(id=run)
    clock.advance(100)
    omics.get_run(id=run)

    assert statuses(received()) == ["PENDING", "STARTING", "STOPPING", "CANCELLED"]


def test_a_rule_chooses_by_status(listen, start, omics, clock):
    received = listen(detail={"status": ["PROCESSED", "FAILED", "CANCELLED"]})
    start(2)
    clock.advance(500)
    omics.list_batch()

    assert [event["detail-type"] for event in received()] == ["RunBatch Status Change"]

"""The emulator as a process, over HTTP."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import ClientError


def until(look, wanted, seconds=120):
    """Ask again and again until the answer is as wanted."""
    deadline = time.monotonic() + seconds
    while (answer := look()) != wanted:
        assert time.monotonic() < deadline, f"still {answer}"
        time.sleep(0.05)


def inline(count):
    return {"inlineSettings": [{"runSettingId": f"run-{i}"} for i in range(count)]}


def test_a_cohort_goes_through_from_s3(omics, client, bucket, default):
    """3,202 runs from a settings file, polled to the end, then mapped to their run ids."""
    settings = [{"runSettingId": f"HG{i:05}", "parameters": {"cram": f"s3://c/{i}"}} for i in range(3202)]
    client("s3").put_object(Bucket=bucket, Key="cohort.json", Body=json.dumps(settings))
    batch = omics.start_run_batch(
        defaultRunSetting=default, batchRunSettings={"s3UriSettings": f"s3://{bucket}/cohort.json"}
    )["id"]
    until(lambda: omics.get_batch(batchId=batch)["submissionSummary"]["pendingStartSubmissionCount"], 0)
    pages = omics.get_paginator("list_runs_in_batch").paginate(batchId=batch)
    mapping = {run["runSettingId"]: run["runId"] for page in pages for run in page["runs"]}

    assert list(mapping) == [entry["runSettingId"] for entry in settings]
    assert len(set(mapping.values())) == 3202
    omics.cancel_run_batch(batchId=batch)
    until(lambda: omics.get_batch(batchId=batch)["status"], "CANCELLED")


def test_a_small_batch_is_processed(omics, default):
    batch = omics.start_run_batch(defaultRunSetting=default, batchRunSettings=inline(5))["id"]
    until(lambda: omics.get_batch(batchId=batch)["status"], "PROCESSED")

    assert omics.get_batch(batchId=batch)["runSummary"]["completedRunCount"] == 5
    assert len(omics.list_runs(batchId=batch, status="COMPLETED")["items"]) == 5
    assert omics.delete_run_batch(batchId=batch)["ResponseMetadata"]["HTTPStatusCode"] == 202
    until(lambda: omics.get_batch(batchId=batch)["status"], "RUNS_DELETED")
    assert omics.delete_batch(batchId=batch)["ResponseMetadata"]["HTTPStatusCode"] == 202
    with pytest.raises(omics.exceptions.ResourceNotFoundException):
        omics.get_batch(batchId=batch)


def test_s3_and_sts_are_on_the_same_port(client, bucket):
    client("s3").put_object(Bucket=bucket, Key="runBatch/x", Body=b"hello")

    assert client("s3").get_object(Bucket=bucket, Key="runBatch/x")["Body"].read() == b"hello"
    assert client("sts").get_caller_identity()["Account"] == "123456789012"


def test_errors_are_modelled(omics, default):
    with pytest.raises(omics.exceptions.ValidationException):
        omics.start_run_batch(
            defaultRunSetting={**default, "workflowType": "READY2RUN"}, batchRunSettings=inline(1)
        )
    batch = omics.start_run_batch(
        requestId="modelled", defaultRunSetting=default, batchRunSettings=inline(1)
    )["id"]
    with pytest.raises(omics.exceptions.ConflictException):
        omics.start_run_batch(requestId="modelled", defaultRunSetting=default, batchRunSettings=inline(2))
    until(lambda: omics.get_batch(batchId=batch)["status"], "PROCESSED")
    with pytest.raises(omics.exceptions.ConflictException):
        omics.cancel_run_batch(batchId=batch)


def test_simultaneous_starts_with_one_request_id_give_one_batch(omics, default):
    def start(_):
        return omics.start_run_batch(
            requestId="at once", defaultRunSetting=default, batchRunSettings=inline(50)
        )["id"]

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(start, range(32)))) == 1


async def test_aiobotocore_starts_and_follows_a_batch(arguments, default):
    config = AioConfig(inject_host_prefix=False)
    async with get_session().create_client("omics", config=config, **arguments) as omics:
        started = await omics.start_run_batch(defaultRunSetting=default, batchRunSettings=inline(3))
        answer = await omics.get_batch(batchId=started["id"])
        pages = omics.get_paginator("list_batch").paginate(PaginationConfig={"PageSize": 1})
        listed = [item["id"] async for page in pages for item in page["items"]]
        with pytest.raises(omics.exceptions.ResourceNotFoundException):
            await omics.get_batch(batchId="7")

    assert answer["totalRuns"] == 3
    assert listed[0] == started["id"]


def send(url, method="GET", body=None, **headers):
    """Send an unsigned request; give status, headers and body."""
    request = Request(url, data=body, method=method, headers=headers)  # noqa: S310
    try:
        with urlopen(request) as answer:  # noqa: S310
            return answer.status, answer.headers, answer.read()
    except HTTPError as error:
        with error:
            return error.code, error.headers, error.read()


def test_unsigned_requests_are_answered(url, default):
    """As curl sends them: no signature, and every body called a form."""
    body = json.dumps(
        {"requestId": "u", "defaultRunSetting": default, "batchRunSettings": inline(1)}
    ).encode()
    status, _, answer = send(f"{url}/runBatch", "POST", body)
    batch = json.loads(answer)

    assert (status, batch["status"]) == (201, "CREATING")
    assert json.loads(send(f"{url}/runBatch/{batch['id']}")[2])["totalRuns"] == 1
    assert send(f"{url}/runBatch?maxItems=1")[0] == 200
    assert send(f"{url}/runBatch/{batch['id']}/run")[0] == 200
    assert send(f"{url}/run")[0] == 200
    assert send(f"{url}/run/1")[0] == 404
    assert send(f"{url}/runBatch/cancel", "POST", b'{"batchId": "1"}')[0] == 404


def test_other_unsigned_requests_go_to_s3(url, client, bucket):
    client("s3").put_object(Bucket=bucket, Key="open", Body=b"hello", ACL="public-read")

    assert send(f"{url}/{bucket}/open")[2] == b"hello"


def test_a_host_prefix_does_no_harm(url):
    assert send(f"{url}/runBatch", Host="workflows-127.0.0.1")[0] == 200


def test_the_last_delete_answers_with_an_empty_body(url, omics, default):
    batch = omics.start_run_batch(defaultRunSetting=default, batchRunSettings=inline(1))["id"]
    until(lambda: omics.get_batch(batchId=batch)["status"], "PROCESSED")

    status, headers, body = send(f"{url}/runBatch/{batch}", "DELETE")

    assert (status, body) == (202, b"")
    # A page of a proxy would be HTML.
    assert headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("method", "path", "body", "code", "name"),
    [
        ("POST", "/runBatch", b"{", 400, "SerializationException"),
        ("POST", "/runBatch", b"\xff", 400, "SerializationException"),
        ("POST", "/runBatch", b"[]", 400, "SerializationException"),
        ("POST", "/runBatch", b'{"defaultRunSetting": 5}', 400, "SerializationException"),
        ("POST", "/runBatch", b'{"requestId": 5}', 400, "SerializationException"),
        ("POST", "/runBatch", b"{}", 400, "ValidationException"),
        ("POST", "/runBatch", b"", 400, "ValidationException"),
        ("GET", "/runBatch?maxItems=many", None, 400, "SerializationException"),
        ("GET", "/runBatch/cancel", None, 400, "ValidationException"),
        ("POST", "/run", b"{}", 400, "ValidationException"),
        ("POST", "/run/5/cancel", b"", 404, "ResourceNotFoundException"),
    ],
)
def test_a_raw_request_is_answered_in_json(url, method, path, body, code, name):
    status, headers, answer = send(url + path, method, body)

    assert (status, headers["x-amzn-ErrorType"]) == (code, name)
    assert headers["Content-Type"] == "application/json"
    assert json.loads(answer)["message"]


def test_an_operation_that_is_not_there_is_named(omics):
    with pytest.raises(ClientError, match=r"NotImplementedException.*ListReferenceStores"):
        omics.list_reference_stores()


def test_reset_clears_the_batches_and_keeps_the_options(command):
    """A reset brings back what the command line has set, not the defaults."""
    options = ["--port", "0", "--fail-submissions", "1", "--speed", "100000"]
    process = subprocess.Popen(command + options, stdout=subprocess.PIPE, text=True)  # noqa: S603
    try:
        url = process.stdout.readline().split()[-1]
        body = {"requestId": "1", "batchRunSettings": inline(1)}
        body["defaultRunSetting"] = {"workflowId": "1", "roleArn": "arn:x", "outputUri": "s3://a/b"}
        for _ in range(2):
            batch = json.loads(send(f"{url}/runBatch", "POST", json.dumps(body).encode())[2])["id"]
            look = lambda: json.loads(send(f"{url}/runBatch/{batch}")[2])  # noqa: B023, E731
            until(lambda: look()["status"], "PROCESSED")  # noqa: B023
            assert look()["submissionSummary"]["failedStartSubmissionCount"] == 1
            send(f"{url}/moto-api/reset", "POST", b"")
            assert json.loads(send(f"{url}/runBatch")[2])["items"] == []
    finally:
        process.terminate()
        process.communicate(timeout=60)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_server_quietly(command, number):
    process = subprocess.Popen(  # noqa: S603
        [*command, "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    url = process.stdout.readline().split()[-1]
    send(f"{url}/runBatch")
    process.send_signal(number)
    output, errors = process.communicate(timeout=60)

    assert (process.returncode, output, errors) == (0, "", "")


def test_a_taken_port_ends_with_one_line(command):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(  # noqa: S603
            [*command, "--port", str(port)], capture_output=True, text=True, timeout=120, check=False
        )

    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == f"cannot listen on 127.0.0.1:{port}: Address already in use\n"


@pytest.mark.parametrize(
    ("option", "value", "complaint"),
    [
        ("--fail-runs", "1.1", "must be between 0 and 1, not 1.1"),
        ("--fail-runs", "-0.1", "must be between 0 and 1, not -0.1"),
        ("--fail-runs", "nan", "must be a number, not nan"),
        ("--fail-submissions", "2", "must be between 0 and 1, not 2"),
        ("--speed", "-1", "must be 0 or greater, not -1"),
        ("--speed", "quick", "must be a number, not quick"),
        ("--start-run-tps", "0", "must be greater than 0, not 0"),
        ("--run-seconds", "-1", "must be 0 or greater, not -1"),
        ("--run-seconds", "inf", "must be a number, not inf"),
        ("--concurrent-runs", "0", "must be 1 or greater, not 0"),
        ("--concurrent-runs", "1.5", "must be a whole number, not 1.5"),
        ("--port", "65536", "must be between 0 and 65535, not 65536"),
        ("--seed", "x", "must be a whole number, not x"),
    ],
)
def test_a_bad_value_is_refused(option, value, complaint, capsys):
    from airflow_provider_omics_batch.emulator.__main__ import main

    with pytest.raises(SystemExit) as caught:
        main([option, value])

    assert caught.value.code == 2
    assert capsys.readouterr().err.endswith(f"error: argument {option}: {complaint}\n")


def test_an_option_that_is_not_there_is_refused(capsys):
    from airflow_provider_omics_batch.emulator.__main__ import main

    with pytest.raises(SystemExit) as caught:
        main(["--spede", "1"])

    assert caught.value.code == 2
    assert "--spede" in capsys.readouterr().err


def test_many_clients_are_served_at_the_same_time(url):
    with ThreadPoolExecutor(16) as pool:
        statuses = set(pool.map(lambda _: send(f"{url}/runBatch")[0], range(200)))

    assert statuses == {200}
    assert threading.active_count() < 50


async def test_a_thousand_clients_are_answered_at_the_same_time(arguments, default):
    # One attempt each: none is to be refused, also for a moment.
    config = AioConfig(inject_host_prefix=False, max_pool_connections=1000, retries={"total_max_attempts": 1})
    async with get_session().create_client("omics", config=config, **arguments) as omics:
        batch = await omics.start_run_batch(
            requestId="a thousand look",
            defaultRunSetting=default,
            batchRunSettings={"inlineSettings": [{"runSettingId": "a"}]},
        )

        answers = await asyncio.gather(*(omics.get_batch(batchId=batch["id"]) for _ in range(1000)))

    assert {answer["id"] for answer in answers} == {batch["id"]}


def test_a_queue_receives_what_becomes_of_a_batch(client, omics, default):
    """Nobody calls HealthOmics meanwhile."""
    sqs, events = client("sqs"), client("events")
    queue = sqs.create_queue(QueueName="batches")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = {"source": ["aws.omics"], "detail-type": ["RunBatch Status Change"]}
    events.put_rule(Name="batches", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="batches", Targets=[{"Id": "queue", "Arn": arn}])
    batch = omics.start_run_batch(defaultRunSetting=default, batchRunSettings=inline(2))["id"]
    told = []

    def receive():
        answer = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
        details = (json.loads(message["Body"])["detail"] for message in answer.get("Messages", ()))
        told.extend(detail["status"] for detail in details if detail["batchId"] == batch)
        return told

    until(receive, ["CREATING", "PENDING", "SUBMITTING", "INPROGRESS", "PROCESSED"])
    events.remove_targets(Rule="batches", Ids=["queue"])


def test_tags_and_workflows_are_reached_over_http_too(omics, url):
    workflow = omics.create_workflow(definitionZip=b"zip", tags={"team": "a"})
    omics.tag_resource(resourceArn=workflow["arn"], tags={"cost": "7"})

    assert omics.get_workflow(id=workflow["id"])["tags"] == {"team": "a", "cost": "7"}
    for path in (f"/workflow/{workflow['id']}", f"/tags/{quote(workflow['arn'], safe='')}"):
        status, _, answer = send(url + path, "GET", None)
        assert (status, json.loads(answer)["tags"]) == (200, {"team": "a", "cost": "7"})

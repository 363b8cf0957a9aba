"""Faults over HTTP, as boto3 meets them."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from airflow_provider_omics_batch.emulator import Fault
from tests.integration.conftest import BUCKET, Emulator

BATCH = {
    "defaultRunSetting": {
        "workflowId": "1234567",
        "roleArn": "arn:aws:iam::123456789012:role/omics",
        "outputUri": f"s3://{BUCKET}/out/",
    },
    "batchRunSettings": {"inlineSettings": [{"runSettingId": f"run-{i}"} for i in range(3)]},
}
TRANSIENT = "There was a transient error in the service. Retry the batch."

Send = Callable[..., tuple[int, Any]]


@pytest.fixture(name="omics")
def _omics(emulator: Emulator) -> Any:
    """Make a client that tries once."""
    client = emulator.client("omics", retries={"total_max_attempts": 1})
    yield client
    client.close()


@pytest.fixture(name="impatient")
def _impatient(emulator: Emulator) -> Any:
    """Make a client that goes away while its request is held."""
    client = emulator.client("omics", retries={"total_max_attempts": 1}, read_timeout=0.5)
    yield client
    client.close()


@pytest.fixture(name="send")
def _send(emulator: Emulator) -> Send:
    """Call the control; give status and content."""

    def send(method: str, what: str, body: Any = None) -> tuple[int, Any]:
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        request = Request(f"{emulator.url}/moto-api/{what}", data=data, method=method)  # noqa: S310
        try:
            with urlopen(request) as answer:  # noqa: S310
                return answer.status, json.loads(answer.read())
        except HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    return send


def until(holds: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def ended(omics: Any, batch_id: str) -> Any:
    """Wait for the end of a batch."""
    until(lambda: omics.get_batch(batchId=batch_id)["status"] in ("PROCESSED", "FAILED"))
    return omics.get_batch(batchId=batch_id)


def throttled(call: Callable[[], Any]) -> bool:
    try:
        call()
    except ClientError as error:
        return bool(error.response["Error"]["Code"] == "ThrottlingException")
    return False


def throttling(operation: str = "ListBatch", **more: Any) -> Fault:
    return Fault(operation=operation, kind="error", error="ThrottlingException", **more)


def test_an_error_is_answered_and_nothing_is_done(emulator: Emulator, omics: Any) -> None:
    emulator.faults.add(throttling("StartRunBatch"))

    with pytest.raises(omics.exceptions.ThrottlingException) as caught:
        omics.start_run_batch(**BATCH)

    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert emulator.batches == []


def test_an_error_that_the_model_does_not_know_has_the_status_it_was_given(
    emulator: Emulator, omics: Any
) -> None:
    emulator.faults.add(Fault(operation="ListBatch", kind="error", error="ExpiredTokenException", status=403))

    with pytest.raises(ClientError, match="ExpiredTokenException") as caught:
        omics.list_batch()

    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_an_error_of_s3_is_answered_as_s3_does(emulator: Emulator) -> None:
    s3 = emulator.client("s3", retries={"total_max_attempts": 1})
    emulator.faults.add(
        Fault(operation="PutObject", kind="error", error="SlowDown", status=503),
        Fault(operation="GetObject", kind="error", error="NoSuchKey"),
    )

    with pytest.raises(ClientError, match=r"\(SlowDown\).*PutObject"):
        s3.put_object(Bucket=BUCKET, Key="a", Body=b"a")
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"a")
    with pytest.raises(s3.exceptions.NoSuchKey):
        s3.get_object(Bucket=BUCKET, Key="a")
    assert s3.get_object(Bucket=BUCKET, Key="a")["Body"].read() == b"a"


def test_a_request_is_held_and_then_answered(emulator: Emulator, omics: Any) -> None:
    emulator.faults.add(Fault(operation="StartRunBatch", kind="latency", seconds=0.3))
    before = time.monotonic()

    batch = omics.start_run_batch(**BATCH)

    assert time.monotonic() - before >= 0.3
    assert [item["id"] for item in emulator.batches] == [batch["id"]]


def test_a_request_that_is_held_has_done_nothing_yet(emulator: Emulator, impatient: Any) -> None:
    emulator.faults.add(Fault(operation="StartRunBatch", kind="latency", seconds=100_000))

    with pytest.raises(ReadTimeoutError):
        impatient.start_run_batch(**BATCH)

    assert emulator.batches == []


def test_a_dropped_request_has_done_nothing(emulator: Emulator, omics: Any) -> None:
    emulator.faults.add(Fault(operation="StartRunBatch", kind="dropped"))

    with pytest.raises(ConnectionClosedError):
        omics.start_run_batch(**BATCH)

    assert emulator.batches == []


def test_a_lost_answer_leaves_a_batch_that_a_repetition_finds(emulator: Emulator, omics: Any) -> None:
    emulator.faults.add(Fault(operation="StartRunBatch", kind="lost_answer"))

    with pytest.raises(ConnectionClosedError):
        omics.start_run_batch(**BATCH, requestId="once")

    [listed] = emulator.batches
    assert omics.start_run_batch(**BATCH, requestId="once")["id"] == listed["id"]
    assert len(emulator.batches) == 1
    assert emulator.calls["StartRunBatch"] == 2


def test_a_late_answer_comes_after_the_service_has_acted(
    emulator: Emulator, omics: Any, impatient: Any
) -> None:
    emulator.faults.add(Fault(operation="StartRunBatch", kind="late_answer", seconds=100_000))

    with pytest.raises(ReadTimeoutError):
        impatient.start_run_batch(**BATCH, requestId="once")

    until(lambda: len(emulator.batches) == 1)
    assert omics.start_run_batch(**BATCH, requestId="once")["id"] == emulator.batches[0]["id"]


def test_a_late_answer_is_an_answer(emulator: Emulator, omics: Any) -> None:
    emulator.faults.add(Fault(operation="StartRunBatch", kind="late_answer", seconds=0.3))
    before = time.monotonic()

    batch = omics.start_run_batch(**BATCH)

    assert time.monotonic() - before >= 0.3
    assert [item["id"] for item in emulator.batches] == [batch["id"]]


def test_a_fault_acts_on_the_calls_it_is_for_and_on_no_other(emulator: Emulator, omics: Any) -> None:
    batch = omics.start_run_batch(**BATCH)["id"]
    emulator.faults.add(throttling("GetBatch", call=2, times=2))

    assert not throttled(omics.list_batch)
    assert [throttled(lambda: omics.get_batch(batchId=batch)) for _ in range(5)] == [
        *(False, True, True, False, False)
    ]
    assert emulator.calls == {"StartRunBatch": 1, "ListBatch": 1, "GetBatch": 5}


def test_retries_of_the_client_itself_are_calls_too(emulator: Emulator) -> None:
    emulator.faults.add(throttling(times=2))

    assert emulator.client("omics", retries={"mode": "standard"}).list_batch()["items"] == []
    assert emulator.calls == {"ListBatch": 3}


def test_clients_at_the_same_time_meet_as_many_faults_as_there_are(emulator: Emulator, omics: Any) -> None:
    emulator.faults.add(throttling(call=5, times=10))

    with ThreadPoolExecutor(8) as pool:
        met = list(pool.map(lambda _: throttled(omics.list_batch), range(40)))

    assert sum(met) == 10
    assert emulator.calls == {"ListBatch": 40}


def test_an_unsigned_request_meets_faults_as_well(emulator: Emulator) -> None:
    emulator.faults.add(throttling())

    with pytest.raises(HTTPError) as caught:
        urlopen(f"{emulator.url}/runBatch")  # noqa: S310

    with caught.value:
        assert caught.value.headers["x-amzn-ErrorType"] == "ThrottlingException"


def test_faults_are_added_listed_and_removed_over_http(omics: Any, send: Send) -> None:
    fault = {"operation": "ListBatch", "kind": "error", "error": "ThrottlingException"}
    whole = {**fault, "call": 1, "times": 2, "status": 429}
    held = {"operation": "GetBatch", "kind": "latency", "call": 1, "times": None, "seconds": 1.5}

    assert send("POST", "omics/faults", [{**fault, "times": 2}]) == (200, [whole])
    assert send("POST", "omics/faults", [held]) == (200, [whole, held])
    assert throttled(omics.list_batch)
    assert send("GET", "omics/faults") == (200, [{**whole, "times": 1}, held])
    assert send("DELETE", "omics/faults") == (200, [])
    assert not throttled(omics.list_batch)
    assert send("GET", "omics/calls") == (200, {"CreateBucket": 1, "ListBatch": 2})


def test_a_reset_removes_the_faults_and_counts_anew(omics: Any, send: Send) -> None:
    send("POST", "omics/faults", [{"operation": "ListBatch", "kind": "dropped", "times": None}])
    with pytest.raises(ConnectionClosedError):
        omics.list_batch()

    assert send("POST", "reset") == (200, {"status": "ok"})

    assert send("GET", "omics/faults") == (200, [])
    assert send("GET", "omics/calls") == (200, {})
    assert omics.list_batch()["items"] == []


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"", "the body is not JSON: "),
        (b"[{", "the body is not JSON: "),
        (b"\xff", "the body is not JSON: "),
        ({"operation": "GetBatch", "kind": "dropped"}, "the body must be a list of faults"),
        (["GetBatch:dropped"], "fault 1: it must be an object"),
        ([{"operation": "GetBatch"}], "fault 1: kind is missing"),
        ([{"operation": "GetBatch", "kind": "dropped", "calls": 3}], "fault 1: it has no member 'calls'; "),
        (
            [{"operation": "GetBatch", "kind": "dropped"}, {"operation": "GetBach", "kind": "dropped"}],
            "fault 2: 'GetBach' is no operation of HealthOmics or S3",
        ),
    ],
)
def test_a_bad_list_is_refused_as_a_whole(send: Send, body: Any, complaint: str) -> None:
    status, answer = send("POST", "omics/faults", body)

    assert (status, answer.keys()) == (400, {"message"})
    assert answer["message"].startswith(complaint)
    assert send("GET", "omics/faults") == (200, [])


@pytest.mark.parametrize(
    ("method", "what"), [("PUT", "omics/faults"), ("POST", "omics/calls"), ("GET", "omics/fault")]
)
def test_any_other_control_is_told_not_to_be_there(send: Send, method: str, what: str) -> None:
    assert send(method, what) == (404, {"message": f"There is no {method} /moto-api/{what}"})


def test_a_batch_fails_as_it_does_with_a_transient_error_of_the_service(
    emulator: Emulator, omics: Any, send: Send
) -> None:
    emulator.configure(speed=10_000)
    fault = {"operation": "StartRunBatch", "kind": "failed_batch", "submissions": 2}
    send("POST", "omics/faults", [fault])

    failing, good = (omics.start_run_batch(**BATCH)["id"] for _ in range(2))

    assert ended(omics, good)["status"] == "PROCESSED"
    failed = ended(omics, failing)
    assert (failed["status"], failed["failureReason"]) == ("FAILED", TRANSIENT)
    assert len(omics.list_runs_in_batch(batchId=failing)["runs"]) == 2


def test_faults_of_the_command_line_act_from_the_first_call_on(command: list[str]) -> None:
    options = ["--port", "0", "--fault", "ListBatch:dropped"]
    options += ["--fault", "ListBatch:error=ThrottlingException:call=2:times=forever"]
    process = subprocess.Popen(command + options, stdout=subprocess.PIPE, text=True)  # noqa: S603
    try:
        assert process.stdout
        url = process.stdout.readline().split()[-1]
        with pytest.raises(ConnectionError):
            urlopen(f"{url}/runBatch")  # noqa: S310
        for _ in range(2):
            with pytest.raises(HTTPError, match="429") as caught:
                urlopen(f"{url}/runBatch")  # noqa: S310
            caught.value.close()
    finally:
        process.terminate()
        process.communicate(timeout=60)

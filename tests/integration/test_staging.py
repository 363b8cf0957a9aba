from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowTaskTerminated
from botocore.exceptions import ClientError, HTTPClientError

from airflow_provider_omics_batch.emulator import Fault
from airflow_provider_omics_batch.run_batch.staging import stage_settings
from tests.integration.conftest import BUCKET, Emulator

STAGING = f"s3://{BUCKET}/airflow"


@pytest.fixture(name="s3")
def _s3(emulator: Emulator) -> Any:
    emulator.faults.reset()
    return emulator.client("s3", retries={"total_max_attempts": 1})


def settings(count: int) -> Iterator[bytes]:
    """Make run settings of 100 KB each."""
    return (
        json.dumps({"runSettingId": f"S{number}", "name": "n" * 100_000}).encode() for number in range(count)
    )


def left_behind(s3: Any) -> list[Any]:
    """Return objects and unfinished uploads."""
    uploads = s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
    return [*uploads, *s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])]


def test_many_run_settings_are_uploaded_in_parts(emulator: Emulator, s3: Any) -> None:
    staged = stage_settings(settings(200), STAGING, s3)

    assert emulator.faults.calls["UploadPart"] == 3
    assert emulator.faults.calls["CompleteMultipartUpload"] == 1
    assert staged.total == 200
    assert staged.uri == f"{STAGING}/run-settings/{staged.digest}.json"
    body = s3.get_object(Bucket=BUCKET, Key=staged.uri.removeprefix(f"s3://{BUCKET}/"))["Body"]
    assert json.load(body) == list(map(json.loads, settings(200)))


@pytest.mark.parametrize("count", [1, 200])
def test_what_is_there_already_is_not_sent_again(emulator: Emulator, s3: Any, count: int) -> None:
    first = stage_settings(settings(count), STAGING, s3)
    sent = emulator.faults.calls["PutObject"] + emulator.faults.calls["UploadPart"]

    assert stage_settings(settings(count), STAGING, s3) == first
    assert sent == emulator.faults.calls["PutObject"] + emulator.faults.calls["UploadPart"] > 0


def test_who_may_not_look_whether_they_are_there_sends_them(emulator: Emulator, s3: Any) -> None:
    """Without s3:ListBucket, S3 answers so for an object that is not there."""
    emulator.faults.add(Fault(operation="HeadObject", kind="error", error="AccessDenied", status=403))

    stage_settings(settings(1), STAGING, s3)

    assert emulator.faults.calls["PutObject"] == 1


@pytest.mark.parametrize("operation", ["UploadPart", "CompleteMultipartUpload"])
@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "error", "error": "AccessDenied", "status": 403},
        {"kind": "error", "error": "InternalError", "status": 500},
        {"kind": "dropped"},
    ],
)
def test_an_upload_that_fails_leaves_no_parts_behind(
    emulator: Emulator, s3: Any, operation: str, fault: dict[str, Any]
) -> None:
    call = 2 if operation == "UploadPart" else 1
    emulator.faults.add(Fault(operation=operation, call=call, times=None, **fault))

    with pytest.raises((ClientError, HTTPClientError, ConnectionError)):
        stage_settings(settings(200), STAGING, s3)

    emulator.faults.clear()
    assert left_behind(s3) == []
    assert emulator.faults.calls["AbortMultipartUpload"] == 1


def test_an_upload_whose_task_is_ended_leaves_no_parts_behind(
    emulator: Emulator, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow ends tasks by exceptions that are no Exception."""
    serve = emulator.application

    def end_task_at_a_part(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if "partNumber=2" in environ["QUERY_STRING"]:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
        return serve(environ, start_response)

    monkeypatch.setattr(emulator, "application", end_task_at_a_part)

    with handling(signal.SIGUSR1), pytest.raises(AirflowTaskTerminated):
        stage_settings(settings(400), STAGING, s3)

    assert left_behind(s3) == []


@contextmanager
def handling(number: signal.Signals) -> Iterator[None]:
    """Let a signal do what SIGTERM does in Airflow's task processes."""

    def end_task(*_: Any) -> None:
        raise AirflowTaskTerminated

    before = signal.signal(number, end_task)
    try:
        yield
    finally:
        signal.signal(number, before)

"""An emulator that keeps its state in a file, and goes on from there."""

from __future__ import annotations

import json
import pickle
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from airflow_provider_omics_batch.emulator import Control

DEFAULT = {
    "workflowId": "1234567",
    "roleArn": "arn:aws:iam::123456789012:role/omics",
    "outputUri": "s3://cohort/out/",
}


@dataclass
class Process:
    """An emulator with a state that is started, ended and killed."""

    state: Path
    running: subprocess.Popen[str] | None = None
    clients: list[Any] = field(default_factory=list)

    def start(self, *options: str) -> None:
        command = [sys.executable, "-m", "airflow_provider_omics_batch.emulator", "--port", "0"]
        command += ["--state", str(self.state), *options]
        self.running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603
        assert self.running.stdout
        self.url = self.running.stdout.readline().removeprefix("listening on ").strip()
        self.control = Control(self.url)
        self.omics, self.s3 = self.client("omics"), self.client("s3")

    def client(self, service: str) -> Any:
        client = boto3.client(
            service,
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id="any",
            aws_secret_access_key="any",
            config=Config(inject_host_prefix=False, retries={"total_max_attempts": 1}),
        )
        self.clients.append(client)
        return client

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        if self.running:
            self.running.send_signal(number)
            self.running.communicate(timeout=60)
        for client in self.clients:
            client.close()
        self.running = None
        self.clients.clear()

    def restart(self, number: signal.Signals = signal.SIGTERM, *options: str) -> None:
        self.end(number)
        self.start(*options)

    def start_batch(self, request_id: str, runs: int = 3) -> str:
        settings = [{"runSettingId": f"run-{number}"} for number in range(runs)]
        answer = self.omics.start_run_batch(
            requestId=request_id, defaultRunSetting=DEFAULT, batchRunSettings={"inlineSettings": settings}
        )
        return str(answer["id"])

    def batch(self, batch_id: str) -> dict[str, Any]:
        answer: dict[str, Any] = self.omics.get_batch(batchId=batch_id)
        del answer["ResponseMetadata"]
        return answer


@pytest.fixture(name="process")
def _process(tmp_path: Path) -> Iterator[Process]:
    process = Process(tmp_path / "emulator.state")
    process.start("--speed", "0")
    yield process
    process.end(signal.SIGKILL)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_batch_goes_on_after_a_restart(process: Process, number: signal.Signals) -> None:
    batch_id = process.start_batch("one")
    process.control.advance(120)
    before, runs = process.batch(batch_id), process.omics.list_runs_in_batch(batchId=batch_id)["runs"]

    process.restart(number, "--speed", "0")

    assert process.batch(batch_id) == before
    assert process.omics.list_runs_in_batch(batchId=batch_id)["runs"] == runs
    assert process.start_batch("one") == batch_id
    assert process.start_batch("two") != batch_id
    process.control.advance(10_000)
    assert process.batch(batch_id)["status"] == "PROCESSED"


def test_everything_of_healthomics_and_s3_is_kept(process: Process) -> None:
    omics, s3 = process.omics, process.s3
    workflow = omics.create_workflow(name="w", definitionUri="s3://cohort/w.zip", requestId="w")
    group = omics.create_run_group(name="g", maxRuns=2, requestId="g")
    cache = omics.create_run_cache(cacheS3Location="s3://cohort/cache/", requestId="c")
    run = omics.start_run(**{**DEFAULT, "workflowType": "READY2RUN"}, requestId="r", tags={"a": "b"})
    tell_a_queue(process)
    s3.create_bucket(Bucket="cohort")
    s3.put_bucket_versioning(Bucket="cohort", VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket="cohort", Key="a/b", Body=b"first", Metadata={"x": "y"}, Tagging="k=v")
    s3.put_object(Bucket="cohort", Key="a/b", Body=b"second", ChecksumAlgorithm="SHA256")
    upload = s3.create_multipart_upload(Bucket="cohort", Key="large")["UploadId"]
    part = {"Bucket": "cohort", "Key": "large", "UploadId": upload, "PartNumber": 1}
    etag = s3.upload_part(**part, Body=b"part")["ETag"]

    process.restart(signal.SIGKILL, "--speed", "0")

    omics, s3 = process.omics, process.s3
    assert omics.get_workflow(id=workflow["id"])["name"] == "w"
    assert omics.get_run_group(id=group["id"])["maxRuns"] == 2
    assert omics.get_run_cache(id=cache["id"])["cacheS3Uri"] == "s3://cohort/cache/"
    assert omics.get_run(id=run["id"])["tags"] == {"a": "b"}
    assert s3.get_object(Bucket="cohort", Key="a/b")["Body"].read() == b"second"
    versions = s3.list_object_versions(Bucket="cohort")["Versions"]
    assert len(versions) == 2
    assert s3.get_object_tagging(Bucket="cohort", Key="a/b", VersionId=versions[1]["VersionId"])["TagSet"]
    parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
    s3.complete_multipart_upload(Bucket="cohort", Key="large", UploadId=upload, MultipartUpload=parts)
    assert s3.get_object(Bucket="cohort", Key="large")["Body"].read() == b"part"
    s3.meta.events.register("before-call.s3.CreateBucket", as_another_account)
    with pytest.raises(s3.exceptions.BucketAlreadyExists):
        s3.create_bucket(Bucket="cohort")


def tell_a_queue(process: Process) -> None:
    """Let somebody hear of the batches, so that there is a memory of what was told."""
    events, pattern = process.client("events"), {"source": ["aws.omics"]}
    queue = "arn:aws:sqs:us-east-1:123456789012:batches"
    process.client("sqs").create_queue(QueueName="batches")
    events.put_rule(Name="batches", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="batches", Targets=[{"Id": "queue", "Arn": queue}])
    process.start_batch("told")


def as_another_account(params: dict[str, Any], **more: Any) -> None:
    params["headers"]["x-moto-account-id"] = "210987654321"


def test_what_was_set_is_not_kept(process: Process) -> None:
    process.control.configure(fail_runs=1)
    process.control.set_speed(5)

    process.restart(signal.SIGTERM, "--speed", "0", "--run-seconds", "7")

    assert process.control.settings()["fail_runs"] == 0
    assert process.control.settings()["run_seconds"] == 7
    assert process.control.clock().speed == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_time_goes_on_from_where_it_was(process: Process, number: signal.Signals) -> None:
    """Killed, the emulator may lose what passes in a second of this machine's, but never goes back."""
    process.restart(signal.SIGTERM, "--speed", "1000")
    before = process.control.clock().now

    process.restart(number, "--speed", "0")

    assert (process.control.clock().now - before).total_seconds() >= 0
    ended = process.control.clock().now
    process.restart(number, "--speed", "0")
    assert process.control.clock().now == ended


def test_a_reset_empties_the_file_too(process: Process) -> None:
    process.start_batch("one")
    process.control.reset()

    process.restart(signal.SIGKILL)

    assert process.omics.list_batch()["items"] == []


def test_whatever_was_answered_outlasts_a_kill_in_the_midst_of_writing(process: Process) -> None:
    answered: list[str] = []
    go_on, some = Event(), Event()
    go_on.set()

    def start(thread: int) -> None:
        with suppress(BotoCoreError):
            for number in range(10_000):
                if not go_on.is_set():
                    break
                answered.append(process.start_batch(f"{thread}-{number}", 100))
                if len(answered) >= 20:
                    some.set()

    with ThreadPoolExecutor(4) as pool:
        for thread in range(4):
            pool.submit(start, thread)
        assert some.wait(120)
        assert process.running
        process.running.kill()
        go_on.clear()

    process.restart(signal.SIGKILL, "--speed", "0")

    pages = process.omics.get_paginator("list_batch").paginate()
    listed = {batch["id"] for page in pages for batch in page["items"]}
    assert set(answered) <= listed
    beside = {path.name.removeprefix(process.state.name) for path in process.state.parent.iterdir()}
    assert beside - {".new"} == {"", ".lock"}


def test_what_cannot_be_kept_is_not_answered(process: Process) -> None:
    elsewhere = process.state.parent.with_name("elsewhere")
    process.state.parent.rename(elsewhere)

    with pytest.raises(ClientError, match="500"):
        process.start_batch("one")

    elsewhere.rename(process.state.parent)
    batch_id = process.start_batch("one")
    process.restart(signal.SIGKILL)
    assert [batch["id"] for batch in process.omics.list_batch()["items"]] == [batch_id]


def test_the_file_is_for_its_owner_alone(process: Process) -> None:
    assert process.state.stat().st_mode & 0o777 == 0o600


class Evil:
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return print, ("evil",)


def replaced(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    return lambda content: content.replace(old, new, 1)


def after_the_head(more: bytes) -> Callable[[bytes], bytes]:
    return lambda content: b"\n".join([*content.split(b"\n", 2)[:2], more])


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda content: b"", "it is no state of the emulator"),
        (lambda content: b"sample,cram\n", "it is no state of the emulator"),
        (lambda content: b"[]\n", "it is no state of the emulator"),
        (lambda content: b"{}\n", "it is no state of the emulator"),
        (
            replaced(b'"moto": "', b'"moto": "0.'),
            r"it was written by airflow-provider-omics-batch \S+ with moto 0\.\S+, and this is "
            r"airflow-provider-omics-batch \S+ with moto \d",
        ),
        (lambda content: content[:-10], "it is damaged: "),
        (lambda content: content.split(b"\n")[0] + b"\n", "it is damaged: it tells no time"),
        (after_the_head(pickle.dumps({"omics": {}})), "it is damaged: 's3'"),
        (after_the_head(pickle.dumps(Evil())), r"it is damaged: builtins.print is no part of a state"),
    ],
)
def test_a_file_that_is_no_state_of_this_emulator_is_named_and_left_alone(
    process: Process, spoil: Callable[[bytes], bytes], complaint: str
) -> None:
    process.end()
    process.state.write_bytes(spoil(process.state.read_bytes()))
    before = process.state.read_bytes()

    done = run(process.state)

    assert done.returncode == 1
    assert re.fullmatch(f"cannot go on from {process.state}: {complaint}.*\n", done.stderr)
    assert done.stdout == ""
    assert process.state.read_bytes() == before


@pytest.mark.parametrize("by_link", [False, True])
def test_a_second_emulator_does_not_take_the_file_of_one_that_is_at_work(
    process: Process, by_link: bool
) -> None:
    link = process.state.with_name("link")
    link.symlink_to(process.state)
    path = link if by_link else process.state

    done = run(path)

    assert (done.returncode, done.stderr) == (
        1,
        f"cannot go on from {path}: another emulator is at work on it\n",
    )
    assert link.is_symlink()


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "emulator.state"

    done = run(path)

    assert (done.returncode, done.stderr) == (
        1,
        f"cannot keep the state in {path}: No such file or directory\n",
    )


@pytest.mark.parametrize("path", ["", ".", "/", "kept"])
def test_a_folder_is_named_and_nothing_is_left_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("kept").mkdir()

    done = run(path)

    assert (done.returncode, done.stderr) == (
        1,
        f"cannot keep the state in {Path(path)}: Is a directory\n",
    )
    assert list(tmp_path.rglob("*")) == [tmp_path / "kept"]


def run(state: Path | str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "airflow_provider_omics_batch.emulator", "--port", "0"]
    return subprocess.run(  # noqa: S603
        [*command, "--state", str(state)], capture_output=True, text=True, timeout=120, check=False
    )


def test_the_head_of_the_file_can_be_read_by_people(process: Process) -> None:
    head, time, _ = process.state.read_bytes().split(b"\n", 2)

    assert set(json.loads(head)) == {"airflow-provider-omics-batch", "moto"}
    assert float(time) > 1.7e9

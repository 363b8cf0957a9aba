"""A process in which the emulator accepts large batches."""

from __future__ import annotations

import json
import time
from statistics import median
from tempfile import TemporaryFile
from typing import IO, Any

import boto3
from moto import mock_aws
from moto.core import DEFAULT_ACCOUNT_ID

from airflow_provider_omics_batch.emulator import (
    ManualClock,
    OmicsBackend,
    Settings,
    omics_backends,
    register,
)
from airflow_provider_omics_batch.emulator.server.state import take
from tests.benchmarks.cohort import DEFAULT_RUN_SETTING
from tests.benchmarks.laboratory import BUCKET
from tests.benchmarks.measuring import status, usage
from tests.system.deployment import REGION

LOOKS = 100


def one_batch(runs: int, parts: int) -> dict[str, float]:
    return _accept([runs])


def one_batch_kept(runs: int, parts: int) -> dict[str, float]:
    """Write the state into a file, too."""
    with TemporaryFile() as file:
        return _accept([runs], file)


def several_batches(runs: int, parts: int) -> dict[str, float]:
    return _accept([runs // parts] * parts)


@mock_aws
def _accept(sizes: list[int], state: IO[bytes] | None = None) -> dict[str, float]:
    """Start batches of these sizes at once, and look at the last one while all are at work."""
    register()
    backend, clock = omics_backends[DEFAULT_ACCOUNT_ID][REGION], ManualClock()
    backend.configure(Settings(start_run_tps=1e6, concurrent_runs=10), clock)
    s3 = boto3.client("s3", region_name=REGION, aws_access_key_id="any", aws_secret_access_key="any")
    s3.create_bucket(Bucket=BUCKET)
    for number, size in enumerate(sizes):
        s3.put_object(Bucket=BUCKET, Key=f"{number}.json", Body=_settings(size))
    with usage() as used:
        batch_ids = [_start(backend, number) for number in range(len(sizes))]
    if state:
        take(state)
    clock.advance(3600)
    return {
        "cpu": used.cpu,
        "peak": status("VmHWM"),
        "get_batch_ms": 1000 * median(_look(backend, clock, batch_ids[-1]) for _ in range(LOOKS)),
    }


def _settings(size: int) -> str:
    """Return run settings of about 200 bytes each."""
    return json.dumps([_setting(f"sample-{number:06}") for number in range(size)])


def _setting(name: str) -> dict[str, Any]:
    cram = f"s3://example/crams/{name}.final.cram"
    parameters = {"sample": name, "cram": cram, "index": f"{cram}.crai"}
    return {"runSettingId": name, "name": name, "parameters": parameters, "runTags": {"population": "GBR"}}


def _start(backend: OmicsBackend, number: int) -> str:
    started: dict[str, Any] = backend.start_run_batch(
        {
            "requestId": f"batch-{number}",
            "defaultRunSetting": DEFAULT_RUN_SETTING,
            "batchRunSettings": {"s3UriSettings": f"s3://{BUCKET}/{number}.json"},
        }
    )
    return str(started["id"])


def _look(backend: OmicsBackend, clock: ManualClock, batch_id: str) -> float:
    clock.advance(1)
    before = time.perf_counter()
    backend.get_batch({"batchId": batch_id})
    return time.perf_counter() - before

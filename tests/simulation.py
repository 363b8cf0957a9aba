"""The whole life of a batch on the emulator, watched in simulated time: days pass in a second."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import selectors
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import boto3
from moto import mock_aws
from moto.core import DEFAULT_ACCOUNT_ID

from airflow_provider_omics_batch.emulator import ManualClock, Settings, omics_backends, register
from airflow_provider_omics_batch.run_batch.client import PatientClient
from airflow_provider_omics_batch.run_batch.fail_fast import FailFast
from airflow_provider_omics_batch.run_batch.watch import watch_run_batch

REGION = "eu-west-1"
BUCKET = "cohort-bucket"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Life:
    """
    What became of a batch; all times are seconds since its submission.

    :param calls: By their boto3 names.
    :param status: The one that was seen last.
    :param ended_at: When it had ended; where it was not processed, when that was noticed.
    :param seen_at: When that was noticed.
    """

    calls: Counter[str]
    status: str
    ended_at: float
    seen_at: float


def watch_simulated_batch(
    runs: int, settings: Settings, *, poll_interval: float = 30, fail_fast: FailFast | None = None
) -> Life:
    """Let the emulator run a batch, and watch it until it has ended."""
    register()
    clock = ManualClock()
    with mock_aws():
        omics_backends[DEFAULT_ACCOUNT_ID][REGION].configure(settings, clock)
        client = _SimulatedClient()
        batch_id, began = _start(client.omics, runs), clock()
        watching = watch_run_batch(
            PatientClient(client, log), batch_id, poll_interval=poll_interval, log=log, fail_fast=fail_fast
        )
        with asyncio.Runner(loop_factory=lambda: _SimulatedLoop(clock)) as runner:
            status = runner.run(watching).status
        processed_at = client.omics.get_batch(batchId=batch_id).get("processedTime")
    seen_at = clock() - began
    ended_at = processed_at.timestamp() - began if processed_at else seen_at
    return Life(client.calls, status, ended_at, seen_at)


@dataclass
class _SimulatedClient:
    calls: Counter[str] = field(default_factory=Counter)
    omics: Any = field(default_factory=lambda: _client("omics"))

    async def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        self.calls[operation] += 1
        answer: dict[str, Any] = getattr(self.omics, operation)(**parameters)
        return answer


class _SimulatedLoop(asyncio.SelectorEventLoop):
    """An event loop that skips the time in which nothing happens."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self._began = clock()
        super().__init__(_SkippingSelector(clock))

    def time(self) -> float:
        return self._clock() - self._began


class _SkippingSelector(selectors.SelectSelector):
    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> Any:
        # Seconds since the epoch are too large for steps of less than a microsecond.
        self._clock.advance(math.ceil((timeout or 0) * 1e3) / 1e3)
        return super().select(0)


def _client(service: str) -> Any:
    return boto3.client(service, region_name=REGION, aws_access_key_id="any", aws_secret_access_key="any")


def _start(omics: Any, runs: int) -> str:
    settings = json.dumps([{"runSettingId": f"s{number}"} for number in range(runs)])
    s3 = _client("s3")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket=BUCKET, Key="settings.json", Body=settings)
    batch: dict[str, str] = omics.start_run_batch(
        requestId="simulated",
        defaultRunSetting={
            "workflowId": "1234567",
            "roleArn": f"arn:aws:iam::{DEFAULT_ACCOUNT_ID}:role/omics",
            "outputUri": f"s3://{BUCKET}/out/",
        },
        batchRunSettings={"s3UriSettings": f"s3://{BUCKET}/settings.json"},
    )
    return batch["id"]

"""The whole life of a batch on the emulator, watched in virtual time."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import boto3
from moto import mock_aws
from moto.core import DEFAULT_ACCOUNT_ID

from airflow_provider_omics_batch.emulator import Settings, omics_backends, register
from airflow_provider_omics_batch.run_batch.client import PatientClient
from airflow_provider_omics_batch.run_batch.fail_fast import FailFast
from airflow_provider_omics_batch.run_batch.watch import watch_run_batch
from tests.virtual_time import EPOCH, VirtualLoop

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
    loop = VirtualLoop()
    with mock_aws():
        omics_backends[DEFAULT_ACCOUNT_ID][REGION].configure(settings, lambda: EPOCH + loop.time())
        client = _SimulatedClient()
        batch_id = _start(client.omics, runs)
        watching = watch_run_batch(
            PatientClient(client, log), batch_id, poll_interval=poll_interval, log=log, fail_fast=fail_fast
        )
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            status = runner.run(watching).status
        processed_at = client.omics.get_batch(batchId=batch_id).get("processedTime")
    seen_at = loop.time()
    ended_at = processed_at.timestamp() - EPOCH if processed_at else seen_at
    return Life(client.calls, status, ended_at, seen_at)


@dataclass
class _SimulatedClient:
    calls: Counter[str] = field(default_factory=Counter)
    omics: Any = field(default_factory=lambda: _client("omics"))

    async def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        self.calls[operation] += 1
        answer: dict[str, Any] = getattr(self.omics, operation)(**parameters)
        return answer


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

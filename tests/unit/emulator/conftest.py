from __future__ import annotations

import json
from typing import Any

import boto3
import pytest
from botocore.config import Config
from moto import mock_aws

from airflow_provider_omics_batch.emulator import ManualClock, Settings, omics_backends, register
from tests.unit.emulator.answers import wrong_in_answer
from tests.unit.emulator.furnished import FAILING, Furnished, furnish

ACCOUNT = "123456789012"
REGION = "eu-west-1"
BUCKET = "cohort-bucket"
DEFAULT = {
    "workflowId": "1234567",
    "roleArn": f"arn:aws:iam::{ACCOUNT}:role/omics",
    "outputUri": f"s3://{BUCKET}/out/",
}


@pytest.fixture(autouse=True)
def _credentials(_own_aws_environment, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)


@pytest.fixture(autouse=True)
def _mock_aws(_credentials):
    register()
    with mock_aws():
        yield


@pytest.fixture(name="clock")
def _clock():
    return ManualClock()


@pytest.fixture(name="configure")
def _configure(clock):
    """Set the emulated account: creation and checks take 10 s, a run takes 1 + 10 +- 5 + 1 s."""

    def configure(**changes: Any) -> Settings:
        quick = {"creating_seconds": 5, "pending_seconds": 5, "starting_seconds": 1, "stopping_seconds": 1}
        settings = Settings(**{**quick, "run_seconds": 10, "start_run_tps": 1, **changes})
        omics_backends[ACCOUNT][REGION].configure(settings, clock)
        return settings

    configure()
    return configure


@pytest.fixture(scope="session", name="clients")
def _clients():
    """Make clients once, they take long to build; moto's state is new in every test all the same."""
    session = boto3.Session("any", "any", region_name=REGION)
    clients = {service: session.client(service) for service in ("omics", "s3")}
    clients["omics"].meta.events.register("after-call.omics", check_answer)
    yield clients
    for client in clients.values():
        client.close()


def check_answer(http_response: Any, model: Any, **_: Any) -> None:
    """Compare an answer, as it is sent, with the model; botocore leaves out what it does not know."""
    content = json.loads(http_response.content or "{}")
    if http_response.status_code < 300:
        assert wrong_in_answer(model.name, content) == []


@pytest.fixture(scope="session", name="unchecked")
def _unchecked():
    """Give a client that sends what botocore would refuse to send, and notes what is wrong in an answer."""
    session = boto3.Session("any", "any", region_name=REGION)
    config = Config(parameter_validation=False, retries={"total_max_attempts": 1})
    client = session.client("omics", config=config)
    client.meta.events.register("after-call.omics", note_wrong_answer)
    yield client
    client.close()


def note_wrong_answer(http_response: Any, parsed: dict[str, Any], model: Any, **_: Any) -> None:
    content = json.loads(http_response.content or "{}")
    parsed["Wrong"] = wrong_in_answer(model.name, content) if http_response.status_code < 300 else []


@pytest.fixture(name="furnished")
def _furnished(configure, omics, s3, clock) -> Furnished:
    """Furnish the account, such that each operation finds something to act on."""
    configure(failures=(FAILING,))
    return furnish(omics, s3, BUCKET, clock.advance)


@pytest.fixture(name="omics")
def _omics(configure, clients):
    return clients["omics"]


@pytest.fixture(name="s3")
def _s3(configure, clients):
    clients["s3"].create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    return clients["s3"]


@pytest.fixture(name="default")
def _default():
    return dict(DEFAULT)


@pytest.fixture(name="start")
def _start(omics):
    """Start a batch of inline settings; a number stands for that many plain runs."""

    def start(
        runs: int | list[dict[str, Any]] = 3, default: dict[str, Any] | None = None, **more: Any
    ) -> str:
        settings = [{"runSettingId": f"run-{i}"} for i in range(runs)] if isinstance(runs, int) else runs
        answer = omics.start_run_batch(
            defaultRunSetting={**DEFAULT, **(default or {})},
            batchRunSettings={"inlineSettings": settings},
            **more,
        )
        return answer["id"]

    return start


@pytest.fixture(name="start_from_s3")
def _start_from_s3(omics, s3):
    """Start a batch of a settings file; anything but bytes is sent as JSON."""

    def start(content: Any, key: str = "settings.json", **more: Any) -> str:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        s3.put_object(Bucket=BUCKET, Key=key, Body=body)
        answer = omics.start_run_batch(
            defaultRunSetting=DEFAULT,
            batchRunSettings={"s3UriSettings": f"s3://{BUCKET}/{key}"},
            **more,
        )
        return answer["id"]

    return start


@pytest.fixture(name="counts")
def _counts(omics):
    """Give the counts of a batch that are not 0, without the ``Count`` of their names."""

    def counts(batch_id: str) -> dict[str, int]:
        answer = omics.get_batch(batchId=batch_id)
        found = {**answer["submissionSummary"], **answer["runSummary"]}
        return {name.removesuffix("Count"): number for name, number in found.items() if number}

    return counts


@pytest.fixture(name="status")
def _status(omics):
    return lambda batch_id: omics.get_batch(batchId=batch_id)["status"]


@pytest.fixture(name="runs")
def _runs(omics):
    """List all runs of a batch as ListRunsInBatch shows them."""

    def runs(batch_id: str, **filters: str) -> list[dict[str, Any]]:
        pages = omics.get_paginator("list_runs_in_batch").paginate(batchId=batch_id, **filters)
        return [run for page in pages for run in page["runs"]]

    return runs

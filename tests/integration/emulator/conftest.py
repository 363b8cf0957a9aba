from __future__ import annotations

import signal
import subprocess
import sys

import boto3
import pytest
from botocore.config import Config

MODULE = "airflow_provider_omics_batch.emulator"
REGION = "us-east-1"


@pytest.fixture(scope="session", name="command")
def _command():
    return [sys.executable, "-m", MODULE]


@pytest.fixture(scope="session", name="url")
def _url(command):
    """Run the emulator in a process of its own, at ten minutes a second."""
    options = ["--port", "0", "--speed", "600", "--run-seconds", "60", "--start-run-tps", "50"]
    # A cohort then takes more than a minute, time enough to cancel it on a busy machine.
    options += ["--concurrent-runs", "10"]
    process = subprocess.Popen(command + options, stdout=subprocess.PIPE, text=True)  # noqa: S603
    try:
        yield process.stdout.readline().removeprefix("listening on ").strip()
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


@pytest.fixture(scope="session", name="arguments")
def _arguments(url):
    """Give what any client needs, sync or async."""
    return {
        "region_name": REGION,
        "endpoint_url": url,
        "aws_access_key_id": "any",
        "aws_secret_access_key": "any",
    }


@pytest.fixture(scope="session", name="client")
def _client(arguments):
    clients = {}
    session = boto3.Session()

    def client(service):
        if service not in clients:
            config = Config(inject_host_prefix=False, s3={"addressing_style": "path"})
            clients[service] = session.client(service, config=config, **arguments)
        return clients[service]

    yield client
    for made in clients.values():
        made.close()


@pytest.fixture(scope="session", name="omics")
def _omics(client):
    return client("omics")


@pytest.fixture(scope="session", name="default")
def _default():
    return {
        "workflowId": "1234567",
        "roleArn": "arn:aws:iam::123456789012:role/omics",
        "outputUri": "s3://cohort-bucket/out/",
    }


@pytest.fixture(scope="session", name="bucket")
def _bucket(client):
    client("s3").create_bucket(Bucket="cohort-bucket")
    return "cohort-bucket"

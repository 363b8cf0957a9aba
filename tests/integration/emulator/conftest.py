from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

MODULE = "airflow_provider_omics_batch.emulator"
REGION = "us-east-1"

# Pins a botocore of its own, so it lives in an environment of its own.
AWSCLI = "1.46.3"
ENVIRONMENT = Path(__file__).parents[3] / ".venv-awscli"


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


def run(*command, **environment):
    return subprocess.run(  # noqa: S603
        command, capture_output=True, text=True, timeout=300, check=False, env={**os.environ, **environment}
    )


@pytest.fixture(scope="session", name="executable")
def _executable():
    """Install the AWS CLI once; the environment stays for the next time."""
    executable = ENVIRONMENT / "bin" / "aws"
    if not executable.exists() or f"aws-cli/{AWSCLI} " not in run(executable, "--version").stdout:
        for arguments in (
            ("venv", "--quiet", "--clear", "--python", sys.executable, ENVIRONMENT),
            ("pip", "install", "--quiet", "--python", ENVIRONMENT / "bin" / "python", f"awscli=={AWSCLI}"),
        ):
            done = run(sys.executable, "-m", "uv", *arguments)
            assert done.returncode == 0, done.stderr
    return executable


@pytest.fixture(name="aws")
def _aws(executable, url):
    """Call the AWS CLI; nothing but the endpoint and any credentials is configured."""

    def aws(*arguments, **environment):
        base = {
            "AWS_ACCESS_KEY_ID": "any",
            "AWS_SECRET_ACCESS_KEY": "any",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": url,
            "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
        }
        return run(executable, *arguments, **{**base, **environment})

    return aws

"""boto3, aiobotocore and the AWS CLI are told the same of a furnished account."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import boto3
import pytest
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.config import Config
from moto.core.utils import camelcase_to_underscores

from airflow_provider_omics_batch.emulator import Control
from tests.unit.emulator.conformance import MODEL, OPERATIONS, requests
from tests.unit.emulator.furnished import FAILING, Furnished, furnish

#: One process installs the AWS CLI for all.
pytestmark = pytest.mark.xdist_group("awscli")

#: The CLI takes a second and a half for each.
BY_CLI = sorted(name for name in OPERATIONS if name.startswith(("Get", "List")))

#: Members that the AWS CLI does not know yet.
NEWER = {"sessionPolicy"}

#: An account for each client that changes it, and one for those that only look, in Regions of no other test.
BOTO3, AIOBOTOCORE, CLI = "ap-southeast-1", "eu-west-2", "eu-central-1"

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@pytest.fixture(scope="module", name="control")
def _control(url: str) -> Iterator[Control]:
    """Let time stand still."""
    control = Control(url)
    speed = control.clock().speed
    control.set_speed(0)
    control.add_failures(FAILING)
    yield control
    control.clear_failures()
    control.set_speed(speed)


@pytest.fixture(scope="module", name="clients")
def _clients(arguments: dict[str, Any]) -> Iterator[Callable[[str], Any]]:
    session, made = boto3.Session(), {}

    def client(region: str) -> Any:
        if region not in made:
            config = Config(inject_host_prefix=False)
            made[region] = session.client("omics", config=config, **{**arguments, "region_name": region})
        return made[region]

    yield client
    for each in made.values():
        each.close()


@pytest.fixture(scope="module", name="account")
def _account(control: Control, clients: Callable[[str], Any], client: Any) -> Callable[[str], Furnished]:
    """Furnish the account of a Region."""

    def account(region: str) -> Furnished:
        bucket = f"bucket-{region}"
        client("s3").create_bucket(Bucket=bucket)
        return furnish(clients(region), client("s3"), bucket, control.advance)

    return account


@pytest.fixture(scope="module", name="looked_at")
def _looked_at(account: Callable[[str], Furnished]) -> Furnished:
    return account(CLI)


def method(client: Any, operation: str) -> Any:
    return getattr(client, camelcase_to_underscores(operation))


def least(operation: str, furnished: Furnished) -> Any:
    return next(requests(operation, furnished.of(operation))).value


def plain(told: Any, region: str) -> Any:
    """Leave out what is made anew for each account: its Region, its times, its UUIDs."""
    if isinstance(told, dict):
        return {name: plain(value, region) for name, value in told.items()}
    if isinstance(told, list):
        return [plain(value, region) for value in told]
    if isinstance(told, datetime):
        return "time"
    return UUID.sub("uuid", told.replace(region, "region")) if isinstance(told, str) else told


def outcome(answer: dict[str, Any], region: str) -> tuple[int, Any]:
    """Return the status of an answer and all that is in it."""
    metadata = answer.pop("ResponseMetadata")
    return metadata["HTTPStatusCode"], plain(answer, region)


async def test_boto3_and_aiobotocore_are_told_the_same(
    account: Callable[[str], Furnished], clients: Callable[[str], Any], arguments: dict[str, Any]
) -> None:
    furnished = account(BOTO3)
    by_boto3 = {
        operation: outcome(method(clients(BOTO3), operation)(**least(operation, furnished)), BOTO3)
        for operation in OPERATIONS
    }
    furnished = account(AIOBOTOCORE)
    config = AioConfig(inject_host_prefix=False)
    there = {**arguments, "region_name": AIOBOTOCORE}
    async with get_session().create_client("omics", config=config, **there) as omics:
        by_aiobotocore = {
            operation: outcome(await method(omics, operation)(**least(operation, furnished)), AIOBOTOCORE)
            for operation in OPERATIONS
        }

    assert by_aiobotocore == by_boto3
    codes = {operation: MODEL.operation_model(operation).http["responseCode"] for operation in OPERATIONS}
    assert {operation: status for operation, (status, _) in by_boto3.items()} == codes


@pytest.mark.parametrize("operation", BY_CLI)
def test_the_aws_cli_is_told_the_same(
    aws: Any, looked_at: Furnished, clients: Callable[[str], Any], operation: str
) -> None:
    request = least(operation, looked_at)
    command = camelcase_to_underscores(operation).replace("_", "-")
    done = aws("omics", command, "--cli-input-json", json.dumps(request), AWS_DEFAULT_REGION=CLI)
    answer = method(clients(CLI), operation)(**request)
    known = {name: answer[name] for name in answer.keys() - {"ResponseMetadata", *NEWER}}

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads(json.dumps(known, default=as_the_cli_writes_it))


def as_the_cli_writes_it(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")

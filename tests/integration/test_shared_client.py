from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from airflow_provider_omics_batch.emulator import Fault
from airflow_provider_omics_batch.hooks import shared
from airflow_provider_omics_batch.hooks.omics import OmicsHook
from airflow_provider_omics_batch.hooks.shared import shared_client
from tests.integration.conftest import REGION, Emulator

pytestmark = pytest.mark.usefixtures("emulator")


async def look(**hook_params: Any) -> None:
    async with shared_client(**hook_params) as client:
        await client.call("list_batch")


async def test_all_who_use_a_connection_share_one_client() -> None:
    async with (
        shared_client(aws_conn_id="aws_default") as one,
        shared_client(aws_conn_id="aws_default") as other,
    ):
        await asyncio.gather(*(client.call("list_batch") for client in (one, other) * 10))

        assert one is other


@pytest.mark.parametrize(
    "other", [{"region_name": REGION}, {"verify": False}, {"config": {"read_timeout": 5}}]
)
async def test_other_arguments_get_a_client_of_their_own(other: dict[str, Any]) -> None:
    async with (
        shared_client(aws_conn_id="aws_default") as one,
        shared_client(**{"aws_conn_id": "aws_default", **other}) as another,
    ):
        assert one is not another


async def test_the_last_to_leave_closes_the_client() -> None:
    async with shared_client(aws_conn_id="aws_default") as client:
        async with shared_client(aws_conn_id="aws_default"):
            await client.call("list_batch")
        await client.call("list_batch")
    assert client._client is None
    assert not shared._shared


async def test_a_client_whose_credentials_are_not_accepted_is_renewed(emulator: Emulator) -> None:
    async with shared_client(aws_conn_id="aws_default") as client:
        await client.call("list_batch")
        before = client._client
        emulator.faults.add(
            Fault(operation="ListBatch", kind="error", error="ExpiredTokenException", status=403)
        )
        with pytest.raises(ClientError, match="ExpiredTokenException"):
            await client.call("list_batch")

        await client.call("list_batch")

        assert client._client is not before


async def test_a_throttled_call_is_one_call(emulator: Emulator) -> None:
    """The client itself retries nothing: it would do so past the rate limit."""
    emulator.faults.add(Fault(operation="ListBatch", kind="error", error="ThrottlingException", times=3))

    for _ in range(3):
        with pytest.raises(ClientError, match="ThrottlingException"):
            await look(aws_conn_id="aws_default")

    assert emulator.calls["ListBatch"] == 3


@pytest.mark.parametrize("regions", [[None], [None, REGION]])
async def test_all_who_ask_one_region_keep_one_rate_limit(
    monkeypatch: pytest.MonkeyPatch, regions: list[str | None]
) -> None:
    monkeypatch.setenv("AIRFLOW__OMICS_BATCH__REQUESTS_PER_SECOND", "50")
    looks = [look(aws_conn_id="aws_default", region_name=regions[n % len(regions)]) for n in range(20)]
    before = time.monotonic()

    await asyncio.gather(*looks)

    # Between the first and the last of 20 turns there are 19 times 20 ms, however quick the machine is.
    assert time.monotonic() - before >= 19 / 50


async def test_a_slow_log_in_ends_in_no_burst(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__OMICS_BATCH__REQUESTS_PER_SECOND", "50")
    connect = OmicsHook.get_async_client_without_retries

    def connect_slowly(hook: OmicsHook) -> Any:
        time.sleep(0.5)
        return connect(hook)

    monkeypatch.setattr(OmicsHook, "get_async_client_without_retries", connect_slowly)

    before = time.monotonic()

    await asyncio.gather(*(look(aws_conn_id="aws_default") for _ in range(20)))

    assert time.monotonic() - before >= 0.5 + 19 / 50

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from airflow_provider_omics_batch.hooks import shared
from airflow_provider_omics_batch.hooks.omics import OmicsHook
from tests.unit.fake_omics import error


class Client:
    """An aiobotocore client, as far as sharing it goes."""

    def __init__(self) -> None:
        self.open = False
        self.answers: list[Any] = []

    async def __aenter__(self) -> Client:
        self.open = True
        return self

    async def close(self) -> None:
        self.open = False

    async def get_batch(self, **parameters: Any) -> dict[str, Any]:
        assert self.open
        if self.answers:
            raise self.answers.pop()
        return {"id": parameters["batchId"]}


@pytest.fixture(name="made")
def _made(monkeypatch: pytest.MonkeyPatch) -> list[Client]:
    made: list[Client] = []

    async def get_async_conn(hook: OmicsHook) -> Client:
        await asyncio.sleep(0)
        made.append(Client())
        return made[-1]

    monkeypatch.setattr(OmicsHook, "get_async_conn", get_async_conn)
    monkeypatch.setenv("AIRFLOW__OMICS_BATCH__REQUESTS_PER_SECOND", "200")
    return made


async def test_all_who_use_a_connection_share_one_client(made: list[Client]) -> None:
    async def look(number: int) -> dict[str, Any]:
        async with shared.shared_client(aws_conn_id="a") as client:
            return await client.call("get_batch", batchId=str(number))

    answers = await asyncio.gather(*map(look, range(20)))

    assert [answer["id"] for answer in answers] == [str(number) for number in range(20)]
    assert len(made) == 1


@pytest.mark.parametrize(
    "other",
    [{"aws_conn_id": "b"}, {"region_name": "eu-west-1"}, {"verify": False}, {"config": {"read_timeout": 5}}],
)
async def test_another_connection_region_or_configuration_has_a_client_of_its_own(
    made: list[Client], other: dict[str, Any]
) -> None:
    async with (
        shared.shared_client(aws_conn_id="a") as one,
        shared.shared_client(**{"aws_conn_id": "a", **other}) as another,
    ):
        await one.call("get_batch", batchId="7")
        await another.call("get_batch", batchId="7")

    assert len(made) == 2


async def test_the_last_to_leave_closes_the_client(made: list[Client]) -> None:
    async with shared.shared_client(aws_conn_id="a") as client:
        async with shared.shared_client(aws_conn_id="a"):
            await client.call("get_batch", batchId="7")
        assert made[0].open
    assert not made[0].open
    assert not shared._clients[asyncio.get_running_loop()]


async def test_a_client_whose_credentials_are_not_accepted_is_renewed(made: list[Client]) -> None:
    expired = error("ExpiredTokenException", 403)
    async with shared.shared_client(aws_conn_id="a") as client:
        await client.call("get_batch", batchId="7")
        made[0].answers.append(expired)
        with pytest.raises(type(expired)):
            await client.call("get_batch", batchId="7")

        await client.call("get_batch", batchId="7")

    assert [client.open for client in made] == [False, False]


async def test_calls_keep_to_the_rate_limit_whoever_makes_them(
    made: list[Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__OMICS_BATCH__REQUESTS_PER_SECOND", "100")
    loop = asyncio.get_running_loop()

    async def look() -> float:
        async with shared.shared_client(aws_conn_id="a") as client:
            await client.call("get_batch", batchId="7")
            return loop.time()

    times = sorted(await asyncio.gather(*(look() for _ in range(21))))

    assert times[-1] - times[0] >= 20 / 100 - 0.01

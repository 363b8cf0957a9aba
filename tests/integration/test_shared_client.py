from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from datetime import timedelta
from typing import Any

import psutil
import pytest
from aiobotocore.session import AioSession
from botocore.exceptions import ClientError, NoCredentialsError

from airflow_provider_omics_batch.emulator import Fault
from airflow_provider_omics_batch.hooks import shared
from airflow_provider_omics_batch.hooks.omics import OmicsHook
from airflow_provider_omics_batch.hooks.shared import SharedClient, shared_client
from airflow_provider_omics_batch.run_batch.faults import FAULTS
from tests.integration.conftest import REGION, Emulator

pytestmark = pytest.mark.usefixtures("emulator")


async def look(**hook_params: Any) -> None:
    async with shared_client(**hook_params) as client:
        await client.call("list_batch")


async def is_renewed(client: SharedClient, before: Any) -> None:
    async with asyncio.timeout(10):
        while client._client is before:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


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


async def test_the_times_in_an_answer_are_those_that_botocore_reads(emulator: Emulator) -> None:
    settings = {"inlineSettings": [{"runSettingId": "a"}]}
    default = {"workflowId": "1234567", "roleArn": "arn:aws:iam::123456789012:role/omics"}
    client = emulator.client("omics")
    batch_id = client.start_run_batch(
        requestId="times", defaultRunSetting=default, batchRunSettings=settings
    )["id"]

    async with shared_client(aws_conn_id="aws_default") as shared:
        answer = await shared.call("get_batch", batchId=batch_id)

    assert answer["creationTime"].utcoffset() == timedelta(0)
    assert answer["creationTime"] == client.get_batch(batchId=batch_id)["creationTime"]


async def test_the_last_to_leave_closes_the_client() -> None:
    async with shared_client(aws_conn_id="aws_default") as client:
        async with shared_client(aws_conn_id="aws_default"):
            await client.call("list_batch")
        await client.call("list_batch")
    assert client._client is None
    assert not shared._shared[asyncio.get_running_loop()].clients


async def test_a_client_is_made_outside_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    makers = []
    create = AioSession._create_client

    async def noted(session: AioSession, *args: Any, **kwargs: Any) -> Any:
        makers.append(threading.current_thread())
        return await create(session, *args, **kwargs)

    monkeypatch.setattr(AioSession, "_create_client", noted)

    await look(aws_conn_id="aws_default")

    assert len(makers) == 1
    assert makers != [threading.current_thread()]


async def test_a_connection_that_assumes_a_role_gets_a_client(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = json.loads(os.environ["AIRFLOW_CONN_AWS_DEFAULT"])
    connection["extra"] |= {
        "role_arn": "arn:aws:iam::123456789012:role/caller",
        "service_config": {"sts": {"endpoint_url": emulator.url}},
    }
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))

    async with shared_client(aws_conn_id="aws_default") as client:
        await client.call("list_batch")

        assert client._client._request_signer._credentials.method == "sts-assume-role"


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "error", "error": "ExpiredTokenException", "status": 403},
        {"kind": "dropped", "times": 2},
    ],
    ids=["its credentials are not accepted", "it gets no answer"],
)
async def test_a_client_that_does_not_work_is_renewed(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, fault: dict[str, Any]
) -> None:
    monkeypatch.setattr(shared, "SHORTEST_USE", 0)
    async with shared_client(aws_conn_id="aws_default") as client:
        await client.call("list_batch")
        before = client._client
        emulator.faults.add(Fault(operation="ListBatch", **fault))
        with pytest.raises(FAULTS):
            await client.call("list_batch")

        await client.call("list_batch")

        await is_renewed(client, before)
        assert before._endpoint.http_session._sessions is None


async def test_many_who_use_a_client_that_does_not_work_renew_it_once(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    connect = OmicsHook.new_async_client
    monkeypatch.setattr(OmicsHook, "new_async_client", lambda hook: made.append(hook) or connect(hook))
    refusal = Fault(operation="ListBatch", kind="error", error="ExpiredTokenException", status=403, times=30)
    async with shared_client(aws_conn_id="aws_default") as client:
        await client.call("list_batch")
        monkeypatch.setattr(client, "_made_at", client._made_at - shared.SHORTEST_USE)
        emulator.faults.add(refusal)
        for _ in range(3):
            calls = (client.call("list_batch") for _ in range(10))
            answers = await asyncio.gather(*calls, return_exceptions=True)
            assert all(isinstance(answer, ClientError) for answer in answers)

        assert await client.call("list_batch")

    assert len(made) == 2


async def test_many_who_wait_for_a_client_share_one_attempt_to_make_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    attempts = []

    def fail(hook: OmicsHook) -> Any:
        attempts.append(hook)
        raise NoCredentialsError

    monkeypatch.setattr(OmicsHook, "new_async_client", fail)
    async with shared_client(aws_conn_id="aws_default") as client:
        calls = (client.call("list_batch") for _ in range(10))
        answers = await asyncio.gather(*calls, return_exceptions=True)

    assert all(isinstance(answer, NoCredentialsError) for answer in answers)
    assert len(attempts) == 1


async def test_calls_go_on_while_a_client_is_renewed(monkeypatch: pytest.MonkeyPatch) -> None:
    made, connect = threading.Event(), OmicsHook.new_async_client
    async with shared_client(aws_conn_id="aws_default") as client:
        await client.call("list_batch")
        before = client._client
        monkeypatch.setattr(OmicsHook, "new_async_client", lambda hook: made.wait(10) and connect(hook))
        monkeypatch.setattr(client, "_renew_at", 0)

        await client.call("list_batch")
        await client.call("list_batch")

        assert client._client is before
        made.set()
        await is_renewed(client, before)


async def test_who_comes_after_all_others_have_left_keeps_their_rate_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIRFLOW__OMICS_BATCH__REQUESTS_PER_SECOND", "2")
    before = time.monotonic()

    for _ in range(3):
        await look(aws_conn_id="aws_default")

    assert time.monotonic() - before >= 2 / 2


async def test_no_burst_follows_when_a_slow_service_recovers(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls wait for their answers, and not for a connection with their turn already taken."""
    monkeypatch.setenv("AIRFLOW__OMICS_BATCH__REQUESTS_PER_SECOND", "50")
    emulator.faults.add(Fault(operation="ListBatch", kind="latency", seconds=2, times=40))
    async with shared_client(aws_conn_id="aws_default") as client:
        calls = [asyncio.create_task(client.call("list_batch")) for _ in range(40)]
        async with asyncio.timeout(10):
            while emulator.faults.calls["ListBatch"] < 40:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

        assert not any(call.done() for call in calls)
        await asyncio.gather(*calls)


@pytest.mark.parametrize("rate", ["0", "-1", "nan"])
async def test_a_rate_limit_that_is_none_is_replaced(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, rate: str
) -> None:
    monkeypatch.setenv("AIRFLOW__OMICS_BATCH__REQUESTS_PER_SECOND", rate)

    limiter = shared._Turns()._limiter

    assert limiter.max_rate / limiter.time_period == 5
    assert "requests_per_second must be above 0; 5.0 is used" in caplog.text


async def test_a_client_is_renewed_after_some_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a connection which was edited is found without an error."""
    monkeypatch.setattr(shared, "LONGEST_USE", 0)
    async with shared_client(aws_conn_id="aws_default") as client:
        await client.call("list_batch")
        before = client._client

        await client.call("list_batch")

        await is_renewed(client, before)


async def test_a_client_stays_where_no_new_one_can_be_made(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with shared_client(aws_conn_id="aws_default") as client:
        await client.call("list_batch")
        monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", "{}")
        monkeypatch.setattr(client, "_renew_at", 0)

        await client.call("list_batch")

        async with asyncio.timeout(10):
            while "the old one stays" not in caplog.text:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert await client.call("list_batch")


async def test_a_call_that_has_waited_for_its_turn_takes_the_client_of_then(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__OMICS_BATCH__REQUESTS_PER_SECOND", "20")
    monkeypatch.setattr(shared, "SHORTEST_USE", 0)
    emulator.faults.add(Fault(operation="ListBatch", kind="error", error="ExpiredTokenException", status=403))
    async with shared_client(aws_conn_id="aws_default") as client:
        first, *others = await asyncio.gather(
            *(client.call("list_batch") for _ in range(10)), return_exceptions=True
        )

    assert isinstance(first, ClientError)
    assert all(isinstance(other, dict) for other in others)


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


async def test_who_asks_by_another_connection_keeps_a_rate_limit_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It may lead to another account."""
    monkeypatch.setenv("AIRFLOW_CONN_LAB", os.environ["AIRFLOW_CONN_AWS_DEFAULT"])
    monkeypatch.setenv("AIRFLOW__OMICS_BATCH__REQUESTS_PER_SECOND", "0.001")

    async with asyncio.timeout(30):
        await look(aws_conn_id="aws_default")
        await look(aws_conn_id="lab")


async def test_turns_are_given_in_the_order_of_coming(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever comes when a turn has just become free does not overtake those who wait for it."""
    monkeypatch.setenv("AIRFLOW__OMICS_BATCH__REQUESTS_PER_SECOND", "100")
    turns, came, went = shared._Turns(), [], []

    async def take(number: int) -> None:
        came.append(number)
        async with turns.turn():
            went.append(number)

    async with asyncio.TaskGroup() as group:
        for number in range(20):
            for offset in (0, 100, 200):
                group.create_task(take(number + offset))
            await asyncio.sleep(0.01)

    assert went == came


async def test_triggers_that_come_and_go_leave_no_sockets_and_no_tasks(emulator: Emulator) -> None:
    process = psutil.Process()
    await look(aws_conn_id="aws_default")
    sockets, tasks = len(process.net_connections()), asyncio.all_tasks()

    for _ in range(20):
        waits = [asyncio.create_task(look(aws_conn_id="aws_default")) for _ in range(20)]
        await asyncio.sleep(0)
        for wait in waits[::2]:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)

    # The server has its ends of them in this process, too.
    async with asyncio.timeout(10):
        while len(process.net_connections()) > sockets:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert asyncio.all_tasks() == tasks
    assert not shared._shared[asyncio.get_running_loop()].clients


async def test_a_slow_log_in_ends_in_no_burst(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__OMICS_BATCH__REQUESTS_PER_SECOND", "50")
    connect = OmicsHook.new_async_client

    def connect_slowly(hook: OmicsHook) -> Any:
        time.sleep(0.5)
        return connect(hook)

    monkeypatch.setattr(OmicsHook, "new_async_client", connect_slowly)

    before = time.monotonic()

    await asyncio.gather(*(look(aws_conn_id="aws_default") for _ in range(20)))

    assert time.monotonic() - before >= 0.5 + 19 / 50

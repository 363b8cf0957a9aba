"""A process in which triggers wait, as in Airflow's triggerer: each is a task of one event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psutil

from tests.benchmarks.measuring import memory, stall, usage
from tests.benchmarks.sides.account import get_batch_calls, until_looked

#: Triggers that are there at the same time, of those that come and go.
WAVE = 500

#: Seconds; the machine may be slow.
PATIENCE = 300

MakeTrigger = Callable[[str], Any]


def ours(batch_ids: list[str], interval: float, looks: int) -> dict[str, float]:
    from airflow_provider_omics_batch.triggers.omics import RunBatchTrigger

    return asyncio.run(
        _wait(lambda batch_id: RunBatchTrigger(batch_id=batch_id, poll_interval=interval), batch_ids, looks)
    )


def rival(batch_ids: list[str], interval: int, looks: int) -> dict[str, float]:
    from tests.benchmarks.rivals.trigger import WaiterTrigger

    return asyncio.run(
        _wait(lambda batch_id: WaiterTrigger(batch_id=batch_id, waiter_delay=interval), batch_ids, looks)
    )


def bare(batch_ids: list[str], interval: float, looks: int) -> dict[str, float]:
    """Call GetBatch as often, with one client and nothing around it."""
    from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook

    async def wait() -> dict[str, float]:
        hook: AwsBaseHook[Any] = AwsBaseHook(client_type="omics")
        async with await hook.get_async_conn() as client:
            return await _wait(lambda batch_id: _Calls(client, batch_id, interval), batch_ids, looks)

    return asyncio.run(wait())


@dataclass
class _Calls:
    """Calls for ever, as a trigger does that has nothing to tell."""

    client: Any
    batch_id: str
    interval: float

    async def run(self) -> AsyncIterator[None]:
        while True:
            await self.client.get_batch(batchId=self.batch_id)
            await asyncio.sleep(self.interval)
            if False:
                yield


async def _wait(make: MakeTrigger, batch_ids: list[str], looks: int) -> dict[str, float]:
    """Let one trigger wait, and then all of them, until each has looked so many times."""
    before = await get_batch_calls()
    async with stall() as first_stall:
        tasks = [asyncio.create_task(_run(make(batch_ids[0])))]
        await until_looked(before + 1, PATIENCE)
    memory_of_one = memory()
    before = await get_batch_calls()
    with usage() as used:
        async with stall() as worst_stall:
            for batch_id in batch_ids[1:]:
                # The triggerer lets others go on between two of them.
                await asyncio.sleep(0)
                tasks.append(asyncio.create_task(_run(make(batch_id))))
            count = await until_looked(before + looks * len(batch_ids), PATIENCE) - before
    memory_of_all = memory()
    ended = [task for task in tasks if task.done()]
    await _cancel(tasks)
    if ended:
        raise RuntimeError(f"{len(ended)} triggers have not waited, like {ended[0]}")
    others = len(batch_ids) - 1
    return {
        "memory": (memory_of_all - memory_of_one) / others,
        "first_stall": first_stall.worst,
        "worst_stall": worst_stall.worst,
        "cpu_per_look": used.cpu / count,
        "cpu_per_batch": used.cpu / others,
        "looks": count,
        "seconds": used.seconds,
    }


def come_and_go(waiting_id: str, ended_id: str, triggers: int) -> dict[str, int]:
    """Return what is left of triggers of ours, of which one half fires and one half is cancelled."""
    from airflow_provider_omics_batch.triggers.omics import RunBatchTrigger

    async def waves() -> dict[str, int]:
        before = dict(_held())
        for _ in range(triggers // WAVE):
            firing = [asyncio.create_task(_run(RunBatchTrigger(batch_id=ended_id))) for _ in range(WAVE // 2)]
            waiting = [
                asyncio.create_task(_run(RunBatchTrigger(batch_id=waiting_id))) for _ in range(WAVE // 2)
            ]
            await asyncio.gather(*firing)
            await _cancel(waiting)
        # What is closed is gone a turn of the loop later.
        await asyncio.sleep(0.5)
        return {what: held - before[what] for what, held in _held()}

    return asyncio.run(waves())


def _held() -> Iterator[tuple[str, int]]:
    yield "tasks", len(asyncio.all_tasks())
    yield "sockets", len(psutil.Process().net_connections("all"))


async def _run(trigger: Any) -> None:
    async for _ in trigger.run():
        pass


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError):
            await task

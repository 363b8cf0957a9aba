"""A process whose calls are counted, by the emulator or in virtual time."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from tests.benchmarks.cohort import DEFAULT_RUN_SETTING
from tests.benchmarks.sides.account import calls
from tests.benchmarks.virtual_service import Call, VirtualService
from tests.virtual_time import EPOCH, VirtualLoop

MakeTrigger = Callable[[str], Any]


def crowd(side: str, batches: int, seconds: float) -> dict[str, float]:
    """
    Let batches wait together that go on for days.

    :param side: ``ours`` or ``rival``
    """
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(_crowd(_maker(side), batches, seconds))


def life(side: str, runs: int) -> dict[str, float]:
    """
    Wait for one batch that is submitted at five runs a second, from its submission to its end.

    :param side: ``ours`` or ``rival``
    """
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(_life(_maker(side), runs))


def task(settings_uri: str, staging_uri: str) -> dict[str, int]:
    """Run a deferrable task from its submission to its XCom, and return the calls of all operations."""
    from tests.benchmarks.sides.task import run_task

    before = calls()
    run_task(settings_uri, staging_uri)
    return {operation: count - before.get(operation, 0) for operation, count in calls().items()}


def _maker(side: str) -> MakeTrigger:
    if side == "ours":
        from airflow_provider_omics_batch.triggers.omics import RunBatchTrigger

        return lambda batch_id: RunBatchTrigger(batch_id=batch_id)

    from tests.benchmarks.rivals.trigger import WaiterTrigger

    return lambda batch_id: WaiterTrigger(batch_id=batch_id)


def _virtual_loop() -> VirtualLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return loop


async def _crowd(make: MakeTrigger, batches: int, seconds: float) -> dict[str, float]:
    service = VirtualService(
        _virtual_loop(), start_run_tps=1e6, concurrent_runs=batches, run_seconds=1e9, creating_seconds=0
    )
    batch_ids = [
        service.backend.start_run_batch(
            {
                "requestId": f"crowd-{number}",
                "defaultRunSetting": DEFAULT_RUN_SETTING,
                "batchRunSettings": {"inlineSettings": [{"runSettingId": f"sample-{number}"}]},
            }
        )["id"]
        for number in range(batches)
    ]
    tasks = [asyncio.create_task(_event(make(batch_id))) for batch_id in batch_ids]
    done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    if done:
        raise RuntimeError(f"A trigger has not waited: {done}")
    for waiting in tasks:
        waiting.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    looks = [call for call in service.calls if call.operation == "GetBatch"]
    return {
        "looks_per_second": len(looks) / seconds,
        "busiest_second": _busiest_second([look.at for look in looks]),
        "longest_gap": _longest_gap(looks, batches, seconds),
    }


def _busiest_second(times: list[float]) -> int:
    first, most = 0, 0
    for last, time in enumerate(times):
        # From its turn to the wire, one call takes some microseconds longer than another.
        while time - times[first] > 1 - 1e-3:
            first += 1
        most = max(most, last - first + 1)
    return most


def _longest_gap(looks: list[Call], batches: int, seconds: float) -> float:
    """Return for how long some batch was not looked at, from the beginning to the end."""
    times: dict[str, list[float]] = defaultdict(list)
    for look in looks:
        times[look.path].append(look.at)
    if len(times) < batches:
        return seconds
    return max(after - before for each in times.values() for before, after in pairwise([0.0, *each, seconds]))


async def _life(make: MakeTrigger, runs: int) -> dict[str, float]:
    loop = _virtual_loop()
    service = VirtualService(loop, concurrent_runs=runs)
    settings = ",".join(f'{{"runSettingId": "sample-{number}"}}' for number in range(runs))
    service.put("/cohort")
    service.put("/cohort/settings.json", f"[{settings}]".encode())
    batch_id = service.backend.start_run_batch(
        {
            "requestId": "life",
            "defaultRunSetting": DEFAULT_RUN_SETTING,
            "batchRunSettings": {"s3UriSettings": "s3://cohort/settings.json"},
        }
    )["id"]
    await _event(make(batch_id))
    end = service.backend.get_batch({"batchId": batch_id})["processedTime"].timestamp() - EPOCH
    return {
        "looks": sum(call.operation == "GetBatch" for call in service.calls),
        "hours": end / 3600,
        "seen_after": loop.time() - end,
    }


async def _event(trigger: Any) -> Any:
    return [event async for event in trigger.run()]

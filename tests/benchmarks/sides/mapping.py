"""A process that lists the runs of a batch that has ended."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from dataclasses import asdict
from typing import Any

from tests.benchmarks.measuring import stall, usage


def ours(batch_id: str, manifest_uri: str) -> dict[str, float]:
    """Let a trigger write the manifest."""
    from airflow_provider_omics_batch.triggers.omics import RunBatchTrigger

    trigger = RunBatchTrigger(batch_id=batch_id, manifest_uri=manifest_uri)

    async def watched() -> float:
        # The first client and its modules have their own figure, in "waiting".
        await _event(RunBatchTrigger(batch_id=batch_id))
        async with stall() as worst:
            event = await _event(trigger)
        assert event["manifest_uri"] == manifest_uri
        return worst.worst

    with usage() as used:
        worst = asyncio.run(watched())
    return {**asdict(used), "stall": worst}


def rival(batch_id: str, what: str) -> dict[str, float]:
    """
    Make one XCom of all runs.

    :param what: ``run_ids`` or ``runs``
    """
    from tests.benchmarks.rivals import task

    with usage() as used:
        xcom = json.dumps(getattr(task, what)(batch_id), default=str)
    return {**asdict(used), "xcom_bytes": len(xcom)}


def xcom(settings_uri: str, staging_uri: str) -> dict[str, int]:
    """Run a deferrable task, and return the size of each XCom."""
    from tests.benchmarks.sides.task import run_task

    ti = run_task(settings_uri, staging_uri)
    return {key: len(json.dumps(value)) for key, value in ti.xcom.items()}


async def _event(trigger: Any) -> Any:
    async with aclosing(trigger.run()) as events:
        return (await anext(events)).payload

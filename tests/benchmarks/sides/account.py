"""The emulator as a side sees it that counts its own calls."""

from __future__ import annotations

import asyncio
import json
import os
from urllib.request import urlopen

#: Seconds; the answer costs CPU of the process that is measured.
LOOK_EVERY = 1.0


def calls() -> dict[str, int]:
    """Return how often each operation was called."""
    with urlopen(f"{os.environ['EMULATOR']}/moto-api/omics/calls") as answer:  # noqa: S310
        counts: dict[str, int] = json.load(answer)
    return counts


async def get_batch_calls() -> int:
    return (await asyncio.to_thread(calls)).get("GetBatch", 0)


async def until_looked(times: int, seconds: float) -> int:
    """
    Wait until GetBatch was called so many times in all, and return how often it was.

    :param seconds: How long to wait at most.
    :raises TimeoutError: It was not called so often by then.
    """
    async with asyncio.timeout(seconds):
        while (count := await get_batch_calls()) < times:  # noqa: ASYNC110 - another process counts
            await asyncio.sleep(LOOK_EVERY)
    return count

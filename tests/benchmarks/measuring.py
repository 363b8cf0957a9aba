"""What a process takes: CPU, memory, and the time for which its event loop is blocked."""

from __future__ import annotations

import asyncio
import gc
import os
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

MB = 1_000_000

#: Seconds. Often enough to see a stall, and not so often that the watching is what is measured.
WATCH_EVERY = 0.005


@dataclass
class Usage:
    """
    What a piece of work has taken.

    :param seconds: By the clock on the wall.
    :param cpu: Seconds of CPU, of user and system, of all threads.
    :param peak: The most memory that was resident, in MB above that of before.
    """

    seconds: float = 0
    cpu: float = 0
    peak: float = 0


@contextmanager
def usage() -> Iterator[Usage]:
    """Measure the work that is done meanwhile."""
    used = Usage()
    gc.collect()
    # The kernel begins anew with the peak.
    Path("/proc/self/clear_refs").write_text("5")
    resident, cpu, clock = status("VmRSS"), time.process_time(), time.perf_counter()
    yield used
    used.seconds, used.cpu = time.perf_counter() - clock, time.process_time() - cpu
    # Not ru_maxrss, which a new process has from its parent.
    used.peak = status("VmHWM") - resident


def status(member: str, process: int | str = "self") -> float:
    """
    Return a member of a process's status that is an amount of memory, in MB; 0 where it has none any more.

    :param member: As the kernel calls it, ``VmRSS`` or ``VmHWM``.
    """
    content = Path(f"/proc/{process}/status").read_text()
    found = re.search(rf"^{member}:\s*(\d+) kB$", content, re.MULTILINE)
    return int(found[1]) * 1024 / MB if found else 0


def memory() -> float:
    """Return the memory, in MB, that would be free without this process."""
    gc.collect()
    return psutil.Process().memory_full_info().uss / MB


@dataclass
class Stall:
    """
    How long an event loop was blocked.

    :param worst: Seconds, the longest time, without that for which the machine had no core for it.
    """

    worst: float = 0


@asynccontextmanager
async def stall() -> AsyncIterator[Stall]:
    """
    Watch the running event loop meanwhile.

    What is there before is kept out of garbage collection, since to go through all that Airflow has loaded
    blocks any process of Airflow for a tenth of a second, whatever the work.
    """
    found = Stall()
    gc.collect()
    gc.freeze()

    async def watch(schedstat: int) -> None:
        now = time.perf_counter() - _seconds_without_core(schedstat)
        while True:
            before = now
            await asyncio.sleep(WATCH_EVERY)
            now = time.perf_counter() - _seconds_without_core(schedstat)
            found.worst = max(found.worst, now - before - WATCH_EVERY)

    with open("/proc/thread-self/schedstat") as file:  # noqa: ASYNC230, PTH123 - it is none on a disk
        watcher = asyncio.create_task(watch(file.fileno()))
        try:
            # Long enough for the watcher to begin, and in the end to see the last stall.
            await asyncio.sleep(2 * WATCH_EVERY)
            yield found
            await asyncio.sleep(2 * WATCH_EVERY)
        finally:
            watcher.cancel()
            with suppress(asyncio.CancelledError):
                await watcher
            gc.unfreeze()


def _seconds_without_core(schedstat: int) -> float:
    """Return for how long a thread has waited for a core that others had."""
    return int(os.pread(schedstat, 100, 0).split()[1]) / 1e9

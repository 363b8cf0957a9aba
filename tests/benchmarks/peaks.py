"""The most memory that processes of Airflow's have taken."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from types import TracebackType

import psutil

from tests.benchmarks.measuring import MB
from tests.system.processes import Services

#: Seconds. What a task takes in its last moments may be missed.
LOOK_EVERY = 0.1


class Peaks:
    """
    Watches the processes in which triggers and tasks run.

    :param services: Runs Airflow.
    """

    def __init__(self, services: Services) -> None:
        self._triggerer = psutil.Process(services.named("triggerer").process.pid)
        self._scheduler = psutil.Process(services.named("scheduler").process.pid)
        self._stop = Event()
        self._thread = Thread(target=self._watch)
        self._triggers_before = max(self._triggers())
        #: In MB, of the process in which all triggers run, above that of before.
        self.triggers = 0.0
        #: In MB, of the largest process in which a task has run.
        self.task = 0.0

    def __enter__(self) -> Peaks:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(LOOK_EVERY):
            self.triggers = max(self._triggers(), default=0) - self._triggers_before
            self.task = max(self.task, *self._tasks(), 0)

    def _triggers(self) -> Iterator[float]:
        return map(_peak, self._triggerer.children())

    def _tasks(self) -> Iterator[float]:
        """Yield the peaks of what the executor's workers have started."""
        for worker in self._scheduler.children():
            with suppress(psutil.NoSuchProcess):
                yield from map(_peak, worker.children())


def _peak(process: psutil.Process) -> float:
    with suppress(OSError):
        found = re.search(r"^VmHWM:\s*(\d+) kB$", Path(f"/proc/{process.pid}/status").read_text(), re.M)
        # One that is dead and not reaped has no memory any more.
        return int(found[1]) * 1024 / MB if found else 0
    return 0

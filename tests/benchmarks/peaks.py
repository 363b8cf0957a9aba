"""The most memory that Airflow's processes take."""

from __future__ import annotations

from contextlib import suppress
from threading import Event, Thread
from types import TracebackType

import psutil

from tests.benchmarks.measuring import status
from tests.system.processes import Services

#: Seconds. What a task takes in its last moments may be missed; to look costs CPU that others want.
LOOK_EVERY = 0.5


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
        #: In MB, of the process in which all triggers run: at the beginning and in the end.
        self.triggers_before = self.triggers = self._largest_trigger_process()
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
            self.triggers = self._largest_trigger_process()
            self.task = max(self.task, self._largest_task_process())

    def _largest_trigger_process(self) -> float:
        return max(map(_peak, self._triggerer.children()), default=0)

    def _largest_task_process(self) -> float:
        """Return the peak of the largest process that a worker of the executor has started."""
        processes = self._scheduler.children(recursive=True)
        tasks = [process for process in processes if not _is_child(process, self._scheduler)]
        return max(map(_peak, tasks), default=0)


def _is_child(process: psutil.Process, parent: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.ppid() == parent.pid
    return False


def _peak(process: psutil.Process) -> float:
    """Return the most memory that a process has had so far."""
    with suppress(OSError):
        return status("VmHWM", process.pid)
    return 0

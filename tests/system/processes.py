"""Child processes that are sure to be gone in the end."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from types import TracebackType

import psutil

LOOK_EVERY = 0.25

log = logging.getLogger(__name__)


class DeploymentError(Exception):
    """
    Something did not start, did not come up in time, or ended by itself.

    :param message: What happened, in a sentence.
    :param log: The file in which to look for the reason.
    """

    def __init__(self, message: str, log: Path | None = None) -> None:
        super().__init__(message)
        self.log = log


def show_logs(folder: Path, lines: int = 40) -> None:
    """Repeat the ends of all logs below a folder, which pytest shows where a test fails."""
    for path in sorted(folder.rglob("*.log")):
        end = "\n".join(path.read_text().splitlines()[-lines:])
        log.warning("%s:\n%s", path.relative_to(folder), end)


class BusyError(DeploymentError):
    """Something gave no answer this time; while waiting, it is asked again."""


class Interrupted(Exception):  # noqa: N818 - nothing went wrong
    """Somebody asked for the end."""


@dataclass(frozen=True)
class Service:
    """A process that was started here, and the file that has its output."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def exit_code(self) -> int | None:
        """Return the exit code, or ``None`` while the process lives; a dead one is not reaped yet."""
        result = os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if result is None:
            return None
        return result.si_status if result.si_code == os.CLD_EXITED else -result.si_status


class Services:
    """
    Starts processes, waits with an eye on them, and ends them with all that they started themselves.

    Each process leads a session of its own, to which its children belong however often they are handed
    on to another parent. Leaders are reaped last, so that nobody else is given their ids meanwhile.

    :param logs: The folder for the processes' output.
    :param environment: The processes' whole environment.
    :param stop: Set by whoever wants the waiting to end.
    """

    def __init__(self, logs: Path, environment: Mapping[str, str], stop: Event | None = None) -> None:
        self.environment = dict(environment)
        self._logs = logs
        self._stop = stop or Event()
        self._running: list[Service] = []
        #: Called with what has ended by itself, in place of an error.
        self.successor: Callable[[Service], object] | None = None

    def __enter__(self) -> Services:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __contains__(self, service: Service) -> bool:
        return service in self._running

    def start(self, name: str, command: Sequence[str]) -> Service:
        log = self._logs / f"{name}.log"
        with log.open("ab") as output:
            process = subprocess.Popen(  # noqa: S603 - commands of our own
                command,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        service = Service(name, process, log)
        self._running.append(service)
        return service

    def run(self, name: str, command: Sequence[str], seconds: float) -> None:
        """Start a process that ends by itself, and wait for that."""
        service = self.start(name, command)

        def has_ended() -> bool:
            self.check(besides=service)
            return service.exit_code() is not None

        self._wait(has_ended, f"the end of {name}", seconds)
        self._running.remove(service)
        if code := service.process.wait():
            raise DeploymentError(f"{name} ended with exit code {code}", service.log)

    def wait_for(
        self, condition: Callable[[], bool], what: str, seconds: float, every: float = LOOK_EVERY
    ) -> None:
        """
        Wait until a condition holds.

        :param condition: Asked again and again.
        :param what: What is waited for, for the error message.
        :param seconds: How long at most.
        :param every: Seconds between two questions.
        :raises DeploymentError: A process has ended meanwhile, or the time is up.
        :raises Interrupted: ``stop`` is set.
        """

        def holds() -> bool:
            self.check()
            with suppress(BusyError):
                return condition()
            return False

        self._wait(holds, what, seconds, every)

    def check(self, *, besides: Service | None = None) -> None:
        """Raise ``DeploymentError`` if a process has ended that should not."""
        for service in list(self._running):
            if service is besides or (code := service.exit_code()) is None:
                continue
            if self.successor:
                self.kill(service)
                self.successor(service)
            else:
                raise DeploymentError(f"The {service.name} ended by itself, exit code {code}", service.log)

    def signal(self, service: Service, number: signal.Signals) -> None:
        """Send a signal to a process and to all that belong to it."""
        for pid in _members({service.process.pid}):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill(self, service: Service) -> None:
        """Kill a process with all that belong to it, at once; from then on it is none of ours."""
        while _members({service.process.pid}):
            self.signal(service, signal.SIGKILL)
            time.sleep(0.01)
        self.forget(service)

    def forget(self, service: Service) -> None:
        """Reap a process that was made to end, so that its end is not taken for a mishap."""
        service.process.wait()
        self._running.remove(service)

    def named(self, name: str) -> Service:
        """Return the running process of a name."""
        return next(service for service in self._running if service.name == name)

    def stop(self, patience: float = 6) -> None:
        """End everything: ask first, and kill what is left when patience is at its end."""
        for service in self._running:
            if service.exit_code() is None:
                service.process.terminate()
        sessions = {service.process.pid for service in self._running}
        deadline = time.monotonic() + patience
        while (alive := _members(sessions)) and time.monotonic() < deadline:
            time.sleep(0.1)
        while alive:
            for pid in alive:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)
            alive = _members(sessions)
        for service in self._running:
            service.process.wait()
        self._running.clear()

    def _wait(
        self, condition: Callable[[], bool], what: str, seconds: float, every: float = LOOK_EVERY
    ) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise DeploymentError(f"Waited {seconds:.0f} seconds for {what}")
            if self._stop.wait(every):
                raise Interrupted


def _members(sessions: set[int]) -> list[int]:
    """Return the ids of the processes in these sessions, but for those that are dead and not reaped."""
    found = []
    for process in psutil.process_iter():
        with suppress(ProcessLookupError, PermissionError, psutil.NoSuchProcess):
            if os.getsid(process.pid) in sessions and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
    return found

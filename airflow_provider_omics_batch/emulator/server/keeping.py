"""Keeps the state in a file, while the emulator is at work."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager, suppress
from threading import Condition, Event, Lock, Thread
from typing import TYPE_CHECKING

from airflow_provider_omics_batch.emulator.models import OmicsBackend, omics_backends
from airflow_provider_omics_batch.emulator.server.state import StateFile, restore, take

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# Seconds for which the time in the file is ahead, and how often it is moved on.
_AHEAD = 1.0
_EVERY = 0.25

_READING = ("GET", "HEAD", "OPTIONS")


class Keeper:
    """
    Keeps HealthOmics and S3 in a file: whatever was answered is in it.

    Its time is a little ahead of the clock, so that no restart goes back in time.
    """

    def __init__(self, path: Path) -> None:
        self.gate = Gate()
        self._file = StateFile(path)
        self._writing = Lock()
        self._counting = Lock()
        self._asked = self._saved = 0
        self._ended = Event()
        self._thread = Thread(target=self._move_time, daemon=True)

    def start(self) -> None:
        """
        Go on from what is in the file, and keep all that happens from now on.

        :raises StateError: the file is not of this emulator, or another one is at work on it.
        :raises OSError: it cannot be read or written.
        """
        self._file.lock()
        with self._file.opened() as found:
            if found:
                time, content = found
                restore(content)
                OmicsBackend.shared_clock().resume(time)
        self.save()
        self._thread.start()

    def save(self) -> None:
        """Return once all that has happened is in the file; many who wait share a write."""
        with self._counting:
            self._asked += 1
            mine = self._asked
        with self._writing:
            if self._saved < mine:
                self._saved = self._write()

    def end(self) -> None:
        self._ended.set()
        self._thread.join()
        with self._writing:
            self._file.write_time(OmicsBackend.default_clock())

    def _write(self) -> int:
        with self._file.successor(_time_ahead) as file, ExitStack() as stack:
            stack.enter_context(self.gate.closed())
            for regions in list(omics_backends.values()):
                for backend in list(regions.values()):
                    stack.enter_context(backend.at_rest())
            asked = self._asked
            take(file)
        return asked

    def _move_time(self) -> None:
        while not self._ended.wait(_EVERY):
            # What goes wrong here is told by the next change.
            with self._writing, suppress(OSError):
                self._file.write_time(_time_ahead())


def _time_ahead() -> float:
    clock = OmicsBackend.shared_clock()
    return clock() + _AHEAD * clock.speed


class Gate:
    """
    Lets many pass at a time, or nobody.

    Once somebody wants it closed, nobody comes in any more until it was; so nobody inside may come in again.
    """

    def __init__(self) -> None:
        self._condition = Condition()
        self._inside = 0
        self._closing = 0

    @contextmanager
    def passing(self) -> Iterator[None]:
        with self._condition:
            self._condition.wait_for(lambda: not self._closing)
            self._inside += 1
        try:
            yield
        finally:
            with self._condition:
                self._inside -= 1
                self._condition.notify_all()

    @contextmanager
    def closed(self) -> Iterator[None]:
        with self._condition:
            self._closing += 1
            try:
                self._condition.wait_for(lambda: not self._inside)
                yield
            finally:
                self._closing -= 1
                self._condition.notify_all()


class KeptService:
    """A service of moto's, whose answers leave when what they tell is in the file."""

    def __init__(self, application: WSGIApplication, keeper: Keeper) -> None:
        self._application = application
        self._keeper = keeper

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        with self._keeper.gate.passing():
            answer = self._application(environ, start_response)
        if environ["REQUEST_METHOD"] not in _READING:
            self._keeper.save()
        return answer

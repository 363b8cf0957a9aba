"""An event loop whose time does not wait for anybody: days pass in a second."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

#: Seconds since the epoch at which the time of a loop begins.
EPOCH = 1_800_000_000

#: Seconds that a turn of the loop takes.
TURN = 1e-6


class VirtualLoop(asyncio.SelectorEventLoop):
    """Its time jumps to what comes next as soon as there is nothing to do."""

    def __init__(self) -> None:
        self.now = 0.0
        self.threads_at_work = 0
        super().__init__(_Selector(self))

    def time(self) -> float:
        return self.now

    def run_in_executor(
        self, executor: Executor | None, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        future = super().run_in_executor(executor, func, *args)
        self.threads_at_work += 1
        future.add_done_callback(self._thread_is_done)
        return future

    def _thread_is_done(self, future: asyncio.Future[Any]) -> None:
        self.threads_at_work -= 1


class _Selector(selectors.DefaultSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        """Return what is ready; instead of waiting for a time, let that time come."""
        # Some wait again where a time has come but for its last digit, which must not go on for ever.
        self._loop.now += TURN
        if not timeout or self._loop.threads_at_work:
            return super().select(timeout)
        ready = super().select(0)
        if not ready:
            self._loop.now += timeout
        return ready

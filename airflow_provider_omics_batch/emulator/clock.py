"""Where the emulator takes the time from. A clock is called and answers seconds since the epoch."""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], float]


class ScaledClock:
    """Begins at the true time and runs ``speed`` times as fast from there."""

    def __init__(self, speed: float = 1.0) -> None:
        if not speed > 0:
            raise ValueError("speed must be more than 0")
        self.speed = speed
        self._epoch = time.time()
        self._started = time.monotonic()

    def __call__(self) -> float:
        return self._epoch + (time.monotonic() - self._started) * self.speed


class ManualClock:
    """Stands still until :meth:`advance` moves it; for tests."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        if seconds < 0:
            raise ValueError("time does not run backwards")
        self.now += seconds

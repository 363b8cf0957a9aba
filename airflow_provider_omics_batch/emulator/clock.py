"""Where the emulator takes the time from. A clock is called and answers seconds since the epoch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], float]

#: Where time ends: later ones cannot be shown, here or by clients in another time zone.
LATEST = datetime(9999, 1, 1, tzinfo=UTC).timestamp()


class ScaledClock:
    """Begins at the true time and runs ``speed`` times as fast from there; with 0 it stands still."""

    def __init__(self, speed: float = 1.0) -> None:
        self._set(time.time(), speed, time.monotonic())

    def __call__(self) -> float:
        return self._at(time.monotonic())

    @property
    def speed(self) -> float:
        return self._pace[1]

    @speed.setter
    def speed(self, speed: float) -> None:
        """Go on from the time of now at another speed."""
        moment = time.monotonic()
        self._set(self._at(moment), speed, moment)

    def advance(self, seconds: float) -> None:
        """Jump ahead, and go on from there."""
        moment = time.monotonic()
        self._set(_later(self._at(moment), seconds), self.speed, moment)

    def resume(self, now: float) -> None:
        """Go on from another time."""
        self._set(now, self.speed, time.monotonic())

    def _at(self, moment: float) -> float:
        now, speed, since = self._pace
        return min(now + (moment - since) * speed, LATEST)

    def _set(self, now: float, speed: float, since: float) -> None:
        if not 0 <= speed < math.inf:
            raise ValueError("speed must be 0 or more")
        # As one, for other threads to read.
        self._pace = (now, speed, since)


class ManualClock:
    """Stands still until :meth:`advance` moves it; for tests."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now = _later(self.now, seconds)


def _later(now: float, seconds: float) -> float:
    if not seconds >= 0:
        raise ValueError("time does not run backwards")
    if now + seconds > LATEST:
        raise ValueError("time ends with the year 9998")
    return now + seconds

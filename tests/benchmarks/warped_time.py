"""The emulator's clock, on which hours pass in seconds, beside this machine's."""

from __future__ import annotations

import time
from datetime import datetime

from tests.system.deployment import Emulator


class WarpedTime:
    """
    Tells when a moment of the emulator's was on this machine.

    :param emulator: Asked what time it is there.
    :param speed: Seconds of the emulator's that pass in one.
    """

    def __init__(self, emulator: Emulator, speed: float) -> None:
        self._speed = speed
        before = time.time()
        self._warped = emulator.now().timestamp()
        self._true = (before + time.time()) / 2

    def true(self, moment: datetime) -> float:
        """Return when a moment of the emulator's was here, in seconds since the epoch."""
        return self._true + (moment.timestamp() - self._warped) / self._speed

"""The emulator's clock, on which hours pass in seconds, beside this machine's."""

from __future__ import annotations

import time
from datetime import datetime

from tests.benchmarks.cohort import DEFAULT_RUN_SETTING
from tests.system.deployment import Emulator


class WarpedTime:
    """
    Tells when a moment of the emulator's was on this machine.

    :param emulator: Given a batch of its own, whose creation is the moment by which the clocks are compared.
    :param speed: Seconds of the emulator's that pass in one.
    """

    def __init__(self, emulator: Emulator, speed: float) -> None:
        self._speed = speed
        client = emulator.client("omics")
        settings = {"inlineSettings": [{"runSettingId": "clock"}]}
        before = time.time()
        batch_id = client.start_run_batch(
            requestId="clock", defaultRunSetting=DEFAULT_RUN_SETTING, batchRunSettings=settings
        )["id"]
        self._true = (before + time.time()) / 2
        created: datetime = client.get_batch(batchId=batch_id)["creationTime"]
        self._warped = created.timestamp()

    def true(self, moment: datetime) -> float:
        """Return when a moment of the emulator's was here, in seconds since the epoch."""
        return self._true + (moment.timestamp() - self._warped) / self._speed

"""How often an account may call each operation in a second."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_omics_batch.emulator.quotas import Quotas

#: The documented rates; StartRun, CancelRun and DeleteRun have theirs in the settings, the others have none.
RATES = {
    "StartRunBatch": 1,
    **dict.fromkeys(("CreateWorkflow", "TagResource", "UntagResource", "ListTagsForResource"), 5),
    **dict.fromkeys(("GetBatch", "ListRunsInBatch", "CancelRunBatch"), 10),
    **dict.fromkeys(("GetRun", "ListRuns", "GetRunTask", "ListRunTasks"), 10),
    **dict.fromkeys(("GetWorkflow", "ListWorkflows", "UpdateWorkflow", "DeleteWorkflow"), 10),
    **dict.fromkeys((f"{verb}RunGroup" for verb in ("Create", "Get", "Update", "Delete")), 10),
    **dict.fromkeys((f"{verb}RunCache" for verb in ("Create", "Get", "Update", "Delete")), 10),
    **dict.fromkeys(("ListRunGroups", "ListRunCaches"), 10),
}


def rate_of(operation: str, quotas: Quotas) -> float | None:
    """Tell how many calls a second an operation has; ``None`` for any number."""
    shared = {
        "StartRun": quotas.start_run_tps,
        "CancelRun": quotas.cancel_run_tps,
        "DeleteRun": quotas.delete_run_tps,
    }
    return shared.get(operation, RATES.get(operation))


class Throttle:
    """
    A bucket of calls for each operation, filled at its rate; it holds those of one second.

    :param clock: true seconds, whatever the speed of the emulator: it is the client that is to be slow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._buckets: dict[str, tuple[float, float]] = {}

    def takes(self, operation: str, rate: float) -> bool:
        """Take a call, unless there were too many of late."""
        now, size = self._clock(), max(1.0, rate)
        with self._lock:
            filled, since = self._buckets.get(operation, (size, now))
            filled = min(size, filled + (now - since) * rate)
            taken = filled >= 1
            self._buckets[operation] = (filled - taken, now)
            return taken

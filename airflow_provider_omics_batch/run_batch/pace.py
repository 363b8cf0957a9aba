"""How long until the next look at a batch."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from airflow_provider_omics_batch.run_batch.states import BatchState

#: Seconds. While runs wait for their submission the end is far, later it can come at any time.
LONGEST_WHILE_SUBMITTING = 300
LONGEST_WHILE_RUNNING = 60

#: The next look comes when this share of the time that is left has passed.
SHARE_OF_TIME_LEFT = 0.1

#: By this share a look may come earlier.
JITTER = 0.2


@dataclass
class Pace:
    """
    Derives from two looks how fast a batch gets on, and from that how long to wait.

    :param poll_interval: Seconds; the shortest time between two looks.
    """

    poll_interval: float
    _before: tuple[float, BatchState] | None = field(default=None, init=False)
    _rates: dict[str, float] = field(default_factory=dict, init=False)

    def note(self, state: BatchState, now: float) -> None:
        """
        Take a look into account.

        :param now: Seconds on any clock that does not jump.
        """
        if self._before and now > self._before[0]:
            then, before = self._before
            for what, left in _work_left(state).items():
                self._rates[what] = max(0, _work_left(before)[what] - left) / (now - then)
        self._before = (now, state)

    @property
    def seconds_left(self) -> float | None:
        """Seconds until every run has ended at the present rates; ``None`` where that cannot be told yet."""
        return self._slowest[0]

    @property
    def per_second(self) -> float:
        """Submissions or ended runs a second, whichever takes longer to get done."""
        return self._slowest[1]

    @property
    def _slowest(self) -> tuple[float | None, float]:
        left = _work_left(self._before[1]) if self._before else {}
        times = [(work / rate, rate) for what, work in left.items() if (rate := self._rates.get(what))]
        return max(times, default=(None, 0.0))

    def seconds_to_next_look(self) -> float:
        """Return seconds, at least ``poll_interval``."""
        submitting = self._before is not None and _work_left(self._before[1])["submissions"] > 0
        longest = LONGEST_WHILE_SUBMITTING if submitting else LONGEST_WHILE_RUNNING
        interval = min(longest, (self.seconds_left or 0) * SHARE_OF_TIME_LEFT)
        # Batches that were started together are not looked at together for ever.
        return max(self.poll_interval, interval * random.uniform(1 - JITTER, 1))  # noqa: S311


def _work_left(state: BatchState) -> dict[str, int]:
    done = state.submissions.successful + state.submissions.failed
    return {
        "submissions": max(0, state.total - done),
        "runs": max(0, state.total - state.submissions.failed - state.runs.ended),
    }

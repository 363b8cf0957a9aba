"""How long until the next look at a batch."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from airflow_provider_omics_batch.run_batch.states import BatchState
from airflow_provider_omics_batch.run_batch.targets import Target, work_left

#: Seconds between two looks, at most: where the end is known to be far, and where it can come at any time.
LONGEST = 300
LONGEST_UNFORESEEN = 60

#: The next look comes when this share of the time that is left has passed; or this share of the time
#: that has passed already, where nothing tells how much is left.
SHARE_OF_TIME_LEFT = 0.15
SHARE_OF_TIME_PASSED = 0.005

#: So many times as far off as the last look was is the next one at most: a few runs that have ended
#: are a poor estimate of the others.
GROWTH = 2

#: By this share a look may come earlier.
JITTER = 0.2


@dataclass
class Pace:
    """
    Derives from two looks how fast a batch gets on, and from that how long to wait.

    :param poll_interval: Seconds; the shortest time between two looks.
    :param longest: Seconds; the longest time between two looks, unless ``poll_interval`` is longer.
    :param target: What the batch is to come to.
    """

    poll_interval: float
    longest: float = LONGEST
    target: Target = "processed"
    _state: BatchState | None = field(default=None, init=False)
    _first: float = field(default=0, init=False)
    _last: float = field(default=0, init=False)
    _interval: float = field(default=0, init=False)
    _rates: dict[str, float] = field(default_factory=dict, init=False)

    def note(self, state: BatchState, now: float) -> None:
        """
        Take a look into account.

        :param now: Seconds on any clock that does not jump.
        """
        if self._state is None:
            self._first = now
        elif now > self._last:
            self._interval = now - self._last
            before, left = work_left(self._state, self.target), work_left(state, self.target)
            self._rates = {what: max(0, before[what] - left[what]) / self._interval for what in left}
        self._state, self._last = state, now

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the target is reached at these rates; ``None`` where that cannot be told yet."""
        return self._slowest[0]

    @property
    def per_second(self) -> float:
        """Submissions, ended runs or deletions a second, whichever takes longest to get done."""
        return self._slowest[1]

    @property
    def _slowest(self) -> tuple[float | None, float]:
        left = work_left(self._state, self.target) if self._state else {}
        times = [(work / rate, rate) for what, work in left.items() if (rate := self._rates.get(what))]
        return max(times, default=(None, 0.0))

    def seconds_to_next_look(self) -> float:
        """Return seconds, at least ``poll_interval``."""
        foreseen = (self.seconds_left or 0) * SHARE_OF_TIME_LEFT
        unforeseen = min(LONGEST_UNFORESEEN, (self._last - self._first) * SHARE_OF_TIME_PASSED)
        grown = max(self._interval, self.poll_interval) * GROWTH
        interval = min(max(foreseen, unforeseen), grown, self.longest)
        # Batches that were started together are not looked at together for ever.
        return max(self.poll_interval, interval * random.uniform(1 - JITTER, 1))  # noqa: S311

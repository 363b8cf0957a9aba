"""What a benchmark has measured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Figure:
    """
    One thing that was measured, beside what a user would do instead.

    :param what: What was measured, in words that fit a table.
    :param unit: ``s``, ``ms``, ``MB``, ``KB``, ``calls``, …
    :param ours: What this package takes.
    :param rival: What the alternative takes, in the same run; ``None`` where there is none.
    :param at_most: What ``ours`` must not exceed; ``None`` where nothing is promised.
    :param ratio_at_most: What ``ours / rival`` must not exceed; ``None`` where nothing is promised.
    """

    what: str
    unit: str
    ours: float
    rival: float | None = None
    at_most: float | None = None
    ratio_at_most: float | None = None

    @property
    def ratio(self) -> float | None:
        return self.ours / self.rival if self.rival else None

    @property
    def holds(self) -> bool:
        """Whether what is promised was kept."""
        within = self.at_most is None or self.ours <= self.at_most
        ratio_within = self.ratio_at_most is None or (
            self.ratio is not None and self.ratio <= self.ratio_at_most
        )
        return within and ratio_within

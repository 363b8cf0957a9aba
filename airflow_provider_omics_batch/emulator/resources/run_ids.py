"""Which run ids are given out, to which batch; the runs of a batch have ids in a row."""

from __future__ import annotations

from bisect import bisect_right, insort
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_omics_batch.emulator.resources.batch import Batch


class RunIds:
    """The batches by the ids of their runs."""

    def __init__(self, first_id: int = 5_000_001) -> None:
        self._next_id = first_id
        self._batches: list[Batch] = []
        self._free: list[tuple[int, int]] = []

    def __iter__(self) -> Iterator[Batch]:
        """Go through the batches that have ids, in the order of these."""
        return iter(self._batches)

    def take(self, number: int) -> int:
        """Take ids in a row, and give the first of them."""
        for place, (size, first) in enumerate(self._free):
            if size >= number:
                self._free[place] = (size - number, first + number)
                self._free = [left for left in self._free if left[0]]
                return first
        self._next_id += number
        return self._next_id - number

    def add(self, batch: Batch) -> None:
        insort(self._batches, batch, key=lambda known: known.first_run_id)

    def reclaim(self, now: float) -> None:
        """Take back the ids of the batches of which all runs are deleted."""
        empty = [batch for batch in self._batches if batch.is_empty(now)]
        if empty:
            self._free = sorted([*self._free, *((batch.id_count, batch.first_run_id) for batch in empty)])
            self._batches = [batch for batch in self._batches if batch not in empty]

    def find(self, run_id: int) -> Batch | None:
        position = bisect_right(self._batches, run_id, key=lambda batch: batch.first_run_id) - 1
        return self._batches[position] if position >= 0 else None

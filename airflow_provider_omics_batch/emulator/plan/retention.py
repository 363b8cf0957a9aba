"""How many runs an account keeps, and which make room for others."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from itertools import count
from math import inf
from typing import TYPE_CHECKING

from airflow_provider_omics_batch.emulator.plan.chance import Failure

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_omics_batch.emulator.plan.course import Course

OVER_QUOTA = Failure(
    "ServiceQuotaExceededException",
    "The account has as many runs as it may. Delete some, or use the retention mode REMOVE.",
    passing=True,
)


class Retention:
    """
    Counts the runs that are kept.

    Where there is no room, a new run in the retention mode REMOVE takes the place of the oldest such run that
    is over; any other is refused.
    """

    def __init__(self, courses: Iterable[Course], limit: int, now: float) -> None:
        self._room = limit
        self._leaving: list[float] = []
        self._over: list[tuple[float, int, Course, int]] = []
        self._numbers = count()
        for course in courses:
            self._take_stock(course, now)
        heapify(self._leaving)

    def _take_stock(self, course: Course, now: float) -> None:
        for place in range(course.submissions(now)):
            gone_at = course.gone_at(place)
            if course.fates[place].refusal or gone_at <= now:
                continue
            self._room -= 1
            if gone_at < inf:
                self._leaving.append(gone_at)
            elif course.ended[place] <= now:
                self.note_end(course, place)

    def note_end(self, course: Course, place: int) -> None:
        """Take note that a run is over."""
        if course.removable and course.gone_at(place) == inf:
            heappush(self._over, (course.submitted[place], next(self._numbers), course, place))

    def admit(self, course: Course, now: float) -> bool:
        """Make room for a new run; ``False`` if there is none."""
        while self._leaving and self._leaving[0] <= now:
            heappop(self._leaving)
            self._room += 1
        if self._room <= 0 and course.removable:
            self._remove_oldest(now)
        if self._room <= 0:
            return False
        self._room -= 1
        return True

    def _remove_oldest(self, now: float) -> None:
        if self._over:
            _, _, course, place = heappop(self._over)
            course.gone[place] = now
            course.revision += 1
            self._room += 1

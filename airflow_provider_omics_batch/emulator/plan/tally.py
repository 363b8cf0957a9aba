"""The state of a run, and how many runs of a batch are in which, at a given time."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_omics_batch.emulator.plan.course import Course

Span = tuple[str, float, float]


def spans(course: Course, place: int) -> Iterator[Span]:
    """Go through the life of a submitted run as (state, from, until)."""
    started, ended = course.started[place], course.ended[place]
    yield "PENDING", course.submitted[place], min(started, ended)
    if started < inf:
        stopping = ended - course.settings.stopping_seconds
        running = min(started + course.settings.starting_seconds, stopping)
        yield "STARTING", started, running
        yield "RUNNING", running, stopping
        yield "STOPPING", stopping, ended
    gone = course.gone_at(place)
    yield outcome(course, place), ended, gone
    yield "DELETED", gone, inf


def running_from(course: Course, place: int) -> float:
    """Tell when a run comes to RUNNING, which one that is stopped before never does."""
    begin = course.started[place] + course.settings.starting_seconds
    stopping = course.ended[place] - course.settings.stopping_seconds
    return inf if stopping < begin and outcome(course, place) == "CANCELLED" else begin


def outcome(course: Course, place: int) -> str:
    if place in course.stops or place in course.cancelled:
        return "CANCELLED"
    return "FAILED" if course.fates[place].failure else "COMPLETED"


def has_failed(course: Course, place: int, now: float) -> bool:
    """Tell whether a run has come to the failure that was its fate; the want of room is none."""
    if place in course.over_quota:
        return False
    if course.fates[place].refusal:
        return course.submitted[place] <= now
    return course.ended[place] <= now and outcome(course, place) == "FAILED"


def run_status(course: Course, place: int, now: float) -> str | None:
    """Tell the state of a run; ``None`` if there is no such run (yet)."""
    if course.fates[place].refusal:
        return None
    return next((state for state, begin, until in spans(course, place) if begin <= now < until), None)


def submission_status(course: Course, place: int, now: float) -> str | None:
    """Tell what came of the last order given for a run; ``None`` for one that is still to be submitted."""
    if course.submitted[place] > now:
        return "CANCEL_SUCCESS" if course.cancelled_at <= now else None
    if course.fates[place].refusal:
        return "FAILED"
    if course.deletions.get(place, inf) <= now:
        return "DELETE_SUCCESS"
    if course.undeleted.get(place, inf) <= now:
        return "DELETE_FAILED"
    if course.stops.get(place, inf) <= now:
        return "CANCEL_SUCCESS"
    return "CANCEL_FAILED" if course.missed.get(place, inf) <= now else "SUCCESS"


class Tally:
    """Counts the runs of a batch by binary search, in sorted lists that are made once for each plan."""

    def __init__(self, course: Course) -> None:
        self.course = course
        self.revision = course.revision
        self._begins: dict[str, list[float]] = defaultdict(list)
        self._ends: dict[str, list[float]] = defaultdict(list)
        self._refused = [
            time for time, fate in zip(course.submitted, course.fates, strict=True) if fate.refusal
        ]
        self._collect()

    def _collect(self) -> None:
        for place, (submitted, fate) in enumerate(zip(self.course.submitted, self.course.fates, strict=True)):
            if submitted < inf and not fate.refusal:
                for state, begin, until in spans(self.course, place):
                    self._begins[state].append(begin)
                    self._ends[state].append(until)
        for times in (*self._begins.values(), *self._ends.values()):
            times.sort()

    def runs(self, now: float) -> dict[str, int]:
        """Give ``RunSummary``."""
        states = ("PENDING", "STARTING", "RUNNING", "STOPPING", "COMPLETED", "DELETED", "FAILED", "CANCELLED")
        return {f"{state.lower()}RunCount": self._count(state, now) for state in states}

    def _count(self, state: str, now: float) -> int:
        return bisect_right(self._begins[state], now) - bisect_right(self._ends[state], now)

    def submissions(self, now: float) -> dict[str, int]:
        """Give ``SubmissionSummary``; after a cancellation or a failure nothing is pending any more."""
        course = self.course
        attempted = course.submissions(now)
        ended = min(course.cancelled_at, course.failed_at) <= now
        refused = bisect_right(self._refused, now)
        return {
            "successfulStartSubmissionCount": attempted - refused,
            "failedStartSubmissionCount": refused,
            "pendingStartSubmissionCount": 0 if ended else len(course.fates) - attempted,
            "successfulCancelSubmissionCount": _count_until(course.stops, now),
            "failedCancelSubmissionCount": _count_until(course.missed, now),
            "successfulDeleteSubmissionCount": _count_until(course.deletions, now),
            "failedDeleteSubmissionCount": _count_until(course.undeleted, now),
        }


def _count_until(turns: dict[int, float], now: float) -> int:
    """Count turns up to now; they were given out in rising order."""
    return bisect_right(list(turns.values()), now)

"""
The course of a batch and its runs: what happens when.

All times are seconds since the epoch, ``inf`` for never. What is done to a course here takes effect at once;
a new plan must be laid afterwards, see :mod:`.schedule`.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field, replace
from itertools import chain
from math import inf
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from airflow_provider_omics_batch.emulator.plan.chance import Failure, Fate
    from airflow_provider_omics_batch.emulator.settings import Settings

    Planned = tuple[list[float], list[float], list[float], list[Fate]]


class Line(NamedTuple):
    """Where runs wait for a place: each run group is a line of its own, as are the kinds of storage."""

    group: str | None = None
    static: bool = False


ANY_LINE = Line()


@dataclass(eq=False)
class Course:
    """
    The course of one batch and its runs; the lists go by the place of the run in the batch.

    :param ready_at: when the batch may begin to submit.
    :param line: where its runs wait.
    :param rank: the lower, the earlier in the line; ``ranks`` has those that differ.
    :param removable: its runs make room for others when the account has too many.
    :param submitted: when each submission is attempted; rises with the place.
    :param started: when a run gets a place among those at work.
    :param ended: when a run is over, whatever its end.
    :param stops: for a run of a cancelled batch, when the order to stop reaches it.
    :param missed: the same for those on which it had no effect any more.
    :param cancelled: the runs that were stopped one by one.
    :param fails_after: the batch fails with this many submissions, at the earliest at ``fails_from``.
    :param deletions: when each run is deleted with the batch.
    :param undeleted: the same for those that cannot be.
    :param gone: when a run is deleted or removed by itself.
    :param over_quota: the fates that the account's quota has prevented.
    :param revision: changes with every change of the times.
    """

    settings: Settings
    ready_at: float
    fates: list[Fate]
    line: Line = ANY_LINE
    rank: int = 0
    ranks: dict[int, int] = field(default_factory=dict)
    removable: bool = False
    submitted: list[float] = field(init=False)
    started: list[float] = field(init=False)
    ended: list[float] = field(init=False)
    last_change: float = inf
    cancelled_at: float = inf
    stopped_at: float = inf
    stops: dict[int, float] = field(default_factory=dict)
    missed: dict[int, float] = field(default_factory=dict)
    cancelled: set[int] = field(default_factory=set)
    fails_after: int | None = None
    fails_from: float = inf
    deleting_at: float = inf
    deleted_at: float = inf
    deletions: dict[int, float] = field(default_factory=dict)
    undeleted: dict[int, float] = field(default_factory=dict)
    gone: dict[int, float] = field(default_factory=dict)
    over_quota: dict[int, Fate] = field(default_factory=dict)
    revision: int = 0

    def __post_init__(self) -> None:
        self.submitted = [inf] * len(self.fates)
        self.started = [inf] * len(self.fates)
        self.ended = [inf] * len(self.fates)

    @property
    def failed_at(self) -> float:
        if not self.fails_after:
            return self.fails_from
        return max(self.fails_from, self.submitted[self.fails_after - 1])

    def submissions(self, now: float) -> int:
        """Count the submissions attempted up to now; they are the first of the batch."""
        return bisect_right(self.submitted, now)

    def rank_of(self, place: int) -> int:
        return self.ranks.get(place, self.rank) if self.ranks else self.rank

    def gone_at(self, place: int) -> float:
        """Tell when a run is no more."""
        return min(self.deletions.get(place, inf), self.gone.get(place, inf))

    def unfinished(self, now: float) -> Iterator[int]:
        """Go through the runs that were submitted and are not over."""
        for place in range(self.submissions(now)):
            if self.ended[place] > now and not self.fates[place].refusal:
                yield place

    def goes_on(self, now: float) -> bool:
        """Tell whether there are runs that are not over, or not submitted yet."""
        to_come = bool(self.fates) and self.last_change > now
        return to_come or next(self.unfinished(now), None) is not None

    def begin(self, place: int, now: float) -> float:
        """Let a run begin to work, and tell when it is over."""
        overhead = self.settings.starting_seconds + self.settings.stopping_seconds
        self.started[place] = now
        self.ended[place] = now + overhead + self.fates[place].seconds
        return self.ended[place]

    def refuse(self, place: int, failure: Failure) -> None:
        """Refuse a submission for want of room."""
        self.over_quota[place] = self.fates[place]
        self.fates[place] = replace(self.fates[place], refusal=failure)
        self.started[place] = self.ended[place] = inf

    def forget_room(self, now: float) -> None:
        """Take back what was planned for want of room after a time."""
        first = self.submissions(now)
        for place in [place for place in self.over_quota if place >= first]:
            self.fates[place] = self.over_quota.pop(place)
        for place in [place for place, time in self.gone.items() if time > now]:
            del self.gone[place]
            self.revision += 1

    def truncate(self, submissions: int) -> None:
        """Submit nothing any more after the first so many runs."""
        never = [inf] * (len(self.fates) - submissions)
        for times in (self.submitted, self.started, self.ended):
            times[submissions:] = never

    def planned(self) -> Planned:
        """Copy what a plan decides."""
        return self.submitted.copy(), self.started.copy(), self.ended.copy(), self.fates.copy()

    def settle(self, before: Planned | None = None) -> None:
        """Take note that times have changed, if they are not as they were before."""
        if self.planned() != before:
            self.revision += 1
        known = (time for time in chain(self.submitted, self.ended) if time < inf)
        self.last_change = max(known, default=self.ready_at)


def last_turn(orders: Iterable[dict[int, float]], now: float) -> float:
    """Tell when the turns that earlier orders have taken are over; they were given out in rising order."""
    return max([now, *(next(reversed(turns.values())) for turns in orders if turns)])


def cancel(course: Course, settings: Settings, now: float, taken_until: float = -inf) -> None:
    """
    Stop a batch: nothing more is submitted, and its runs are stopped at the CancelRun rate.

    A run that is already stopping when its turn comes ends the way it would have.

    :param taken_until: when the turns of earlier orders are over.
    """
    places = list(course.unfinished(now))
    turn = max(now, taken_until) if places else now
    for place in places:
        turn += 1 / settings.cancel_run_tps
        reached = course.stops if _stop(course, place, now, turn) else course.missed
        reached[place] = turn
    course.truncate(course.submissions(now))
    course.cancelled_at = now
    course.settle()
    course.stopped_at = max(course.last_change, turn + 1 / settings.cancel_run_tps)


def cancel_run(course: Course, place: int, now: float) -> None:
    """Stop one run; nothing happens to one that is stopping already."""
    if _stop(course, place, now, now):
        course.cancelled.add(place)
        course.settle()


def _stop(course: Course, place: int, now: float, turn: float) -> bool:
    working = course.started[place] <= now
    if working and course.ended[place] - course.settings.stopping_seconds <= turn:
        return False
    if working:
        course.ended[place] = turn + course.settings.stopping_seconds
    else:
        course.started[place], course.ended[place] = inf, turn
    return True


def fail(course: Course, submissions: int, since: float) -> None:
    """Fail a batch with so many submissions, but not before a time; the runs submitted until then go on."""
    course.fails_after = min(submissions, len(course.fates))
    course.fails_from = since
    course.truncate(course.fails_after)
    course.revision += 1


def delete(
    course: Course,
    settings: Settings,
    now: float,
    failing: Collection[int] = (),
    taken_until: float = -inf,
) -> None:
    """
    Delete the runs of a batch, at the DeleteRun rate.

    :param failing: those that cannot be deleted.
    :param taken_until: when the turns of earlier orders are over.
    """
    # One that is to be removed later is still there; the next plan does not remove it any more.
    there = (place for place in range(course.submissions(now)) if course.gone.get(place, inf) > now)
    places = [place for place in there if not course.fates[place].refusal]
    turn = max(now, taken_until) if places else now
    for place in places:
        turn += 1 / settings.delete_run_tps
        (course.undeleted if place in failing else course.deletions)[place] = turn
    course.deleting_at = now
    course.deleted_at = turn + 1 / settings.delete_run_tps
    course.settle()


def delete_run(course: Course, place: int, now: float) -> None:
    """Delete one run."""
    course.gone[place] = now
    course.settle()

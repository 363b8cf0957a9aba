"""
The plan of all runs of an account and Region: what happens when.

Nothing here happens by itself. Whenever a batch is started or cancelled, the plan is laid anew from that
moment on; what lies before stays as it was. In between, every state is looked up by the time alone.
All times are seconds since the epoch, ``inf`` for never.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush, heapreplace
from itertools import chain
from math import inf
from operator import itemgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from airflow_provider_omics_batch.emulator.chance import Fate
    from airflow_provider_omics_batch.emulator.settings import Settings

Waiting = tuple[float, "Course", int]


@dataclass(eq=False)
class Course:
    """
    The course of one batch and its runs; the lists go by the place of the run in the batch.

    :param ready_at: when the batch may begin to submit.
    :param submitted: when each submission is attempted; rises with the place.
    :param started: when a run gets a place among those at work.
    :param ended: when a run is over, whatever its end.
    :param stops: for a cancelled run, when the order to stop reaches it.
    :param missed: the same for those on which it had no effect any more.
    :param deletions: when each run is deleted.
    :param fails_after: the batch fails with this many submissions, at the earliest at ``fails_from``.
    :param revision: changes with every change of the times.
    """

    settings: Settings
    ready_at: float
    fates: Sequence[Fate]
    submitted: list[float] = field(init=False)
    started: list[float] = field(init=False)
    ended: list[float] = field(init=False)
    last_change: float = inf
    cancelled_at: float = inf
    stopped_at: float = inf
    stops: dict[int, float] = field(default_factory=dict)
    missed: dict[int, float] = field(default_factory=dict)
    fails_after: int | None = None
    fails_from: float = inf
    deleting_at: float = inf
    deleted_at: float = inf
    deletions: dict[int, float] = field(default_factory=dict)
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

    def unfinished(self, now: float) -> Iterator[int]:
        """Go through the runs that were submitted and are not over."""
        for place in range(self.submissions(now)):
            if self.ended[place] > now and not self.fates[place].refusal:
                yield place

    def truncate(self, submissions: int) -> None:
        """Submit nothing any more after the first so many runs."""
        never = [inf] * (len(self.fates) - submissions)
        for times in (self.submitted, self.started, self.ended):
            times[submissions:] = never

    def settle(self) -> None:
        """Take note that times have changed."""
        self.revision += 1
        known = (time for time in chain(self.submitted, self.ended) if time < inf)
        self.last_change = max(known, default=self.ready_at)


def plan(courses: Iterable[Course], settings: Settings, now: float) -> None:
    """Lay out everything after ``now``: submissions at the account's rate, then places for runs to work."""
    live = [course for course in courses if course.fates and course.last_change > now]
    queue = [waiting for course in live for waiting in _waiting(course, now)]
    queue.sort(key=itemgetter(0))
    queue.extend(_submit(live, settings, now))
    _start(queue, [end for course in live for end in _busy(course, now)], settings, now)
    for course in live:
        course.settle()


def _waiting(course: Course, now: float) -> Iterator[Waiting]:
    if course.cancelled_at <= now:
        return
    for place in course.unfinished(now):
        if course.started[place] > now:
            yield course.submitted[place], course, place


def _busy(course: Course, now: float) -> Iterator[float]:
    for place in course.unfinished(now):
        if course.started[place] <= now:
            yield course.ended[place]


def _submit(live: Sequence[Course], settings: Settings, now: float) -> Iterator[Waiting]:
    """Give the batches turns at the StartRun rate; a refused run costs a turn all the same."""
    step = 1 / settings.start_run_tps
    coming = deque(sorted((c for c in live if c.cancelled_at > now), key=lambda c: c.ready_at))
    next_place = {id(course): course.submissions(now) for course in coming}
    turn = max([now, *(c.submitted[n - 1] + step for c in live if (n := c.submissions(now)))])
    active: deque[Course] = deque()
    while coming or active:
        while coming and (not active or coming[0].ready_at + step <= turn):
            turn = max(turn, coming[0].ready_at + step)
            active.append(coming.popleft())
        course = active.popleft()
        place = next_place[id(course)]
        if place in (course.fails_after, len(course.fates)):
            continue
        next_place[id(course)] = place + 1
        course.submitted[place] = turn
        if not course.fates[place].refusal:
            yield turn, course, place
        active.append(course)
        turn += step


def _start(queue: Iterable[Waiting], busy: list[float], settings: Settings, now: float) -> None:
    """Let runs begin in the order they were submitted, as places become free."""
    overhead = settings.starting_seconds + settings.stopping_seconds
    heapify(busy)
    for submitted, course, place in queue:
        begin = max(submitted, now)
        while busy and busy[0] <= begin:
            heappop(busy)
        full = len(busy) >= settings.concurrent_runs
        begin = busy[0] if full else begin
        end = begin + overhead + course.fates[place].seconds
        (heapreplace if full else heappush)(busy, end)
        course.started[place] = begin
        course.ended[place] = end


def cancel(course: Course, settings: Settings, now: float) -> None:
    """
    Stop a batch: nothing more is submitted, and its runs are stopped at the CancelRun rate.

    A run that is already stopping when its turn comes ends the way it would have.
    """
    turn = now
    for place in course.unfinished(now):
        turn += 1 / settings.cancel_run_tps
        _stop(course, place, now, turn)
    course.truncate(course.submissions(now))
    course.cancelled_at = now
    course.settle()
    course.stopped_at = max(course.last_change, turn + 1 / settings.cancel_run_tps)


def _stop(course: Course, place: int, now: float, turn: float) -> None:
    working = course.started[place] <= now
    if working and course.ended[place] - course.settings.stopping_seconds <= turn:
        course.missed[place] = turn
        return
    course.stops[place] = turn
    if working:
        course.ended[place] = turn + course.settings.stopping_seconds
    else:
        course.started[place], course.ended[place] = inf, turn


def fail(course: Course, submissions: int, since: float) -> None:
    """
    Fail a batch with so many submissions, but not before a time; the runs submitted until then go on.

    A new plan must be laid afterwards.
    """
    course.fails_after = min(submissions, len(course.fates))
    course.fails_from = since
    course.truncate(course.fails_after)
    course.revision += 1


def delete(course: Course, settings: Settings, now: float) -> None:
    """Delete the runs of a batch, at the DeleteRun rate."""
    turn = now
    for place in range(course.submissions(now)):
        if not course.fates[place].refusal:
            turn += 1 / settings.delete_run_tps
            course.deletions[place] = turn
    course.deleting_at = now
    course.deleted_at = turn + 1 / settings.delete_run_tps
    course.settle()

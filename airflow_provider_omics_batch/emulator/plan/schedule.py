"""
The plan of all runs of an account and Region: when each is submitted, and when it gets a place.

Nothing here happens by itself. Whenever something is started or cancelled, the plan is laid anew from that
moment on; what lies before stays as it was. In between, every state is looked up by the time alone.
"""

from __future__ import annotations

from collections import deque
from math import inf
from operator import itemgetter
from typing import TYPE_CHECKING

from airflow_provider_omics_batch.emulator.plan.places import Places, Waiting
from airflow_provider_omics_batch.emulator.plan.retention import OVER_QUOTA, Retention

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from airflow_provider_omics_batch.emulator.plan.course import Course
    from airflow_provider_omics_batch.emulator.settings import Settings


def plan(
    courses: Sequence[Course], settings: Settings, now: float, group_limits: Mapping[str, int] | None = None
) -> None:
    """
    Lay out everything after ``now``: submissions at the account's rate, then places for runs to work.

    :param group_limits: how many runs of a run group may be at work.
    """
    for course in courses:
        course.forget_room(now)
    live = [course for course in courses if course.fates and course.last_change > now]
    before = [course.planned() for course in live]
    retention = take_stock(courses, settings, now)
    places = Places(settings, group_limits or {}, retention.note_end if retention else None)
    _resume(live, places, now)
    _proceed(_submit(live, settings, now), places, retention, now)
    for course, planned in zip(live, before, strict=True):
        course.settle(planned)


def is_room_for_all(courses: Iterable[Course], settings: Settings) -> bool:
    return sum(len(course.fates) for course in courses) <= settings.max_runs


def take_stock(courses: Sequence[Course], settings: Settings, now: float) -> Retention | None:
    """Count the runs that are kept; ``None`` if there is room for all."""
    if is_room_for_all(courses, settings):
        return None
    return Retention(courses, settings.max_runs, now)


def _resume(live: Sequence[Course], places: Places, now: float) -> None:
    """Go on from the runs at work and the runs that wait."""
    waiting: list[Waiting] = []
    for course in live:
        for place in course.unfinished(now):
            if course.started[place] <= now:
                places.occupy(course, place, course.ended[place])
            elif course.cancelled_at > now:
                waiting.append((course.submitted[place], course, place))
    for run in sorted(waiting, key=itemgetter(0)):
        places.wait(run)


def _proceed(coming: Iterator[Waiting], places: Places, retention: Retention | None, now: float) -> None:
    """Go from submission to submission; in between, runs that wait get the places of those that are over."""
    places.start(now)
    for run in coming:
        submitted, course, place = run
        places.proceed(submitted)
        if retention and not retention.admit(course, submitted):
            course.refuse(place, OVER_QUOTA)
        else:
            places.wait(run)
            places.start(submitted)
    places.proceed(inf)


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

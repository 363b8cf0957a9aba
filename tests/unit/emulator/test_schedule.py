"""The plan of runs, with batches started, cancelled and deleted at random."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from math import inf
from random import Random

import pytest

from airflow_provider_omics_batch.emulator.chance import RUN_FAILURES, SUBMISSION_FAILURES, Fate
from airflow_provider_omics_batch.emulator.schedule import Course, cancel, delete, plan
from airflow_provider_omics_batch.emulator.settings import Settings
from airflow_provider_omics_batch.emulator.tally import Tally, run_status

AT_WORK = ("STARTING", "RUNNING", "STOPPING")
SETTINGS = Settings(
    start_run_tps=2,
    concurrent_runs=5,
    starting_seconds=3,
    stopping_seconds=2,
    cancel_run_tps=4,
    delete_run_tps=4,
)


def some_fates(random):
    def fate():
        refusal = SUBMISSION_FAILURES[0] if random.random() < 0.2 else None
        failure = RUN_FAILURES[0] if random.random() < 0.2 else None
        return Fate(random.uniform(0, 30), refusal, failure)

    return [fate() for _ in range(random.randrange(1, 30))]


def states(courses, now):
    return [[run_status(course, place, now) for place in range(len(course.fates))] for course in courses]


def story(seed):
    """Go through a random story; yield (courses, time) before and after each event."""
    random = Random(seed)  # noqa: S311
    courses, now = [], 0.0
    for _ in range(12):
        now += random.uniform(0, 20)
        yield courses, now
        going = [c for c in courses if c.ready_at <= now < min(c.last_change, c.cancelled_at)]
        ended = [c for c in courses if c.last_change <= now and c.deleting_at == inf]
        kind = random.random()
        if going and kind < 0.3:
            cancel(random.choice(going), SETTINGS, now)
        elif ended and kind < 0.5:
            delete(random.choice(ended), SETTINGS, now)
        else:
            courses.append(Course(SETTINGS, now + 5, some_fates(random)))
        plan(courses, SETTINGS, now)
        yield courses, now


@pytest.mark.parametrize("seed", range(8))
def test_the_past_stays_as_it_was(seed):
    seen = {}
    for courses, now in story(seed):
        for moment, known in seen.items():
            assert states(courses[: len(known)], moment) == known
        seen.update({now - back: states(courses, now - back) for back in (1e-6, 0.5, 3)})


@pytest.mark.parametrize("seed", range(8))
def test_the_limits_hold_at_any_time(seed):
    *_, (courses, _) = story(seed)
    submitted = sorted(time for course in courses for time in course.submitted if time < inf)
    working = [Counter(s for c in states(courses, t / 4) for s in c) for t in range(1600)]

    assert min((b - a for a, b in pairwise(submitted)), default=1) > 0.5 - 1e-9
    assert max(sum(count[state] for state in AT_WORK) for count in working) <= SETTINGS.concurrent_runs


@pytest.mark.parametrize("seed", range(8))
def test_counts_are_those_of_the_single_runs(seed):
    *_, (courses, _) = story(seed)
    for course in courses:
        tally = Tally(course)
        for now in (t * 2.5 for t in range(200)):
            single = Counter(run_status(course, place, now) for place in range(len(course.fates)))
            counted = {name: number for name, number in tally.runs(now).items() if number}
            assert counted == {f"{s.lower()}RunCount": n for s, n in single.items() if s}


@pytest.mark.parametrize("seed", range(8))
def test_every_batch_comes_to_an_end(seed):
    *_, (courses, _) = story(seed)
    final = {state for runs in states(courses, 1e9) for state in runs}

    assert final <= {None, "COMPLETED", "FAILED", "CANCELLED", "DELETED"}
    assert all(course.cancelled_at < inf or course.submitted[-1] < inf for course in courses)

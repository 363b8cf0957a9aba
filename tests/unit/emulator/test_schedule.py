"""The plan of runs, with batches started, cancelled and deleted at random."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from math import inf
from random import Random

import pytest

from airflow_provider_omics_batch.emulator.plan.chance import RUN_FAILURES, SUBMISSION_FAILURES, Fate
from airflow_provider_omics_batch.emulator.plan.course import (
    Course,
    Line,
    cancel,
    cancel_run,
    delete,
    delete_run,
)
from airflow_provider_omics_batch.emulator.plan.schedule import plan
from airflow_provider_omics_batch.emulator.plan.tally import Tally, run_status
from airflow_provider_omics_batch.emulator.settings import Settings

AT_WORK = ("STARTING", "RUNNING", "STOPPING")
ENDS = ("COMPLETED", "FAILED", "CANCELLED")
SETTINGS = Settings(
    start_run_tps=2,
    concurrent_runs=5,
    concurrent_static_runs=3,
    max_runs=40,
    starting_seconds=3,
    stopping_seconds=2,
    cancel_run_tps=4,
    delete_run_tps=4,
)
GROUP_LIMITS = {"group": 2}
LINES = [Line(), Line("group"), Line("free"), Line(None, True), Line("group", True)]


def some_fates(random):
    def fate():
        refusal = SUBMISSION_FAILURES[0] if random.random() < 0.2 else None
        failure = RUN_FAILURES[0] if random.random() < 0.2 else None
        return Fate(random.uniform(0, 30), refusal, failure)

    return [fate() for _ in range(random.randrange(1, 30))]


def some_course(random, now):
    fates = some_fates(random)
    ranks = {place: random.randrange(-5, 5) for place in range(len(fates)) if random.random() < 0.5}
    line, removable = random.choice(LINES), random.random() < 0.7
    return Course(SETTINGS, now + 5, fates, line=line, ranks=ranks, removable=removable)


def act_on_a_run(random, courses, now):
    """Cancel or delete a run, where there is one."""
    runs = [(c, p) for c in courses for p in range(c.submissions(now)) if c.gone_at(p) > now]
    course, place = random.choice([run for run in runs if run_status(*run, now)] or [(None, 0)])
    if course and course.ended[place] > now:
        cancel_run(course, place, now)
    elif course and course.deleting_at == inf:
        delete_run(course, place, now)


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
        elif kind > 0.8:
            act_on_a_run(random, courses, now)
        else:
            courses.append(some_course(random, now))
        plan(courses, SETTINGS, now, GROUP_LIMITS)
        yield courses, now


@pytest.mark.parametrize("seed", range(8))
def test_the_past_stays_as_it_was(seed):
    seen = {}
    for courses, now in story(seed):
        for moment, known in seen.items():
            assert states(courses[: len(known)], moment) == known
        seen.update({now - back: states(courses, now - back) for back in (1e-6, 0.5, 3)})


def most(courses, wanted):
    """Count the runs of some courses that are in some states, at the moment when they are most."""
    return max(
        sum(state in wanted for runs in states(courses, moment / 4) for state in runs)
        for moment in range(1600)
    )


@pytest.mark.parametrize("seed", range(8))
def test_the_limits_hold_at_any_time(seed):
    *_, (courses, _) = story(seed)
    submitted = sorted(time for course in courses for time in course.submitted if time < inf)
    static = [course for course in courses if course.line.static]
    dynamic = [course for course in courses if not course.line.static]
    group = [course for course in courses if course.line.group == "group"]

    assert min((b - a for a, b in pairwise(submitted)), default=1) > 0.5 - 1e-9
    assert most(dynamic, AT_WORK) <= SETTINGS.concurrent_runs
    assert most(static, AT_WORK) <= SETTINGS.concurrent_static_runs
    assert most(group, AT_WORK) <= GROUP_LIMITS["group"]
    assert most(courses, (*AT_WORK, "PENDING", *ENDS)) <= SETTINGS.max_runs


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

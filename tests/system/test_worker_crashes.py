"""Workers that are killed with kill -9 at each point of a submission."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from tests.system.checks import check_the_end
from tests.system.deployed import PATIENCE, Deployment
from tests.system.postgres import Database


class Point(NamedTuple):
    """
    A point at which a task is kept from going on.

    :param table: The table that is locked.
    :param mode: The lock.
    :param statement: What waits for it then.
    :param batches: How many batches there are by then.
    """

    table: str
    mode: str
    statement: str
    batches: int


POINTS = {
    "before it calls StartRunBatch": Point(
        "task_state_store", "ACCESS EXCLUSIVE", "SELECT %FROM task_state_store%", 0
    ),
    "after the answer, before it has kept it": Point(
        "task_state_store", "SHARE", "INSERT INTO task_state_store%", 1
    ),
    "after it has kept the answer, before it has published it": Point(
        "xcom", "SHARE", "DELETE FROM xcom%", 1
    ),
    "after it has published the answer, before it is deferred": Point(
        "trigger", "SHARE", "INSERT INTO trigger%", 1
    ),
}


@pytest.mark.parametrize("point", POINTS.values(), ids=list(POINTS))
def test_a_worker_killed_while_it_submits_leaves_one_batch(
    deployment: Deployment, postgres: Database, point: Point
) -> None:
    """The next try finds the batch of the killed one, or starts the first; it ends as if nothing had been."""
    with postgres.locked(point.table, point.mode):
        run = deployment.start("brief")
        deployment.wait_until_stuck(point.statement)
        before = run.batch_ids()
        run.kill_worker()
        # The API server would carry out what it has in hand, though there is nobody to answer any more.
        postgres.cut_waiting(point.statement)
    assert len(before) == point.batches
    run.let_airflow_miss_it()

    assert run.wait_for_end() == "success"

    assert run.tries() == 2
    check_the_end(run, before)


@pytest.mark.usefixtures("postgres")
@pytest.mark.parametrize("alone", [False, True], ids=["with its supervisor", "alone"])
def test_a_task_killed_between_the_call_and_its_answer_leaves_one_batch(
    deployment: Deployment, alone: bool
) -> None:
    """HealthOmics knows the next try's call by its request id, and answers with the batch that is there."""
    service = deployment.emulators["aws_brief"]
    service.fault("StartRunBatch", "late_answer", seconds=PATIENCE)
    run = deployment.start("brief")
    before = run.wait_until_submitted()
    if alone:
        run.process().kill()
    else:
        run.kill_worker()
        run.let_airflow_miss_it()

    assert run.wait_for_end() == "success"

    assert run.tries() == 2
    check_the_end(run, before)


def test_a_lost_answer_to_start_run_batch_leaves_one_batch(deployment: Deployment) -> None:
    """When the connection breaks after HealthOmics has acted, the call is made again and starts nothing."""
    service = deployment.emulators["aws_brief"]
    service.fault("StartRunBatch", "lost_answer")
    calls = service.calls("StartRunBatch")
    run = deployment.start("brief")

    assert run.wait_for_end() == "success"

    assert service.calls("StartRunBatch") == calls + 2
    check_the_end(run, [])


def test_a_worker_killed_after_the_event_leaves_what_the_next_try_publishes(
    deployment: Deployment, postgres: Database
) -> None:
    """The next try finds the batch that has ended, and publishes all of it."""
    run = deployment.start("brief")
    before = run.wait_until_watched()
    with postgres.locked("xcom", "SHARE"):
        deployment.wait_until_stuck("DELETE FROM xcom%")
        run.kill_worker()
        postgres.cut_waiting("DELETE FROM xcom%")
    run.let_airflow_miss_it()

    assert run.wait_for_end() == "success"

    assert run.tries() == 2
    check_the_end(run, before)

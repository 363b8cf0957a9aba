"""What a person does to a task that waits, on a real Airflow."""

from __future__ import annotations

import pytest

from tests.system.dag_run import CANCELLED, UNDER_WAY
from tests.system.deployed import Deployment


@pytest.mark.parametrize("state", ["failed", "success"])
def test_a_deferred_task_that_is_marked_cancels_its_batch(deployment: Deployment, state: str) -> None:
    run = deployment.start("plain")
    [batch_id] = run.wait_until_watched()

    run.mark(state)

    run.wait_for_status(batch_id, CANCELLED)


def test_a_mapped_task_that_is_marked_cancels_its_own_batch_and_no_other(deployment: Deployment) -> None:
    run = deployment.start("mapped")
    batches = run.wait_until_watched(2)
    by_index = {index: run.xcom("batch_id", index) for index in (0, 1)}
    assert sorted(by_index.values()) == sorted(batches)

    run.mark("failed", map_index=1)

    run.wait_for_status(by_index[1], CANCELLED)
    assert run.status(by_index[0]) in UNDER_WAY


@pytest.mark.parametrize("dag_id", ["plain", "mapped"])
def test_a_cleared_task_cancels_its_batch_and_starts_another_that_goes_on(
    deployment: Deployment, dag_id: str
) -> None:
    run = deployment.start(dag_id)
    indexes = [0, 1] if dag_id == "mapped" else [-1]
    old = run.wait_until_watched(len(indexes))

    run.clear()

    for batch_id in old:
        run.wait_for_status(batch_id, CANCELLED)
    deployment.wait_for(lambda: len(run.batches()) == 2 * len(old), "new batches")
    new = [batch_id for batch_id in run.batch_ids() if batch_id not in old]
    for batch_id in new:
        run.wait_for_status(batch_id, UNDER_WAY)
    deployment.wait_for(lambda: set(run.task_states()) == {"deferred"}, "the wait for them")
    assert sorted(run.xcom("batch_id", index) for index in indexes) == sorted(new)
    assert {run.status(batch_id) for batch_id in new} <= UNDER_WAY


@pytest.mark.parametrize("state", ["failed", "success"])
def test_a_task_on_a_worker_that_is_marked_cancels_its_batch(deployment: Deployment, state: str) -> None:
    run = deployment.start("on_the_worker")
    [batch_id] = run.wait_until_watched()

    run.mark(state)

    run.wait_for_status(batch_id, CANCELLED)


def test_a_task_that_is_cleared_on_a_worker_cancels_its_batch_and_starts_another(
    deployment: Deployment,
) -> None:
    run = deployment.start("on_the_worker")
    [old] = run.wait_until_watched()

    run.clear()

    run.wait_for_status(old, CANCELLED)
    deployment.wait_for(lambda: len(run.batches()) == 2, "a new batch")
    new = run.batch_ids()[1]
    run.wait_for_status(new, UNDER_WAY)


def test_a_task_told_to_leave_its_batch_alone_does_so(deployment: Deployment) -> None:
    run, other = deployment.start("left_alone"), deployment.start("plain")
    [batch_id], [other_batch] = run.wait_until_watched(), other.wait_until_watched()

    run.mark("failed")
    other.mark("failed")

    other.wait_for_status(other_batch, CANCELLED)
    assert run.status(batch_id) in UNDER_WAY


def test_a_task_over_its_time_cancels_its_batch_and_fails(deployment: Deployment) -> None:
    run = deployment.start("limited")

    run.wait_for_task("failed")
    [batch_id] = run.batch_ids()
    assert run.status(batch_id) in CANCELLED
    assert list(run.xcom("run_ids")) == ["NA12878", "NA12891", "NA12892"]


def test_a_retry_waits_for_the_batch_that_the_try_before_has_left(deployment: Deployment) -> None:
    run = deployment.start("retried")

    assert run.wait_for_end() == "failed"
    [batch_id] = run.batch_ids()
    assert run.status(batch_id) in UNDER_WAY
    second = [line.text for line in run.log(try_number=2)]
    assert any(f"{batch_id} was submitted by an earlier try" in line for line in second)

"""Failed runs that are sent again, on a real Airflow."""

from __future__ import annotations

import pytest

from tests.system.checks import manifest, runs_of
from tests.system.dag_run import CANCELLED, UNDER_WAY, DagRun
from tests.system.deployed import Deployment


@pytest.mark.parametrize(
    ("dag_id", "tries", "mended", "others"),
    [
        ("failing_in_rounds", 1, {"S15", "S5"}, {"S0", "S1", "S34"}),
        ("failing_in_rounds_on_the_worker", 1, {"S16", "S24"}, {"S2", "S3", "S70"}),
        ("failing_and_retried", 2, {"S29", "S26"}, {"S6", "S14", "S135"}),
    ],
)
def test_only_what_may_get_through_is_sent_again(
    deployment: Deployment, dag_id: str, tries: int, mended: set[str], others: set[str]
) -> None:
    run = deployment.start(dag_id)

    assert run.wait_for_end() == "success"

    first, second = run.batch_ids()
    assert run.xcom("batch_ids") == [first, second]
    assert {item["runSettingId"] for item in runs_of(run, first)} == mended | others
    assert {item["runSettingId"] for item in runs_of(run, second)} == mended
    last = {line["run_setting_id"]: line["batch_id"] for line in manifest(run)}
    assert last == dict.fromkeys(mended, second) | dict.fromkeys(others, first)
    assert run.xcom()["runs"]["completed"] == 3
    told = [line.text for number in range(1, tries + 1) for line in run.log(number)]
    assert any("are sent again in 0:00:03" in line for line in told) is (tries == 1)


def _in_the_second_round(deployment: Deployment) -> tuple[DagRun, str]:
    """Let a first batch fail as a whole, and return the run once it waits for the next one."""
    deployment.emulators["aws_default"].fault("StartRunBatch", "failed_batch")
    run = deployment.start("in_rounds")
    deployment.wait_for(lambda: len(run.batches()) == 2, "the second batch")
    second = run.batch_ids()[1]
    deployment.wait_for(
        lambda: any(f"{second} INPROGRESS" in line.text for line in run.log()), "the second batch's trigger"
    )
    return run, second


def test_a_task_that_is_marked_in_a_later_round_cancels_that_rounds_batch(deployment: Deployment) -> None:
    run, second = _in_the_second_round(deployment)

    run.mark("failed")

    run.wait_for_status(second, CANCELLED)


def test_a_task_that_is_cleared_in_a_later_round_starts_from_the_beginning(deployment: Deployment) -> None:
    run, second = _in_the_second_round(deployment)

    run.clear()

    run.wait_for_status(second, CANCELLED)
    deployment.wait_for(lambda: len(run.batches()) == 3, "a new batch")
    new = run.batch_ids()[2]
    run.wait_for_status(new, UNDER_WAY)
    deployment.wait_for(lambda: run.task_states() == ["deferred"], "the wait for it")
    assert run.xcom("batch_ids") == [new]
    assert run.status(new) in UNDER_WAY

"""What several tasks do with one batch, on a real Airflow."""

from __future__ import annotations

from tests.system.dag_run import CANCELLED
from tests.system.deployed import Deployment


def test_a_batch_is_waited_for_in_every_way_and_deleted_in_the_end(deployment: Deployment) -> None:
    run = deployment.start("brief_whole_life")

    assert run.wait_for_end() == "success"

    api = deployment.airflow.api
    summaries = [
        api.xcom(run.dag_id, run.run_id, task_id, "return_value")
        for task_id in ("deferred", "on_the_worker", "rescheduled")
    ]
    assert summaries[0]["runs"]["completed"] == 3
    assert summaries == [summaries[0]] * 3
    assert api.xcom(run.dag_id, run.run_id, "rescheduled", "run_ids") == run.xcom("run_ids")
    assert api.xcom(run.dag_id, run.run_id, "delete_runs", "return_value")["status"] == "RUNS_DELETED"
    assert not run.batches()


def test_a_sensor_that_gives_up_fails_once_or_is_skipped_and_a_teardown_cancels_the_batch(
    deployment: Deployment,
) -> None:
    run = deployment.start("given_up")

    assert run.wait_for_end() == "failed"

    states = deployment.airflow.api.task_states(run.dag_id, run.run_id)
    assert states == {
        "start": ["success"],
        "wait": ["failed"],
        "may_fail": ["skipped"],
        "cancel": ["success"],
    }
    tries = {
        ti["task_id"]: ti["try_number"]
        for ti in deployment.airflow.api.task_instances(run.dag_id, run.run_id)
    }
    assert tries["wait"] == 1
    assert run.status(run.batch_ids()[0]) in CANCELLED

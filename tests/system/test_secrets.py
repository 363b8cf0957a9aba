"""Where the parameters of runs and the session policy must not turn up."""

from __future__ import annotations

from tests.system.dags.secretive import WORD
from tests.system.deployed import Deployment
from tests.system.postgres import Database

#: What Airflow itself shows of an operator's arguments and of a Dag's file.
SHOWN_BY_AIRFLOW = {"rendered_task_instance_fields", "serialized_dag", "dag_code"}


def test_parameters_and_session_policy_are_in_no_table_and_in_no_log(
    deployment: Deployment, postgres: Database
) -> None:
    """
    Triggers, events, XCom, the state store and all logs are free of them, however a task ends.

    Airflow shows an operator's rendered arguments by itself, so that its tables for these are left out.
    """
    service = deployment.emulators["aws_brief"]
    with postgres.recorded():
        runs = [deployment.start(f"brief_secretive_{way}") for way in ("deferred", "on_the_worker")]
        assert [run.wait_for_end() for run in runs] == ["success", "success"]
        service.fault("StartRunBatch", "error", error="ValidationException")
        refused = deployment.start("brief_secretive_deferred")
        assert refused.wait_for_end() == "failed"

        places = postgres.places_of(WORD)
        assert "rendered_task_instance_fields" in places
        assert places <= SHOWN_BY_AIRFLOW
        for run, kept_in in zip(runs, ({"trigger", "task_instance"}, set()), strict=True):
            [batch_id] = run.batch_ids()
            assert kept_in | {"xcom", "task_state_store"} <= postgres.places_of(batch_id)
            assert any(batch_id in line.text for line in run.log())

    logs = [path for path in deployment.logs.parent.rglob("*") if path.is_file()]
    assert not [path for path in logs if WORD in path.read_text(errors="replace")]

"""Batches that several tasks see to from their submission to their deletion."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG

from airflow_provider_omics_batch.operators.omics import (
    CancelRunBatchOperator,
    DeleteBatchOperator,
    DeleteRunBatchOperator,
    StartRunBatchOperator,
)
from airflow_provider_omics_batch.sensors.omics import RunBatchSensor

SETTINGS = [{"runSettingId": name} for name in ("NA12878", "NA12891", "NA12892")]


def start(**arguments: Any) -> StartRunBatchOperator:
    return StartRunBatchOperator(
        task_id="start",
        default_run_setting={
            "workflowId": "1234567",
            "roleArn": "arn:aws:iam::123456789012:role/omics",
            "outputUri": "s3://bucket/out/",
        },
        batch_run_settings=SETTINGS,
        batch_name="{{ run_id }}",
        poll_interval=1,
        wait_until="submitted",
        **arguments,
    )


BRIEF: dict[str, Any] = {"aws_conn_id": "aws_brief", "staging_uri": "s3://cohort/airflow/"}
# Airflow's executor and its scheduler come into conflict over tasks that are back within a second or two.
RESCHEDULED: dict[str, Any] = {"deferrable": False, "mode": "reschedule", "poke_interval": 5}

with DAG("brief_whole_life", schedule=None, default_args={"aws_conn_id": "aws_brief"}):
    submitted = start(**BRIEF)
    batch_id = submitted.output["batch_id"]
    waits = [
        RunBatchSensor(task_id="deferred", batch_id=batch_id, poke_interval=1, **BRIEF),
        RunBatchSensor(
            task_id="on_the_worker", batch_id=batch_id, deferrable=False, poke_interval=1, **BRIEF
        ),
        RunBatchSensor(task_id="rescheduled", batch_id=batch_id, **RESCHEDULED, **BRIEF),
    ]
    cancel = CancelRunBatchOperator(task_id="cancel", batch_id=batch_id)
    delete_runs = DeleteRunBatchOperator(task_id="delete_runs", batch_id=batch_id, poll_interval=1)
    submitted >> waits >> cancel >> delete_runs >> DeleteBatchOperator(task_id="delete", batch_id=batch_id)

with DAG("given_up", schedule=None):
    submitted = start()
    batch_id = submitted.output["batch_id"]
    wait = RunBatchSensor(task_id="wait", batch_id=batch_id, timeout=12, retries=3, **RESCHEDULED)
    may_fail = RunBatchSensor(task_id="may_fail", batch_id=batch_id, timeout=5, soft_fail=True)
    cancel = CancelRunBatchOperator(task_id="cancel", batch_id=batch_id, poll_interval=1)
    submitted >> [wait, may_fail] >> cancel.as_teardown(setups=submitted)

"""Batches that end within seconds."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG

from airflow_provider_omics_batch.operators.omics import StartRunBatchOperator

ARGUMENTS: dict[str, Any] = {
    "default_run_setting": {
        "workflowId": "1234567",
        "roleArn": "arn:aws:iam::123456789012:role/omics",
        "outputUri": "s3://bucket/out/",
    },
    "batch_name": "{{ run_id }}",
    "staging_uri": "s3://cohort/airflow/",
    "aws_conn_id": "aws_brief",
    "poll_interval": 1,
    "retries": 2,
    "retry_delay": timedelta(seconds=1),
}
SETTINGS = [{"runSettingId": f"NA128{number}"} for number in range(78, 86)]

with DAG("brief", schedule=None):
    StartRunBatchOperator(task_id="start", batch_run_settings=SETTINGS[:2], **ARGUMENTS)

with DAG("brief_but_longer", schedule=None):
    StartRunBatchOperator(task_id="start", batch_run_settings=SETTINGS, **ARGUMENTS)

with DAG("brief_on_the_worker", schedule=None):
    StartRunBatchOperator(task_id="start", batch_run_settings=SETTINGS, deferrable=False, **ARGUMENTS)

# Where a triggerer asks nobody for a connection, nothing of it stands still when half of it does.
with DAG("brief_without_connection", schedule=None):
    StartRunBatchOperator(
        task_id="start",
        batch_run_settings=SETTINGS,
        botocore_config={"inject_host_prefix": False},
        **ARGUMENTS | {"aws_conn_id": None},
    )

"""Batches whose tasks have links, and publish nothing else that they need not."""

from __future__ import annotations

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
    "poll_interval": 1,
    "do_xcom_push": False,
}
SETTINGS = [{"runSettingId": "NA12878"}]

with DAG("linked", schedule=None):
    StartRunBatchOperator(task_id="start", batch_run_settings=SETTINGS, **ARGUMENTS)

with DAG("linked_on_the_worker", schedule=None):
    StartRunBatchOperator(task_id="start", batch_run_settings=SETTINGS, deferrable=False, **ARGUMENTS)

with DAG("linked_and_mapped", schedule=None):
    StartRunBatchOperator.partial(task_id="start", **ARGUMENTS).expand(
        batch_run_settings=[SETTINGS, SETTINGS]
    )

with DAG("brief_and_linked", schedule=None):
    StartRunBatchOperator(
        task_id="start", batch_run_settings=SETTINGS, **ARGUMENTS | {"aws_conn_id": "aws_brief"}
    )

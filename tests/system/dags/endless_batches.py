"""Batches that do not end while a test looks."""

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
    "poll_interval": 1,
}
SETTINGS = [{"runSettingId": name} for name in ("NA12878", "NA12891", "NA12892")]

with DAG("plain", schedule=None):
    StartRunBatchOperator(task_id="start", batch_run_settings=SETTINGS, **ARGUMENTS)

with DAG("mapped", schedule=None):
    StartRunBatchOperator.partial(task_id="start", **ARGUMENTS).expand(
        batch_run_settings=[SETTINGS, SETTINGS]
    )

with DAG("mapped_by_name", schedule=None):
    StartRunBatchOperator.partial(
        task_id="start", map_index_template="{{ task.tags.cohort }}", **ARGUMENTS
    ).expand_kwargs(
        [{"batch_run_settings": SETTINGS, "tags": {"cohort": cohort}} for cohort in ("healthy", "sick")]
    )

with DAG("left_alone", schedule=None):
    StartRunBatchOperator(task_id="start", batch_run_settings=SETTINGS, cancel_on_kill=False, **ARGUMENTS)

with DAG("on_the_worker", schedule=None):
    StartRunBatchOperator(
        task_id="start",
        batch_run_settings=SETTINGS,
        deferrable=False,
        # A try that begins while there is no API server is lost.
        retries=9,
        retry_delay=timedelta(seconds=1),
        **ARGUMENTS,
    )

with DAG("limited", schedule=None):
    StartRunBatchOperator(
        task_id="start", batch_run_settings=SETTINGS, execution_timeout=timedelta(seconds=20), **ARGUMENTS
    )

with DAG("retried", schedule=None):
    StartRunBatchOperator(
        task_id="start",
        batch_run_settings=SETTINGS,
        execution_timeout=timedelta(seconds=20),
        on_timeout="leave",
        retries=1,
        retry_delay=timedelta(seconds=1),
        **ARGUMENTS,
    )

with DAG("in_rounds", schedule=None):
    StartRunBatchOperator(task_id="start", batch_run_settings=SETTINGS, retry_failed_rounds=1, **ARGUMENTS)

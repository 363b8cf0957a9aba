"""Batches of which some runs go wrong, as the emulator's seed has it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, task

from airflow_provider_omics_batch.operators.omics import StartRunBatchOperator

#: One of each: fine, throttled, a service error, no valid request, out of memory. The second and the third
#: get through when they are sent again, and then for ever, so that each Dag has its own.
COHORTS = [
    ["S0", "S15", "S5", "S1", "S34"],
    ["S2", "S16", "S24", "S3", "S70"],
    ["S6", "S29", "S26", "S14", "S135"],
]


def settings(cohort: int) -> list[dict[str, str]]:
    return [{"runSettingId": name} for name in COHORTS[cohort]]


ARGUMENTS: dict[str, Any] = {
    "default_run_setting": {
        "workflowId": "1234567",
        "roleArn": "arn:aws:iam::123456789012:role/omics",
        "outputUri": "s3://bucket/out/",
    },
    "batch_name": "{{ run_id }}",
    "staging_uri": "s3://cohort/airflow/",
    "aws_conn_id": "aws_failing",
    "poll_interval": 1,
    "retry_delay": timedelta(seconds=3),
    "max_failed_runs": 2,
}

with DAG("failing_in_rounds", schedule=None):
    StartRunBatchOperator(task_id="start", batch_run_settings=settings(0), retry_failed_rounds=1, **ARGUMENTS)

with DAG("failing_in_rounds_on_the_worker", schedule=None):
    StartRunBatchOperator(
        task_id="start", batch_run_settings=settings(1), retry_failed_rounds=1, deferrable=False, **ARGUMENTS
    )

with DAG("failing_and_retried", schedule=None):
    StartRunBatchOperator(task_id="start", batch_run_settings=settings(2), retries=1, **ARGUMENTS)

#: The second one's as above.
NAMED = {"healthy": ["S10", "S11"], "sick": ["S12", "S35", "S40", "S33", "S144"]}

with DAG("failing_and_mapped", schedule=None):

    @task
    def cohorts() -> list[str]:
        return list(NAMED)

    @task.start_run_batch(
        task_id="start", map_index_template="{{ task.op_kwargs.cohort }}", retries=1, **ARGUMENTS
    )
    def start(cohort: str) -> Iterator[dict[str, str]]:
        for name in NAMED[cohort]:
            yield {"runSettingId": name}

    start.expand(cohort=cohorts())

"""A whole task, from its submission to its XCom."""

from __future__ import annotations

from tests.benchmarks.cohort import DEFAULT_RUN_SETTING
from tests.integration.tasks import TaskInstance


def run_task(settings_uri: str, staging_uri: str) -> TaskInstance:
    """
    Run a deferrable task over a batch, and return its task instance.

    :param settings_uri: Where its run settings are.
    :param staging_uri: Where its manifest goes.
    """
    from airflow_provider_omics_batch.operators.omics import StartRunBatchOperator

    operator = StartRunBatchOperator(
        task_id="call_variants",
        default_run_setting=DEFAULT_RUN_SETTING,
        batch_run_settings={"s3UriSettings": settings_uri},
        staging_uri=staging_uri,
        poll_interval=1,
        max_failed_runs=1.0,
    )
    task_instance = TaskInstance()
    task_instance.run(operator)
    return task_instance

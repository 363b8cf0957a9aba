"""The same batch twice: by this package's operator, and by tasks of one's own."""

from __future__ import annotations

from airflow.sdk import DAG, task

from airflow_provider_omics_batch.operators.omics import StartRunBatchOperator
from tests.benchmarks.cohort import DEFAULT_RUN_SETTING
from tests.benchmarks.rivals.tasks import WaitForBatch, submit_batch
from tests.benchmarks.three_runs import INTERVAL, NAMES

SETTINGS = [{"runSettingId": "{{ dag_run.conf['sample'] }}-" + name} for name in NAMES]


@task
def go_on(run_ids: dict[str, str]) -> int:
    return len(run_ids)


with DAG("latency", schedule=None):
    start = StartRunBatchOperator(
        task_id="start",
        default_run_setting=DEFAULT_RUN_SETTING,
        batch_run_settings=SETTINGS,
        batch_name="{{ run_id }}",
        poll_interval=INTERVAL,
    )
    go_on(start.output["run_ids"])

with DAG("latency_rival", schedule=None):
    request = {
        "defaultRunSetting": DEFAULT_RUN_SETTING,
        "batchRunSettings": {"inlineSettings": SETTINGS},
        "batchName": "{{ run_id }}",
    }
    batch_id = submit_batch(request, request_id="{{ run_id }}")
    wait = WaitForBatch(task_id="start", batch_id=batch_id, waiter_delay=INTERVAL)
    go_on(wait.output["run_ids"])

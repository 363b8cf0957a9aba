"""
Start a batch, go on with other things, and leave nothing running, whatever happens.

`call_variants` ends as soon as its batch is submitted; sensors wait for what comes of it, as they would for a
batch that another Dag or a person has started.

- `submitted` waits until every run has been submitted or refused. `check` then looks at what was refused, and
  stops the Dag run before the others are paid for if that is too much.
- `processed` waits for the end of all runs.
- `cancel` is a teardown: it is run at the end, however the tasks between it and `call_variants` have ended. A
  batch that has ended needs no cancelling, which is no error. Whoever clears a task in between starts a new
  batch, since Airflow clears the setup with it.
- `delete_runs` and `delete_batch` make room in the account once all went well; outputs in S3 stay.

The default of the param fits the emulator.
"""

from __future__ import annotations

import logging
from pathlib import Path

from airflow.sdk import Param, dag, task
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_omics_batch.hooks.omics import OmicsHook
from airflow_provider_omics_batch.operators.omics import (
    CancelRunBatchOperator,
    DeleteBatchOperator,
    DeleteRunBatchOperator,
    StartRunBatchOperator,
)
from airflow_provider_omics_batch.run_batch import SampleSheet
from airflow_provider_omics_batch.sensors.omics import RunBatchSensor

log = logging.getLogger(__name__)

COHORT = Path(__file__).parent / "data/1000genomes-30x/cohort.tsv"

PARAMS = {"max_refused": Param(0.01, type="number", title="Which share of the runs may be refused")}


@dag(schedule=None, params=PARAMS, default_args={"retries": 2}, tags=["example", "omics"], doc_md=__doc__)
def example_omics_teardown() -> None:
    batch = StartRunBatchOperator(
        task_id="call_variants",
        default_run_setting={
            "workflowId": "1234567",
            "roleArn": "arn:aws:iam::123456789012:role/omics-cohort",
            "outputUri": "s3://example-omics-outputs/teardown/",
            "storageType": "DYNAMIC",
        },
        batch_run_settings=SampleSheet(
            COHORT,
            run_setting_id="{sample_id}",
            parameters={"cram": "s3://example-1000genomes/{cram_path}"},
        ),
        staging_uri="s3://example-omics-staging/airflow/",
        wait_for_completion=False,
    )
    batch_id = batch.output["batch_id"]

    # [START sensor]
    submitted = RunBatchSensor(
        task_id="submitted",
        batch_id=batch_id,
        wait_until="submitted",
        max_failed_runs=1.0,
        # Short enough to watch it on the emulator.
        poke_interval=3,
    )
    processed = RunBatchSensor(
        task_id="processed",
        batch_id=batch_id,
        staging_uri="s3://example-omics-staging/airflow/",
        max_failed_runs=0.01,
        poke_interval=3,
    )
    # [END sensor]

    # [START hook]
    @task
    def check(batch_id: str, max_refused: str) -> None:
        """Stop here if too many runs were refused."""
        hook = OmicsHook()
        total = hook.get_batch(batch_id)["totalRuns"]
        refused = list(hook.list_runs_in_batch(batch_id, submission_status="FAILED"))
        for run in refused:
            log.warning("%s: %s", run["runSettingId"], run["submissionFailureMessage"])
        if len(refused) > float(max_refused) * total:
            raise AirflowFailException(f"{len(refused)} of {total} runs were refused")

    # [END hook]

    # [START teardown]
    # Mostly the batch has ended by then, which is no error.
    cancel = CancelRunBatchOperator(task_id="cancel", batch_id=batch_id, fail_if_ended=False, poll_interval=3)
    batch >> submitted >> check(batch_id, "{{ params.max_refused }}") >> processed
    # Airflow calls a Dag run a success whose teardown has failed, unless told otherwise.
    processed >> cancel.as_teardown(setups=batch, on_failure_fail_dagrun=True)
    # [END teardown]

    # [START delete]
    delete_runs = DeleteRunBatchOperator(
        task_id="delete_runs",
        batch_id=batch_id,
        # Not before the runs are deleted may their record be.
        wait_for_completion=True,
        deferrable=False,
        poll_interval=3,
    )
    delete_batch = DeleteBatchOperator(task_id="delete_batch", batch_id=batch_id)
    [processed, cancel] >> delete_runs >> delete_batch
    # [END delete]


example_omics_teardown()

"""
Send again what may succeed, and look at the rest of what went wrong, also when the batch has failed.

`call_variants` sends the runs once more that failed for a reason that passes by itself, and no others. It
tolerates none that fail then: a single one lets it fail. Airflow's retry does the same with what the last
round has left, and where no run is worth another one, it fails at once. The manifest is there all the same.

- `report` runs whatever has become of the batch. It reads the runs that went wrong and no others, counts
  them by reason, and writes their rows of the sample sheet to S3: a small sheet, to be mended and run alone.
- `delete_runs` deletes the runs of both batches, which would count towards the account's quota of runs. Their
  outputs and their logs stay.
- `deliver` runs only if all runs have completed. Otherwise it is not even started, so that the Dag run fails
  with the batch; with nothing but the others at its end, Airflow would call it a success.

The defaults of the params fit the emulator, as those of `example_omics_cohort` do.
"""

from __future__ import annotations

import csv
import logging
from collections import Counter
from datetime import timedelta
from pathlib import Path

from airflow.sdk import ObjectStoragePath, Param, dag, task

from airflow_provider_omics_batch.operators.omics import DeleteRunBatchOperator, StartRunBatchOperator
from airflow_provider_omics_batch.run_batch import RunRecord, SampleSheet, read_run_manifest, went_wrong

log = logging.getLogger(__name__)

COHORT = Path(__file__).parent / "data/1000genomes-30x/cohort.tsv"

PARAMS = {
    "workflow_id": Param("1234567", type="string", title="Workflow id"),
    "role_arn": Param("arn:aws:iam::123456789012:role/omics-cohort", type="string", title="Role of the runs"),
    "cache_id": Param("1234567", type="string", title="Id of the run cache"),
    "cram_root": Param("s3://example-1000genomes/", type="string", title="Where the CRAMs are"),
    "output_uri": Param("s3://example-omics-outputs/failed/", type="string", title="Where the outputs go"),
    "staging_uri": Param(
        "s3://example-omics-staging/airflow/",
        type="string",
        title="Where run settings, manifests and the sheet of failed samples go",
    ),
}


@dag(schedule=None, params=PARAMS, tags=["example", "omics"], doc_md=__doc__)
def example_omics_failed() -> None:
    # [START retry]
    batch = StartRunBatchOperator(
        task_id="call_variants",
        default_run_setting={
            "workflowId": "{{ params.workflow_id }}",
            "roleArn": "{{ params.role_arn }}",
            "outputUri": "{{ params.output_uri }}",
            "storageType": "DYNAMIC",
            # A run that is sent again goes on after the last task that it has finished.
            "cacheId": "{{ params.cache_id }}",
            "cacheBehavior": "CACHE_ON_FAILURE",
        },
        batch_run_settings=SampleSheet(
            COHORT,
            run_setting_id="{sample_id}",
            parameters={"cram": "{{ params.cram_root }}{cram_path}"},
        ),
        staging_uri="{{ params.staging_uri }}",
        retry_failed_rounds=1,
        retries=1,
        # Short enough to watch them on the emulator. Where a quota was used up, it takes longer to pass.
        retry_delay=timedelta(seconds=5),
        poll_interval=3,
    )
    # [END retry]

    # [START report]
    @task(trigger_rule="all_done", multiple_outputs=False)
    def report(manifest_uri: str, sheet_uri: str) -> dict[str, int]:
        """Count what went wrong by reason, and write a sample sheet of it."""
        failed = {run["run_setting_id"]: run for run in filter(went_wrong, read_run_manifest(manifest_uri))}
        reasons = Counter(map(reason_of, failed.values()))
        for reason, count in reasons.most_common():
            log.warning("%s: %s samples", reason, count)
        write_sheet(failed, sheet_uri)
        log.info("The %s rows of these samples are in %s", len(failed), sheet_uri)
        return dict(reasons)

    # [END report]

    @task
    def deliver(manifest_uri: str) -> None:
        """Go on with a cohort that is whole."""
        log.info("All samples have completed: %s", manifest_uri)

    manifest_uri = batch.output["manifest_uri"]
    reported = report(manifest_uri, "{{ params.staging_uri }}failed/{{ run_id }}.tsv")
    deliver(manifest_uri)

    # [START all]
    @task(trigger_rule="all_done")
    def each(batch_ids: list[str]) -> list[str]:
        """Return the first batch and those after it, for a task to be mapped over."""
        return batch_ids

    delete_runs = DeleteRunBatchOperator.partial(task_id="delete_runs", poll_interval=3).expand(
        batch_id=each(batch.output["batch_ids"])
    )
    # [END all]
    reported >> delete_runs


def reason_of(run: RunRecord) -> str:
    return run["failure_reason"] or run["submission_failure_reason"] or run["run_status"] or "not submitted"


def write_sheet(failed: dict[str, RunRecord], uri: str) -> None:
    """Write the rows of these samples, and why each of them failed."""
    with (
        COHORT.open(newline="") as cohort,
        ObjectStoragePath(uri, conn_id="aws_default").open("w", newline="") as sheet,
    ):
        rows = csv.DictReader(cohort, delimiter="\t")
        writer = csv.DictWriter(sheet, [*(rows.fieldnames or ()), "reason"], delimiter="\t")
        writer.writeheader()
        for row in rows:
            if run := failed.get(row["sample_id"]):
                writer.writerow({**row, "reason": reason_of(run)})


example_omics_failed()

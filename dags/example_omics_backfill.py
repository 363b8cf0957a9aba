"""
Run a cohort that was sequenced over the years, one batch for each day of sequencing.

The days are over, so nothing is run by schedule. `airflow backfill create` makes a Dag run for each day that
has none yet, and lets no more than `--max-active-runs` of them, and so no more batches, go on at a time:

    airflow backfill create --dag-id example_omics_backfill \
        --from-date 2019-01-01 --to-date 2019-12-31 --max-active-runs 2

The same command may be given again, also with more days in it: a day that has a Dag run is left alone, so
that no batch is submitted twice. `--dry-run` shows which days there are. `--reprocess-behavior failed` clears
the days that failed, and clearing means again: it submits all samples of these days. To submit only those
that have failed is what `retry_failed_rounds` and `retries` are for.

Each day has a sheet of its samples, named by its date; a day without one is skipped.
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import ObjectStoragePath, dag, task

from airflow_provider_omics_batch.operators.omics import StartRunBatchOperator
from airflow_provider_omics_batch.run_batch import SampleSheet

SHEET = "s3://example-omics-intake/archive/{{ ds }}.tsv"


# [START backfill]
@dag(
    schedule="@daily",
    start_date=datetime(2019, 1, 1, tzinfo=UTC),
    end_date=datetime(2019, 12, 31, tzinfo=UTC),
    catchup=False,
    tags=["example", "omics"],
    doc_md=__doc__,
)
def example_omics_backfill() -> None:
    @task.short_circuit
    def was_sequenced(sheet: str) -> bool:
        """Return whether samples were sequenced that day."""
        return ObjectStoragePath(sheet, conn_id="aws_default").exists()

    batch = StartRunBatchOperator(
        task_id="call_variants",
        batch_name="sequenced on {{ ds }}",
        tags={"backfill": "2019"},
        default_run_setting={
            "workflowId": "1234567",
            "roleArn": "arn:aws:iam::123456789012:role/omics-backfill",
            "outputUri": "s3://example-omics-outputs/backfill/",
            "storageType": "DYNAMIC",
            # The group's own limit leaves room for the runs of what arrives tonight.
            "runGroupId": "1234567",
        },
        batch_run_settings=SampleSheet(
            SHEET,
            run_setting_id="{sample_id}",
            parameters={"cram": "s3://example-1000genomes/{cram_path}"},
        ),
        staging_uri="s3://example-omics-staging/airflow/",
        max_failed_runs=0.05,
        retry_failed_rounds=2,
        retries=2,
    )

    was_sequenced(SHEET) >> batch


example_omics_backfill()
# [END backfill]

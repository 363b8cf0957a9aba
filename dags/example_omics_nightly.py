"""
Run every morning the samples that arrived in the night.

The sequencing centre puts a sheet of each night's samples into a bucket, named by the date on which the
night began. `have_arrived` looks for it. Where there is none, or none with samples in it, the night is
skipped, which is no failure. `call_variants` submits the others as one batch.

- Each night has its own sheet, named by the run's data interval and not by the clock: a night that is run
  late, or once more, is still the same night.
- `catchup=True`: a night that went by while Airflow was down, or the Dag was paused, is run later. With
  `catchup=False` its samples would never be. It reaches back to `start_date` and no further, so set that to
  the first night that this Dag is to run.
- `max_active_runs=3`: a batch may take more than a day without holding up the next night, but after a
  long pause not all nights are submitted at once.

It is paused until somebody switches it on, since its runs cost money.
"""

from __future__ import annotations

# [START nightly]
import logging
from datetime import UTC, datetime

from airflow.sdk import CronDataIntervalTimetable, ObjectStoragePath, dag, task

from airflow_provider_omics_batch.operators.omics import StartRunBatchOperator
from airflow_provider_omics_batch.run_batch import SampleSheet, read_run_manifest, went_wrong

log = logging.getLogger(__name__)

SHEET = "s3://example-omics-intake/{{ data_interval_start | ds }}.tsv"


@dag(
    schedule=CronDataIntervalTimetable("0 6 * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=True,
    max_active_runs=3,
    is_paused_upon_creation=True,
    tags=["example", "omics"],
    doc_md=__doc__,
)
def example_omics_nightly() -> None:
    @task.short_circuit
    def have_arrived(sheet: str) -> bool:
        """Return whether there are samples; a sheet without any has a header at most."""
        path = ObjectStoragePath(sheet, conn_id="aws_default")
        return path.exists() and len(path.read_text().splitlines()) > 1

    batch = StartRunBatchOperator(
        task_id="call_variants",
        batch_name="night of {{ data_interval_start | ds }}",
        default_run_setting={
            "workflowId": "1234567",
            "roleArn": "arn:aws:iam::123456789012:role/omics-nightly",
            "outputUri": "s3://example-omics-outputs/nightly/",
            "storageType": "DYNAMIC",
            "parameters": {"reference": "s3://example-references/GRCh38.fa"},
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

    @task
    def report(manifest_uri: str) -> list[str]:
        """Return the samples that are to be looked at, or sequenced again."""
        failed = [run["run_setting_id"] for run in filter(went_wrong, read_run_manifest(manifest_uri))]
        log.info("%s samples went wrong: %s", len(failed), ", ".join(failed))
        return failed

    have_arrived(SHEET) >> batch
    report(batch.output["manifest_uri"])


example_omics_nightly()
# [END nightly]

"""
Submit a release of a cohort in parts, and let a mapped sensor wait for each of them.

`submit` is mapped over the parts and ends with the submissions. `processed` waits for the batches, one sensor
instance each, and may be cleared or fail without touching them. `report` reads what became of all runs. The
parts are small, as in `example_omics_split`.

The name of the release names the submissions: whoever runs the Dag once more for the same release, or starts
it twice by mistake, waits for the batches that are there, and pays for nothing again. A release that has to
be run anew, or in parts of another size, needs another name.

The defaults of the params fit the emulator.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from airflow.sdk import Param, dag, task

from airflow_provider_omics_batch.operators.omics import StartRunBatchOperator
from airflow_provider_omics_batch.run_batch import SampleSheet, read_run_manifest
from airflow_provider_omics_batch.sensors.omics import RunBatchSensor

log = logging.getLogger(__name__)

COHORT = Path(__file__).parent / "data/1000genomes-30x/cohort.tsv"

PARAMS = {
    "release": Param("2026-11", type="string", title="Release of the cohort"),
    "max_runs": Param(1000, type="integer", minimum=1, maximum=100_000, title="Most runs of a batch"),
}


@dag(schedule=None, params=PARAMS, default_args={"retries": 2}, tags=["example", "omics"], doc_md=__doc__)
def example_omics_detached() -> None:
    @task
    def in_parts(cohort: SampleSheet, max_runs: str) -> list[SampleSheet]:
        return cohort.split(max_runs=int(max_runs))

    # [START submit]
    parts = in_parts(
        SampleSheet(
            COHORT,
            run_setting_id="{sample_id}",
            parameters={"cram": "s3://example-1000genomes/{cram_path}"},
            output_uri="s3://example-omics-outputs/detached/{superpopulation}/",
            # The account that has to own the bucket, or else the run is refused.
            output_bucket_owner_id="123456789012",
            priority=10,
            engine_settings={"profile": "30x"},
        ),
        "{{ params.max_runs }}",
    )
    batches = StartRunBatchOperator.partial(
        task_id="submit",
        map_index_template="part {{ task.batch_run_settings.part + 1 }}",
        request_id="release {{ params.release }}, part {{ ti.map_index }}",
        default_run_setting={
            "workflowId": "1234567",
            "roleArn": "arn:aws:iam::123456789012:role/omics-cohort",
            "outputUri": "s3://example-omics-outputs/detached/",
            "storageType": "DYNAMIC",
        },
        staging_uri="s3://example-omics-staging/airflow/",
        wait_for_completion=False,
    ).expand(batch_run_settings=parts)
    # [END submit]

    # [START watch]
    batch_ids = batches.output.map(batch_id_of)
    processed = RunBatchSensor.partial(
        task_id="processed",
        staging_uri="s3://example-omics-staging/airflow/",
        max_failed_runs=0.01,
        deferrable=False,
        mode="reschedule",
        poke_interval=3,
    ).expand(batch_id=batch_ids)
    # [END watch]

    # [START elsewhere]
    @task(multiple_outputs=False)
    def report(manifest_uris: Iterable[str]) -> dict[str, int]:
        """Count the submissions that failed; the manifests are read where and as the task says."""
        reasons: Counter[str | None] = Counter()
        for uri in manifest_uris:
            refused = read_run_manifest(
                uri,
                submission_status="FAILED",
                aws_conn_id="aws_default",
                region_name="us-east-1",
                verify=True,
                botocore_config={"retries": {"mode": "adaptive"}},
            )
            reasons.update(run["submission_failure_reason"] for run in refused)
        log.info("Refused: %s", dict(reasons))
        return {str(reason): count for reason, count in reasons.items()}

    # [END elsewhere]

    report(processed.output["manifest_uri"])


def batch_id_of(summary: dict[str, Any]) -> str:
    batch_id: str = summary["batch_id"]
    return batch_id


example_omics_detached()

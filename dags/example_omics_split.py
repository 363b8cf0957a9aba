"""
Run a cohort that is too large for one batch.

HealthOmics takes 100,000 runs in a batch. `in_parts` reads the sample sheet, finds what is wrong with it, and
returns it in parts. `call_variants` is mapped over them: each of its instances submits a batch and waits for
it by itself, and where one fails, it alone is retried or cleared. `report` reads the manifests of all.

The cohort of this example is small, so its parts are made small, too, by the param `max_runs`; a large one
does without. The defaults of the other params fit the emulator, as those of `example_omics_cohort` do.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from airflow.sdk import Param, dag, task

from airflow_provider_omics_batch.operators.omics import StartRunBatchOperator
from airflow_provider_omics_batch.run_batch import SampleSheet, read_run_manifest

log = logging.getLogger(__name__)

COHORT = Path(__file__).parent / "data/1000genomes-30x/cohort.tsv"

PARAMS = {
    "workflow_id": Param("1234567", type="string", title="Workflow id"),
    "role_arn": Param("arn:aws:iam::123456789012:role/omics-cohort", type="string", title="Role of the runs"),
    "cram_root": Param("s3://example-1000genomes/", type="string", title="Where the CRAMs are"),
    "output_uri": Param("s3://example-omics-outputs/split/", type="string", title="Where the outputs go"),
    "staging_uri": Param(
        "s3://example-omics-staging/airflow/",
        type="string",
        title="Where run settings and manifests go",
    ),
    "max_runs": Param(1000, type="integer", minimum=1, maximum=100_000, title="Most runs of a batch"),
}


@dag(schedule=None, params=PARAMS, default_args={"retries": 2}, tags=["example", "omics"], doc_md=__doc__)
def example_omics_split() -> None:
    # [START split]
    @task
    def in_parts(cohort: SampleSheet, max_runs: str) -> list[SampleSheet]:
        """Read the sheet, and return its parts; its templates have been rendered by now."""
        return cohort.split(max_runs=int(max_runs))

    parts = in_parts(
        SampleSheet(
            COHORT,
            run_setting_id="{sample_id}",
            parameters={"cram": "{{ params.cram_root }}{cram_path}"},
        ),
        "{{ params.max_runs }}",
    )
    batches = StartRunBatchOperator.partial(
        task_id="call_variants",
        map_index_template="part {{ task.batch_run_settings.part + 1 }}",
        default_run_setting={
            "workflowId": "{{ params.workflow_id }}",
            "roleArn": "{{ params.role_arn }}",
            "outputUri": "{{ params.output_uri }}",
            "storageType": "DYNAMIC",
        },
        staging_uri="{{ params.staging_uri }}",
        max_failed_runs=0.01,
        # Short enough to watch it on the emulator.
        poll_interval=3,
    ).expand(batch_run_settings=parts)
    # [END split]

    @task(multiple_outputs=False)
    def report(manifest_uris: Iterable[str]) -> dict[str, int]:
        """Count the runs of all batches by what became of them."""
        counts = Counter(
            run["run_status"] or "not submitted" for uri in manifest_uris for run in read_run_manifest(uri)
        )
        log.info("%s", dict(counts))
        return dict(counts)

    report(batches.output["manifest_uri"])


example_omics_split()

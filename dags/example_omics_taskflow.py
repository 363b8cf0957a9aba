"""
Let a function tell what is to be run: every trio of a cohort.

A sample sheet makes a run of every row. A trio are three rows, the child's and those of its parents, so a
function reads the sheet and yields a run for each of the 602 children whose parents are in the cohort, too.
`@task.start_run_batch` submits what it yields as one batch, and is `StartRunBatchOperator` in all else: it
waits without holding a worker, and publishes the same. `report` counts what became of the trios.

Where runs have failed for a reason that passes by itself, the function is called again, and only those of
its runs are sent.

The defaults of the params fit the emulator, as those of `example_omics_cohort` do.
"""

from __future__ import annotations

import csv
import logging
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import Param, dag, task

from airflow_provider_omics_batch.run_batch import read_run_manifest

log = logging.getLogger(__name__)

COHORT = Path(__file__).parent / "data/1000genomes-30x/cohort.tsv"

PARAMS = {
    "workflow_id": Param("1234567", type="string", title="Workflow id"),
    "role_arn": Param("arn:aws:iam::123456789012:role/omics-cohort", type="string", title="Role of the runs"),
    "cram_root": Param("s3://example-1000genomes/", type="string", title="Where the CRAMs are"),
    "output_uri": Param("s3://example-omics-outputs/trios/", type="string", title="Where the outputs go"),
    "staging_uri": Param(
        "s3://example-omics-staging/airflow/",
        type="string",
        title="Where run settings and manifests go",
    ),
}


@dag(schedule=None, params=PARAMS, tags=["example", "omics"], doc_md=__doc__)
def example_omics_taskflow() -> None:
    # [START trios]
    @task.start_run_batch(
        default_run_setting={
            "workflowId": "{{ params.workflow_id }}",
            "roleArn": "{{ params.role_arn }}",
            "outputUri": "{{ params.output_uri }}",
            "storageType": "DYNAMIC",
        },
        batch_name="trios",
        staging_uri="{{ params.staging_uri }}",
        max_failed_runs=0.01,
        retry_failed_rounds=1,
        # Whatever the reason: there is no trio like it.
        retry_failed="all",
        retries=2,
        # Short enough to watch it on the emulator.
        retry_delay=timedelta(seconds=3),
        poll_interval=3,
    )
    def call_trios(cram_root: str) -> Iterator[dict[str, Any]]:
        """Yield a run for each child whose parents are in the cohort, too."""
        with COHORT.open(newline="") as sheet:
            samples = {row["sample_id"]: row for row in csv.DictReader(sheet, delimiter="\t")}
        for child, row in samples.items():
            trio = {"child": child, "father": row["father_id"], "mother": row["mother_id"]}
            if samples.keys() >= set(trio.values()):
                crams = {who: cram_root + samples[sample]["cram_path"] for who, sample in trio.items()}
                yield {"runSettingId": child, "name": f"trio of {child}", "parameters": crams}

    # [END trios]

    @task(multiple_outputs=False)
    def report(manifest_uri: str) -> dict[str, int]:
        """Count the trios by what became of them."""
        counts = Counter(run["run_status"] or "not submitted" for run in read_run_manifest(manifest_uri))
        log.info("%s", dict(counts))
        return dict(counts)

    batch = call_trios("{{ params.cram_root }}")
    report(batch["manifest_uri"])


example_omics_taskflow()

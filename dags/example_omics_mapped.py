"""
Run several cohorts, each as a batch of its own.

`by_superpopulation` writes a sample sheet for each superpopulation of the 1000 Genomes Project to S3.
`call_variants` is mapped over them: each of its instances bears the name of its cohort in the grid, submits
a batch, waits for it and judges it by itself, and where one fails, it alone is retried or cleared.
`in_pieces` cuts the manifests of all batches into pieces, and `list_outputs` is mapped over these.

The defaults of the params fit the emulator, as those of `example_omics_cohort` do.
"""

from __future__ import annotations

import csv
import logging
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from airflow.sdk import ObjectStoragePath, Param, dag, task

from airflow_provider_omics_batch.operators.omics import StartRunBatchOperator
from airflow_provider_omics_batch.run_batch import (
    RunRecord,
    SampleSheet,
    chunk_run_manifest,
    read_run_manifest,
)

log = logging.getLogger(__name__)

COHORT = Path(__file__).parent / "data/1000genomes-30x/cohort.tsv"

PARAMS = {
    "workflow_id": Param("1234567", type="string", title="Workflow id"),
    "role_arn": Param("arn:aws:iam::123456789012:role/omics-cohort", type="string", title="Role of the runs"),
    "cram_root": Param("s3://example-1000genomes/", type="string", title="Where the CRAMs are"),
    "output_uri": Param("s3://example-omics-outputs/mapped/", type="string", title="Where the outputs go"),
    "staging_uri": Param(
        "s3://example-omics-staging/airflow/",
        type="string",
        title="Where sheets, run settings and manifests go",
    ),
}


@dag(schedule=None, params=PARAMS, default_args={"retries": 2}, tags=["example", "omics"], doc_md=__doc__)
def example_omics_mapped() -> None:
    # [START cohorts]
    @task
    def by_superpopulation(sheets_uri: str, cram_root: str) -> list[dict[str, Any]]:
        """Write a sheet for each cohort, and return what its batch does not share with the others."""
        return [
            {
                "batch_name": cohort,
                "batch_run_settings": SampleSheet(
                    write_sheet(rows, f"{sheets_uri}{cohort}.tsv"),
                    run_setting_id="{sample_id}",
                    parameters={"cram": f"{cram_root}{{cram_path}}"},
                ),
            }
            for cohort, rows in cohorts().items()
        ]

    each = by_superpopulation("{{ params.staging_uri }}sheets/{{ run_id }}/", "{{ params.cram_root }}")
    batches = StartRunBatchOperator.partial(
        task_id="call_variants",
        map_index_template="{{ task.batch_name }}",
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
    ).expand_kwargs(each)
    # [END cohorts]

    @task
    def in_pieces(manifest_uris: Iterable[str]) -> list[str]:
        """Cut the manifests into pieces; what a task returns is what others can be mapped over."""
        return [piece for uri in manifest_uris for piece in chunk_run_manifest(uri, size=500)]

    @task
    def list_outputs(piece: str, output_uri: str) -> list[str]:
        """Return where HealthOmics has put the outputs of the runs in this piece."""
        runs = read_run_manifest(piece, run_status="COMPLETED")
        return [outputs_of(run, output_uri) for run in runs]

    pieces = in_pieces(batches.output["manifest_uri"])
    list_outputs.partial(output_uri="{{ params.output_uri }}").expand(piece=pieces)


def outputs_of(run: RunRecord, output_uri: str) -> str:
    return f"{output_uri}{run['run_id']}/{run['run_uuid']}/"


def cohorts() -> dict[str, list[dict[str, str]]]:
    """Return the rows of the sheet by superpopulation."""
    found = defaultdict(list)
    with COHORT.open(newline="") as sheet:
        for row in csv.DictReader(sheet, delimiter="\t"):
            found[row["superpopulation"]].append(row)
    return dict(found)


def write_sheet(rows: list[dict[str, str]], uri: str) -> str:
    with ObjectStoragePath(uri, conn_id="aws_default").open("w", newline="") as sheet:
        writer = csv.DictWriter(sheet, list(rows[0]), delimiter="\t")
        writer.writeheader()
        writer.writerows(rows)
    return uri


example_omics_mapped()

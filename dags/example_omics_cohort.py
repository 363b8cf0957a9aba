"""
Run a whole sequencing cohort as one batch, and go on with its runs.

The sample sheet has one row for each of the 3,202 samples of the 1000 Genomes Project (30x). `call_variants`
submits them with a single StartRunBatch and waits for hours without holding a worker. The tasks behind it
get every run id:

- `report` reads the manifest, which tells what became of each run, and names those that failed;
- `in_chunks` cuts the run ids into pieces, because Airflow maps over no more than 1,024 values;
- `log_streams` runs once for each piece, and returns where the logs of its runs are in CloudWatch.

The defaults of the params fit the emulator, which `make demo` starts. For a real account set them to a
workflow of yours, a role that may run it, and buckets in its Region.
"""

from __future__ import annotations

import logging
from itertools import islice
from pathlib import Path
from typing import Any

from airflow.sdk import Param, dag, task

from airflow_provider_omics_batch.operators.omics import StartRunBatchOperator
from airflow_provider_omics_batch.run_batch import SampleSheet, chunk_run_ids, read_run_manifest

log = logging.getLogger(__name__)

COHORT = Path(__file__).parent / "data/1000genomes-30x/cohort.tsv"

PARAMS = {
    "workflow_id": Param("1234567", type="string", title="Workflow id"),
    "role_arn": Param(
        "arn:aws:iam::123456789012:role/omics-cohort",
        type="string",
        title="Role of the runs",
        description="HealthOmics assumes it; it reads the CRAMs, the reference and the staged settings.",
    ),
    "cram_root": Param(
        "s3://example-1000genomes/",
        type="string",
        title="Where the CRAMs are",
        description="The sheet has the paths below it.",
    ),
    "reference": Param("s3://example-references/GRCh38.fa", type="string", title="Reference genome"),
    "output_uri": Param(
        "s3://example-omics-outputs/cohort/",
        type="string",
        title="Where the outputs go",
        description="HealthOmics makes a folder in it for each run.",
    ),
    "staging_uri": Param(
        "s3://example-omics-staging/airflow/",
        type="string",
        title="Where run settings and manifests go",
        description="3,202 run settings do not fit into a request; HealthOmics reads them from here.",
    ),
}


@dag(schedule=None, params=PARAMS, default_args={"retries": 2}, tags=["example", "omics"], doc_md=__doc__)
def example_omics_cohort() -> None:
    batch = StartRunBatchOperator(
        task_id="call_variants",
        batch_name="1000genomes-30x",
        default_run_setting={
            "workflowId": "{{ params.workflow_id }}",
            "roleArn": "{{ params.role_arn }}",
            "outputUri": "{{ params.output_uri }}",
            "storageType": "DYNAMIC",
            "parameters": {"reference": "{{ params.reference }}"},
        },
        # [START sheet]
        # Jinja fills in the params, once; the columns in single braces are filled in row by row.
        batch_run_settings=SampleSheet(
            COHORT,
            run_setting_id="{sample_id}",
            name="{sample_id}",
            parameters={"sample": "{sample_id}", "cram": "{{ params.cram_root }}{cram_path}"},
            run_tags={"population": "{population}", "superpopulation": "{superpopulation}"},
        ),
        # [END sheet]
        staging_uri="{{ params.staging_uri }}",
        # In a cohort of this size some runs fail. Those of up to 32 samples are left to `report`.
        max_failed_runs=0.01,
        # Short enough to watch the demo's half a minute; a batch of a day does well with the default.
        poll_interval=3,
    )

    # Airflow would take each key of a dict for a value of its own, unless told not to.
    @task(multiple_outputs=False)
    def report(summary: dict[str, Any], run_ids: dict[str, str] | None, manifest_uri: str) -> dict[str, Any]:
        """Tell how many runs there are, where they are listed, and which of them failed."""
        failed = [run for run in read_run_manifest(manifest_uri) if run["run_status"] != "COMPLETED"]
        for run in failed:
            reason = run["failure_reason"] or run["submission_failure_reason"]
            log.warning("%s: %s (run %s)", run["run_setting_id"], reason, run["run_id"])
        log.info(
            "%s of %s samples have a run; all are in %s", len(run_ids or ()), summary["total"], manifest_uri
        )
        return {
            "total": summary["total"],
            "run_ids": len(run_ids or ()),
            "first_run_ids": dict(islice((run_ids or {}).items(), 3)),
            "manifest_uri": manifest_uri,
            "failed": failed,
        }

    # [START chunks]
    @task
    def in_chunks(run_ids: dict[str, str]) -> list[dict[str, str]]:
        """Cut the run ids into pieces; what a task returns is what others can be mapped over."""
        return chunk_run_ids(run_ids, size=500)

    @task
    def log_streams(run_ids: dict[str, str]) -> list[str]:
        """Return the log streams of the runs in this piece; their group is `/aws/omics/WorkflowLog`."""
        log.info("%s samples, %s to %s", len(run_ids), min(run_ids), max(run_ids))
        return [f"run/{run_id}" for run_id in run_ids.values()]

    log_streams.expand(run_ids=in_chunks(batch.output["run_ids"]))
    # [END chunks]

    report(batch.output, batch.output["run_ids"], batch.output["manifest_uri"])


example_omics_cohort()

"""
Call the variants of each sample, then genotype the samples of each superpopulation together.

- `call_variants` runs one workflow for each of the 3,202 samples, and bears that a few fail.
- `quality_gate` lets nothing pass if a population lost too many of its samples: a few are tolerated in the
  cohort, but not if they are all of the same kind.
- `gather` writes where the outputs of the completed runs are, a list for each superpopulation, and returns
  the run settings of the next batch. Thousands of URIs do not fit into the parameters of a run, so each
  gets the URI of its list.
- `genotype` runs these as a batch of its own.

HealthOmics names the folder of a run's outputs by its id and its UUID, both of which the manifest has, so
that there is no need to ask for each run. The defaults of the params fit the emulator, as those of
`example_omics_cohort` do.
"""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import ObjectStoragePath, Param, dag, task
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_omics_batch.operators.omics import StartRunBatchOperator
from airflow_provider_omics_batch.run_batch import RunRecord, SampleSheet, read_run_manifest, went_wrong

COHORT = Path(__file__).parent / "data/1000genomes-30x/cohort.tsv"

PARAMS = {
    "calling": Param("1234567", type="string", title="Id of the workflow that calls variants"),
    "genotyping": Param("7654321", type="string", title="Id of the workflow that genotypes"),
    "role_arn": Param("arn:aws:iam::123456789012:role/omics-cohort", type="string", title="Role of the runs"),
    "cram_root": Param("s3://example-1000genomes/", type="string", title="Where the CRAMs are"),
    "output_uri": Param("s3://example-omics-outputs/pipeline/", type="string", title="Where the outputs go"),
    "staging_uri": Param(
        "s3://example-omics-staging/airflow/", type="string", title="Where settings, manifests and lists go"
    ),
    "max_lost": Param(0.1, type="number", title="Which share of a population may go wrong"),
}


@dag(schedule=None, params=PARAMS, default_args={"retries": 2}, tags=["example", "omics"], doc_md=__doc__)
def example_omics_pipeline() -> None:
    calls = StartRunBatchOperator(
        task_id="call_variants",
        default_run_setting={
            "workflowId": "{{ params.calling }}",
            "roleArn": "{{ params.role_arn }}",
            "outputUri": "{{ params.output_uri }}calls/",
            "storageType": "DYNAMIC",
        },
        batch_run_settings=SampleSheet(
            COHORT,
            run_setting_id="{sample_id}",
            parameters={"cram": "{{ params.cram_root }}{cram_path}"},
        ),
        staging_uri="{{ params.staging_uri }}",
        # [START limits]
        max_failed_runs=0.01,
        # As soon as more have failed, the others are not paid for; nor is what has hung for two days.
        fail_fast=True,
        execution_timeout=timedelta(days=2),
        on_timeout="cancel",
        # Nor what a person ends.
        cancel_on_kill=True,
        # [END limits]
        # Short enough to watch it on the emulator.
        poll_interval=3,
    )
    manifest_uri = calls.output["manifest_uri"]

    # [START gate]
    @task
    def quality_gate(manifest_uri: str, max_lost: str) -> None:
        """Stop here if a population lost too many samples; no retry would bring them back."""
        population = column("population")
        total = Counter(population.values())
        failed = filter(went_wrong, read_run_manifest(manifest_uri))
        lost = Counter(population[run["run_setting_id"]] for run in failed)
        if bad := [name for name in lost if lost[name] > float(max_lost) * total[name]]:
            raise AirflowFailException(f"Too many samples went wrong in {', '.join(bad)}: {dict(lost)}")

    # [END gate]

    # [START gather]
    @task
    def gather(manifest_uri: str, output_uri: str, lists_uri: str) -> list[dict[str, Any]]:
        """Write a list of outputs for each superpopulation, and return the run settings for them."""
        superpopulation = column("superpopulation")
        outputs = defaultdict(list)
        for run in read_run_manifest(manifest_uri, run_status="COMPLETED"):
            outputs[superpopulation[run["run_setting_id"]]].append(outputs_of(run, output_uri))
        for name, uris in outputs.items():
            ObjectStoragePath(f"{lists_uri}{name}.txt", conn_id="aws_default").write_text("\n".join(uris))
        return [{"runSettingId": name, "parameters": {"calls": f"{lists_uri}{name}.txt"}} for name in outputs]

    settings = gather(
        manifest_uri, "{{ params.output_uri }}calls/", "{{ params.staging_uri }}calls/{{ run_id }}/"
    )
    StartRunBatchOperator(
        task_id="genotype",
        default_run_setting={
            "workflowId": "{{ params.genotyping }}",
            "roleArn": "{{ params.role_arn }}",
            "outputUri": "{{ params.output_uri }}genotypes/",
            "storageType": "DYNAMIC",
        },
        batch_run_settings=settings,
        # Some minutes, for which a worker may wait.
        deferrable=False,
        poll_interval=3,
    )
    # [END gather]

    quality_gate(manifest_uri, "{{ params.max_lost }}") >> settings


def column(name: str) -> dict[str, str]:
    """Return a column of the sample sheet by sample."""
    with COHORT.open(newline="") as cohort:
        return {row["sample_id"]: row[name] for row in csv.DictReader(cohort, delimiter="\t")}


# [START outputs]
def outputs_of(run: RunRecord, output_uri: str) -> str:
    """Return where HealthOmics has put what a run made."""
    return f"{output_uri}{run['run_id']}/{run['run_uuid']}/"


# [END outputs]


example_omics_pipeline()

"""100,000 runs as one batch, and a task that counts them."""

from __future__ import annotations

from collections import Counter
from typing import Any

from airflow.sdk import DAG, task

from airflow_provider_omics_batch.operators.omics import StartRunBatchOperator
from airflow_provider_omics_batch.run_batch import SampleSheet, read_run_manifest
from tests.benchmarks.cohort import DEFAULT_RUN_SETTING

with DAG("end_to_end", schedule=None):
    start = StartRunBatchOperator(
        task_id="start",
        default_run_setting={
            **DEFAULT_RUN_SETTING,
            "storageType": "DYNAMIC",
            "parameters": {"reference": "s3://references/GRCh38.fa"},
        },
        batch_run_settings=SampleSheet(
            "{{ dag_run.conf['sheet'] }}",
            run_setting_id="{sample_id}",
            name="{sample_id}",
            parameters={"sample": "{sample_id}", "cram": "s3://1000genomes/{cram_path}"},
            run_tags={"population": "{population}"},
        ),
        batch_name="{{ run_id }}",
        staging_uri="s3://cohort/airflow/",
        max_failed_runs=0.01,
        # The default half a minute would be more than an hour of the service.
        poll_interval=2,
    )

    @task
    def count(manifest_uri: str) -> dict[str, Any]:
        """Count the runs by what became of them, and their ids."""
        statuses, run_ids, names = Counter[str](), set[str](), set[str]()
        for record in read_run_manifest(manifest_uri):
            statuses[record["run_status"] or f"submission {record['submission_status']}"] += 1
            names.add(record["run_setting_id"])
            if record["run_id"]:
                run_ids.add(record["run_id"])
        return {"records": statuses.total(), "names": len(names), "run_ids": len(run_ids)} | statuses

    count(start.output["manifest_uri"])

"""A process that makes run settings of a sample sheet, and puts them into S3."""

from __future__ import annotations

import os
from dataclasses import asdict

from tests.benchmarks.cohort import DEFAULT_RUN_SETTING
from tests.benchmarks.measuring import usage


def ours(bucket: str, sheet: str) -> dict[str, float]:
    from airflow_provider_omics_batch.operators.omics import StartRunBatchOperator
    from airflow_provider_omics_batch.operators.submitting import submission_of
    from airflow_provider_omics_batch.run_batch import SampleSheet

    operator = StartRunBatchOperator(
        task_id="call_variants",
        default_run_setting=DEFAULT_RUN_SETTING,
        batch_run_settings=SampleSheet(
            f"s3://{bucket}/{sheet}",
            run_setting_id="{sample_id}",
            name="{sample_id}",
            parameters={"sample": "{sample_id}", "cram": "s3://example/{cram_path}"},
            run_tags={"population": "{population}"},
        ),
        # What is there already would not be sent again.
        staging_uri=f"s3://{bucket}/airflow-{os.getpid()}/",
    )
    with usage() as used:
        submission_of(operator, {}).prepare()
    return asdict(used)


def rival(bucket: str, sheet: str) -> dict[str, float]:
    # A worker has loaded what a Dag file imports.
    import airflow.providers.amazon.aws.operators.s3  # noqa: F401

    from tests.benchmarks.rivals.task import stage

    with usage() as used:
        stage(bucket, sheet, "settings.json")
    return asdict(used)

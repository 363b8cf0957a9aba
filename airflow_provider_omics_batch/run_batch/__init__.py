"""What this package knows of run batches, whatever runs it."""

from __future__ import annotations

from airflow_provider_omics_batch.run_batch.logs import FailedTask, RunFailure
from airflow_provider_omics_batch.run_batch.reading import (
    chunk_run_ids,
    chunk_run_manifest,
    read_run_manifest,
)
from airflow_provider_omics_batch.run_batch.records import RunRecord, went_wrong
from airflow_provider_omics_batch.run_batch.sheets import SampleSheet

__all__ = [
    "FailedTask",
    "RunFailure",
    "RunRecord",
    "SampleSheet",
    "chunk_run_ids",
    "chunk_run_manifest",
    "read_run_manifest",
    "went_wrong",
]

"""What this package knows of run batches, whatever runs it."""

from __future__ import annotations

from airflow_provider_omics_batch.run_batch.manifest import chunk_run_ids, read_run_manifest
from airflow_provider_omics_batch.run_batch.records import RunRecord
from airflow_provider_omics_batch.run_batch.sheets import SampleSheet

__all__ = ["RunRecord", "SampleSheet", "chunk_run_ids", "read_run_manifest"]

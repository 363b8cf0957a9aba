"""The manifest: what became of each run of a batch, one JSON line a run, written to S3."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Iterator
from contextlib import closing
from typing import IO, Any

from asgiref.sync import sync_to_async

from airflow_provider_omics_batch.run_batch.client import Log, PatientClient, patiently
from airflow_provider_omics_batch.run_batch.mapping import PATIENCE_FOR_MAPPING, collect_runs
from airflow_provider_omics_batch.run_batch.model import json_bytes
from airflow_provider_omics_batch.run_batch.records import Outcome, RunRecord
from airflow_provider_omics_batch.run_batch.s3 import S3ClientMaker, split_s3_uri, under
from airflow_provider_omics_batch.run_batch.states import BatchState
from airflow_provider_omics_batch.run_batch.targets import WaitUntil


class RunRecords:
    """Records on disk, where 100,000 of them take no memory; to be closed."""

    def __init__(self) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the object
        self.count = 0

    def add(self, record: RunRecord) -> None:
        self._file.write(json_bytes(record) + b"\n")
        self.count += 1

    def __iter__(self) -> Iterator[RunRecord]:
        self._file.seek(0)
        return map(json.loads, self._file)

    def clear(self) -> None:
        self._file.seek(0)
        self._file.truncate()
        self.count = 0

    def close(self) -> None:
        self._file.close()

    async def put(self, uri: str, s3_client: S3ClientMaker, log: Log) -> None:
        """
        Write them to S3 as a manifest.

        :param s3_client: Makes the client that writes them; both happens in a thread.
        """
        client = await sync_to_async(s3_client)()
        # In a thread of its own, so that a large manifest does not hold up what others do in the common one.
        await patiently(asyncio.to_thread, self._put, uri, client, log=log, patience=PATIENCE_FOR_MAPPING)

    def _put(self, uri: str, client: Any) -> None:
        bucket, key = split_s3_uri(uri)
        self._file.seek(0)
        client.put_object(Bucket=bucket, Key=key, Body=self._file, ContentType="application/jsonl")


def manifest_uri(
    staging_uri: str, batch_id: str, batch_uuid: str | None, wait_until: WaitUntil = "processed"
) -> str:
    """
    Return where the manifest of a batch goes; always the same place for the same batch.

    :param batch_uuid: HealthOmics may give the id of a deleted batch to a new one; the UUID lasts.
    :param wait_until: What the batch is waited for. While its runs go on, a manifest does not lie where that
        of their ends will be.
    """
    name = "runs.jsonl" if wait_until == "processed" else f"{wait_until}/runs.jsonl"
    return under(staging_uri, "run-batches", batch_uuid or batch_id, name)


def manifest_folder(uri: str) -> str:
    """Return below which prefix a manifest is, and where failed runs were sent again also that of all."""
    return uri[: uri.rindex("/") + 1]


def manifest_uri_of_all(uri: str) -> str:
    """
    Return where the manifest of several batches goes, in which failed runs were sent again.

    :param uri: Of the last batch's own manifest.
    """
    folder = manifest_folder(uri)
    return f"{folder}all-rounds/{uri.removeprefix(folder)}"


async def write_run_manifest(
    client: PatientClient,
    state: BatchState,
    uri: str,
    s3_client: S3ClientMaker,
    log: Log,
    *,
    every_reason: bool = False,
) -> Outcome:
    """
    Write what became of each run of an ended batch, and return how the batch ended.

    :param client: Calls HealthOmics.
    :param state: The batch's state, as of its end.
    :param uri: Where the manifest goes.
    :param s3_client: Makes the client that writes it; both happens in a thread.
    :param log: Gets warnings.
    :param every_reason: Whether to ask why each failed run did, and not only the first 1,000.
    """
    with closing(RunRecords()) as records:
        outcome = await collect_runs(client, state, records.add, log, every_reason=every_reason)
        await records.put(uri, s3_client, log)
    return outcome

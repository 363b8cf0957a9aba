"""The manifest: what became of each run of a batch, one JSON line a run, in S3."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from itertools import islice
from typing import IO, TYPE_CHECKING, Any

from asgiref.sync import sync_to_async

from airflow_provider_omics_batch.run_batch.client import Log, PatientClient, patiently
from airflow_provider_omics_batch.run_batch.mapping import PATIENCE_FOR_MAPPING, collect_runs
from airflow_provider_omics_batch.run_batch.model import json_bytes
from airflow_provider_omics_batch.run_batch.records import Outcome, RunRecord
from airflow_provider_omics_batch.run_batch.staging import split_s3_uri, under
from airflow_provider_omics_batch.run_batch.states import BatchState

if TYPE_CHECKING:
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

#: Airflow's own default of ``[core] max_map_length``.
MAX_CHUNKS = 1024


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

    async def put(self, uri: str, s3: S3Hook, log: Log) -> None:
        """
        Write them to S3 as a manifest.

        :param s3: Writes it, in a thread.
        """
        s3_client = await sync_to_async(lambda: s3.conn)()
        # In a thread of its own, so that a large manifest does not hold up what others do in the common one.
        await patiently(asyncio.to_thread, self._put, uri, s3_client, log=log, patience=PATIENCE_FOR_MAPPING)

    def _put(self, uri: str, s3_client: Any) -> None:
        bucket, key = split_s3_uri(uri)
        self._file.seek(0)
        s3_client.put_object(Bucket=bucket, Key=key, Body=self._file, ContentType="application/jsonl")


def manifest_uri(staging_uri: str, batch_id: str, batch_uuid: str | None) -> str:
    """
    Return where the manifest of a batch goes; always the same place for the same batch.

    :param batch_uuid: HealthOmics may give the id of a deleted batch to a new one; the UUID lasts.
    """
    return under(staging_uri, "run-batches", batch_uuid or batch_id, "runs.jsonl")


def manifest_uri_of_all(uri: str) -> str:
    """
    Return where the manifest of several batches goes, in which failed runs were sent again.

    :param uri: Of the last batch's own manifest.
    """
    folder, _, name = uri.rpartition("/")
    return f"{folder}/all-rounds/{name}"


async def write_run_manifest(
    client: PatientClient, state: BatchState, uri: str, s3: S3Hook, log: Log, *, every_reason: bool = False
) -> Outcome:
    """
    Write what became of each run of an ended batch, and return how the batch ended.

    :param client: Calls HealthOmics.
    :param state: The batch's state, as of its end.
    :param uri: Where the manifest goes.
    :param s3: Writes it, in a thread.
    :param log: Gets warnings.
    :param every_reason: Whether to ask why each failed run did, and not only the first 1,000.
    """
    with closing(RunRecords()) as records:
        outcome = await collect_runs(client, state, records.add, log, every_reason=every_reason)
        await records.put(uri, s3, log)
    return outcome


def read_run_manifest(
    uri: str,
    *,
    aws_conn_id: str | None = "aws_default",
    region_name: str | None = None,
    verify: bool | str | None = None,
    botocore_config: dict[str, Any] | None = None,
) -> Iterator[RunRecord]:
    """
    Yield the records of a manifest, one at a time.

    :param uri: The ``manifest_uri`` that a task has published.
    :param aws_conn_id: The connection by which S3 is read.
    :param region_name: Region of the connection's client.
    :param verify: Whether, or with which CA bundle, to verify certificates.
    :param botocore_config: Configuration of the client; takes the place of the connection's own.
    """
    # Not needed by those who only cut run ids into pieces, and not cheap.
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    bucket, key = split_s3_uri(uri)
    hook = S3Hook(aws_conn_id=aws_conn_id, region_name=region_name, verify=verify, config=botocore_config)
    s3: Any = hook.conn
    with closing(s3.get_object(Bucket=bucket, Key=key)["Body"]) as body:
        for line in body.iter_lines():
            yield json.loads(line)


def chunk_run_ids(run_ids: Mapping[str, str] | Sequence[str], size: int = 100) -> list[Any]:
    """
    Return run ids in pieces, for a small task whose result ``expand`` maps over.

    Airflow fails the task whose result is longer than ``[core] max_map_length``, so that there are
    never more than 1,024 pieces; where more would be needed they are larger.

    :param run_ids: ``{runSettingId: runId}``, as tasks publish it, or a list of run ids; the pieces are
        of the same kind.
    :param size: Run ids in a piece.
    :raises ValueError: ``size`` is below 1, or there are no run ids because the task before published none.
    """
    if run_ids is None:
        raise ValueError("There are no run ids in XCom: they were too many. Read the manifest instead.")
    if size < 1:
        raise ValueError(f"A chunk has at least 1 run id, not {size}")
    kind = dict if isinstance(run_ids, Mapping) else list
    entries: Iterator[Any] = iter(run_ids.items() if isinstance(run_ids, Mapping) else run_ids)
    size = max(size, -(-len(run_ids) // MAX_CHUNKS))
    return [kind(islice(entries, size)) for _ in range(0, len(run_ids), size)]

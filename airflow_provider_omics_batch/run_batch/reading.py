"""What the tasks behind a batch do with its runs: read the manifest, and cut runs into pieces."""

from __future__ import annotations

import json
import logging
import re
import shutil
import tempfile
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from itertools import pairwise
from typing import IO, Any, cast

from botocore.exceptions import ClientError

from airflow_provider_omics_batch.run_batch.faults import code_of
from airflow_provider_omics_batch.run_batch.limits import max_map_length
from airflow_provider_omics_batch.run_batch.records import RunRecord, was_submitted
from airflow_provider_omics_batch.run_batch.s3 import s3_client, s3_params, split_s3_uri

#: https://docs.aws.amazon.com/omics/latest/api/API_RunListItem.html
RUN_STATUSES = ("PENDING", "STARTING", "RUNNING", "STOPPING", "COMPLETED", "DELETED", "CANCELLED", "FAILED")

#: https://docs.aws.amazon.com/omics/latest/api/API_RunBatchListItem.html
SUBMISSION_STATUSES = (
    "SUCCESS",
    "FAILED",
    "CANCEL_SUCCESS",
    "CANCEL_FAILED",
    "DELETE_SUCCESS",
    "DELETE_FAILED",
)

#: What the URI of a piece of a manifest ends in.
_PIECE = re.compile(r"#(?P<range>bytes=\d+-\d+)&etag=(?P<etag>[^&#]+)$")

log = logging.getLogger(__name__)


def read_run_manifest(
    uri: str,
    *,
    run_status: str | Iterable[str] | None = None,
    submission_status: str | Iterable[str] | None = None,
    aws_conn_id: str | None = "aws_default",
    region_name: str | None = None,
    verify: bool | str | None = None,
    botocore_config: dict[str, Any] | None = None,
) -> Iterator[RunRecord]:
    """
    Yield the records of a manifest, one at a time.

    They wait on the disk: neither memory nor a connection is held while the caller works on one of them.
    All that went wrong, failed submissions included, is ``filter(went_wrong, read_run_manifest(uri))``.

    :param uri: The ``manifest_uri`` that a task has published, or one of :func:`chunk_run_manifest`.
    :param run_status: Only runs in this status, or in one of these, such as ``{"FAILED", "CANCELLED"}``.
        What could not be submitted has no run, and no such status.
    :param submission_status: Only those whose submission is in this status, or in one of these.
    :param aws_conn_id: The connection by which S3 is read.
    :param region_name: Region of the connection's client.
    :param verify: Whether, or with which CA bundle, to verify certificates.
    :param botocore_config: Configuration of the client; takes the place of the connection's own.
    :raises ValueError: There is no such status, it is no URI of S3, or it is a piece of a manifest that
        has been written again since.
    """
    split_s3_uri(uri)
    wanted = [
        *_only("run_status", run_status, RUN_STATUSES),
        *_only("submission_status", submission_status, SUBMISSION_STATUSES),
    ]
    hook_params = s3_params(aws_conn_id, region_name, verify, botocore_config)
    return (record for record in _records(uri, hook_params) if all(is_wanted(record) for is_wanted in wanted))


def chunk_run_manifest(
    uri: str,
    size: int = 100,
    *,
    aws_conn_id: str | None = "aws_default",
    region_name: str | None = None,
    verify: bool | str | None = None,
    botocore_config: dict[str, Any] | None = None,
) -> list[str]:
    """
    Return a manifest in pieces, for a small task whose result ``expand`` maps over.

    A piece is a URI, which :func:`read_run_manifest` reads as it does the whole: of 100,000 runs they are
    about 150 KB of XCom.

    :param uri: The ``manifest_uri`` that a task has published.
    :param size: Records in a piece; more where there would be more pieces than Airflow's
        ``[core] max_map_length``, as a rule 1,024.
    :param aws_conn_id: The connection by which S3 is read.
    :param region_name: Region of the connection's client.
    :param verify: Whether, or with which CA bundle, to verify certificates.
    :param botocore_config: Configuration of the client; takes the place of the connection's own.
    :raises ValueError: ``size`` is below 1, or it is no URI of S3.
    """
    with _on_disk(uri, s3_params(aws_conn_id, region_name, verify, botocore_config)) as (file, etag):
        starts = array("Q", [0])
        for line in file:
            starts.append(starts[-1] + len(line))
    size = _size_of_pieces(len(starts) - 1, size)
    firsts = [*starts[:-1:size], starts[-1]]
    return [f"{uri}#bytes={first}-{after - 1}&etag={etag}" for first, after in pairwise(firsts)]


def chunk_run_ids(run_ids: Mapping[str, str] | Iterable[str | RunRecord], size: int = 100) -> list[Any]:
    """
    Return run ids in pieces, for a small task whose result ``expand`` maps over.

    The pieces are XCom, and as large as the run ids are; where these are too many for that, so that
    ``run_ids`` is ``None``, take :func:`chunk_run_manifest`.

    :param run_ids: ``{runSettingId: runId}``, as tasks publish it; or run ids; or records of a manifest,
        of which those are taken that have a run. The pieces of a mapping or of records are such mappings,
        those of run ids are lists.
    :param size: Run ids in a piece; more where there would be more pieces than Airflow's
        ``[core] max_map_length``, as a rule 1,024: beyond it Airflow fails the task that returns them.
    :raises ValueError: ``size`` is below 1, or there are no run ids because the task before published none.
    """
    if run_ids is None:
        raise ValueError("There are no run ids in XCom: they were too many. Use chunk_run_manifest")
    given = run_ids.items() if isinstance(run_ids, Mapping) else run_ids
    entries = [entry for entry in map(_entry, given) if entry is not None]
    size = _size_of_pieces(len(entries), size)
    kind = dict if entries and isinstance(entries[0], tuple) else list
    return [kind(entries[first : first + size]) for first in range(0, len(entries), size)]


def _entry(given: Any) -> Any:
    """Return a run id, with or without its run setting's; nothing where a record has no run."""
    if not isinstance(given, Mapping):
        return given
    record = cast("RunRecord", given)
    return (record["run_setting_id"], record["run_id"]) if was_submitted(record) else None


def _size_of_pieces(total: int, size: int) -> int:
    if size < 1:
        raise ValueError(f"A chunk has at least 1 run, not {size}")
    most = max_map_length()
    if total > most * size:
        log.info(
            "%s runs in pieces of %d would be more than [core] max_map_length, %d; they are larger",
            f"{total:,}",
            size,
            most,
        )
    return max(size, -(-total // most))


def _only(
    member: str, wanted: str | Iterable[str] | None, known: Sequence[str]
) -> list[Callable[[Mapping[str, Any]], bool]]:
    """Return what a record is to be asked, if it is to be asked at all."""
    if wanted is None:
        return []
    statuses = {wanted} if isinstance(wanted, str) else set(wanted)
    for status in sorted(statuses.difference(known)):
        raise ValueError(f"{member}: there is no {status!r}; there are {', '.join(known)}")
    return [lambda record: record[member] in statuses]


def _records(uri: str, hook_params: dict[str, Any]) -> Iterator[RunRecord]:
    with _on_disk(uri, hook_params) as (file, _):
        yield from map(json.loads, file)


@contextmanager
def _on_disk(uri: str, hook_params: dict[str, Any]) -> Iterator[tuple[IO[bytes], str]]:
    """Lend a manifest, or a piece of it, as a file, and tell the ETag of the whole."""
    split_s3_uri(uri)
    piece = _PIECE.search(uri)
    bucket, key = split_s3_uri(_PIECE.sub("", uri))
    part = {"Range": piece["range"], "IfMatch": piece["etag"]} if piece else {}
    s3 = s3_client(**hook_params)
    with tempfile.TemporaryFile() as file:
        answer = _get_object(s3, Bucket=bucket, Key=key, **part)
        with closing(answer["Body"]) as body:
            shutil.copyfileobj(body, file)
        file.seek(0)
        yield file, answer["ETag"].strip('"')


def _get_object(s3: Any, **request: str) -> Any:
    try:
        return s3.get_object(**request)
    except ClientError as error:
        if code_of(error) != "PreconditionFailed":
            raise
        raise ValueError(
            f"The manifest s3://{request['Bucket']}/{request['Key']} has been written again since it was cut "
            "into pieces; run the task again that called chunk_run_manifest"
        ) from error

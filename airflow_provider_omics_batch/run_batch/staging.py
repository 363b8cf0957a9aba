"""Run settings on their way to S3, for batches that are too large for the request itself."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import IO, Any, NamedTuple

from airflow_provider_omics_batch.exceptions import RunSettingsError
from airflow_provider_omics_batch.run_batch.s3 import exists, split_s3_uri, under, upload


class Staged(NamedTuple):
    """Run settings in S3: where, how many, and their digest."""

    uri: str
    total: int
    digest: str


def check_staging_uri(uri: str) -> None:
    """
    Refuse a staging place that is no S3 prefix.

    :raises RunSettingsError: With the form that is expected.
    """
    try:
        split_s3_uri(uri)
    except ValueError as error:
        raise RunSettingsError(f"staging_uri: {error}") from error


def stage_settings(settings: Iterable[bytes], staging_uri: str, s3_client: Any) -> Staged:
    """
    Write run settings as one JSON array to S3.

    The key is the content's digest: an object that is there is the right one and is left alone, since
    HealthOmics fails a batch whose settings object changes after the submission.

    An upload that fails or is interrupted leaves no parts behind.

    :param settings: As JSON. Written as they come, so that 100,000 of them never are in memory together.
    :param staging_uri: ``s3://bucket/prefix/``
    """
    with tempfile.NamedTemporaryFile() as file:
        digest, total = write_json_array(settings, file)
        uri = under(staging_uri, "run-settings", f"{digest}.json")
        if not exists(s3_client, uri):
            file.flush()
            upload(s3_client, file.name, uri, "application/json")
    return Staged(uri, total, digest)


def write_json_array(settings: Iterable[bytes], file: IO[bytes]) -> tuple[str, int]:
    """Write run settings as they come, and return their digest and how many there are."""
    digest = hashlib.sha256()
    before, total = b"[\n", 0
    for total, setting in enumerate(settings, start=1):  # noqa: B007
        line = before + setting
        file.write(line)
        digest.update(line)
        before = b",\n"
    file.write(b"\n]\n")
    return digest.hexdigest(), total


def read_json_array(uri: str, s3_client: Any) -> Iterator[Any]:
    """
    Yield the run settings that somebody has put into S3, one at a time.

    :raises RunSettingsError: They are no JSON array.
    """
    # Not needed by Dags that are only parsed.
    import ijson
    from ijson.common import JSONError

    bucket, key = split_s3_uri(uri)
    with closing(s3_client.get_object(Bucket=bucket, Key=key)["Body"]) as body:
        try:
            yield from ijson.items(body, "item", use_float=True)
        except JSONError as error:
            raise RunSettingsError(f"{uri} is no JSON array of run settings: {error}") from error

"""Run settings on their way to S3, for batches that are too large for the request itself."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import IO, Any, NamedTuple

from boto3.s3.transfer import TransferConfig, create_transfer_manager
from botocore.exceptions import ClientError

from airflow_provider_omics_batch.exceptions import RunSettingsError

#: Parts are sent straight from the file, and not by the CRT, which would take memory as it pleases.
_TRANSFER = TransferConfig(preferred_transfer_client="classic")


class Staged(NamedTuple):
    """Run settings in S3: where, how many, and their digest."""

    uri: str
    total: int
    digest: str


def split_s3_uri(uri: str) -> tuple[str, str]:
    """
    Return bucket and key (or prefix) of ``s3://bucket/key``.

    :raises ValueError: It is no S3 URI.
    """
    bucket, _, key = str(uri).removeprefix("s3://").partition("/")
    if not str(uri).startswith("s3://") or not bucket:
        raise ValueError(f"{uri!r} is not of the form s3://bucket/key")
    return bucket, key


def check_staging_uri(uri: str) -> None:
    """
    Refuse a staging place that is no S3 prefix.

    :raises RunSettingsError: With the form that is expected.
    """
    try:
        split_s3_uri(uri)
    except ValueError as error:
        raise RunSettingsError(f"staging_uri: {error}") from error


def under(staging_uri: str, *names: str) -> str:
    """Return the URI of an object below the staging place."""
    return "/".join((staging_uri.rstrip("/"), *names))


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
        bucket, key = split_s3_uri(uri)
        if not _exists(s3_client, bucket, key):
            file.flush()
            _upload(file.name, bucket, key, s3_client)
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


def _upload(name: str, bucket: str, key: str, s3_client: Any) -> None:
    with create_transfer_manager(s3_client, _TRANSFER) as manager:
        manager.upload(name, bucket, key, extra_args={"ContentType": "application/json"}).result()


def _exists(s3_client: Any, bucket: str, key: str) -> bool:
    try:
        s3_client.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        # Without s3:ListBucket, S3 answers 403 for an object that is not there.
        if error.response["ResponseMetadata"]["HTTPStatusCode"] in (403, 404):
            return False
        raise
    return True

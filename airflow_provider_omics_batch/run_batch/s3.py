"""Objects in S3: where they are, and files to and from them in flat memory."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any

from botocore.exceptions import ClientError

#: Makes a client of S3 where one is needed.
S3ClientMaker = Callable[[], Any]


def split_s3_uri(uri: str) -> tuple[str, str]:
    """
    Return bucket and key (or prefix) of ``s3://bucket/key``.

    :raises ValueError: It is no S3 URI.
    """
    bucket, _, key = str(uri).removeprefix("s3://").partition("/")
    if not str(uri).startswith("s3://") or not bucket:
        raise ValueError(f"{uri!r} is not of the form s3://bucket/key")
    return bucket, key


def under(uri: str, *names: str) -> str:
    """Return the URI of an object below a place such as ``s3://bucket/prefix/``."""
    return "/".join((uri.rstrip("/"), *names))


def s3_client(**hook_params: Any) -> Any:
    """
    Return a client of S3.

    :param hook_params: Arguments for amazon's ``S3Hook``; without them, ``aws_default`` is used.
    """
    # Not needed by Dags that are only parsed, and not cheap.
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    return S3Hook(**hook_params).conn


def s3_params(
    aws_conn_id: str | None,
    region_name: str | None,
    verify: bool | str | None,
    botocore_config: dict[str, Any] | None,
) -> dict[str, Any]:
    """Return arguments for :func:`s3_client` by the names that operators have for them."""
    return {
        "aws_conn_id": aws_conn_id,
        "region_name": region_name,
        "verify": verify,
        "config": botocore_config,
    }


def exists(client: Any, uri: str) -> bool:
    bucket, key = split_s3_uri(uri)
    try:
        client.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        # Without s3:ListBucket, S3 answers 403 for an object that is not there.
        if error.response["ResponseMetadata"]["HTTPStatusCode"] in (403, 404):
            return False
        raise
    return True


def upload(client: Any, name: str, uri: str, content_type: str) -> None:
    """Put a file into S3, of which nothing is left there where that fails or is interrupted."""
    from boto3.s3.transfer import create_transfer_manager

    bucket, key = split_s3_uri(uri)
    with create_transfer_manager(client, _transfer_config()) as manager:
        manager.upload(name, bucket, key, extra_args={"ContentType": content_type}).result()


@contextmanager
def downloaded(client: Any, uri: str) -> Iterator[IO[bytes]]:
    """Lend an object as a file on the disk, so that no connection waits for whoever reads it."""
    bucket, key = split_s3_uri(uri)
    with tempfile.TemporaryFile() as file:
        client.download_fileobj(bucket, key, file, Config=_transfer_config())
        file.seek(0)
        yield file


def _transfer_config() -> Any:
    """For flat memory: part by part in this thread, and not by the CRT, which takes what it pleases."""
    from boto3.s3.transfer import TransferConfig

    return TransferConfig(use_threads=False, preferred_transfer_client="classic")

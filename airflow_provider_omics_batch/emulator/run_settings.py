"""The run settings of a batch: where they come from, how they merge, and what is wrong with them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

from moto.s3.exceptions import S3ClientError
from moto.s3.models import s3_backends

from airflow_provider_omics_batch.emulator.chance import Failure
from airflow_provider_omics_batch.emulator.exceptions import ValidationException
from airflow_provider_omics_batch.emulator.validation import WrongTypeError, check_run_setting

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_RUNS = 100_000
MAX_FILE_BYTES = 6 * 1024**3
MAX_PARAMETER_BYTES = 256_000

RunSetting = dict[str, Any]

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class InvalidBatchError(Exception):
    """The settings are such that the whole batch fails; the text is its failureReason."""


@dataclass(frozen=True)
class FileMark:
    """Which settings file StartRunBatch has found."""

    uri: str
    etag: str


def read_file(uri: str, account_id: str, partition: str) -> tuple[FileMark, bytes]:
    """Read a settings file from the emulated S3."""
    bucket, key = _split(uri)
    try:
        found = s3_backends[account_id][partition].get_object(bucket, key)
    except S3ClientError as error:
        raise ValidationException(f"Unable to access s3UriSettings {uri}: {error}") from error
    if found is None:
        raise ValidationException(f"Unable to access s3UriSettings {uri}: no such object")
    if found.contentsize > MAX_FILE_BYTES:
        raise ValidationException(f"s3UriSettings {uri} is larger than {MAX_FILE_BYTES} bytes")
    return FileMark(uri, found.etag.strip('"')), found.value


def current_etag(mark: FileMark, account_id: str, partition: str) -> str | None:
    """Look up what is at the place of a settings file now; ``None`` if nothing is."""
    bucket, key = _split(mark.uri)
    try:
        found = s3_backends[account_id][partition].get_object(bucket, key)
    except S3ClientError:
        return None
    return found.etag.strip('"') if found else None


def _split(uri: str) -> tuple[str, str]:
    parts = urlsplit(uri, allow_fragments=False)
    key = uri.removeprefix(f"s3://{parts.netloc}/")
    if parts.scheme != "s3" or not parts.netloc or not key or key == uri:
        raise ValidationException(f"s3UriSettings must have the form s3://bucket/key, but was: {uri}")
    return parts.netloc, key


def parse_file(content: bytes) -> list[RunSetting]:
    """Parse a settings file; ``InvalidBatchError`` if it does not hold what it must."""
    try:
        parsed = json.loads(content.decode(), parse_constant=_reject)
    except (ValueError, RecursionError) as error:
        raise InvalidBatchError("Invalid JSON format in run configurations") from error
    if not isinstance(parsed, list) or not all(_has_id(entry) for entry in parsed):
        raise InvalidBatchError("Invalid JSON format in run configurations")
    return parsed


def _reject(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _has_id(entry: Any) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("runSettingId"), str)


def check_batch(settings: Sequence[RunSetting]) -> None:
    """Raise ``InvalidBatchError`` for what fails a batch as a whole."""
    count = len(settings)
    if not count:
        raise InvalidBatchError("Batch has 0 runs but at least 1 run is required.")
    if count > MAX_RUNS:
        raise InvalidBatchError(f"Batch has {count} runs but {MAX_RUNS} runs is the max.")
    unique = len({setting["runSettingId"] for setting in settings})
    if unique < count:
        raise InvalidBatchError(f"Expected {count} unique runSettingIds but there were {unique}")


def check_run(default: RunSetting, default_bytes: int, setting: RunSetting) -> Failure | None:
    """
    Tell why a single run cannot be submitted, whatever the chances.

    :param default_bytes: size of the default parameters, see :func:`parameter_bytes`.
    """
    problem = _problem(default, default_bytes, setting)
    return Failure("ValidationException", problem) if problem else None


def _problem(default: RunSetting, default_bytes: int, setting: RunSetting) -> str | None:
    try:
        problems = check_run_setting(setting)
    except WrongTypeError as error:
        return str(error)
    if problems:
        return problems[0]
    output_uri = setting.get("outputUri") or default.get("outputUri")
    if output_uri is None:
        return "outputUri is required, in the run setting or in defaultRunSetting"
    if not output_uri.startswith("s3://"):
        return f"outputUri must begin with s3://, but was: {output_uri}"
    for name in ("parameters", "engineSettings"):
        if setting.get(name) is not None and not isinstance(setting[name], dict):
            return f"{name} must be a JSON object"
    return _parameter_problem(default, default_bytes, setting)


def _parameter_problem(default: RunSetting, default_bytes: int, setting: RunSetting) -> str | None:
    parameters = setting.get("parameters") or {}
    if default_bytes + parameter_bytes(parameters) <= MAX_PARAMETER_BYTES:
        return None
    size = parameter_bytes({**(default.get("parameters") or {}), **parameters})
    if size <= MAX_PARAMETER_BYTES:
        return None
    return f"parameters have {size} bytes, but {MAX_PARAMETER_BYTES} bytes is the max."


def parameter_bytes(parameters: dict[str, Any]) -> int:
    if not parameters:
        return len("{}")
    return len(_encode(parameters).encode(errors="surrogatepass"))


def merge(default: RunSetting, setting: RunSetting) -> RunSetting:
    """Put a run's settings over those of the batch: parameters and runTags by key, the rest as a whole."""
    merged = {**default, **{name: value for name, value in setting.items() if value is not None}}
    for name in ("parameters", "runTags"):
        merged[name] = {**(default.get(name) or {}), **(setting.get(name) or {})}
    return merged


def check_default(default: RunSetting) -> None:
    """Raise ``ValidationException`` for what StartRunBatch refuses at once, beyond the model."""
    if default.get("workflowType") == "READY2RUN":
        raise ValidationException("Batch runs are not supported with READY2RUN workflows")
    if default.get("cacheBehavior") and not default.get("cacheId"):
        raise ValidationException("cacheBehavior requires cacheId to be set")
    output_uri = default.get("outputUri")
    if output_uri is not None and not output_uri.startswith("s3://"):
        raise ValidationException(f"outputUri must begin with s3://, but was: {output_uri}")
    for name in ("parameters", "engineSettings"):
        if default.get(name) is not None and not isinstance(default[name], dict):
            raise ValidationException(f"{name} must be a JSON object")

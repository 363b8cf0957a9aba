"""The run settings of a batch: where they come from, how they merge, and what is wrong with them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from moto.s3.exceptions import S3ClientError
from moto.s3.models import s3_backends

from airflow_provider_omics_batch.emulator.exceptions import ValidationException
from airflow_provider_omics_batch.emulator.plan.chance import Failure
from airflow_provider_omics_batch.emulator.requests.validation import (
    WrongTypeError,
    check_run_setting,
    run_members,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_RUNS = 100_000
MAX_FILE_BYTES = 6 * 1024**3
MAX_PARAMETER_BYTES = 256_000
MAX_TAGS = 50

TOO_MANY_TAGS = f"A resource may have up to {MAX_TAGS} tags"

RunSetting = dict[str, Any]

_NO_SETTINGS = "Invalid JSON format in run configurations"

# Whether the bucket exists is not looked at; old ones have names that new ones must not have.
_S3_URI = re.compile(r"s3://[A-Za-z0-9][\w.-]*(/.*)?", re.ASCII)

# No more than its parts; S3 tells what bucket and key there are.
_FILE_URI = re.compile(r"s3://([^/]+)/(.+)", re.DOTALL)

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class InvalidBatchError(Exception):
    """The settings are such that the whole batch fails; the text is its failureReason."""


class RunSettings:
    """
    The run settings of a batch, by place.

    Those of a file are read whenever they are asked for: as objects they would take several times its space.

    :param entries: settings, or texts of JSON.
    :raises InvalidBatchError: one is not a setting with a ``runSettingId``.
    """

    def __init__(self, entries: Sequence[RunSetting | msgspec.Raw] = ()) -> None:
        self._entries = entries
        self.names: list[str] = []
        self.priorities: dict[int, int] = {}
        for place, setting in enumerate(self):
            self.names.append(_name_of(setting))
            if isinstance(priority := setting.get("priority"), int):
                self.priorities[place] = priority

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, place: int) -> RunSetting:
        entry = self._entries[place]
        setting: RunSetting = msgspec.json.decode(entry) if isinstance(entry, msgspec.Raw) else entry
        return setting

    def __iter__(self) -> Iterator[RunSetting]:
        return (self[place] for place in range(len(self)))


def _name_of(setting: Any) -> str:
    name = setting.get("runSettingId") if isinstance(setting, dict) else None
    if not isinstance(name, str):
        raise InvalidBatchError(_NO_SETTINGS)
    return name


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
    parts = _FILE_URI.fullmatch(uri)
    if parts is None:
        raise ValidationException(f"s3UriSettings must have the form s3://bucket/key, but was: {uri}")
    return parts[1], parts[2]


def parse_file(content: bytes) -> RunSettings:
    """Parse a settings file; ``InvalidBatchError`` if it does not hold what it must."""
    try:
        return RunSettings(msgspec.json.decode(content, type=list[msgspec.Raw]))
    except (ValueError, RecursionError) as error:
        raise InvalidBatchError(_NO_SETTINGS) from error


def check_batch(settings: RunSettings) -> None:
    """Raise ``InvalidBatchError`` for what fails a batch as a whole."""
    count = len(settings)
    if not count:
        raise InvalidBatchError("Batch has 0 runs but at least 1 run is required.")
    if count > MAX_RUNS:
        raise InvalidBatchError(f"Batch has {count} runs but {MAX_RUNS} runs is the max.")
    unique = len(set(settings.names))
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
    if not _S3_URI.fullmatch(output_uri):
        return _not_s3(output_uri)
    for name in ("parameters", "engineSettings"):
        if setting.get(name) is not None and not isinstance(setting[name], dict):
            return f"{name} must be a JSON object"
    if len({**(default.get("runTags") or {}), **(setting.get("runTags") or {})}) > MAX_TAGS:
        return TOO_MANY_TAGS
    return _parameter_problem(default, default_bytes, setting)


def _not_s3(output_uri: str) -> str:
    return f"outputUri must have the form s3://bucket/prefix, but was: {output_uri}"


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
    """
    Put a run's settings over those of the batch: parameters and runTags by key, the rest as a whole.

    An entry of a file may have anything in it; what a run cannot have of its own is left out.
    """
    own = {name: value for name, value in setting.items() if value is not None and name in run_members()}
    merged = {**default, **own}
    for name in ("parameters", "runTags"):
        merged[name] = {**(default.get(name) or {}), **(setting.get(name) or {})}
    return merged


def check_default(default: RunSetting) -> None:
    """Raise ``ValidationException`` for what StartRunBatch refuses at once, beyond the model."""
    if default.get("workflowType") == "READY2RUN":
        raise ValidationException("Batch runs are not supported with READY2RUN workflows")
    check_settings(default)


def checked_tags(params: dict[str, Any], name: str = "tags") -> dict[str, str]:
    """Take the tags of a new resource; ``ValidationException`` if there are too many."""
    tags = dict(params.get(name) or {})
    if len(tags) > MAX_TAGS:
        raise ValidationException(TOO_MANY_TAGS)
    return tags


def check_settings(default: RunSetting) -> None:
    """Raise ``ValidationException`` for what is refused of a batch and of a single run alike."""
    checked_tags(default, "runTags")
    if default.get("cacheBehavior") and not default.get("cacheId"):
        raise ValidationException("cacheBehavior requires cacheId to be set")
    output_uri = default.get("outputUri")
    if output_uri is not None and not _S3_URI.fullmatch(output_uri):
        raise ValidationException(_not_s3(output_uri))
    for name in ("parameters", "engineSettings"):
        if default.get(name) is not None and not isinstance(default[name], dict):
            raise ValidationException(f"{name} must be a JSON object")

"""Sample sheets: one run setting for each row of a CSV, TSV or JSON Lines file."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from airflow_provider_omics_batch.exceptions import RunSettingsError
from airflow_provider_omics_batch.run_batch.limits import MAX_RUNS
from airflow_provider_omics_batch.run_batch.model import did_you_mean
from airflow_provider_omics_batch.run_batch.parts import divide, part_of
from airflow_provider_omics_batch.run_batch.rows import BadRow, Row, read_rows
from airflow_provider_omics_batch.run_batch.s3 import S3ClientMaker, s3_client, s3_params

if TYPE_CHECKING:
    from airflow.sdk import Context

_COLUMN = re.compile(r"\{([^{}]+)\}")


@dataclass
class SampleSheet:
    """
    A CSV, TSV or JSON Lines file as run settings, read row by row and never held in memory.

    Every argument but the first is a template: ``{column}`` stands for the row's value in that column.
    All are rendered by Jinja first, so ``SampleSheet("s3://bucket/{{ ds }}.tsv", …)`` works.

    :param uri: Where the sheet is: a local path, ``s3://…`` or whatever else ``ObjectStoragePath`` reads.
        Its name tells the format: ``.csv``, ``.tsv``, ``.jsonl`` or ``.ndjson``, also with ``.gz`` behind it.
    :param run_setting_id: Unique within the sheet; by it the runs are found again.
    :param parameters: Workflow parameters; templates may stand at any depth. A value that is nothing but
        one ``{column}`` keeps the type it has in a JSON Lines file; in CSV and TSV all values are strings.
    :param name: Name of the run.
    :param output_uri: ``s3://…`` for the run's outputs.
    :param priority: 0 to 100000.
    :param run_tags: Tags of the run.
    :param output_bucket_owner_id: AWS account, 12 digits.
    :param engine_settings: Settings for the workflow engine.
    :param part: Which part of the sheet this is, counted from 0; see :meth:`split`.
    :param parts: How many parts there are.
    """

    uri: str | os.PathLike[str]
    run_setting_id: str = field(kw_only=True)
    parameters: Mapping[str, Any] | None = field(default=None, kw_only=True)
    name: str | None = field(default=None, kw_only=True)
    output_uri: str | None = field(default=None, kw_only=True)
    priority: int | str | None = field(default=None, kw_only=True)
    run_tags: Mapping[str, str] | None = field(default=None, kw_only=True)
    output_bucket_owner_id: str | None = field(default=None, kw_only=True)
    engine_settings: Mapping[str, Any] | None = field(default=None, kw_only=True)
    part: int = field(default=0, kw_only=True)
    parts: int = field(default=1, kw_only=True)

    def __post_init__(self) -> None:
        self.uri = os.fspath(self.uri)

    def serialize(self) -> dict[str, Any]:
        """Return the sheet as Airflow stores and shows it."""
        unset = {item.name: item.default for item in fields(self)}
        return {name: value for name, value in asdict(self).items() if value != unset[name]}

    @staticmethod
    def deserialize(data: dict[str, Any], version: int) -> SampleSheet:
        """Return a sheet that was stored, as XCom for example."""
        return SampleSheet(**data)

    def resolve(self, context: Context) -> SampleSheet:
        """
        Return the sheet with its templates rendered; Airflow calls this when it renders the task.

        A new one, since the task instances of a mapped task share the sheet that was given.
        """
        operator = context["task"]
        rendered = {
            item.name: operator.render_template(getattr(self, item.name), context) for item in fields(self)
        }
        return replace(self, **rendered)

    def split(
        self,
        *,
        max_runs: int = MAX_RUNS,
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
    ) -> list[SampleSheet]:
        """
        Return the sheet in parts that are small enough for a batch each, a single one if it is small itself.

        ``StartRunBatchOperator.partial(…).expand(batch_run_settings=parts)`` submits a batch for each; every
        row is in one of them. A part is a sheet of the same file, and has the rows whose ``run_setting_id``
        has a certain hash, so that the file may change without a run being submitted in two parts.

        This reads the file once, and each part reads it again. To be called in a task, and not where a Dag is
        parsed; there, templates of Jinja have been rendered, too.

        :param max_runs: How many runs a part has at most.
        :param aws_conn_id: The connection by which a sheet in S3 is read.
        :param region_name: Region of the connection's client.
        :param verify: Whether, or with which CA bundle, to verify certificates.
        :param botocore_config: Configuration of the client; takes the place of the connection's own.
        :raises RunSettingsError: With the bad rows, and the ids that are not unique in the whole sheet; or
            there would be more parts than Airflow maps over (``[core] max_map_length``).
        """
        if self.parts > 1:
            raise ValueError(f"This is part {self.part} of {self.parts}; split the whole sheet instead")
        params = s3_params(aws_conn_id, region_name, verify, botocore_config)
        rows = self.run_settings(partial(s3_client, **params))
        parts, used = divide(rows, max_runs)
        return [replace(self, part=part, parts=parts) for part in used]

    def run_settings(
        self, s3_client: S3ClientMaker = s3_client
    ) -> Iterator[tuple[int, dict[str, Any] | BadRow]]:
        """
        Yield the number of each row with its run setting, or with what is wrong with the row.

        Of a part, only its own rows; and the bad ones, of which nobody can tell whose they are.

        :param s3_client: Makes the client by which a sheet in S3 is read; by default that of ``aws_default``.
        :raises RunSettingsError: The sheet as a whole is of no use: it is not there, is empty, cannot be
            read as its name promises, or lacks a column that a template names.
        """
        members = {member: template for member, template in self._members().items() if template is not None}
        fill, number = _compile_members(members), 0
        for number, row in read_rows(str(self.uri), _columns(members), s3_client):
            if isinstance(row, BadRow):
                yield number, row
                continue
            try:
                setting = fill(row)
            except KeyError as missing:
                yield number, BadRow(f"has no {missing.args[0]!r}; {did_you_mean(str(missing.args[0]), row)}")
            except _EmptyCellError as empty:
                yield number, BadRow(f"has nothing in column {str(empty)!r}")
            else:
                if self.parts == 1 or part_of(setting["runSettingId"], self.parts) == self.part:
                    yield number, setting
        if not number:
            raise RunSettingsError(f"{self.uri} has no rows")

    def _members(self) -> dict[str, Any]:
        return {
            "runSettingId": self.run_setting_id,
            "parameters": self.parameters,
            "name": self.name,
            "outputUri": self.output_uri,
            "priority": self.priority,
            "runTags": self.run_tags,
            "outputBucketOwnerId": self.output_bucket_owner_id,
            "engineSettings": self.engine_settings,
        }


def _columns(template: Any) -> set[str]:
    """Return the columns that a template names, whatever its depth."""
    if isinstance(template, Mapping):
        return set().union(*map(_columns, template.values()))
    if isinstance(template, list | tuple):
        return set().union(*map(_columns, template))
    return set(_COLUMN.findall(template)) if isinstance(template, str) else set()


def _compile_members(members: Mapping[str, Any]) -> Callable[[Row], dict[str, Any]]:
    """Return a function that makes a row into a run setting, without the optional members it has not."""
    fills = [(member, _compile(template), _TYPES.get(member)) for member, template in members.items()]

    def fill_members(row: Row) -> dict[str, Any]:
        setting = {}
        for member, fill, typed in fills:
            value = fill(row)
            if value not in ("", None):
                setting[member] = typed(value) if typed else value
            elif member == "runSettingId":
                setting[member] = value
        return setting

    return fill_members


def _compile(template: Any) -> Callable[[Row], Any]:
    """Return a function that puts a row's values into a template, whatever its depth."""
    if isinstance(template, Mapping):
        return _compile_mapping(template)
    if isinstance(template, list | tuple):
        fills = [_compile(value) for value in template]
        return lambda row: [fill(row) for fill in fills]
    if not isinstance(template, str) or not _COLUMN.search(template):
        return lambda row: template
    if whole := _COLUMN.fullmatch(template):
        return itemgetter(whole[1])
    return _compile_text(template)


def _compile_mapping(template: Mapping[str, Any]) -> Callable[[Row], dict[str, Any]]:
    """Return a function for what has names, like parameters; those whose column is empty are left out."""
    parts = [(key, _compile(value), _is_column(value)) for key, value in template.items()]

    def fill_mapping(row: Row) -> dict[str, Any]:
        return {key: value for key, fill, may_lack in parts if (value := fill(row)) != "" or not may_lack}

    return fill_mapping


def _is_column(template: Any) -> bool:
    return isinstance(template, str) and bool(_COLUMN.fullmatch(template))


def _compile_text(template: str) -> Callable[[Row], str]:
    """Return a function for a text with values inside, which without one would be a path to nowhere."""
    columns = _COLUMN.findall(template)
    text = _COLUMN.sub("%s", template.replace("%", "%%"))

    def fill(row: Row) -> str:
        values = tuple([row[column] for column in columns])
        if "" in values or None in values:
            raise _EmptyCellError(next(column for column in columns if row[column] in ("", None)))
        return text % values

    return fill


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.isdecimal() else value


#: Makes a value what it is in the API, where CSV has only text, and JSON perhaps a number.
_TYPES: Mapping[str, Callable[[Any], Any]] = {
    "runSettingId": str,
    "name": str,
    "outputUri": str,
    "outputBucketOwnerId": str,
    "priority": _number,
}


class _EmptyCellError(Exception):
    """A row has no value where a text needs one; the column's name."""

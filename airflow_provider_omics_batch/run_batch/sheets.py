"""Sample sheets: one run setting for each row of a CSV, TSV or JSON Lines file."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from functools import partial
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from airflow_provider_omics_batch.exceptions import RunSettingsError
from airflow_provider_omics_batch.run_batch.limits import MAX_RUNS
from airflow_provider_omics_batch.run_batch.model import did_you_mean
from airflow_provider_omics_batch.run_batch.parts import divide, part_of

if TYPE_CHECKING:
    from airflow.sdk import Context

#: A row by its column names.
Row = Mapping[str, Any]


class BadRow(NamedTuple):
    """What is wrong with a row."""

    what: str


#: A row's number in the file, as a spreadsheet counts (the header is row 1), and the row.
NumberedRow = tuple[int, Row | BadRow]

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
        self, *, max_runs: int = MAX_RUNS, aws_conn_id: str | None = "aws_default"
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
        :raises RunSettingsError: With the bad rows, and the ids that are not unique in the whole sheet; or
            there would be more parts than Airflow maps over (``[core] max_map_length``).
        """
        if self.parts > 1:
            raise ValueError(f"This is part {self.part} of {self.parts}; split the whole sheet instead")
        parts, used = divide(self.run_settings(aws_conn_id), max_runs)
        return [replace(self, part=part, parts=parts) for part in used]

    def run_settings(self, aws_conn_id: str | None = None) -> Iterator[tuple[int, dict[str, Any] | BadRow]]:
        """
        Yield the number of each row with its run setting, or with what is wrong with the row.

        Of a part, only its own rows; and the bad ones, of which nobody can tell whose they are.

        :param aws_conn_id: The connection by which a sheet in S3 is read.
        :raises RunSettingsError: The sheet as a whole is of no use: it is not there, is empty, cannot be
            read as its name promises, or lacks a column that a template names.
        """
        members = {member: template for member, template in self._members().items() if template is not None}
        fill, number = _compile(members), 0
        for number, row in self._rows(_columns(members), aws_conn_id):
            if isinstance(row, BadRow):
                yield number, row
                continue
            try:
                setting = _typed(fill(row))
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

    def _rows(self, columns: set[str], aws_conn_id: str | None) -> Iterator[NumberedRow]:
        read = _reader(str(self.uri))
        try:
            with _open(str(self.uri), aws_conn_id) as text:
                yield from read(text, columns)
        except FileNotFoundError:
            raise RunSettingsError(f"There is no sample sheet at {self.uri}") from None
        except UnicodeDecodeError as error:
            raise RunSettingsError(f"Sample sheet {self.uri} is not UTF-8 text: {error}") from error
        except (_BadSheetError, EOFError, zlib.error, OSError) as error:
            raise RunSettingsError(f"Sample sheet {self.uri}: {error}") from error


class _EmptyCellError(Exception):
    """A row has no value where a text needs one; the column's name."""


class _BadSheetError(Exception):
    """The sheet has a fault that no row is to blame for."""


@contextmanager
def _open(uri: str, aws_conn_id: str | None) -> Iterator[IO[str]]:
    # Behind it is fsspec with a filesystem for each kind of storage, which no Dag needs to be parsed.
    from airflow.sdk import ObjectStoragePath

    path = ObjectStoragePath(uri, conn_id=aws_conn_id if uri.startswith("s3://") else None)
    with path.open("rb") as raw:
        data = gzip.GzipFile(fileobj=raw) if uri.endswith(".gz") else raw
        # A byte order mark is what spreadsheet programs put in front.
        with io.TextIOWrapper(data, encoding="utf-8-sig", newline="") as text:
            yield text


def _reader(uri: str) -> Callable[[IO[str], set[str]], Iterator[NumberedRow]]:
    suffix = PurePosixPath(uri.removesuffix(".gz")).suffix.lower()
    if suffix not in _READERS:
        raise RunSettingsError(
            f"{uri} does not tell its format: the name of a sample sheet ends in one of "
            f"{', '.join(_READERS)}, each also with .gz behind it"
        )
    return _READERS[suffix]


def _read_delimited(delimiter: str, text: IO[str], columns: set[str]) -> Iterator[NumberedRow]:
    reader = csv.reader(text, delimiter=delimiter, strict=True, skipinitialspace=True)
    rows = ((number, [cell.strip() for cell in cells]) for number, cells in enumerate(reader, start=1))
    header = next((cells for _, cells in rows if any(cells)), [])
    _check_header(header, columns)
    number = 1
    try:
        for number, values in rows:
            if any(values):
                yield number, _row(header, values)
    except csv.Error as error:
        raise _BadSheetError(f"row {number + 1} cannot be read: {error}") from error


def _row(header: list[str], values: list[str]) -> Row | BadRow:
    if len(values) != len(header):
        return BadRow(f"has {len(values)} cells under {len(header)} columns")
    if any("\n" in value or "\r" in value for value in values):
        # It would take the rows up to the next quote for a part of itself.
        return BadRow("has a quote that is not closed on its line")
    return dict(zip(header, values, strict=True))


def _check_header(header: list[str], columns: set[str]) -> None:
    named = [name for name in header if name]
    if len(named) == 1 and (found := re.search(r"[;,\t|]", named[0])):
        raise _BadSheetError(
            f"its only column is {named[0]!r}: is it separated by {found[0]!r}? "
            "A .csv is separated by commas, a .tsv by tabs"
        )
    if repeated := sorted({name for name in named if named.count(name) > 1}):
        raise _BadSheetError(f"more than one column is called {', '.join(map(repr, repeated))}")
    if named and (missing := sorted(columns.difference(named))):
        raise _BadSheetError(
            "; ".join(f"there is no column {name!r}, {did_you_mean(name, named)}" for name in missing)
        )


def _read_jsonl(text: IO[str], columns: set[str]) -> Iterator[NumberedRow]:
    for number, line in enumerate(text, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            yield number, BadRow(f"is not JSON: {error}")
        else:
            yield number, row if isinstance(row, dict) else BadRow("is not a JSON object")


_READERS: dict[str, Callable[[IO[str], set[str]], Iterator[NumberedRow]]] = {
    ".csv": partial(_read_delimited, ","),
    ".tsv": partial(_read_delimited, "\t"),
    ".jsonl": _read_jsonl,
    ".ndjson": _read_jsonl,
}


def _columns(template: Any) -> set[str]:
    """Return the columns that a template names, whatever its depth."""
    if isinstance(template, Mapping):
        return set().union(*map(_columns, template.values()))
    if isinstance(template, list | tuple):
        return set().union(*map(_columns, template))
    return set(_COLUMN.findall(template)) if isinstance(template, str) else set()


def _compile(template: Any) -> Callable[[Row], Any]:
    """Return a function that puts a row's values into a template, whatever its depth."""
    if isinstance(template, Mapping):
        parts = {key: _compile(value) for key, value in template.items()}
        return lambda row: {key: fill(row) for key, fill in parts.items()}
    if isinstance(template, list | tuple):
        fills = [_compile(value) for value in template]
        return lambda row: [fill(row) for fill in fills]
    if not isinstance(template, str) or not _COLUMN.search(template):
        return lambda row: template
    if whole := _COLUMN.fullmatch(template):
        column = whole[1]
        return lambda row: row[column]
    return lambda row: _COLUMN.sub(lambda found: _text(row, found[1]), template)


def _text(row: Row, column: str) -> str:
    """Return a value as a part of a longer text, which without it would be a path to nowhere."""
    if row[column] in (None, ""):
        raise _EmptyCellError(column)
    return str(row[column])


def _typed(setting: dict[str, Any]) -> dict[str, Any]:
    """Give each member the type it has in the API, and leave out the optional ones that a row has not."""
    for member, value in list(setting.items()):
        if value in ("", None) and member != "runSettingId":
            del setting[member]
        elif member in ("runSettingId", "name", "outputUri", "outputBucketOwnerId") and value is not None:
            setting[member] = str(value)
        elif member == "priority" and isinstance(value, str) and value.isdecimal():
            setting[member] = int(value)
    return setting

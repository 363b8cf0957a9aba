"""The rows of a sample sheet, with the formats, encodings and faults that real sheets have."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import PurePosixPath
from typing import IO, Any, NamedTuple

from botocore.exceptions import ClientError

from airflow_provider_omics_batch.exceptions import RunSettingsError
from airflow_provider_omics_batch.run_batch.faults import code_of
from airflow_provider_omics_batch.run_batch.model import did_you_mean
from airflow_provider_omics_batch.run_batch.s3 import S3ClientMaker, downloaded, split_s3_uri

#: A row by its column names.
Row = Mapping[str, Any]


class BadRow(NamedTuple):
    """What is wrong with a row."""

    what: str

    def __str__(self) -> str:
        return self.what


#: A row's number in the file, as a spreadsheet counts (the header is row 1), and the row.
NumberedRow = tuple[int, Row | BadRow]

#: What is held of a sheet in an object store, whose filesystem may read 50 MB ahead.
_BLOCK_BYTES = 2**20

_NOT_THERE = frozenset({"404", "NoSuchBucket", "NoSuchKey"})

_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

_GZIP = b"\x1f\x8b"

#: What is left of bytes that are no text.
_UNDECODED = re.compile("[\ud800-\udfff]")

_NO_TEXT = BadRow(
    "is not text in UTF-8, nor in UTF-16 with a byte order mark; save the sheet as UTF-8 "
    "(in Excel: CSV UTF-8)"
)


def read_rows(uri: str, columns: set[str], s3_client: S3ClientMaker) -> Iterator[NumberedRow]:
    """
    Yield the number of each row that is not blank with the row, or with what is wrong with it.

    :param columns: Those that a sheet with a header must have; its other ones are left out.
    :param s3_client: Makes the client by which a sheet in S3 is read.
    :raises RunSettingsError: The sheet as a whole is of no use.
    """
    read, number = _reader(uri), 0
    try:
        with _open(uri, s3_client) as text:
            for number, row in read(text, columns):
                yield number, row
    except FileNotFoundError:
        raise RunSettingsError(f"There is no sample sheet at {uri}") from None
    except ClientError as error:
        if code_of(error) in _NOT_THERE:
            raise RunSettingsError(f"There is no sample sheet at {uri}") from None
        raise RunSettingsError(f"Sample sheet {uri}: {error}") from error
    except (_BadSheetError, EOFError, zlib.error, OSError, UnicodeDecodeError) as error:
        if not number:
            raise RunSettingsError(f"Sample sheet {uri}: {error}") from error
        yield number + 1, BadRow(f"this and the rows behind it cannot be read: {error}")


class _BadSheetError(Exception):
    """The sheet has a fault that makes all of its rows useless."""


class _Raw(io.RawIOBase):
    """
    Any file-like object, as a file of Python's own.

    Of others, a text stream asks at each line whether they are closed, which takes longer than the line.
    """

    def __init__(self, file: Any) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return int(self._file.readinto(buffer))


@contextmanager
def _open_binary(uri: str, s3_client: S3ClientMaker) -> Iterator[Any]:
    """Lend a sheet, one in S3 as a copy on the disk: s3fs takes more memory and time than all else."""
    if uri.startswith("s3://") and "@" not in split_s3_uri(uri)[0]:
        with downloaded(s3_client(), uri) as file:
            yield file
            return
    # Behind it is fsspec with a filesystem for each kind of storage, which no Dag needs to be parsed.
    from airflow.sdk import ObjectStoragePath

    with ObjectStoragePath(uri).open("rb", block_size=_BLOCK_BYTES) as file:
        yield file


@contextmanager
def _open(uri: str, s3_client: S3ClientMaker) -> Iterator[IO[str]]:
    with _open_binary(uri, s3_client) as raw:
        data = io.BufferedReader(_Raw(raw))
        if uri.endswith(".gz"):
            data = io.BufferedReader(_Raw(gzip.GzipFile(fileobj=data)))
        elif data.peek(2).startswith(_GZIP):
            raise _BadSheetError("it is compressed by gzip; give it a name that ends in .gz")
        # Spreadsheet programs put a byte order mark in front. Bytes that are no text are found row by row.
        if data.peek(2).startswith(_UTF_16):
            encoding, errors = "utf-16", "surrogatepass"
        else:
            encoding, errors = "utf-8-sig", "surrogateescape"
        with io.TextIOWrapper(data, encoding=encoding, errors=errors, newline="") as text:
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
    rows = _read_cells(csv.reader(text, delimiter=delimiter, strict=True, skipinitialspace=True))
    number, header = next(rows, (1, []))
    if isinstance(header, BadRow):
        raise _BadSheetError(f"row {number} {header}")
    header = list(map(str.strip, header))
    _check_header(header, columns)
    width = len(header)
    wanted = [(name, place) for place, name in enumerate(header) if name in columns]
    for number, cells in rows:
        if isinstance(cells, BadRow):
            yield number, cells
        elif len(cells) != width:
            yield number, _wrong_length(len(cells), width, delimiter)
        else:
            yield number, {name: cells[place].strip() for name, place in wanted}


def _read_cells(reader: Any) -> Iterator[tuple[int, list[str] | BadRow]]:
    for number in count(1):
        first_line = reader.line_num + 1
        fault: BadRow | None = None
        cells: list[str] = []
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            fault = BadRow(f"cannot be read: {error}")
        if reader.line_num > first_line:
            yield number, _open_quote(first_line, reader.line_num)
        elif fault:
            yield number, fault
        elif any(map(str.strip, cells)):
            yield number, cells if _is_text("".join(cells)) else _NO_TEXT


def _wrong_length(length: int, width: int, delimiter: str) -> BadRow:
    hint = f"; a cell with a {delimiter!r} inside must be quoted" if length > width else ""
    return BadRow(f"has {length} cells under {width} columns{hint}")


def _open_quote(first_line: int, last_line: int) -> BadRow:
    # Where it was opened by mistake, it takes the rows up to the next quote for a part of itself.
    return BadRow(
        f"has a quote that goes on from line {first_line} to line {last_line} of the file; "
        "close it, or take the line breaks out of the cell"
    )


def _is_text(text: str) -> bool:
    return text.isascii() or not _UNDECODED.search(text)


def _check_header(header: list[str], columns: set[str]) -> None:
    named = [name for name in header if name]
    if any("\0" in name for name in named):
        raise _BadSheetError(f"its header {_NO_TEXT}")
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
        if not _is_text(line):
            yield number, _NO_TEXT
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            yield number, BadRow(f"is not JSON: {error}")
        else:
            yield number, row if isinstance(row, dict) else BadRow("is not a JSON object")


_READERS: dict[str, Callable[[IO[str], set[str]], Iterator[NumberedRow]]] = {
    ".csv": partial(_read_delimited, ","),
    ".tsv": partial(_read_delimited, "\t"),
    ".jsonl": _read_jsonl,
    ".ndjson": _read_jsonl,
}

from __future__ import annotations

import codecs
import gzip
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_omics_batch.exceptions import RunSettingsError
from airflow_provider_omics_batch.run_batch import SampleSheet
from airflow_provider_omics_batch.run_batch.rows import BadRow
from airflow_provider_omics_batch.run_batch.settings import RequestChecker, run_settings_of
from tests.unit.fake_omics import SERVICE_MODEL

# The time of day would get into the names of the tests, on which parallel processes have to agree.
gzipped = partial(gzip.compress, mtime=0)


def sheet(path: Path, content: str | bytes, **templates: Any) -> SampleSheet:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return SampleSheet(path, **{"run_setting_id": "{sample}", **templates})


def settings(sheet: SampleSheet) -> list[Any]:
    return [setting for _, setting in sheet.run_settings()]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("cohort.csv", b"sample,cram\nA,1.cram\nB,2.cram\n"),
        ("cohort.tsv", b"sample\tcram\nA\t1.cram\nB\t2.cram\n"),
        ("cohort.jsonl", b'{"sample": "A", "cram": "1.cram"}\n{"sample": "B", "cram": "2.cram"}\n'),
        ("cohort.ndjson", b'{"sample": "A", "cram": "1.cram"}\n\n{"sample": "B", "cram": "2.cram"}'),
        ("cohort.CSV", b"sample,cram\nA,1.cram\nB,2.cram"),
        ("cohort.csv.gz", gzipped(b"sample,cram\nA,1.cram\nB,2.cram\n")),
        ("bom.csv", b"\xef\xbb\xbfsample,cram\r\nA,1.cram\r\nB,2.cram\r\n"),
        ("quoted.csv", b'"sample","cram"\n"A","1.cram"\n"B","2.cram"\n'),
        ("blank.csv", b"sample,cram\nA,1.cram\n,\n\nB,2.cram\n,\n\n"),
        ("spaces.csv", b' sample , cram\n A , "1.cram"\nB, 2.cram\n'),
        ("excel.csv", b"\nsample,cram,,\r\nA,1.cram,,\r\nB,2.cram,,\r\n"),
        ("spaces2.csv", b"sample , cram\n A ,1.cram\nB, 2.cram\n"),
        ("bom.tsv", codecs.BOM_UTF8 + b"sample\tcram\r\nA\t1.cram\r\nB\t2.cram\r\n"),
        ("bom.csv.gz", gzipped(codecs.BOM_UTF8 + b"sample,cram\nA,1.cram\nB,2.cram\n")),
        (
            "bom.jsonl",
            codecs.BOM_UTF8 + b'{"sample": "A", "cram": "1.cram"}\r\n{"sample": "B", "cram": "2.cram"}',
        ),
        ("unicode.tsv", "sample\tcram\r\nA\t1.cram\r\nB\t2.cram\r\n".encode("utf-16")),
        ("unicode.csv", codecs.BOM_UTF16_BE + "sample,cram\nA,1.cram\nB,2.cram\n".encode("utf-16-be")),
        ("unicode.tsv.gz", gzipped("sample\tcram\nA\t1.cram\nB\t2.cram\n".encode("utf-16"))),
        ("mac.csv", b"sample,cram\rA,1.cram\rB,2.cram\r"),
        ("delimiters.csv", b",,\nsample,cram,\n,,\nA,1.cram,\n , ,\nB,2.cram,\n,,\n"),
    ],
)
def test_a_sheet_is_read_as_its_name_promises(tmp_path: Path, name: str, content: bytes) -> None:
    cohort = sheet(tmp_path / name, content, parameters={"reads": "s3://b/{cram}"})

    assert settings(cohort) == [
        {"runSettingId": "A", "parameters": {"reads": "s3://b/1.cram"}},
        {"runSettingId": "B", "parameters": {"reads": "s3://b/2.cram"}},
    ]


def test_a_quoted_cell_may_hold_the_delimiter(tmp_path: Path) -> None:
    cohort = sheet(tmp_path / "c.csv", 'sample,note\nA,"x, y"\n', name="{note}")

    assert settings(cohort) == [{"runSettingId": "A", "name": "x, y"}]


def test_templates_stand_at_any_depth_and_each_member_has_the_type_of_the_api(tmp_path: Path) -> None:
    cohort = sheet(
        tmp_path / "c.csv",
        "sample,pop,prio\nA,GBR,5\n",
        parameters={"inputs": [{"reads": ["{sample}.1.fq", "{sample}.2.fq"]}], "ploidy": 2, "sex": None},
        name="{pop}-{sample}",
        output_uri="s3://out/{pop}/",
        priority="{prio}",
        run_tags={"population": "{pop}"},
        output_bucket_owner_id="123456789012",
        engine_settings={"profile": "{pop}"},
    )

    assert settings(cohort) == [
        {
            "runSettingId": "A",
            "parameters": {"inputs": [{"reads": ["A.1.fq", "A.2.fq"]}], "ploidy": 2, "sex": None},
            "name": "GBR-A",
            "outputUri": "s3://out/GBR/",
            "priority": 5,
            "runTags": {"population": "GBR"},
            "outputBucketOwnerId": "123456789012",
            "engineSettings": {"profile": "GBR"},
        }
    ]


def test_values_of_a_json_lines_sheet_keep_their_type_as_parameters(tmp_path: Path) -> None:
    cohort = sheet(
        tmp_path / "c.jsonl",
        '{"sample": 7, "depth": 30.5, "lanes": [1, 2]}\n',
        parameters={"depth": "{depth}", "lanes": "{lanes}", "label": "{depth}x"},
    )

    assert settings(cohort) == [
        {"runSettingId": "7", "parameters": {"depth": 30.5, "lanes": [1, 2], "label": "30.5x"}}
    ]


def test_rows_are_numbered_as_a_spreadsheet_does(tmp_path: Path) -> None:
    cohort = sheet(tmp_path / "c.csv", "sample\nA\n\nB\n")

    assert [number for number, _ in cohort.run_settings()] == [2, 4]


@pytest.mark.parametrize(
    ("name", "content", "bad"),
    [
        ("c.csv", "sample,cram\nA,1.cram\nB\nC,3.cram\n", (3, BadRow("has 1 cells under 2 columns"))),
        (
            "c.csv",
            "sample,cram\nA,1.cram\nB,2,2\n",
            (3, BadRow("has 3 cells under 2 columns; a cell with a ',' inside must be quoted")),
        ),
        (
            "c.csv",
            'sample,cram\nA,1.cram\n"B" x,2.cram\nC,3.cram\n',
            (3, BadRow("""cannot be read: ',' expected after '"'""")),
        ),
        ("c.jsonl", '{"sample": "A"}\n["B"]\n', (2, BadRow("is not a JSON object"))),
        (
            "c.jsonl",
            '{"sample": "A"}\n{"samples": "B"}\n',
            (2, BadRow("has no 'sample'; did you mean 'samples'?")),
        ),
    ],
)
def test_a_bad_row_is_told_apart_from_the_good_ones(
    tmp_path: Path, name: str, content: str, bad: tuple[int, BadRow]
) -> None:
    assert bad in list(sheet(tmp_path / name, content).run_settings())


def test_a_line_that_is_not_json_is_a_bad_row(tmp_path: Path) -> None:
    (number, row), *_ = sheet(tmp_path / "c.jsonl", "{sample: A}\n").run_settings()

    assert number == 1
    assert row.what.startswith("is not JSON: ")


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("c.csv", "", "has no rows"),
        ("c.csv", "sample,cram\n", "has no rows"),
        ("c.jsonl", "\n", "has no rows"),
        ("c.csv", "Sample,cram\nA,1\n", "there is no column 'sample', did you mean 'Sample'?"),
        ("c.csv", "id,cram\nA,1\n", "there is no column 'sample', there are id, cram"),
        ("c.csv", "sample,x,x\nA,1,2\n", "more than one column is called 'x'"),
        ("c.csv", "sample;cram\nA;1\n", "its only column is 'sample;cram': is it separated by ';'?"),
        ("c.csv.gz", gzipped(b"sample\nA\n")[:-12], "end-of-stream"),
        ("c.xlsx", "PK", "does not tell its format"),
        ("c.csv", "sample,größe\nA,1\n".encode("latin-1"), "row 1 is not text in UTF-8"),
        ("c.tsv", "sample\nA\n".encode("utf-16-le"), "its header is not text in UTF-8, nor in UTF-16 with"),
        ("c.csv", 'sample,"cram\nA,1\nB,2"\n', "row 1 has a quote that goes on from line 1 to line 3"),
        ("c.csv", '"sample" x\nA\n', "row 1 cannot be read: ',' expected"),
        ("c.csv", gzipped(b"sample\nA\n"), "it is compressed by gzip; give it a name that ends in .gz"),
        ("c.csv.gz", "sample\nA\n", "Not a gzipped file"),
    ],
)
def test_a_sheet_of_no_use_is_refused_with_the_reason(
    tmp_path: Path, name: str, content: str | bytes, told: str
) -> None:
    with pytest.raises(RunSettingsError, match=told.replace("?", r"\?")) as caught:
        settings(sheet(tmp_path / name, content))

    assert name in str(caught.value)


def test_an_optional_member_that_a_row_has_not_is_left_out(tmp_path: Path) -> None:
    cohort = sheet(tmp_path / "c.csv", "sample,name,prio\nA,,\n", name="{name}", priority="{prio}")

    assert settings(cohort) == [{"runSettingId": "A"}]


def test_a_folder_is_no_sheet(tmp_path: Path) -> None:
    (tmp_path / "d.csv").mkdir()

    with pytest.raises(RunSettingsError, match=r"d\.csv"):
        settings(SampleSheet(tmp_path / "d.csv", run_setting_id="{sample}"))


def test_a_sheet_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunSettingsError, match=r"There is no sample sheet at .*missing\.tsv"):
        settings(SampleSheet(tmp_path / "missing.tsv", run_setting_id="{sample}"))


@pytest.mark.parametrize("name", ["c.csv", "c.tsv"])
def test_a_quote_that_swallows_the_rows_behind_it_is_a_bad_row(tmp_path: Path, name: str) -> None:
    content = 'sample,kit,cram\nA,x,a.cram\nB,"5 inch,b.cram\nC,x,c.cram\nD,y",d.cram\nE,x,e.cram\n'
    cohort = sheet(tmp_path / name, content.replace(",", "\t") if name.endswith("tsv") else content)

    found = [
        (number, row if isinstance(row, BadRow) else row["runSettingId"])
        for number, row in cohort.run_settings()
    ]

    assert found == [(2, "A"), (3, open_quote(3, 5)), (4, "E")]


@pytest.mark.parametrize("rows", [2, 20_000])
def test_a_quote_that_is_never_closed_is_a_bad_row(tmp_path: Path, rows: int) -> None:
    """It takes all of a small sheet, and as much of a large one as a cell may hold."""
    cohort = sheet(tmp_path / "c.tsv", 'sample\tkit\nA\tx\nB\t"5 inch\n' + "C\tsome kit\n" * rows)

    (_, first), (number, second), *_ = cohort.run_settings()

    assert first == {"runSettingId": "A"}
    assert number == 3
    assert second.what.startswith("has a quote that goes on from line 3 to line ")


def open_quote(first: int, last: int) -> BadRow:
    return BadRow(
        f"has a quote that goes on from line {first} to line {last} of the file; "
        "close it, or take the line breaks out of the cell"
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("c.csv", "sample,city\nA,Rome\nB,Köln\nC,Paris\n"),
        ("c.tsv", "sample\tcity\nA\tRome\nB\tKöln\nC\tParis\n"),
        ("c.jsonl", '\n{"sample": "A"}\n{"sample": "B", "city": "Köln"}\n{"sample": "C"}\n'),
    ],
)
def test_a_row_in_another_encoding_is_a_bad_row(tmp_path: Path, name: str, content: str) -> None:
    one, (number, row), other = sheet(tmp_path / name, content.encode("latin-1")).run_settings()

    assert (one, other) == ((2, {"runSettingId": "A"}), (4, {"runSettingId": "C"}))
    assert number == 3
    assert row.what.startswith("is not text in UTF-8, nor in UTF-16 with a byte order mark; save the sheet")


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        (
            "c.csv.gz",
            gzipped(b"sample\n" + b"\n".join(b"%d" % n for n in range(50_000)), compresslevel=0)[:-20_000],
            "end-of-stream",
        ),
        ("c.csv.gz", gzipped(b"sample\n" + b"A\n" * 50_000) + b"more", "Not a gzipped file"),
        ("c.csv", "sample\nA\n".encode("utf-16") + b"B", "truncated data"),
    ],
)
def test_a_sheet_that_breaks_off_has_a_bad_row_at_its_end(
    tmp_path: Path, name: str, content: bytes, told: str
) -> None:
    *rows, (number, last) = sheet(tmp_path / name, content).run_settings()

    assert not any(isinstance(row, BadRow) for _, row in rows)
    assert number == len(rows) + 2
    assert last.what.startswith("this and the rows behind it cannot be read: ")
    assert told in last.what


def test_bad_rows_of_every_kind_are_told_at_once(tmp_path: Path) -> None:
    content = (
        'sample,out\nA\nB,s3://o/,x\n"C" x,s3://o/\nD,Köln\nE,gs://o/\nF,s3://o/\nF,s3://o/\n"G,s3://o/\n'
    )
    cohort = sheet(tmp_path / "c.csv", content.encode("latin-1"), output_uri="{out}")

    with pytest.raises(RunSettingsError) as caught:
        list(RequestChecker(SERVICE_MODEL).checked(run_settings_of(cohort), {}))

    assert [problem.split(" ")[1].rstrip(":") for problem in caught.value.problems] == list("2345689")


def test_a_number_of_more_digits_than_python_reads_is_a_bad_row(tmp_path: Path) -> None:
    ((number, row),) = sheet(tmp_path / "c.jsonl", '{"sample": ' + "9" * 5000 + "}\n").run_settings()

    assert number == 1
    assert row.what.startswith("is not JSON: ")


def test_text_is_taken_as_it_is_around_the_values_of_a_row(tmp_path: Path) -> None:
    cohort = sheet(tmp_path / "c.csv", "sample\nA%s{sample}\n", parameters={"note": "100%, {sample}: %d {}"})

    assert settings(cohort)[0]["parameters"] == {"note": "100%, A%s{sample}: %d {}"}


@pytest.mark.parametrize(
    ("name", "content"), [("c.csv", "sample,cram\nA,\n"), ("c.jsonl", '{"sample": "A", "cram": null}\n')]
)
def test_nothing_where_a_path_needs_something_is_a_bad_row(tmp_path: Path, name: str, content: str) -> None:
    cohort = sheet(tmp_path / name, content, parameters={"reads": "s3://b/{cram}"})

    assert settings(cohort) == [BadRow("has nothing in column 'cram'")]


def test_a_parameter_whose_column_is_empty_is_left_out(tmp_path: Path) -> None:
    """So that the workflow's own default holds, or HealthOmics tells that the parameter is missing."""
    cohort = sheet(
        tmp_path / "c.csv", "sample,cram\nA,\n", parameters={"cram": "{cram}", "sex": "", "id": "{sample}"}
    )

    assert settings(cohort)[0]["parameters"] == {"sex": "", "id": "A"}


def test_a_null_is_not_taken_for_a_text(tmp_path: Path) -> None:
    cohort = sheet(tmp_path / "c.jsonl", '{"sample": null, "depth": null}\n', parameters={"depth": "{depth}"})

    assert settings(cohort) == [{"runSettingId": None, "parameters": {"depth": None}}]


def test_two_parses_of_a_dag_show_the_same_sheet() -> None:
    """A representation that changed would make Airflow store a new version of the Dag at each parse."""
    one, other = (SampleSheet("s3://b/c.tsv", run_setting_id="{sample}") for _ in range(2))

    assert repr(one) == repr(other)

from __future__ import annotations

import gzip

import pytest

from airflow_provider_omics_batch.emulator import Fault
from airflow_provider_omics_batch.exceptions import RunSettingsError
from airflow_provider_omics_batch.run_batch import SampleSheet
from airflow_provider_omics_batch.run_batch.rows import BadRow
from tests.integration.conftest import BUCKET, Emulator

ROWS = b"sample\n" + b"".join(b"S%d\n" % number for number in range(200_000))


def sheet(name: str) -> SampleSheet:
    return SampleSheet(f"s3://{BUCKET}/{name}", run_setting_id="{sample}")


@pytest.mark.parametrize(("name", "content"), [("c.csv", ROWS), ("c.csv.gz", gzip.compress(ROWS))])
def test_a_sheet_in_s3_is_read_to_its_end(emulator: Emulator, name: str, content: bytes) -> None:
    """It is larger than what is read of it at once."""
    emulator.client("s3").put_object(Bucket=BUCKET, Key=name, Body=content)

    rows = dict(sheet(name).run_settings())

    assert len(rows) == 200_000
    assert rows[200_001] == {"runSettingId": "S199999"}


def test_a_sheet_in_s3_that_breaks_off_has_a_bad_row_at_its_end(emulator: Emulator) -> None:
    emulator.client("s3").put_object(Bucket=BUCKET, Key="c.csv.gz", Body=gzip.compress(ROWS)[:-1000])

    *rows, (number, last) = sheet("c.csv.gz").run_settings()

    assert number == len(rows) + 2
    assert isinstance(last, BadRow)
    assert "end-of-stream" in last.what


@pytest.mark.parametrize("uri", [f"s3://{BUCKET}/missing.csv", "s3://no-such-bucket/c.csv"])
@pytest.mark.usefixtures("emulator")
def test_a_sheet_that_is_not_in_s3_is_named(uri: str) -> None:
    with pytest.raises(RunSettingsError, match=f"There is no sample sheet at {uri}"):
        list(SampleSheet(uri, run_setting_id="{sample}").run_settings())


def test_a_sheet_is_split_as_the_operator_reads_it(emulator: Emulator) -> None:
    emulator.client("s3").put_object(Bucket=BUCKET, Key="c.csv", Body=b"sample\nA\nB\n")
    config = {"user_agent_extra": "splitting"}

    [whole] = sheet("c.csv").split(region_name="us-east-1", verify=False, botocore_config=config)

    assert whole == sheet("c.csv")
    with pytest.raises(TypeError, match="no_such_option"):
        sheet("c.csv").split(botocore_config={"no_such_option": True})


def test_a_sheet_that_may_not_be_read_is_named(emulator: Emulator) -> None:
    emulator.client("s3").put_object(Bucket=BUCKET, Key="c.csv", Body=ROWS)
    emulator.faults.add(
        Fault(operation="GetObject", kind="error", error="AccessDenied", status=403, times=None)
    )

    with pytest.raises(RunSettingsError, match=rf"Sample sheet s3://{BUCKET}/c\.csv: "):
        list(sheet("c.csv").run_settings())

    emulator.faults.clear()

"""Sample sheets that are too large for one batch."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_omics_batch.exceptions import RunSettingsError
from airflow_provider_omics_batch.run_batch import SampleSheet
from airflow_provider_omics_batch.run_batch.sheets import BadRow


def sheet(path: Path, names: list[str]) -> SampleSheet:
    path.write_text("".join(f"{line}\n" for line in ("sample", *names)))
    return SampleSheet(path, run_setting_id="{sample}-wgs")


def ids(sheet: SampleSheet) -> dict[int, str]:
    return {
        number: "bad" if isinstance(row, BadRow) else row["runSettingId"]
        for number, row in sheet.run_settings()
    }


def names(count: int) -> list[str]:
    return [f"S{number}" for number in range(count)]


def test_every_row_of_more_than_a_batch_takes_is_in_one_part(tmp_path: Path) -> None:
    whole = sheet(tmp_path / "cohort.csv", names(100_001))

    parts = [ids(part) for part in whole.split()]

    assert len(parts) == 2
    assert all(49_000 < len(part) < 51_000 for part in parts)
    assert dict(sorted(row for part in parts for row in part.items())) == ids(whole)


@pytest.mark.parametrize("max_runs", [3, 7, 50, 299])
def test_no_part_has_more_runs_than_it_may(tmp_path: Path, max_runs: int) -> None:
    parts = [ids(part) for part in sheet(tmp_path / "cohort.csv", names(300)).split(max_runs=max_runs)]

    assert all(1 <= len(part) <= max_runs for part in parts)
    assert sum(map(len, parts)) == 300


def test_a_sheet_that_fits_into_a_batch_is_its_only_part(tmp_path: Path) -> None:
    whole = sheet(tmp_path / "cohort.csv", names(300))

    assert whole.split(max_runs=300) == [whole]


def test_a_sheet_that_changes_meanwhile_has_no_run_in_two_parts(tmp_path: Path) -> None:
    one, other = sheet(tmp_path / "cohort.csv", names(100)).split(max_runs=60)
    before = set(ids(one).values())

    sheet(tmp_path / "cohort.csv", [*names(150)[::-1], *"ABC"])

    assert before
    assert before.isdisjoint(ids(other).values())
    assert before < set(ids(one).values())


def test_what_is_wrong_with_any_row_is_told_before_there_are_parts(tmp_path: Path) -> None:
    whole = sheet(tmp_path / "cohort.csv", [*names(50), "S7", "a,b", "S49"])

    with pytest.raises(RunSettingsError) as caught:
        whole.split(max_runs=30)

    assert caught.value.problems == (
        "row 52: runSettingId 'S7-wgs' is already that of row 9",
        "row 53 has 2 cells under 1 columns; a cell with a ',' inside must be quoted",
        "row 54: runSettingId 'S49-wgs' is already that of row 51",
    )


def test_of_many_bad_rows_the_first_20_are_told(tmp_path: Path) -> None:
    with pytest.raises(RunSettingsError, match="What comes after row 22 has not been looked at") as caught:
        sheet(tmp_path / "cohort.csv", ["S0", *["S0"] * 30]).split()

    assert len(caught.value.problems) == 20


def test_a_row_that_went_bad_since_is_in_every_part(tmp_path: Path) -> None:
    """Nobody can tell whose it is, and no run is to be lost without a word."""
    parts = sheet(tmp_path / "cohort.csv", names(100)).split(max_runs=60)

    sheet(tmp_path / "cohort.csv", ["a,b", *names(100)])

    assert [ids(part)[2] for part in parts] == ["bad", "bad"]


def test_there_are_no_more_parts_than_airflow_maps_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__MAX_MAP_LENGTH", "3")

    with pytest.raises(RunSettingsError, match=r"take more parts of at most 99 than Airflow maps over"):
        sheet(tmp_path / "cohort.csv", names(300)).split(max_runs=99)


@pytest.mark.parametrize("max_runs", [0, -1, 100_001])
def test_a_part_is_as_large_as_a_batch_may_be(tmp_path: Path, max_runs: int) -> None:
    with pytest.raises(ValueError, match="max_runs is 1 to 100,000"):
        sheet(tmp_path / "cohort.csv", names(3)).split(max_runs=max_runs)


def test_a_part_is_not_split_again(tmp_path: Path) -> None:
    part, *_ = sheet(tmp_path / "cohort.csv", names(100)).split(max_runs=60)

    with pytest.raises(ValueError, match="This is part 0 of 2"):
        part.split()


def test_a_sheet_without_rows_has_no_parts(tmp_path: Path) -> None:
    with pytest.raises(RunSettingsError, match="has no rows"):
        sheet(tmp_path / "cohort.csv", []).split()

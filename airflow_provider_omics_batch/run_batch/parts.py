"""The parts of a sample sheet that has more runs than a batch may have."""

from __future__ import annotations

import zlib
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_omics_batch.exceptions import RunSettingsError
from airflow_provider_omics_batch.run_batch.complaints import Complaints
from airflow_provider_omics_batch.run_batch.limits import MAX_RUNS, max_map_length

if TYPE_CHECKING:
    from airflow_provider_omics_batch.run_batch.rows import BadRow


def part_of(run_setting_id: Any, parts: int) -> int:
    """
    Return in which part a run is, counted from 0.

    Its id alone tells, and not the place of its row: whatever becomes of the sheet from one read to the
    next, no run is in two parts.
    """
    return _hash(run_setting_id) % parts


def divide(rows: Iterable[tuple[int, Mapping[str, Any] | BadRow]], max_runs: int) -> tuple[int, list[int]]:
    """
    Return how many parts a sheet needs, so that none has too many runs, and which of them have any.

    :param rows: The number of each row with its run setting, or with what is wrong with the row.
    :param max_runs: How many runs a part may have.
    :raises RunSettingsError: Rows are bad, or ids are not unique, which no part alone would notice; or
        there would be more parts than Airflow maps over.
    """
    if not 1 <= max_runs <= MAX_RUNS:
        raise ValueError(f"max_runs is 1 to {MAX_RUNS:,}, not {max_runs!r}")
    hashes = array("L", map(_hash, _checked_ids(rows)))
    for parts in range(-(-len(hashes) // max_runs), max_map_length() + 1):
        sizes = Counter(number % parts for number in hashes)
        if max(sizes.values()) <= max_runs:
            return parts, sorted(sizes)
    raise RunSettingsError(
        f"{len(hashes):,} runs, which go to parts by the hash of their ids, take more parts of at most "
        f"{max_runs:,} than Airflow maps over, [core] max_map_length = {max_map_length():,}; raise max_runs"
    )


def _checked_ids(rows: Iterable[tuple[int, Mapping[str, Any] | BadRow]]) -> Iterable[Any]:
    complaints = Complaints("row")
    for number, row in rows:
        if not isinstance(row, Mapping):
            complaints.add(number, f"row {number} {row.what}")
        elif complaints.is_first(row["runSettingId"], number):
            yield row["runSettingId"]
    complaints.raise_any()


def _hash(run_setting_id: Any) -> int:
    return zlib.crc32(str(run_setting_id).encode(errors="surrogatepass"))

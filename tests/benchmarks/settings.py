"""
From a sample sheet of 100,000 rows in S3 to the run settings in S3.

The rows are those of the 1000 Genomes cohort, repeated. The alternative reads the sheet with csv into a
list, and puts it into S3 as one string. It checks nothing, where we check every member of every row.
"""

from __future__ import annotations

from tests.benchmarks.cohort import sheet
from tests.benchmarks.figures import Figure
from tests.benchmarks.laboratory import BUCKET, Laboratory, laboratory

ROWS = 100_000
FEW_ROWS = 1_000


def run() -> list[Figure]:
    with laboratory("settings") as lab:
        ours, rival = _measure(lab, ROWS)
        few, few_rival = _measure(lab, FEW_ROWS)
    return [
        Figure(
            what=f"most memory for {ROWS:,} rows, above that of before",
            unit="MB",
            ours=ours["peak"],
            rival=rival["peak"],
            at_most=40,
        ),
        Figure(
            what=f"most memory for {FEW_ROWS:,} rows, above that of before",
            unit="MB",
            ours=few["peak"],
            rival=few_rival["peak"],
        ),
        Figure(
            what=f"time for {ROWS:,} rows",
            unit="s",
            ours=ours["seconds"],
            rival=rival["seconds"],
            ratio_at_most=1.5,
        ),
        Figure(what=f"CPU for {ROWS:,} rows", unit="s", ours=ours["cpu"], rival=rival["cpu"]),
    ]


def _measure(lab: Laboratory, rows: int) -> list[dict[str, float]]:
    name = f"{rows}.tsv"
    lab.emulator.client("s3").put_object(Bucket=BUCKET, Key=name, Body=sheet(rows))
    return lab.in_turns("settings:ours", "settings:rival", bucket=BUCKET, sheet=name)

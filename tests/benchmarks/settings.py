"""
From a sample sheet of 100,000 rows in S3 to the run settings in S3.

The rows are those of the 1000 Genomes cohort, repeated. The alternative reads the sheet with csv into a
list, and puts it into S3 as one string. It checks nothing, where we check every member of every row.
"""

from __future__ import annotations

from itertools import cycle, islice
from pathlib import Path

from tests.benchmarks.figures import Figure
from tests.benchmarks.laboratory import BUCKET, laboratory

COHORT = Path(__file__).parents[2] / "dags/data/1000genomes-30x/cohort.tsv"
ROWS = 100_000
SHEET = "cohort.tsv"


def run() -> list[Figure]:
    with laboratory("settings") as lab:
        lab.emulator.client("s3").put_object(Bucket=BUCKET, Key=SHEET, Body=_sheet())
        ours, rival = (
            lab.measure(f"settings:{side}", bucket=BUCKET, sheet=SHEET) for side in ("ours", "rival")
        )
    return [
        Figure(
            what="most memory, above that of before",
            unit="MB",
            ours=ours["peak"],
            rival=rival["peak"],
            at_most=40,
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


def _sheet() -> bytes:
    """Return the cohort's rows, repeated; each sample has an id of its own."""
    head, *rows = COHORT.read_text().splitlines()
    repeated = islice(cycle(rows), ROWS)
    numbered = (row.replace("\t", f"-{number}\t", 1) for number, row in enumerate(repeated))
    return "\n".join([head, *numbered, ""]).encode()

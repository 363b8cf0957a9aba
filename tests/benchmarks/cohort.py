"""The runs that are submitted: of a real cohort, repeated under new names."""

from __future__ import annotations

from itertools import cycle, islice
from pathlib import Path
from typing import Any

COHORT = Path(__file__).parents[2] / "dags/data/1000genomes-30x/cohort.tsv"

#: What the runs share.
DEFAULT_RUN_SETTING: dict[str, Any] = {
    "workflowId": "1234567",
    "roleArn": "arn:aws:iam::123456789012:role/omics",
    "outputUri": "s3://cohort/out/",
}


def sheet(rows: int) -> bytes:
    """Return a sheet of so many rows, those of the cohort again and again, each with an id of its own."""
    header, *samples = COHORT.read_text().splitlines()
    repeated = islice(cycle(samples), rows)
    numbered = (row.replace("\t", f"-{number}\t", 1) for number, row in enumerate(repeated))
    return "\n".join([header, *numbered, ""]).encode()

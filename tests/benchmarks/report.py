"""Figures as a table, which is Markdown too, and as JSON."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from tests.benchmarks.figures import Figure

HEAD = ("benchmark", "what", "ours", "alternative", "ratio", "promised", "verdict")

PACKAGES = (
    "apache-airflow",
    "apache-airflow-providers-amazon",
    "botocore",
    "aiobotocore",
    "airflow-provider-omics-batch",
)

Results = Mapping[str, Sequence[Figure]]


def as_table(results: Results) -> str:
    rows = [_row(name, figure) for name, figures in results.items() for figure in figures]
    widths = [max(map(len, column)) for column in zip(HEAD, *rows, strict=True)]
    lines = [HEAD, tuple("-" * width for width in widths), *rows]
    return "\n".join(
        f"| {' | '.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))} |"
        for line in lines
    )


def as_json(results: Results) -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "machine": {"cores": os.cpu_count(), "system": platform.platform(terse=True)},
        "benchmarks": {
            name: [{**asdict(figure), "ratio": figure.ratio, "holds": figure.holds} for figure in figures]
            for name, figures in results.items()
        },
    }


def _row(name: str, figure: Figure) -> tuple[str, ...]:
    rival = "" if figure.rival is None else f"{_number(figure.rival)} {figure.unit}"
    ratio = "" if figure.ratio is None else _number(figure.ratio)
    promised = _promised(figure)
    verdict = ("kept" if figure.holds else "MISSED") if promised else ""
    return name, figure.what, f"{_number(figure.ours)} {figure.unit}", rival, ratio, promised, verdict


def _promised(figure: Figure) -> str:
    promises = []
    if figure.at_most is not None:
        promises.append(f"≤ {_number(figure.at_most)} {figure.unit}")
    if figure.ratio_at_most is not None:
        promises.append(f"ratio ≤ {_number(figure.ratio_at_most)}")
    return ", ".join(promises)


def _number(value: float) -> str:
    """Return a number with three digits that mean something."""
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"

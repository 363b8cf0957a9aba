"""``python -m tests.benchmarks``: run benchmarks, and tell what they measured and what was promised."""

from __future__ import annotations

import argparse
import importlib
import json
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.figures import Figure
from tests.benchmarks.report import as_json, as_table
from tests.system.processes import DeploymentError

#: In this order; each is a module with ``run() -> list[Figure]``.
BENCHMARKS = ("waiting", "calls", "settings", "mapping", "imports", "emulator", "latency", "end_to_end")

RESULTS = Path(__file__).parents[2] / ".bench" / "results.json"

SHOWN_LINES_OF_A_LOG = 30


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    # What was started is ended on the way out.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    results: dict[str, list[Figure]] = {}
    broken = False
    for name in [name for name in BENCHMARKS if name in (options.names or BENCHMARKS)]:
        try:
            results[name] = _run(name)
        except DeploymentError as error:
            broken = True
            _say(f"{name}: {error}{_end_of(error.log)}")
    print(f"\n{as_table(results)}")  # noqa: T201 - this is what a command line shows
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(as_json(results), indent=2) + "\n")
    _say(f"\nThe same as JSON: {options.json}")
    return int(broken or not all(figure.holds for figures in results.values() for figure in figures))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", type=_benchmark, help="all unless given")
    parser.add_argument("--json", type=Path, default=RESULTS, metavar="PATH", help="where the results go")
    return parser


def _benchmark(name: str) -> str:
    if name not in BENCHMARKS:
        raise argparse.ArgumentTypeError(f"must be one of {', '.join(BENCHMARKS)}, not {name}")
    return name


def _run(name: str) -> list[Figure]:
    _say(f"{name} ...")
    before = time.monotonic()
    figures: list[Figure] = importlib.import_module(f"tests.benchmarks.{name}").run()
    _say(f"{name}: {time.monotonic() - before:.0f} s")
    for figure in figures:
        if not figure.holds:
            _say(f"{name}: MISSED: {figure}")
    return figures


def _say(line: str) -> None:
    """Tell how far it is where that is no part of the table."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - so is this


def _end_of(log: Path | None) -> str:
    if log is None:
        return ""
    return f"; {log} ends with\n" + "\n".join(log.read_text().splitlines()[-SHOWN_LINES_OF_A_LOG:])


if __name__ == "__main__":
    raise SystemExit(main())

"""``python -m airflow_provider_omics_batch.emulator``: serve HealthOmics, S3 and STS on one port."""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from airflow_provider_omics_batch.emulator import Fault, FaultList, OmicsBackend, ScaledClock, Settings
from airflow_provider_omics_batch.emulator.server.application import serve
from airflow_provider_omics_batch.emulator.server.faults import KINDS
from airflow_provider_omics_batch.emulator.server.notation import (
    FAILURE_SYNTAX,
    FAULT_SYNTAX,
    parse_failure,
    parse_fault,
)
from airflow_provider_omics_batch.emulator.server.state import StateError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_provider_omics_batch.emulator.plan.failures import FailureRule

T = TypeVar("T")

_FAULT_HELP = f"what goes wrong on the n-th call of an operation: {', '.join(KINDS)}; may be repeated"
_PLACES_HELP = "runs with dynamic storage at work at the same time; with static storage it is 10"
_FAILURE_HELP = "runs whose runSettingId or parameter matches fail for this reason; may be repeated"


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    settings = Settings(
        run_seconds=options.run_seconds,
        start_run_tps=options.start_run_tps,
        concurrent_runs=options.concurrent_runs,
        fail_submissions=options.fail_submissions,
        fail_runs=options.fail_runs,
        failures=tuple(options.failure),
        seed=options.seed,
    )
    OmicsBackend.configure_all(settings, ScaledClock(options.speed))
    try:
        serve(options.host, options.port, FaultList(options.fault), options.state)
    except StateError as error:
        return _complain(f"cannot go on from {options.state}: {error}")
    except OSError as error:
        if error.filename is not None:
            return _complain(f"cannot keep the state in {options.state}: {error.strerror}")
        return _complain(f"cannot listen on {options.host}:{options.port}: {error.strerror}")
    return 0


def _complain(message: str) -> int:
    print(message, file=sys.stderr)  # noqa: T201 - so are complaints
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_omics_batch.emulator",
        description="Serve AWS HealthOmics batch runs, S3 and STS on one port, without an account.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on")
    add("--port", type=_whole(0, 65535), default=5000, help="port to listen on, 0 for any free one")
    add("--speed", type=_number(0), default=1.0, help="seconds of the service that pass in a second")
    add("--run-seconds", type=_number(0), default=1800.0, help="mean time of a run in RUNNING")
    add("--start-run-tps", type=_positive, default=5.0, help="runs submitted a second, all batches together")
    add("--concurrent-runs", type=_whole(1), default=50, help=_PLACES_HELP)
    add("--fail-submissions", type=_share, default=0.0, help="share of runs that cannot be submitted")
    add("--fail-runs", type=_share, default=0.0, help="share of submitted runs that fail")
    add("--seed", type=_whole(-math.inf), default=0, help="decides which runs fail and how long each takes")
    add("--state", type=Path, metavar="FILE", help="go on from this file, and keep all that happens in it")
    add("--failure", type=_failure, action="append", default=[], metavar=FAILURE_SYNTAX, help=_FAILURE_HELP)
    add("--fault", type=_fault, action="append", default=[], metavar=FAULT_SYNTAX, help=_FAULT_HELP)
    return parser


def _number(least: float, most: float = math.inf) -> Callable[[str], float]:
    def number(text: str) -> float:
        value = _read_number(text)
        _check(least <= value <= most, f"must be {_range(least, most)}", text)
        return value

    return number


def _whole(least: float, most: float = math.inf) -> Callable[[str], int]:
    def whole(text: str) -> int:
        _check(text.removeprefix("-").isdecimal(), "must be a whole number", text)
        _check(least <= int(text) <= most, f"must be {_range(least, most)}", text)
        return int(text)

    return whole


_share = _number(0, 1)


def _positive(text: str) -> float:
    value = _read_number(text)
    _check(value > 0, "must be greater than 0", text)
    return value


def _read_number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    _check(math.isfinite(value), "must be a number", text)
    return value


def _fault(text: str) -> Fault:
    return _parse(parse_fault, text)


def _failure(text: str) -> FailureRule:
    return _parse(parse_failure, text)


def _parse(parse: Callable[[str], T], text: str) -> T:
    try:
        return parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _range(least: float, most: float) -> str:
    return f"{least:g} or greater" if most == math.inf else f"between {least:g} and {most:g}"


def _check(holds: bool, demand: str, text: str) -> None:
    if not holds:
        raise argparse.ArgumentTypeError(f"{demand}, not {text}")


if __name__ == "__main__":
    raise SystemExit(main())

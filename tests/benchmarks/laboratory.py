"""An emulator as a process, and a process of its own for each side that is measured against it."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from tests.system.deployment import Emulator, environment
from tests.system.processes import Services

HOME = Path(__file__).parents[2] / ".bench"
BUCKET = "cohort"

#: How long one side may take; it ends by itself long before.
PATIENCE = 900


class Laboratory:
    """
    Runs the sides of a benchmark, one after the other.

    :param services: Starts the processes.
    :param home: A folder of its own.
    :param emulator: What the processes talk to.
    """

    def __init__(self, services: Services, home: Path, emulator: Emulator) -> None:
        self.emulator = emulator
        self._services = services
        self._home = home

    def measure(
        self, side: str, /, *, configuration: dict[str, str] | None = None, **arguments: Any
    ) -> dict[str, Any]:
        """
        Call a function in a fresh interpreter, and return what it returns.

        :param side: As ``module:function``, below ``tests.benchmarks.sides``.
        :param configuration: More of Airflow's, as in ``OMICS_BATCH__REQUESTS_PER_SECOND``.
        :param arguments: For the function.
        """
        name = side.replace(":", "-")
        result = self._home / f"{name}.json"
        before = dict(self._services.environment)
        self._services.environment |= {
            f"AIRFLOW__{option}": value for option, value in (configuration or {}).items()
        }
        try:
            command = [
                sys.executable,
                "-m",
                "tests.benchmarks.child",
                side,
                json.dumps(arguments),
                str(result),
            ]
            self._services.run(name, command, PATIENCE)
        finally:
            self._services.environment = before
        measured: dict[str, Any] = json.loads(result.read_text())
        return measured

    def in_turns(self, *sides: str, rounds: int = 3, **arguments: Any) -> list[dict[str, float]]:
        """
        Measure sides in turns, and return of each figure the one in the middle; of peaks the highest.

        :param sides: As for :meth:`measure`.
        """
        measured = [[self.measure(side, **arguments) for side in sides] for _ in range(rounds)]
        return [
            {what: (max if what == "peak" else median)(one[what] for one in each) for what in each[0]}
            for each in zip(*measured, strict=True)
        ]


@contextmanager
def laboratory(name: str, *options: str) -> Iterator[Laboratory]:
    """
    Start an emulator, with a bucket in it, and end it afterwards.

    :param name: Of the benchmark; the logs of all processes stay in its folder below ``.bench``.
    :param options: More of the emulator's command line.
    """
    home = HOME / name
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    with Services(home, environment(home)) as services:
        emulator = Emulator(services, 0, *options)
        emulator.start()
        emulator.wait_until_ready(BUCKET)
        services.environment |= {
            "AIRFLOW_HOME": str(home / "airflow"),
            "AIRFLOW_CONN_AWS_DEFAULT": emulator.connection,
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
            "EMULATOR": emulator.address,
        }
        yield Laboratory(services, home, emulator)

"""
What a Dag file pays for the import of the operator, which Airflow's dag processor repeats for ever.

The alternative is an operator module of the amazon provider: that of AWS Batch, which is deferrable, too.
User and system time of fresh interpreters, in turns, the median of each.
"""

from __future__ import annotations

import os
import subprocess
import sys
from statistics import median

from tests.benchmarks.figures import Figure
from tests.benchmarks.laboratory import HOME
from tests.system.deployment import environment

OURS = "airflow_provider_omics_batch.operators.omics"
RIVAL = "airflow.providers.amazon.aws.operators.batch"

ROUNDS = 9

#: Good for a triggerer, a service or the UI, and of no use to who reads a Dag file.
UNWANTED = ("aiobotocore", "moto", "fastapi")


def run() -> list[Figure]:
    for module in (OURS, RIVAL):
        # The first one compiles, and Airflow writes its configuration.
        _seconds(f"import {module}")
    seconds = [(_seconds(f"import {OURS}"), _seconds(f"import {RIVAL}")) for _ in range(ROUNDS)]
    ours, rival = (median(each) for each in zip(*seconds, strict=True))
    return [
        Figure(what="CPU of the import", unit="s", ours=ours, rival=rival, ratio_at_most=1.1),
        Figure(
            what=f"modules loaded of {', '.join(UNWANTED)}",
            unit="modules",
            ours=_unwanted(OURS),
            rival=_unwanted(RIVAL),
            at_most=0,
        ),
    ]


def _seconds(code: str) -> float:
    process = _start(code)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    return usage.ru_utime + usage.ru_stime


def _unwanted(module: str) -> int:
    code = f"import sys, {module}; print(sum(name.split('.')[0] in {UNWANTED} for name in sys.modules))"
    with _start(code, stdout=subprocess.PIPE) as process:
        return int(process.communicate()[0].splitlines()[-1])


def _start(code: str, stdout: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
    home = HOME / "imports"
    home.mkdir(parents=True, exist_ok=True)
    return subprocess.Popen(  # noqa: S603 - code of our own
        [sys.executable, "-c", code],
        env=environment(home) | {"AIRFLOW_HOME": str(home / "airflow")},
        stdout=stdout,
    )

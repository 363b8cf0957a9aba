"""
How long after the end of a batch the next task starts, on a real Airflow.

The alternative is the same Dag with the amazon provider's generic waiter trigger. Both submit the same three
runs, look every five seconds, publish the run ids, and take turns. The lives of the batches differ by equal
steps, so that their ends are spread evenly over the time between two looks.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from statistics import median

from airflow_provider_omics_batch.emulator import Settings
from airflow_provider_omics_batch.emulator.plan.chance import fate_of
from tests.benchmarks.figures import Figure
from tests.benchmarks.real_airflow import real_airflow, wait_for_success
from tests.benchmarks.three_runs import INTERVAL, NAMES
from tests.benchmarks.warped_time import WarpedTime
from tests.system.dag_run import FIRED, DagRun
from tests.system.deployed import Deployment

OURS, RIVAL = "latency", "latency_rival"

BATCHES = 10

#: Seconds between the starts of two Dag runs; some are under way at the same time.
START_EVERY = 6

#: A batch takes about twenty seconds, of which its longest run is in RUNNING for at least eight.
SPEED = 10
RUN_SECONDS = 100
SHORTEST = 8

OPTIONS = ("--speed", str(SPEED), "--run-seconds", str(RUN_SECONDS))


@dataclass(frozen=True)
class Delays:
    """
    What has passed after the end of a batch, in seconds.

    :param seen: Until the trigger has fired.
    :param started: Until the next task has started.
    """

    seen: float
    started: float


def run() -> list[Figure]:
    with real_airflow("latency", (OURS, RIVAL), OPTIONS) as deployment:
        clock = WarpedTime(deployment.emulators["aws_default"], SPEED)
        runs = _start_in_turns(deployment)
        for dag_run in runs:
            wait_for_success(dag_run)
        # The first of each has made the triggerer load what it needs.
        delays = [_delays(dag_run, clock) for dag_run in runs[2:]]
    by_dag = [
        [delay for dag_run, delay in zip(runs[2:], delays, strict=True) if dag_run.dag_id == dag_id]
        for dag_id in (OURS, RIVAL)
    ]
    return _figures(*by_dag)


def _start_in_turns(deployment: Deployment) -> list[DagRun]:
    """Start the Dags with the same batches, first the one and then the other, so that none is favoured."""
    runs, begin = list[DagRun](), time.monotonic()
    for number in (0, *range(BATCHES)):
        sample = _sample_that_takes(SHORTEST + INTERVAL * (number + 0.5) / BATCHES)
        for dag_id in (OURS, RIVAL) if number % 2 else (RIVAL, OURS):
            _wait_until(deployment, begin + START_EVERY * len(runs))
            runs.append(deployment.start(dag_id, {"sample": sample}))
    return runs


def _wait_until(deployment: Deployment, moment: float) -> None:
    deployment.wait_for(lambda: time.monotonic() >= moment, "the next start", every=0.1)


def _sample_that_takes(seconds: float) -> str:
    """Return a name for which the longest run takes so long in RUNNING."""
    settings = Settings(run_seconds=RUN_SECONDS)
    samples = (f"sample-{number}" for number in count())

    def longest(sample: str) -> float:
        return max(fate_of(f"{sample}-{name}", settings).seconds for name in NAMES) / SPEED

    return next(sample for sample in samples if abs(longest(sample) - seconds) < INTERVAL / BATCHES / 10)


def _delays(dag_run: DagRun, clock: WarpedTime) -> Delays:
    [batch_id] = dag_run.batch_ids()
    answer = dag_run.emulator.client("omics").get_batch(batchId=batch_id)
    end = clock.true(answer["processedTime"])
    fired = next(line.time for line in dag_run.log() if line.text == FIRED and line.time)
    tasks = dag_run.deployment.airflow.api.task_instances(dag_run.dag_id, dag_run.run_id)
    [started] = [task["start_date"] for task in tasks if task["task_id"] == "go_on"]
    return Delays(fired.timestamp() - end, datetime.fromisoformat(started).timestamp() - end)


def _figures(ours: list[Delays], rival: list[Delays]) -> list[Figure]:
    figures = []
    for how, of_all in (("median", median), ("worst", max)):
        figures += [
            Figure(
                what=f"from the end of a batch to the start of the next task, {how} of {BATCHES}",
                unit="s",
                ours=of_all(delay.started for delay in ours),
                rival=of_all(delay.started for delay in rival),
            ),
            Figure(
                what=f"of it, after the end was seen, {how}",
                unit="s",
                ours=of_all(delay.started - delay.seen for delay in ours),
                rival=of_all(delay.started - delay.seen for delay in rival),
            ),
        ]
    return figures

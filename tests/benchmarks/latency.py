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
from airflow_provider_omics_batch.emulator.chance import fate_of
from tests.benchmarks.figures import Figure
from tests.benchmarks.real_airflow import real_airflow
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
            if (state := dag_run.wait_for_end()) != "success":
                raise RuntimeError(f"{dag_run.dag_id} {dag_run.run_id} is {state}")
        # In the first ones the triggerer has made its first clients.
        delays = {
            dag_id: [_delays(dag_run, clock) for dag_run in runs[2:] if dag_run.dag_id == dag_id]
            for dag_id in (OURS, RIVAL)
        }
    return _figures(delays[OURS], delays[RIVAL])


def _start_in_turns(deployment: Deployment) -> list[DagRun]:
    runs, first = [], time.monotonic()
    for number in range(-1, BATCHES):
        sample = _sample_that_takes(SHORTEST + INTERVAL * (number % BATCHES + 0.5) / BATCHES)
        for dag_id in (OURS, RIVAL) if number % 2 else (RIVAL, OURS):
            due = first + len(runs) * START_EVERY
            deployment.wait_for(lambda due=due: time.monotonic() >= due, "the next start")  # type: ignore[misc]
            runs.append(deployment.start(dag_id, {"sample": sample}))
    return runs


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
    return [
        Figure(
            what=f"from the batch's end to the next task's start, {how} of {BATCHES}",
            unit="s",
            ours=function([delays.started for delays in ours]),
            rival=function([delays.started for delays in rival]),
        )
        for how, function in (("median", median), ("worst", max))
    ] + [
        Figure(
            what=f"of it, after the end was seen, {how}",
            unit="s",
            ours=function([delays.started - delays.seen for delays in ours]),
            rival=function([delays.started - delays.seen for delays in rival]),
        )
        for how, function in (("median", median), ("worst", max))
    ]

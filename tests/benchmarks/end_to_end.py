"""
Where the seconds go of 100,000 runs as one batch: from a sample sheet to a task that counts the runs.

A real Airflow, deferred, and the emulator, on which six hours pass in two minutes. So that what comes after
the end of the batch is seen for itself, our rate limit is warped likewise: by default the mapping of 100,000
runs takes 200 seconds, for 1,000 pages at five a second.
"""

from __future__ import annotations

import json
import time
from datetime import datetime
from itertools import pairwise
from typing import Any

from tests.benchmarks.cohort import sheet
from tests.benchmarks.figures import Figure
from tests.benchmarks.peaks import Peaks
from tests.benchmarks.real_airflow import real_airflow, wait_for_success
from tests.benchmarks.warped_time import WarpedTime
from tests.system.api import LogLine
from tests.system.dag_run import FIRED, DagRun
from tests.system.deployed import BUCKET

DAG_ID = "end_to_end"
RUNS = 100_000
PAGES = RUNS // 100
SHEET = "sheet.tsv"

SPEED = 200
#: Runs of half an hour, submitted at AWS's five a second, and places enough for all of them to start at once.
OPTIONS = ("--speed", str(SPEED), "--concurrent-runs", "10000", "--fail-runs", "0.001", "--seed", "1")
REQUESTS_PER_SECOND = 5 * SPEED

PARSED = "Worker startup parse complete"


def run() -> list[Figure]:
    options = {"OMICS_BATCH__REQUESTS_PER_SECOND": str(REQUESTS_PER_SECOND)}
    with real_airflow(DAG_ID, (DAG_ID,), OPTIONS, **options) as deployment:
        emulator = deployment.emulators["aws_default"]
        clock = WarpedTime(emulator, SPEED)
        emulator.client("s3").put_object(Bucket=BUCKET, Key=SHEET, Body=sheet(RUNS))
        before = emulator.all_calls()
        with Peaks(deployment.services) as peaks:
            triggered = time.time()
            dag_run = deployment.start(DAG_ID, {"sheet": f"s3://{BUCKET}/{SHEET}"})
            wait_for_success(dag_run)
        calls = emulator.all_calls() - before
        return [
            *_seconds(triggered, dag_run, clock),
            *_calls(calls),
            *_results(dag_run),
            *_memory(peaks),
        ]


def _seconds(triggered: float, dag_run: DagRun, clock: WarpedTime) -> list[Figure]:
    ends = [("", triggered), *_ends(dag_run, clock)]
    steps = [(what, end - begin) for (_, begin), (what, end) in pairwise(ends)]
    return [
        Figure(what=what, unit="s", ours=seconds)
        for what, seconds in [*steps, ("all of it", ends[-1][1] - triggered)]
    ]


def _ends(dag_run: DagRun, clock: WarpedTime) -> list[tuple[str, float]]:
    """Return what was done, step by step, and when each step was over, in seconds since the epoch."""
    log = dag_run.log()
    [batch_id] = dag_run.batch_ids()
    batch = dag_run.emulator.client("omics").get_batch(batchId=batch_id)
    tasks = {
        task["task_id"]: task
        for task in dag_run.deployment.airflow.api.task_instances(dag_run.dag_id, dag_run.run_id)
    }
    parsed = _times(log, PARSED)
    return [
        ("Airflow queues the task, starts it and parses the Dag", parsed[0]),
        ("the sheet is read, checked and staged", _times(log, "The run settings are in ")[0]),
        ("StartRunBatch (the emulator's intake)", _times(log, " is CREATING")[0]),
        (f"the batch's own life, {SPEED} times as fast", clock.true(batch["processedTime"])),
        ("its end is seen", _times(log, " PROCESSED ")[0]),
        ("the runs are listed and the manifest is written", _times(log, FIRED)[0]),
        ("Airflow resumes the task on a worker", parsed[-1]),
        ("what there is to read is read, and XCom published", _time(tasks["start"]["end_date"])),
        ("Airflow starts the next task", _time(tasks["count"]["start_date"])),
        ("the next task reads the manifest", _time(tasks["count"]["end_date"])),
    ]


def _times(log: list[LogLine], text: str) -> list[float]:
    """Return the times of the lines that have a text in them."""
    return [line.time.timestamp() for line in log if line.time and text in line.text]


def _time(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _calls(calls: dict[str, int]) -> list[Figure]:
    promised = {"StartRunBatch": 1, "GetBatch": 150, "ListRunsInBatch": PAGES}
    return [
        Figure(what=operation, unit="calls", ours=count, at_most=promised.get(operation))
        for operation, count in sorted(calls.items())
    ]


def _results(dag_run: DagRun) -> list[Figure]:
    api = dag_run.deployment.airflow.api
    counted: dict[str, Any] = api.xcom(DAG_ID, dag_run.run_id, "count")
    values = [dag_run.xcom(key) for key in api.xcom_keys(DAG_ID, dag_run.run_id, "start")]
    size = sum(len(json.dumps(value)) for value in values)
    return [
        Figure(what="run settings without a record", unit="runs", ours=RUNS - counted["names"], at_most=0),
        Figure(what="records too many", unit="runs", ours=counted["records"] - counted["names"], at_most=0),
        Figure(
            what="records without a run of their own", unit="runs", ours=RUNS - counted["run_ids"], at_most=0
        ),
        Figure(what="XCom of the task, in all", unit="KB", ours=size / 1000, at_most=4),
    ]


def _memory(peaks: Peaks) -> list[Figure]:
    growth = peaks.triggers - peaks.triggers_before
    return [
        Figure(what="memory of the triggerer's process, above that of before", unit="MB", ours=growth),
        Figure(what="memory of the largest of the tasks' processes", unit="MB", ours=peaks.task),
    ]

"""
What is asked of HealthOmics, which allows an account ten GetBatch a second and one StartRunBatch.

Waiting is measured in virtual time, with the real clients and triggers and the emulator, so that hours are
over in seconds; a whole task over HTTP. The alternative is the amazon provider's generic waiter trigger,
every 30 seconds, which is also our shortest interval.
"""

from __future__ import annotations

import json
import math
from typing import Any

from tests.benchmarks.figures import Figure
from tests.benchmarks.laboratory import BUCKET, Laboratory, laboratory

CROWD = 1000
#: Our default; half of what AWS allows.
BUDGET = 5
FAIR_SHARE = CROWD / BUDGET

RUNS = 100_000
FEW_RUNS = 3
POLL_INTERVAL = 30

RUNS_OF_A_TASK = 10_000

OPTIONS = ("--speed", "1e6", "--start-run-tps", "1000", "--concurrent-runs", "10000", "--fail-runs", "0.01")


def run() -> list[Figure]:
    with laboratory("calls", *OPTIONS) as lab:
        return [*_crowd(lab), *_life(lab), *_task(lab)]


def _crowd(lab: Laboratory) -> list[Figure]:
    ours = lab.measure("calls:crowd", side="ours", batches=CROWD, seconds=4 * FAIR_SHARE)
    rival = lab.measure("calls:crowd", side="rival", batches=CROWD, seconds=4 * POLL_INTERVAL)
    return [
        Figure(
            what=f"GetBatch a second, {CROWD:,} batches waiting",
            unit="calls",
            ours=ours["looks_per_second"],
            rival=rival["looks_per_second"],
            at_most=BUDGET,
        ),
        Figure(
            what="GetBatch in the busiest second",
            unit="calls",
            ours=ours["busiest_second"],
            rival=rival["busiest_second"],
            at_most=BUDGET,
        ),
        Figure(
            what=f"longest time without a look at one of them (fair share: {FAIR_SHARE:.0f} s)",
            unit="s",
            ours=ours["longest_gap"],
            rival=rival["longest_gap"],
            at_most=2 * FAIR_SHARE,
        ),
    ]


def _life(lab: Laboratory) -> list[Figure]:
    ours, rival = (lab.measure("calls:life", side=side, runs=RUNS) for side in ("ours", "rival"))
    few, few_rival = (lab.measure("calls:life", side=side, runs=FEW_RUNS) for side in ("ours", "rival"))
    return [
        Figure(
            what=f"GetBatch for {RUNS:,} runs, {ours['hours']:.1f} hours",
            unit="calls",
            ours=ours["looks"],
            rival=rival["looks"],
            at_most=150,
        ),
        Figure(
            what=f"from the end of {RUNS:,} runs to the trigger's event",
            unit="s",
            ours=ours["seen_after"],
            rival=rival["seen_after"],
            at_most=60,
        ),
        Figure(
            what=f"from the end of {FEW_RUNS} runs to the trigger's event",
            unit="s",
            ours=few["seen_after"],
            rival=few_rival["seen_after"],
            at_most=POLL_INTERVAL,
        ),
    ]


def _task(lab: Laboratory) -> list[Figure]:
    settings = [{"runSettingId": f"sample-{number}"} for number in range(RUNS_OF_A_TASK)]
    lab.emulator.client("s3").put_object(Bucket=BUCKET, Key="settings.json", Body=json.dumps(settings))
    calls = lab.measure(
        "calls:task", settings_uri=f"s3://{BUCKET}/settings.json", staging_uri=f"s3://{BUCKET}/airflow/"
    )
    failed = _failed_runs(lab)
    promised = {
        "StartRunBatch": (1, ""),
        "ListRunsInBatch": (math.ceil(RUNS_OF_A_TASK / 100), ", pages of 100"),
        "GetRun": (failed, f", {failed} of which have failed"),
    }
    return [
        Figure(
            what=f"{operation} for {RUNS_OF_A_TASK:,} runs{of_which}",
            unit="calls",
            ours=calls[operation],
            at_most=at_most,
        )
        for operation, (at_most, of_which) in promised.items()
    ]


def _failed_runs(lab: Laboratory) -> int:
    client: Any = lab.emulator.client("omics")
    [batch] = client.list_batch()["items"]
    return int(client.get_batch(batchId=batch["id"])["runSummary"]["failedRunCount"])

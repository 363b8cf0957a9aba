"""
What batches cost while they wait, 1,000 of them in one process.

The alternative is a subclass of the amazon provider's generic waiter trigger, with a waiter for GetBatch.
Each side looks at the same batches at the same interval, four times on average; our rate limit is raised for
that, to have the cost of a look measured over thousands of them. What a look costs depends on the machine, so
it is also put beside the call that is in it, made as often by the same kind of client.
"""

from __future__ import annotations

from typing import Any

from tests.benchmarks.cohort import DEFAULT_RUN_SETTING
from tests.benchmarks.figures import Figure
from tests.benchmarks.laboratory import Laboratory, laboratory

BATCHES = 1000
INTERVAL = 10
LOOKS = 4

COME_AND_GO = 10_000

#: Milliseconds: what a look may take on a machine on which a GetBatch takes so long by itself.
LOOK, BARE = 1.5, 0.9

#: Their runs begin at once and go on for days.
OPTIONS = ("--speed", "1000", "--start-run-tps", "1000", "--concurrent-runs", "2000", "--run-seconds", "1e9")

FAST = {"OMICS_BATCH__REQUESTS_PER_SECOND": "1000"}


def run() -> list[Figure]:
    with laboratory("waiting", *OPTIONS) as lab:
        batch_ids = _start_batches(lab, BATCHES)
        arguments = {"batch_ids": batch_ids, "interval": INTERVAL, "looks": LOOKS}
        ours = lab.measure("waiting:ours", configuration=FAST, **arguments)
        bare = lab.measure("waiting:bare", **arguments)
        rival = lab.measure("waiting:rival", **arguments)
        lab.emulator.client("omics").cancel_run_batch(batchId=batch_ids[0])
        left = lab.measure(
            "waiting:come_and_go",
            configuration=FAST,
            ended_id=batch_ids[0],
            waiting_id=batch_ids[1],
            triggers=COME_AND_GO,
        )
    return [*_figures(ours, rival, bare), *_leaks(left)]


def _start_batches(lab: Laboratory, count: int) -> list[str]:
    """Start batches of one run each."""
    client = lab.emulator.client("omics")
    return [
        client.start_run_batch(
            requestId=f"waiting-{number}",
            defaultRunSetting=DEFAULT_RUN_SETTING,
            batchRunSettings={"inlineSettings": [{"runSettingId": f"sample-{number}"}]},
        )["id"]
        for number in range(count)
    ]


def _figures(ours: dict[str, Any], rival: dict[str, Any], bare: dict[str, Any]) -> list[Figure]:
    return [
        Figure(
            what="memory of each batch beyond the first",
            unit="MB",
            ours=ours["memory"],
            rival=rival["memory"],
            at_most=0.1,
            ratio_at_most=1 / 10,
        ),
        Figure(
            what="event loop blocked at the worst, after the first client",
            unit="ms",
            ours=1000 * ours["worst_stall"],
            rival=1000 * rival["worst_stall"],
            at_most=100,
            ratio_at_most=1 / 5,
        ),
        Figure(
            what="event loop blocked while the first client is made",
            unit="ms",
            ours=1000 * ours["first_stall"],
            rival=1000 * rival["first_stall"],
        ),
        Figure(
            what="CPU of a look",
            unit="ms",
            ours=1000 * ours["cpu_per_look"],
            rival=1000 * rival["cpu_per_look"],
        ),
        Figure(
            what="CPU of a look, beside a bare GetBatch of aiobotocore",
            unit="ms",
            ours=1000 * ours["cpu_per_look"],
            rival=1000 * bare["cpu_per_look"],
            ratio_at_most=LOOK / BARE,
        ),
        Figure(
            what=f"CPU of a batch that is looked at {LOOKS} times",
            unit="ms",
            ours=1000 * ours["cpu_per_batch"],
            rival=1000 * rival["cpu_per_batch"],
            ratio_at_most=1 / 5,
        ),
    ]


def _leaks(left: dict[str, int]) -> list[Figure]:
    return [
        Figure(what=f"{what} left of {COME_AND_GO:,} triggers", unit=what, ours=count, at_most=0)
        for what, count in left.items()
    ]

"""
What the emulator takes for large batches, each time in a fresh process without a server.

The alternative to one batch of 100,000 runs is ten of 10,000, and to a large batch a small one.
"""

from __future__ import annotations

from tests.benchmarks.figures import Figure
from tests.benchmarks.laboratory import laboratory

RUNS = 100_000
PARTS = 10
FEW_RUNS = 100


def run() -> list[Figure]:
    with laboratory("emulator") as lab:
        one, parts = lab.in_turns("emulator:one_batch", "emulator:several_batches", runs=RUNS, parts=PARTS)
        kept = lab.measure("emulator:one_batch_kept", runs=RUNS, parts=1)
        few = lab.measure("emulator:one_batch", runs=FEW_RUNS, parts=1)
    what = f"beside {PARTS} batches of {RUNS // PARTS:,}"
    return [
        Figure(
            what=f"most memory of a process that has accepted {RUNS:,} runs, {what}",
            unit="MB",
            ours=one["peak"],
            rival=parts["peak"],
            at_most=300,
        ),
        Figure(
            what="the same with a state file, beside without one",
            unit="MB",
            ours=kept["peak"],
            rival=one["peak"],
            at_most=300,
        ),
        Figure(
            what=f"CPU to accept {RUNS:,} runs, {what}",
            unit="s",
            ours=one["cpu"],
            rival=parts["cpu"],
            ratio_at_most=1.2,
        ),
        Figure(
            what=f"GetBatch of {RUNS:,} runs, beside one of {FEW_RUNS}",
            unit="ms",
            ours=one["get_batch_ms"],
            rival=few["get_batch_ms"],
            ratio_at_most=2,
        ),
    ]

"""A batch's progress as one line of a log."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from airflow_provider_omics_batch.run_batch.pace import Pace
from airflow_provider_omics_batch.run_batch.states import BatchState
from airflow_provider_omics_batch.run_batch.targets import work_left

BAR_WIDTH = 20

#: What matters most comes first.
_ORDER = ("completed", "failed", "cancelled", "deleted", "stopping", "running", "starting", "pending")


def progress_line(state: BatchState, pace: Pace) -> str:
    """Return status, bar, counts, rate and time left, such as fit the state."""
    head = f"Run batch {state.batch_id} {state.status}"
    if not state.total:
        return head
    share = 1 - min(1.0, max(work_left(state, pace.target).values()) / state.total)
    line = f"{head} {_bar(share)} {share:4.0%} of {state.total:,} runs: {', '.join(_counts(state))}"
    if state.ended or not pace.seconds_left:
        return line
    return f"{line}; {pace.per_second:.3g} a second, about {duration(pace.seconds_left)} left"


def _counts(state: BatchState) -> Iterator[str]:
    submissions, runs = state.submissions, asdict(state.runs)
    missing = state.total - submissions.successful - submissions.failed
    if missing > 0 and not state.ended:
        yield f"{submissions.successful:,} submitted"
    for status in _ORDER:
        if runs[status]:
            yield f"{runs[status]:,} {status}"
    if submissions.failed:
        yield f"{submissions.failed:,} could not be submitted"
    if missing > 0 and state.ended:
        yield f"{missing:,} never submitted"


def duration(seconds: float) -> str:
    """Return a time span as a person says it: 40 s, 12 min, 5 h 33 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _bar(share: float) -> str:
    return f"[{'#' * int(share * BAR_WIDTH):-<{BAR_WIDTH}}]"

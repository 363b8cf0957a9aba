"""A batch's progress as one line of a log."""

from __future__ import annotations

from dataclasses import asdict

from airflow_provider_omics_batch.run_batch.pace import Pace
from airflow_provider_omics_batch.run_batch.states import BatchState

BAR_WIDTH = 20


def progress_line(state: BatchState, pace: Pace) -> str:
    """Return status, bar, counts, rate and time left, such as fit the state."""
    if not state.total:
        return f"Run batch {state.batch_id} is {state.status}"
    ended = state.runs.ended + state.submissions.failed
    share = min(1.0, ended / state.total)
    submitted = state.submissions.successful + state.submissions.failed
    parts = [
        f"{_bar(share)} {share:4.0%} of {state.total:,} runs",
        f"{submitted:,} submitted" if submitted < state.total else "all submitted",
    ]
    if state.submissions.failed:
        parts.append(f"{state.submissions.failed:,} submissions failed")
    parts += [f"{count:,} {status}" for status, count in asdict(state.runs).items() if count]
    if not state.ended and pace.runs_per_second:
        parts.append(f"{pace.runs_per_second:.3g} runs/s")
        parts.append(f"about {duration(pace.seconds_left or 0)} left")
    return f"Run batch {state.batch_id} {state.status} {parts[0]}: {', '.join(parts[1:])}"


def duration(seconds: float) -> str:
    """Return a time span as a person says it: 40 s, 12 min, 5 h 33 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _bar(share: float) -> str:
    return f"[{'#' * int(share * BAR_WIDTH):-<{BAR_WIDTH}}]"

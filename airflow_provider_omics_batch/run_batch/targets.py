"""What a batch is waited for to come to, and how much of the way is left."""

from __future__ import annotations

from typing import Literal, get_args

from airflow_provider_omics_batch.run_batch.states import PROCESSED, BatchState

#: What the author of a Dag can wait for.
WaitUntil = Literal["processed", "submitted"]

#: ``processed`` is the end of a batch, whatever that is; ``submitted`` that, or that every submission has
#: been tried; ``runs_deleted`` the end of a deletion of its runs.
Target = Literal[WaitUntil, "runs_deleted"]


def check_wait_until(wait_until: object) -> None:
    """
    Refuse what cannot be waited for.

    :raises ValueError: With what would be valid.
    """
    if wait_until not in get_args(WaitUntil):
        raise ValueError(f"wait_until is 'processed' or 'submitted', not {wait_until!r}")


def is_reached(state: BatchState, target: Target) -> bool:
    """Return whether there is nothing more to wait for, be it that the target cannot be reached any more."""
    if target == "runs_deleted":
        return state.ended and state.status not in ("RUNS_DELETING", PROCESSED, "CANCELLED")
    return state.ended or (target == "submitted" and state.all_submitted)


def work_left(state: BatchState, target: Target) -> dict[str, int]:
    """Return how much of each kind of work is left until the target is reached."""
    if target == "runs_deleted":
        tried = state.deletions.successful + state.deletions.failed
        return {"deletions": max(0, state.submissions.successful - tried)}
    left = {"submissions": max(0, state.total - state.submissions.attempted)}
    if target == "processed":
        left["runs"] = max(0, state.total - state.submissions.failed - state.runs.ended)
    return left

"""When a batch that ended counts as a success."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from airflow_provider_omics_batch.run_batch.states import PROCESSED, BatchState
from airflow_provider_omics_batch.run_batch.targets import Target, WaitUntil


def allowed_failures(max_failed_runs: float, total: int) -> int:
    """
    Return how many runs may go wrong.

    :param max_failed_runs: An int is a number of runs, a float below 1 a fraction of ``total``.
    """
    if isinstance(max_failed_runs, float):
        # The share is rounded down, but 0.29 of 100, which is 28.999999999999996, to 29.
        return int(round(max_failed_runs * total, 6))
    return max_failed_runs


def check_max_failed_runs(max_failed_runs: object) -> None:
    """
    Refuse what is neither a number of runs nor a fraction of them.

    :raises ValueError: With what would be valid.
    """
    if type(max_failed_runs) is int and max_failed_runs >= 0:
        return
    if type(max_failed_runs) is float and 0 <= max_failed_runs <= 1:
        return
    raise ValueError(
        "max_failed_runs is a number of runs (an int, 0 or more) or a fraction of all runs "
        f"(a float from 0.0 to 1.0), not {max_failed_runs!r}"
    )


def losses(state: BatchState, target: Target = "processed") -> dict[str, int]:
    """
    Return how many runs of a batch went wrong until now, by what happened to them.

    :param target: What the batch is to come to. Where it only has to be submitted, what becomes of a run
        afterwards is not its matter.
    """
    lost = {"could not be submitted": state.submissions.failed}
    if target == "submitted":
        return lost
    return {
        **lost,
        "failed": state.runs.failed,
        "were cancelled": state.runs.cancelled,
        "were deleted": state.runs.deleted,
    }


def objection(
    state: BatchState,
    max_failed_runs: float = 0,
    batch_ids: Sequence[str] = (),
    target: WaitUntil = "processed",
) -> str | None:
    """
    Return why what a batch has come to does not count as a success, or ``None`` where it does.

    ``PROCESSED`` says that every run has come to an end, not that it was a good one.

    :param state: The last batch's, with the counts of all, where failed runs were sent again.
    :param max_failed_runs: How many failed submissions, failed and cancelled runs are borne together:
        an int, or a float as a fraction of all runs.
    :param batch_ids: All batches, where there are more.
    :param target: What it was to come to. Where that is to be submitted, only failed submissions count.
    """
    whose = f"its {state.total:,} runs"
    if len(batch_ids) > 1:
        whose = f"the {state.total:,} runs of batches {', '.join(batch_ids[:-1])} and {batch_ids[-1]}"
    if state.status != PROCESSED and not (target == "submitted" and state.all_submitted):
        reason = f": {state.failure_reason}" if state.failure_reason else ""
        under_way = state.runs.under_way
        unstarted = {"are under way": under_way, "were not started": state.unaccounted - under_way}
        details = _listed({"completed": state.runs.completed, **losses(state), **unstarted})
        counts = f"; of {whose}, {details}" if details else ""
        return f"Run batch {state.batch_id} is {state.status}{reason}{counts}"
    if not state.total:
        return (
            f"Run batch {state.batch_id} was {target}, but HealthOmics does not tell what became of its runs"
        )
    lost = {**losses(state, target), **_unaccounted(state, target)}
    count, allowed = sum(lost.values()), allowed_failures(max_failed_runs, state.total)
    if count <= allowed:
        return None
    return (
        f"Run batch {state.batch_id} was {target}, but of {whose}, {_listed(lost)}; "
        f"max_failed_runs={max_failed_runs!r} allows {allowed:,}"
    )


def _unaccounted(state: BatchState, target: WaitUntil) -> dict[str, int]:
    if target == "submitted":
        return {"are not accounted for": max(0, state.total - state.submissions.attempted)}
    under_way = state.runs.under_way
    return {"are under way still": under_way, "are not accounted for": state.unaccounted - under_way}


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {what}" for what, count in counts.items() if count > 0)

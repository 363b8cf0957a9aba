"""Where a task keeps its batches: in XCom while it is deferred, and on Airflow 3.3 over its tries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_omics_batch.run_batch.submitted import SubmittedBatch

if TYPE_CHECKING:
    from airflow.sdk import Context

#: The key, in XCom and in the task state store.
RUN_BATCHES = "run_batches"


def push(context: Context, **values: Any) -> None:
    """Publish values as XCom, each under its own key."""
    for key, value in values.items():
        context["ti"].xcom_push(key=key, value=value)


def pull(context: Context, key: str) -> Any:
    """Return what this task has pushed in this try."""
    ti = context["ti"]
    return ti.xcom_pull(task_ids=ti.task_id, key=key, map_indexes=ti.map_index)


def batches_of_this_try(context: Context) -> list[SubmittedBatch]:
    """Return all batches that this task has gone on with or submitted, the oldest first."""
    return [SubmittedBatch.read(stored) for stored in pull(context, RUN_BATCHES) or []]


def batches_of_earlier_tries(context: Context) -> list[SubmittedBatch]:
    """
    Return the batches that earlier tries have submitted since the last clear, where Airflow has kept them.

    Airflow 3.3 keeps them over retries, and over a clear, too: by max_tries the two are told apart.
    """
    kept: Any = context["task_state_store"].get(RUN_BATCHES) if has_store(context) else None
    if not kept or kept["max_tries"] != context["ti"].max_tries:
        return []
    return [SubmittedBatch.read(stored) for stored in kept["batches"]]


def remember(context: Context, batches: list[SubmittedBatch]) -> None:
    """Publish and keep the batches of a task, the last of which it is about to wait for."""
    if has_store(context):
        stored = [batch.stored() for batch in batches]
        kept: Any = {"max_tries": context["ti"].max_tries, "batches": stored}
        context["task_state_store"].set(RUN_BATCHES, kept, retention=_for_ever())
    publish(context, batches)


def publish(context: Context, batches: list[SubmittedBatch]) -> None:
    """Publish the batches of a task, and note them for this try."""
    stored = [batch.stored() for batch in batches]
    batch_ids = [batch.batch_id for batch in batches]
    push(context, **batches[-1].identity, batch_ids=batch_ids, **{RUN_BATCHES: stored})


def _for_ever() -> Any:
    """Airflow forgets after 30 days unless told otherwise; a large batch may take longer."""
    from airflow.sdk.execution_time import context

    return getattr(context, "NEVER_EXPIRE", None)


def has_store(context: Context) -> bool:
    """Return whether Airflow keeps something for a task over its tries."""
    return context.get("task_state_store") is not None

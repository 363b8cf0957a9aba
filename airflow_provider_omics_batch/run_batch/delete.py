"""Deletes the runs of a batch, and the record of one."""

from __future__ import annotations

from botocore.exceptions import ClientError

from airflow_provider_omics_batch.exceptions import RunBatchFailedError
from airflow_provider_omics_batch.run_batch.cancel import NOT_AS_IT_IS
from airflow_provider_omics_batch.run_batch.client import Log, PatientClient
from airflow_provider_omics_batch.run_batch.faults import code_of
from airflow_provider_omics_batch.run_batch.look import look_or_gone
from airflow_provider_omics_batch.run_batch.records import Outcome
from airflow_provider_omics_batch.run_batch.states import ENDED, GONE, RUNS_DELETED, BatchState

#: In these HealthOmics deletes the runs of a batch, or its record.
CAN_DELETE_RUNS = frozenset({"PROCESSED", "CANCELLED"})
CAN_DELETE_BATCH = ENDED - {"RUNS_DELETING", GONE}


async def request_deletion(client: PatientClient, batch_id: str, log: Log) -> BatchState | None:
    """
    Ask HealthOmics to delete the runs of a batch.

    :return: ``None`` where they are going to be deleted, or the batch's state where there are none to delete,
        or somebody has asked for it before.
    :raises RunBatchFailedError: The batch is not in a state in which its runs can be deleted.
    :raises botocore.exceptions.ClientError: HealthOmics refuses for another reason.
    """
    state = await _try(client, "delete_run_batch", batch_id, CAN_DELETE_RUNS)
    if state is None:
        log.info("The runs of batch %s are going to be deleted", batch_id)
        return None
    never_had_any = state.status == "FAILED" and not state.submissions.successful
    if state.status not in {*RUNS_DELETED, GONE} and not never_had_any:
        raise _not_now(state, "the runs of a batch that is PROCESSED or CANCELLED")
    if state.status != GONE:
        known = (
            "it never had any runs"
            if never_had_any
            else "its runs were deleted, or are being deleted, already"
        )
        log.info("Run batch %s is %s; %s", batch_id, state.status, known)
    return state


async def delete_batch(client: PatientClient, batch_id: str, log: Log) -> None:
    """
    Delete the record of a batch; its runs stay.

    :raises RunBatchFailedError: The batch has not ended.
    :raises botocore.exceptions.ClientError: HealthOmics refuses for another reason.
    """
    state = await _try(client, "delete_batch", batch_id, CAN_DELETE_BATCH)
    if state is None:
        log.info("The record of run batch %s was deleted", batch_id)
    elif state.status == GONE:
        log.info("There is no record of run batch %s to delete", batch_id)
    else:
        raise _not_now(state, "the record of a batch that has ended and whose runs are not being deleted")


async def _try(
    client: PatientClient, operation: str, batch_id: str, allowed: frozenset[str]
) -> BatchState | None:
    """Return ``None`` where HealthOmics does what it is asked for, or in which state the batch is instead."""
    try:
        await client.call(operation, required=None, batchId=batch_id)
    except ClientError as error:
        if code_of(error) not in NOT_AS_IT_IS:
            raise
        state = await look_or_gone(client, batch_id)
        if state.status in allowed:
            raise
        return state
    return None


def _not_now(state: BatchState, what: str) -> RunBatchFailedError:
    message = f"Run batch {state.batch_id} is {state.status}; HealthOmics deletes {what}"
    return RunBatchFailedError(message, state.batch_id, Outcome(state).summary())

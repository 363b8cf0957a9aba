"""Cancels a batch, for good reasons only."""

from __future__ import annotations

import asyncio
import time
from typing import NamedTuple

from botocore.exceptions import ClientError

from airflow_provider_omics_batch.run_batch.client import Log, PatientClient
from airflow_provider_omics_batch.run_batch.faults import FAULTS, code_of, remedy
from airflow_provider_omics_batch.run_batch.look import GRACE_FOR_A_NEW_BATCH, look_or_gone
from airflow_provider_omics_batch.run_batch.states import GONE, BatchState

#: Seconds for a cancellation. A process that is told to end has thirty.
PATIENCE = 25

#: Seconds between two attempts, as long as a batch is being created.
PAUSE = 1.0

#: In these HealthOmics cancels a batch.
CAN_CANCEL = frozenset({"PENDING", "SUBMITTING", "INPROGRESS"})

#: The batch is not in a state that allows what was asked for, or is so new that it is not known everywhere.
#: AWS does not say which error the former gives.
NOT_AS_IT_IS = frozenset({"ConflictException", "ValidationException", "ResourceNotFoundException"})


class Refusal(NamedTuple):
    """
    HealthOmics does not cancel a batch.

    :param state: How the batch was after that.
    :param error: What HealthOmics has answered.
    """

    state: BatchState
    error: ClientError

    def may_pass(self, seconds: float) -> bool:
        """
        Return whether it may be another time.

        :param seconds: Since when it was tried. What HealthOmics does not know, or not know yet to be so far
            that it can be cancelled, it should by the end of the grace.
        """
        if self.state.status in {GONE, *CAN_CANCEL}:
            return seconds < GRACE_FOR_A_NEW_BATCH
        return not self.state.ended and self.state.status != "STOPPING"

    def state_or_error(self) -> BatchState:
        """
        Return the state in which there is nothing to cancel.

        :raises botocore.exceptions.ClientError: There is.
        """
        if self.state.status in CAN_CANCEL:
            raise self.error
        return self.state


async def cancel_run_batch(
    client: PatientClient, batch_id: str, log: Log, patience: float = PATIENCE
) -> bool:
    """
    Cancel a batch, and tell in the log how that went; never raises what AWS answers.

    :param client: Calls HealthOmics.
    :param batch_id: The batch to cancel; HealthOmics does not cancel it until it is created.
    :param log: Gets the result.
    :param patience: Seconds for all of it.
    :return: Whether HealthOmics has accepted the cancellation.
    """
    try:
        async with asyncio.timeout(patience):
            state = await request_cancellation(client, batch_id, log)
    except FAULTS as error:
        log.warning(
            "Run batch %s was not cancelled: %s", batch_id, remedy(error) or str(error) or "no answer in time"
        )
        return False
    if state is not None:
        log.info("Run batch %s is %s; there is nothing to cancel", batch_id, state.status)
    return state is None


async def request_cancellation(client: PatientClient, batch_id: str, log: Log) -> BatchState | None:
    """
    Ask HealthOmics to cancel a batch, as soon as it can be.

    :return: ``None`` where it is going to be cancelled, or its state where there is nothing to cancel.
    :raises botocore.exceptions.ClientError: HealthOmics refuses, and will go on refusing.
    """
    began = time.monotonic()
    while refusal := await try_cancellation(client, batch_id, log):
        if not refusal.may_pass(time.monotonic() - began):
            return refusal.state_or_error()
        await asyncio.sleep(PAUSE)
    return None


async def try_cancellation(client: PatientClient, batch_id: str, log: Log) -> Refusal | None:
    """
    Ask HealthOmics to cancel a batch as it is now.

    :return: ``None`` where it is going to be cancelled.
    :raises botocore.exceptions.ClientError: HealthOmics refuses for a reason that has nothing to do with how
        the batch is.
    """
    # No look before: of those, many batches may be waiting for their turn.
    try:
        await client.call("cancel_run_batch", required=None, batchId=batch_id)
    except ClientError as error:
        if code_of(error) not in NOT_AS_IT_IS:
            raise
        return Refusal(await look_or_gone(client, batch_id), error)
    log.info("Run batch %s was cancelled", batch_id)
    return None

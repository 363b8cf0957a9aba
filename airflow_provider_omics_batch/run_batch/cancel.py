"""Cancels a batch, for good reasons only."""

from __future__ import annotations

import asyncio

from botocore.exceptions import ClientError

from airflow_provider_omics_batch.run_batch.client import Log, PatientClient
from airflow_provider_omics_batch.run_batch.faults import FAULTS, code_of, remedy
from airflow_provider_omics_batch.run_batch.look import look

#: Seconds between two attempts to cancel a batch that is still being created.
CREATING_PAUSE = 1.0


async def cancel_run_batch(client: PatientClient, batch_id: str, log: Log, patience: float = 25) -> bool:
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
            return await _cancel(client, batch_id, log)
    except FAULTS as error:
        log.warning(
            "Run batch %s was not cancelled: %s", batch_id, remedy(error) or error or "no answer in time"
        )
        return False


async def _cancel(client: PatientClient, batch_id: str, log: Log) -> bool:
    while True:
        try:
            state = await look(client, batch_id)
        except ClientError as error:
            # It may be so new that it is not known everywhere.
            if code_of(error) != "ResourceNotFoundException":
                raise
            await asyncio.sleep(CREATING_PAUSE)
            continue
        if state.ended or state.status == "STOPPING":
            log.info("Run batch %s is %s; there is nothing to cancel", batch_id, state.status)
            return False
        try:
            if state.status != "CREATING":
                await client.call("cancel_run_batch", required=None, batchId=batch_id)
                log.info("Run batch %s was cancelled while it was %s", batch_id, state.status)
                return True
        except ClientError as error:
            # It has gone on to another status since it was looked at.
            if code_of(error) not in ("ConflictException", "ValidationException"):
                raise
        await asyncio.sleep(CREATING_PAUSE)

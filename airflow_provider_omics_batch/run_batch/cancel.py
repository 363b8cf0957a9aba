"""Cancels a batch, for good reasons only."""

from __future__ import annotations

import asyncio

from botocore.exceptions import ClientError

from airflow_provider_omics_batch.run_batch.client import Log, PatientClient
from airflow_provider_omics_batch.run_batch.faults import FAULTS, code_of, remedy
from airflow_provider_omics_batch.run_batch.look import look
from airflow_provider_omics_batch.run_batch.states import ENDED

#: Seconds for a cancellation. A process that is told to end has thirty.
PATIENCE = 25

#: Seconds between two attempts to cancel a batch that is still being created.
CREATING_PAUSE = 1.0

#: A batch that is being created cannot be cancelled yet, and may be so new that it is not known everywhere.
#: AWS does not say which error the former gives.
_NOT_AS_IT_IS = frozenset({"ConflictException", "ValidationException", "ResourceNotFoundException"})


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
            return await _cancel(client, batch_id, log)
    except FAULTS as error:
        log.warning(
            "Run batch %s was not cancelled: %s", batch_id, remedy(error) or error or "no answer in time"
        )
        return False


async def _cancel(client: PatientClient, batch_id: str, log: Log) -> bool:
    while True:
        # No look before: of those, many batches may be waiting for their turn.
        try:
            await client.call("cancel_run_batch", required=None, batchId=batch_id)
        except ClientError as error:
            if code_of(error) not in _NOT_AS_IT_IS:
                raise
        else:
            log.info("Run batch %s was cancelled", batch_id)
            return True
        status = await _status(client, batch_id)
        if status in ENDED or status == "STOPPING":
            log.info("Run batch %s is %s; there is nothing to cancel", batch_id, status)
            return False
        await asyncio.sleep(CREATING_PAUSE)


async def _status(client: PatientClient, batch_id: str) -> str | None:
    try:
        return (await look(client, batch_id)).status
    except ClientError as error:
        if code_of(error) != "ResourceNotFoundException":
            raise
        return None

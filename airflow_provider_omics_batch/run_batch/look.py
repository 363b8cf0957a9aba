"""One look at a batch."""

from __future__ import annotations

from tenacity import AsyncRetrying, retry_if_exception, stop_before_delay, wait_exponential

from airflow_provider_omics_batch.run_batch.client import PatientClient
from airflow_provider_omics_batch.run_batch.faults import code_of
from airflow_provider_omics_batch.run_batch.states import BatchState

#: Seconds in which a batch may be unknown at first: a record just made need not be visible everywhere.
GRACE_FOR_A_NEW_BATCH = 180


async def first_look(client: PatientClient, batch_id: str, submitted: int = 0) -> BatchState:
    """
    Return the state of a batch that may be so new that HealthOmics does not know it yet.

    :raises botocore.exceptions.ClientError: HealthOmics does not know it, or refuses to tell.
    """
    retrying = AsyncRetrying(
        retry=retry_if_exception(lambda error: code_of(error) == "ResourceNotFoundException"),
        stop=stop_before_delay(GRACE_FOR_A_NEW_BATCH),
        wait=wait_exponential(max=10),
        reraise=True,
    )
    return await retrying(look, client, batch_id, submitted)


async def look(client: PatientClient, batch_id: str, submitted: int = 0) -> BatchState:
    """Return the state of a batch as it is now."""
    answer = await client.call("get_batch", required="status", batchId=batch_id)
    return BatchState.from_response(batch_id, answer, submitted)

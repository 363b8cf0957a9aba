"""One look at a batch."""

from __future__ import annotations

from botocore.exceptions import ClientError
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_before_delay, wait_exponential

from airflow_provider_omics_batch.run_batch.client import PatientClient
from airflow_provider_omics_batch.run_batch.faults import code_of
from airflow_provider_omics_batch.run_batch.states import GONE, BatchState

#: Seconds in which a batch may be unknown at first: a record just made need not be visible everywhere.
GRACE_FOR_A_NEW_BATCH = 180


async def first_look(client: PatientClient, batch_id: str, submitted: int = 0) -> BatchState:
    """
    Return the state of a batch that may be so new that HealthOmics does not know it yet.

    :raises botocore.exceptions.ClientError: HealthOmics does not know it, or refuses to tell.
    """

    def report(retry: RetryCallState) -> None:
        if retry.attempt_number == 1:
            client.log.warning(
                "HealthOmics does not know run batch %s; in case it is new, it is asked for up to %s s",
                batch_id,
                GRACE_FOR_A_NEW_BATCH,
            )

    retrying = AsyncRetrying(
        retry=retry_if_exception(lambda error: code_of(error) == "ResourceNotFoundException"),
        stop=stop_before_delay(GRACE_FOR_A_NEW_BATCH),
        wait=wait_exponential(max=10),
        before_sleep=report,
        reraise=True,
    )
    return await retrying(look, client, batch_id, submitted)


async def look_if_known(client: PatientClient, batch_id: str, seconds: float) -> BatchState | None:
    """
    Return the state of a batch, or ``None`` if it may be so new that HealthOmics does not know it yet.

    :param seconds: Since when it has been asked.
    :raises botocore.exceptions.ClientError: HealthOmics does not know it, or refuses to tell.
    """
    try:
        return await look(client, batch_id)
    except ClientError as error:
        if code_of(error) != "ResourceNotFoundException" or seconds >= GRACE_FOR_A_NEW_BATCH:
            raise
    client.log.warning(
        "HealthOmics does not know run batch %s; in case it is new, it is asked again", batch_id
    )
    return None


async def look_or_gone(
    client: PatientClient, batch_id: str, submitted: int = 0, *, may_be_new: bool = False
) -> BatchState:
    """
    Return the state of a batch as it is now, be it that HealthOmics knows it no more.

    :param may_be_new: Whether it may have been submitted so lately that HealthOmics does not know it yet.
    """
    ask = first_look if may_be_new else look
    try:
        return await ask(client, batch_id, submitted)
    except ClientError as error:
        if code_of(error) != "ResourceNotFoundException":
            raise
    why = "HealthOmics has no record of it any more"
    return BatchState(batch_id, GONE, total=submitted, failure_reason=why)


async def look(client: PatientClient, batch_id: str, submitted: int = 0) -> BatchState:
    """Return the state of a batch as it is now."""
    answer = await client.call("get_batch", required="status", batchId=batch_id)
    return BatchState.from_response(batch_id, answer, submitted)

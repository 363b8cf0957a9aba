"""The one way of waiting for a batch."""

from __future__ import annotations

import asyncio

from tenacity import AsyncRetrying, retry_if_exception, stop_before_delay, wait_exponential

from airflow_provider_omics_batch.run_batch.client import Log, PatientClient
from airflow_provider_omics_batch.run_batch.faults import FAULTS, code_of
from airflow_provider_omics_batch.run_batch.pace import Pace
from airflow_provider_omics_batch.run_batch.progress import progress_line
from airflow_provider_omics_batch.run_batch.states import UNDER_WAY, BatchState, plain

#: Seconds in which a batch may be unknown at first: a record just made need not be visible everywhere.
GRACE_FOR_A_NEW_BATCH = 180

#: So many failed submissions are shown with their reasons while the batch is under way.
SHOWN_FAILED_SUBMISSIONS = 20


async def watch_run_batch(
    client: PatientClient, batch_id: str, *, poll_interval: float, log: Log, submitted: int = 0
) -> BatchState:
    """
    Return the state of a batch once it has ended, however it has.

    Only reads, and can be started again at any time. Logs a line when the counts have changed.

    :param client: Calls HealthOmics.
    :param batch_id: The batch to watch.
    :param poll_interval: Seconds; the shortest time between two looks. It grows with the work that is left.
    :param log: Gets the progress.
    :param submitted: Runs that were submitted, for answers that have no total.
    :raises botocore.exceptions.ClientError: AWS refuses to tell, and will go on refusing.
    """
    pace, previous, shown = Pace(poll_interval), None, set[str]()
    state = await _first_look(client, batch_id, submitted)
    while True:
        pace.note(state, asyncio.get_running_loop().time())
        if state != previous:
            _report(state, pace, log)
            if state.submissions.failed > len(shown) < SHOWN_FAILED_SUBMISSIONS:
                await _report_failed_submissions(client, batch_id, shown, log)
        if state.ended:
            return state
        previous = state
        await asyncio.sleep(pace.seconds_to_next_look())
        state = await look(client, batch_id, submitted)


async def _first_look(client: PatientClient, batch_id: str, submitted: int) -> BatchState:
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


def _report(state: BatchState, pace: Pace, log: Log) -> None:
    log.info(progress_line(state, pace))
    if not state.ended and state.status not in UNDER_WAY:
        log.warning("%s is a status that this version does not know; it goes on waiting", state.status)


async def _report_failed_submissions(client: PatientClient, batch_id: str, shown: set[str], log: Log) -> None:
    try:
        page = await client.call(
            "list_runs_in_batch",
            required="runs",
            patience=0,
            batchId=batch_id,
            submissionStatus="FAILED",
        )
    except FAULTS:
        # They are told at the end in any case.
        return
    for run in page["runs"]:
        name = run.get("runSettingId", "?")
        failed = run.get("submissionStatus") == "FAILED"
        if failed and name not in shown and len(shown) < SHOWN_FAILED_SUBMISSIONS:
            shown.add(name)
            log.warning(
                "%s could not be submitted: %s: %s",
                name,
                plain(run.get("submissionFailureReason")),
                plain(run.get("submissionFailureMessage")),
            )

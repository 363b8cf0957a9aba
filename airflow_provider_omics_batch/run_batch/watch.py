"""The one way of waiting for a batch."""

from __future__ import annotations

import asyncio

from airflow_provider_omics_batch.run_batch.cancel import cancel_run_batch
from airflow_provider_omics_batch.run_batch.client import Log, PatientClient
from airflow_provider_omics_batch.run_batch.fail_fast import FailFast
from airflow_provider_omics_batch.run_batch.faults import FAULTS
from airflow_provider_omics_batch.run_batch.look import first_look, look
from airflow_provider_omics_batch.run_batch.pace import LONGEST, LONGEST_UNFORESEEN, Pace
from airflow_provider_omics_batch.run_batch.progress import progress_line
from airflow_provider_omics_batch.run_batch.states import UNDER_WAY, BatchState, plain
from airflow_provider_omics_batch.run_batch.targets import Target, is_reached

#: So many failed submissions are shown with their reasons while the batch is under way.
SHOWN_FAILED_SUBMISSIONS = 20


async def watch_run_batch(
    client: PatientClient,
    batch_id: str,
    *,
    poll_interval: float,
    log: Log,
    submitted: int = 0,
    target: Target = "processed",
    fail_fast: FailFast | None = None,
) -> BatchState:
    """
    Return the state of a batch once it has come to what it is waited for, or cannot come to it any more.

    Only reads, but for what ``fail_fast`` asks for, and can be started again at any time. Logs a line when
    the counts have changed.

    :param client: Calls HealthOmics.
    :param batch_id: The batch to watch.
    :param poll_interval: Seconds; the shortest time between two looks. It grows with the work that is left.
    :param log: Gets the progress.
    :param submitted: Runs that were submitted, for answers that have no total.
    :param target: What the batch is waited for to come to.
    :param fail_fast: Says when to cancel the batch; ``None`` for never.
    :raises botocore.exceptions.ClientError: AWS refuses to tell, and will go on refusing.
    """
    # What fail_fast may save is lost while nobody looks.
    pace = Pace(poll_interval, longest=LONGEST_UNFORESEEN if fail_fast else LONGEST, target=target)
    previous, shown = None, set[str]()
    state = await first_look(client, batch_id, submitted)
    while True:
        pace.note(state, asyncio.get_running_loop().time())
        if state != previous:
            _report(state, pace, log)
            if state.submissions.failed > len(shown) < SHOWN_FAILED_SUBMISSIONS:
                await _report_failed_submissions(client, batch_id, shown, log)
        if fail_fast and (why := await fail_fast.verdict(client, state, log)):
            log.warning("%s: fail_fast cancels run batch %s", why, batch_id)
            await cancel_run_batch(client, batch_id, log)
        elif is_reached(state, target):
            return state
        previous = state
        await asyncio.sleep(pace.seconds_to_next_look())
        state = await look(client, batch_id, submitted)


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

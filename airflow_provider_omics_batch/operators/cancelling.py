"""Cancels run batches."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_omics_batch.exceptions import RunBatchFailedError
from airflow_provider_omics_batch.operators.ending import EARLY, Lister, RunBatchEndingOperator
from airflow_provider_omics_batch.run_batch.cancel import try_cancellation
from airflow_provider_omics_batch.run_batch.client import PatientClient
from airflow_provider_omics_batch.run_batch.mapping import list_statuses, list_under_way, list_without_record
from airflow_provider_omics_batch.run_batch.records import UNDER_WAY
from airflow_provider_omics_batch.run_batch.states import GONE, BatchState

if TYPE_CHECKING:
    from airflow.sdk import Context

GO_ON = "; they are under way, and paid for unless somebody cancels them one by one"


class CancelRunBatchOperator(RunBatchEndingOperator):
    """
    Cancel a batch: what is not submitted never will be, and what is running is stopped.

    A batch that is still being created is cancelled as soon as it can be. How many runs could not be
    cancelled is told in the log and in the summary, and does not fail the task. HealthOmics does not cancel
    the runs that go on when a batch has FAILED: ``run_ids_left`` says which are to be cancelled one by one.
    A batch of which HealthOmics knows nothing at all, as in another Region, fails the task.

    .. seealso::
        https://docs.aws.amazon.com/omics/latest/dev/workflows-batch.html

    :param fail_if_ended: Whether to fail where the batch had come to another end before.

    The others are those of :class:`~airflow_provider_omics_batch.operators.ending.RunBatchEndingOperator`,
    and ``deferrable``.
    """

    target = "processed"
    done = "cancelled"
    left_as = "CANCEL_FAILED"

    def __init__(self, *, fail_if_ended: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.fail_if_ended = fail_if_ended

    async def _request(
        self, context: Context, client: PatientClient, batch_id: str
    ) -> BatchState | Literal["early"] | None:
        refusal = await try_cancellation(client, batch_id, self.log)
        if refusal is None:
            return None
        state, deadline = refusal.state, self._deadline(context)
        gives_up = state.status == GONE and deadline is not None and time.time() >= deadline
        if gives_up or not refusal.may_pass(self._seconds(context)):
            if state.status in ("STOPPING", "CANCELLED"):
                self.log.info("Run batch %s is %s already", batch_id, state.status)
            return refusal.state_or_error()
        known = "not known" if state.status == GONE else state.status
        self.log.info("Run batch %s is %s; it is cancelled as soon as it can be", batch_id, known)
        return EARLY

    def _failed(self, state: BatchState) -> int:
        return state.cancellations.failed

    def _lister(self, state: BatchState) -> Lister | None:
        if state.status == GONE:
            return partial(list_without_record, statuses=UNDER_WAY)
        if state.status == "FAILED" and state.submissions.successful > state.runs.ended:
            return list_under_way
        return super()._lister(state)

    def _miss(self, context: Context, batch_id: str, summary: dict[str, Any]) -> None:
        if self._ask(lambda client: list_statuses(client, batch_id)):
            return
        self._push_result(context, summary)
        message = (
            f"Nothing was cancelled: HealthOmics knows neither a record nor runs of batch {batch_id} in "
            f"{self._region}. Are batch_id, region_name and aws_conn_id those with which it was submitted?"
        )
        raise RunBatchFailedError(message, batch_id, summary)

    def _report(self, context: Context, state: BatchState, *, found: bool = True) -> dict[str, Any]:
        summary = super()._report(context, state, found=found)
        if not state.ended or state.status == "CANCELLED":
            return summary
        if self.fail_if_ended:
            self._push_result(context, summary)
            message = f"Run batch {state.batch_id} is {state.status}; it could not be cancelled any more"
            raise RunBatchFailedError(message, state.batch_id, summary)
        self.log.info("Run batch %s is %s; it cannot be cancelled any more", state.batch_id, state.status)
        return summary

    def _complain(self, context: Context, message: str, summary: dict[str, Any]) -> None:
        goes_on = summary["status"] in ("FAILED", GONE)
        self.log.warning("%s%s", message, GO_ON if goes_on else "")

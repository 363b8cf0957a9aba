"""Deletes the runs of run batches, and their records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields

from airflow_provider_omics_batch.exceptions import RunBatchFailedError
from airflow_provider_omics_batch.hooks.omics import OmicsHook
from airflow_provider_omics_batch.operators.ending import Lister, RunBatchEndingOperator, given_or_skip
from airflow_provider_omics_batch.operators.waiting import OmicsTask
from airflow_provider_omics_batch.run_batch.client import PatientClient
from airflow_provider_omics_batch.run_batch.delete import delete_batch, request_deletion
from airflow_provider_omics_batch.run_batch.mapping import list_undeleted, list_without_record
from airflow_provider_omics_batch.run_batch.states import GONE, BatchState

if TYPE_CHECKING:
    from airflow.sdk import Context


class DeleteRunBatchOperator(RunBatchEndingOperator):
    """
    Delete the runs of a batch that is PROCESSED or CANCELLED; its record and the runs' outputs in S3 stay.

    Runs that cannot be deleted fail the task, and so do runs of a batch whose record has gone. HealthOmics
    does not let that be tried again for a whole batch: ``run_ids_left`` says which are to be deleted one by
    one; without a record, by their own ids.

    .. seealso::
        https://docs.aws.amazon.com/omics/latest/dev/workflows-batch.html

    The arguments are those of :class:`~airflow_provider_omics_batch.operators.ending.RunBatchEndingOperator`,
    and ``deferrable``.
    """

    target = "runs_deleted"
    done = "deleted"
    left_as = "DELETE_FAILED"

    async def _request(
        self, context: Context, client: PatientClient, batch_id: str
    ) -> BatchState | Literal["early"] | None:
        return await request_deletion(client, batch_id, self.log)

    def _failed(self, state: BatchState) -> int:
        return max(1, state.deletions.failed) if state.status == "RUNS_DELETE_FAILED" else 0

    def _lister(self, state: BatchState) -> Lister | None:
        if state.status == GONE:
            return list_without_record
        return list_undeleted if self._failed(state) else None

    def _complain(self, context: Context, message: str, summary: dict[str, Any]) -> None:
        self._push_result(context, summary)
        raise RunBatchFailedError(message, summary["batch_id"], summary)


class DeleteBatchOperator(OmicsTask, AwsBaseOperator[OmicsHook]):
    """
    Delete the record of a batch that has ended; its runs stay, and can be deleted one by one only.

    A record that is not there any more is not an error.

    .. seealso::
        https://docs.aws.amazon.com/omics/latest/dev/workflows-batch.html

    :param batch_id: The batch. Without one, as after a task that has submitted none, the task is skipped.
        (templated)
    :param deferrable: As of the other operators; there is nothing to wait for, here or in the triggerer.
    """

    template_fields = aws_template_fields("batch_id")

    def __init__(self, *, batch_id: str | None, deferrable: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.batch_id = batch_id
        self.deferrable = deferrable

    def execute(self, context: Context) -> None:
        batch_id = given_or_skip(self.batch_id)
        self._ask(lambda client: delete_batch(client, batch_id, self.log))

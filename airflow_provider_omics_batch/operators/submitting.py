"""What a task submits: all of its runs, or those of them that are worth another run."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_omics_batch.exceptions import RunSettingsError
from airflow_provider_omics_batch.run_batch.faults import FAULTS
from airflow_provider_omics_batch.run_batch.identity import derive_request_id, request_id_of_round
from airflow_provider_omics_batch.run_batch.manifest import manifest_uri
from airflow_provider_omics_batch.run_batch.s3 import s3_client
from airflow_provider_omics_batch.run_batch.settings import Once, request_members
from airflow_provider_omics_batch.run_batch.submission import Prepared, Submission
from airflow_provider_omics_batch.run_batch.submitted import SubmittedBatch

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_omics_batch.operators.omics import StartRunBatchOperator
    from airflow_provider_omics_batch.run_batch.rounds import Remainder

#: What may come of an input that was good enough for an earlier submission.
UNUSABLE: tuple[type[Exception], ...] = (RunSettingsError, *FAULTS)

T = TypeVar("T")


def submission_of(operator: StartRunBatchOperator, context: Context) -> Submission:
    """Return what an operator is to submit."""
    service_model = operator.hook.service_model
    members = request_members(
        service_model,
        default_run_setting=operator.default_run_setting,
        batch_name=operator.batch_name,
        tags=operator.tags,
        request_id=operator.request_id,
    )
    return Submission(
        service_model,
        members,
        operator.run_settings(context),
        operator.staging_uri,
        # One client for the sheet and for what is staged.
        cache(partial(s3_client, **operator.hook_params)),
    )


class RunsSubmitter:
    """
    Submits the runs of a task.

    :param operator: Has what is to be submitted, with its templates rendered.
    :param context: The task's.
    """

    def __init__(self, operator: StartRunBatchOperator, context: Context) -> None:
        self._operator = operator
        self._context = context
        self._log = operator.log

    def submit(self) -> SubmittedBatch:
        """Submit all runs, or find the batch that an earlier try has made of them."""
        prepared = submission_of(self._operator, self._context).prepare()
        self._operator.check_before_submission(self._context)
        batch = self._start(prepared, may_fail=self._operator.max_failed_runs)
        count = "the staged" if prepared.total is None else f"{prepared.total:,}"
        self._log.info("Run batch %s of %s runs is %s", batch.batch_id, count, batch.status)
        return batch

    def submit_again(self, remainder: Remainder, **facts: Any) -> SubmittedBatch:
        """
        Submit those runs that are worth another run.

        :param facts: More of what is to be known of the batch, its number included.
        """
        prepared = self._read_again(lambda submission: submission.prepare_rest(remainder.has))
        if remainder.runs and not self._operator.default_run_setting.get("cacheId"):
            self._log.info(
                "Failed runs begin anew. With a cacheId and cacheBehavior CACHE_ON_FAILURE in "
                "default_run_setting they would go on after the last task that they have finished"
            )
        batch = self._start(prepared, **facts)
        self._log.info(
            "Run batch %s is %s: %s runs are sent again", batch.batch_id, batch.status, f"{prepared.total:,}"
        )
        if (missing := len(remainder.again) - batch.submitted) > 0:
            self._log.warning(
                "%s runs were worth another one, but are not in batch_run_settings any more", f"{missing:,}"
            )
        return batch

    def compare(self, first: SubmittedBatch) -> None:
        """Warn where a retry goes on with a batch that it would submit in another way now."""
        if isinstance(self._operator.batch_run_settings, Once):
            return
        try:
            digest = self._read_again(Submission.digest)
        except UNUSABLE as error:
            self._log.warning(
                "What this task is given now cannot be submitted; run batch %s stays as it is: %s",
                first.batch_id,
                error,
            )
            return
        if first.digest not in (digest, None):
            self._log.warning(
                "What this task is given has changed since it submitted run batch %s, which stays as it is. "
                "Only runs that are sent again come from the new input; clear the task to submit all of it",
                first.batch_id,
            )

    def _read_again(self, read: Callable[[Submission], T]) -> T:
        """
        Read what is given where there is a batch already.

        :raises RunSettingsError: The code that gives it has failed.
        """
        try:
            return read(submission_of(self._operator, self._context))
        except UNUSABLE:
            raise
        except Exception as error:
            raise RunSettingsError(f"batch_run_settings cannot be read again: {error!r}") from error

    def _start(self, prepared: Prepared, *, batch_number: int = 0, **facts: Any) -> SubmittedBatch:
        operator = self._operator
        if "s3UriSettings" in prepared.union:
            self._log.info("The run settings are in %s", prepared.union["s3UriSettings"])
        answer = operator.hook.start_run_batch(
            batch_run_settings=prepared.union,
            **{**prepared.members, "request_id": self._request_id(prepared, batch_number)},
        )
        batch_id, batch_uuid = answer["id"], answer.get("uuid")
        staging_uri, wait_until = operator.staging_uri, operator.wait_until
        manifest = manifest_uri(staging_uri, batch_id, batch_uuid, wait_until) if staging_uri else None
        return SubmittedBatch(
            batch_id=batch_id,
            batch_arn=answer.get("arn"),
            batch_uuid=batch_uuid,
            status=answer.get("status") or "CREATING",
            submitted=prepared.total or 0,
            digest=prepared.digest,
            wait_until=wait_until,
            manifest_uri=manifest,
            **facts,
        )

    def _request_id(self, prepared: Prepared, batch_number: int) -> str:
        if given := prepared.members["request_id"]:
            return request_id_of_round(given, batch_number)
        ti = self._context["ti"]
        return derive_request_id(
            dag_id=ti.dag_id,
            run_id=ti.run_id,
            task_id=ti.task_id,
            map_index=-1 if ti.map_index is None else ti.map_index,
            max_tries=ti.max_tries,
            dag_run_start=self._context["dag_run"].start_date,
            round_number=batch_number,
        )

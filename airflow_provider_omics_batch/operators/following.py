"""What operators and sensors have in common that publish and judge what a batch has come to."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from airflow_provider_omics_batch.exceptions import RunBatchFailedError, RunBatchTimeoutError
from airflow_provider_omics_batch.links.omics import (
    RunBatchLogsLink,
    RunBatchManifestLink,
    RunBatchOutputsLink,
)
from airflow_provider_omics_batch.operators.memory import batches_of_this_try
from airflow_provider_omics_batch.operators.publishing import Published, RunsPublisher
from airflow_provider_omics_batch.operators.waiting import (
    BACKSTOP_SECONDS,
    SECONDS_BEFORE_AIRFLOW,
    RunBatchWaiter,
)
from airflow_provider_omics_batch.run_batch.events import read_event, timed_out_batch
from airflow_provider_omics_batch.run_batch.policy import check_max_failed_runs, objection
from airflow_provider_omics_batch.run_batch.results import EndedBatch
from airflow_provider_omics_batch.run_batch.states import PROCESSED, BatchState
from airflow_provider_omics_batch.run_batch.submitted import SubmittedBatch
from airflow_provider_omics_batch.run_batch.targets import WaitUntil, check_wait_until, is_reached

if TYPE_CHECKING:
    from airflow.sdk import BaseOperatorLink, Context


class RunBatchFollower(RunBatchWaiter):
    """
    Waits for a run batch, then publishes what became of its runs and judges it.

    :param wait_until: ``"processed"``, until every run has ended; or ``"submitted"``, until every submission
        has been tried, so that the run ids are there while the runs go on.
    :param max_failed_runs: How many failed submissions and failed or cancelled runs are tolerated, together:
        an int, or a float as a fraction of all runs. With ``wait_until="submitted"`` only failed submissions
        count.
    """

    operator_extra_links: Collection[BaseOperatorLink] = (
        RunBatchLogsLink(),
        RunBatchManifestLink(),
        RunBatchOutputsLink(),
    )

    def __init__(
        self, *, wait_until: WaitUntil = "processed", max_failed_runs: float = 0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        check_wait_until(wait_until)
        check_max_failed_runs(max_failed_runs)
        self.wait_until = wait_until
        self.max_failed_runs = max_failed_runs
        self._every_reason = False

    def wait(self, context: Context, batch: SubmittedBatch, **watching: Any) -> dict[str, Any]:
        """
        Wait for a batch, and return what :meth:`execute_complete` does.

        :param watching: More arguments of :meth:`wait_for`.
        """
        summary: dict[str, Any] = self.wait_for(
            context,
            batch.batch_id,
            manifest_uri=batch.manifest_uri,
            submitted=batch.submitted,
            wait_until=self.wait_until,
            **watching,
        )
        return summary

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """
        Publish what became of the batch, then judge it.

        :raises RunBatchFailedError: It did not end well enough.
        :raises RunBatchTimeoutError: It did not come in time to what it was waited for.
        :raises botocore.exceptions.ClientError: AWS did not tell how it ended.
        """
        if batch_id := timed_out_batch(event):
            return self._timed_out(context, batch_id)
        with self.hook.refusals_explained():
            batch = EndedBatch(*read_event(event), settled=True)
        return self._complete(context, batch)

    def _complete(self, context: Context, batch: EndedBatch) -> dict[str, Any]:
        """Publish what became of the runs of a batch that has come to its target, then judge it."""
        return self._judge(context, self._publisher(context).publish(batch))

    def _objection(self, context: Context, state: BatchState) -> str | None:
        batch_ids = [batch.batch_id for batch in batches_of_this_try(context)]
        return objection(state, self.max_failed_runs, batch_ids, self.wait_until)

    def _judge(
        self, context: Context, published: Published, cause: Exception | None = None
    ) -> dict[str, Any]:
        """
        Return the task's result, or fail.

        :param cause: Why there is no further batch, where there should have been one.
        :raises RunBatchFailedError: It did not end well enough.
        :raises botocore.exceptions.ClientError: AWS did not tell what became of the runs.
        """
        self._show_manifest(context, published)
        state = published.outcome.state
        problem = self._objection(context, state)
        if problem or published.fault:
            self._push_result(context, published.summary)
        if published.fault and (state.status == PROCESSED or not problem):
            raise published.fault
        if problem:
            raise RunBatchFailedError(problem, state.batch_id, published.summary) from cause
        return published.summary

    def _publisher(self, context: Context) -> RunsPublisher:
        return RunsPublisher(context, self.hook_params, self.log, every_reason=self._every_reason)

    def _show_links(self, context: Context, manifest_uri: str | None, output_uri: str | None) -> None:
        """Show links on the task's page, as soon as it has pushed what its batch is."""
        RunBatchLogsLink.show(context, self)
        RunBatchManifestLink.show(context, self, uri=manifest_uri, written=False)
        RunBatchOutputsLink.show(context, self, output_uri=output_uri)

    def _show_manifest(self, context: Context, published: Published) -> None:
        RunBatchManifestLink.show(context, self, uri=published.manifest_uri)

    def _seconds_to_tell(self) -> float:
        """Return how long it may take to tell how far a batch is, before Airflow's own timeout strikes."""
        if self.execution_timeout is None:
            return BACKSTOP_SECONDS
        limit = self.execution_timeout.total_seconds()
        if self._resumed:
            # Airflow gives a task that resumes all of its time again.
            return min(BACKSTOP_SECONDS, limit / 2)
        return max(3, min(SECONDS_BEFORE_AIRFLOW, limit / 10) * 2 / 3)

    @property
    def timeout_error(self) -> type[RunBatchTimeoutError]:
        """What a task fails with whose time is over."""
        return RunBatchTimeoutError

    def _timed_out(self, context: Context, batch_id: str, *, cancelled: bool = False) -> dict[str, Any]:
        """
        Publish how far the batch is, and fail; or judge it if it has come to its target by now.

        :param cancelled: Whether it was cancelled for want of time.
        :raises RunBatchTimeoutError: It has not.
        """
        published = self._publisher(context).publish_so_far(batch_id, self._seconds_to_tell())
        state = published.outcome.state
        if state.status == PROCESSED or (is_reached(state, self.wait_until) and not cancelled):
            return self._judge(context, published)
        self._show_manifest(context, published)
        self._push_result(context, published.summary)
        missed = "ended" if self.wait_until == "processed" else "been submitted"
        message = (
            f"Run batch {batch_id} had not {missed} within {self._time_limit} "
            f"and was {'cancelled' if cancelled else 'left as it is'}: it is {state.status}, "
            f"{state.runs.completed:,} of {state.total:,} runs completed, {state.runs.failed:,} failed"
        )
        raise self.timeout_error(message, batch_id, published.summary)

"""What all operators have in common that wait for a run batch."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator
from airflow.sdk.exceptions import AirflowException, TaskDeferralTimeout

from airflow_provider_omics_batch.exceptions import RunBatchFailedError, RunBatchTimeoutError
from airflow_provider_omics_batch.hooks.omics import OmicsHook
from airflow_provider_omics_batch.operators.memory import batches_of_this_try, pull, push
from airflow_provider_omics_batch.operators.publishing import Published, RunsPublisher
from airflow_provider_omics_batch.run_batch.cancel import cancel_run_batch
from airflow_provider_omics_batch.run_batch.client import PatientClient
from airflow_provider_omics_batch.run_batch.events import read_event, timed_out_batch
from airflow_provider_omics_batch.run_batch.policy import check_max_failed_runs, objection
from airflow_provider_omics_batch.run_batch.results import EndedBatch
from airflow_provider_omics_batch.run_batch.states import PROCESSED, BatchState
from airflow_provider_omics_batch.run_batch.submitted import SubmittedBatch
from airflow_provider_omics_batch.triggers.omics import RunBatchTrigger
from airflow_provider_omics_batch.triggers.ownership import was_killed

if TYPE_CHECKING:
    from airflow.sdk import Context

#: Seconds after the deadline in which a trigger may still list a large batch and write its manifest,
#: before Airflow's own timeout ends it without a word.
BACKSTOP_SECONDS = 600

#: Our deadline comes so many seconds before Airflow's own, or a tenth of the whole time.
SECONDS_BEFORE_AIRFLOW = 30


class RunBatchWaitOperator(AwsBaseOperator[OmicsHook]):
    """
    Waits for a run batch, in the triggerer or on the worker, and publishes and judges how it ended.

    :param deferrable: Whether to wait in the triggerer, rather than on the worker.
    :param poll_interval: Seconds; the shortest time between two looks. It grows with the work that is left.
    :param max_failed_runs: How many failed submissions and failed or cancelled runs are tolerated, together:
        an int, or a float as a fraction of all runs.
    :param cancel_on_kill: Whether to cancel the batch when a person marks the task or clears it. While the
        task is deferred, that takes Airflow 3.3 or newer.
    :param on_timeout: What to do with a batch that has not ended within ``execution_timeout``:
        ``"cancel"`` or ``"leave"`` it. Either way the task fails.
    """

    aws_hook_class = OmicsHook
    ui_color = "#e3f4ec"

    def __init__(
        self,
        *,
        deferrable: bool = True,
        poll_interval: float = 30,
        max_failed_runs: float = 0,
        cancel_on_kill: bool = True,
        on_timeout: Literal["cancel", "leave"] = "cancel",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_max_failed_runs(max_failed_runs)
        if on_timeout not in ("cancel", "leave"):
            raise ValueError(f"on_timeout is 'cancel' or 'leave', not {on_timeout!r}")
        if not isinstance(poll_interval, int | float) or not poll_interval > 0:
            raise ValueError(f"poll_interval is a number of seconds above 0, not {poll_interval!r}")
        self.deferrable = deferrable
        self.poll_interval = poll_interval
        self.max_failed_runs = max_failed_runs
        self.cancel_on_kill = cancel_on_kill
        self.on_timeout = on_timeout
        self._batch_id: str | None = None
        self._task_instance: Any = None
        self._gives_up_at: float | None = None
        self._killed = False
        self._every_reason = False

    def wait(self, context: Context, batch: SubmittedBatch, **watching: Any) -> dict[str, Any]:
        """
        Wait for a batch, and return what :meth:`execute_complete` does.

        The task has to have pushed its ``batch_id`` by then: by it, a trigger that is cancelled knows whether
        it was killed.

        :param watching: More arguments of :class:`RunBatchTrigger`.
        """
        self._take_on(batch)
        self._gives_up_at = deadline = self._deadline(context)
        trigger = RunBatchTrigger(
            batch_id=batch.batch_id,
            manifest_uri=batch.manifest_uri,
            poll_interval=self.poll_interval,
            submitted=batch.submitted,
            deadline=deadline,
            cancel_on_kill=self.cancel_on_kill,
            aws_conn_id=self.aws_conn_id,
            region_name=self.region_name,
            verify=self.verify,
            botocore_config=self.botocore_config,
            **watching,
        )
        if self.deferrable:
            self.defer(trigger=trigger, method_name="execute_complete", timeout=backstop(deadline))
        # on_kill may have to do with this client, at a time when none can be made.
        self.hook.conn  # noqa: B018
        return self.execute_complete(context, asyncio.run(_first_event(trigger)))

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """
        Publish what became of the batch, then judge it.

        :raises RunBatchFailedError: It did not end well enough.
        :raises RunBatchTimeoutError: It did not end within ``execution_timeout``.
        :raises botocore.exceptions.ClientError: AWS did not tell how it ended.
        """
        if batch_id := timed_out_batch(event):
            return self._timed_out(context, batch_id)
        self._batch_id = None
        with self.hook.refusals_explained():
            batch = EndedBatch(*read_event(event), settled=True)
        return self._complete(context, batch)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume as any deferred task does, also after a timeout of which no trigger lived to tell."""
        self._task_instance = context["ti"]
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except TaskDeferralTimeout:
            batch_id = pull(context, "batch_id")
            if batch_id is None:
                raise
            return self._timed_out(context, batch_id)

    def on_kill(self) -> None:
        """Cancel the batch when a person ends the task while it is at work on the worker."""
        # The signal may have come in the midst of an event loop, so this one needs a thread of its own.
        with ThreadPoolExecutor(1) as pool:
            pool.submit(asyncio.run, self._cancel_if_killed()).result()

    async def _cancel_if_killed(self) -> None:
        overdue = self._gives_up_at is not None and time.time() >= self._gives_up_at
        self._killed = self._killed or await was_killed(self._task_instance)
        if not self._batch_id:
            return
        if (self._killed and self.cancel_on_kill) or (overdue and self.on_timeout == "cancel"):
            await self._cancel(self._batch_id)
        elif not self._killed:
            self.log.info("Nobody has killed the task; run batch %s is left alone", self._batch_id)

    def _take_on(self, batch: SubmittedBatch) -> None:
        """
        Answer for a batch from now on.

        Airflow lets a task go on for some seconds after its ``on_kill``, which may have come too early to
        know of the batch.
        """
        self._batch_id = batch.batch_id
        if self._killed:
            self.on_kill()
        self._stop_if_killed()

    def _stop_if_killed(self) -> None:
        """Do nothing more that costs money once somebody has ended the task."""
        if self._killed:
            raise AirflowException("The task was killed")

    def _complete(self, context: Context, batch: EndedBatch) -> dict[str, Any]:
        """Publish what became of the runs of a batch that has ended, then judge it."""
        return self._judge(context, self._publisher(context).publish(batch))

    def _objection(self, context: Context, state: BatchState) -> str | None:
        batch_ids = [batch.batch_id for batch in batches_of_this_try(context)]
        return objection(state, self.max_failed_runs, batch_ids)

    def _judge(
        self, context: Context, published: Published, cause: Exception | None = None
    ) -> dict[str, Any]:
        """
        Return the task's result, or fail.

        :param cause: Why there is no further batch, where there should have been one.
        :raises RunBatchFailedError: It did not end well enough.
        :raises botocore.exceptions.ClientError: AWS did not tell what became of the runs.
        """
        state = published.outcome.state
        problem = self._objection(context, state)
        if problem or published.fault:
            self._push_summary(context, published)
        if published.fault and state.status == PROCESSED:
            raise published.fault
        if problem:
            raise RunBatchFailedError(problem, state.batch_id, published.summary) from cause
        return published.summary

    def _publisher(self, context: Context) -> RunsPublisher:
        return RunsPublisher(context, self.hook_params, self.log, every_reason=self._every_reason)

    def _push_summary(self, context: Context, published: Published) -> None:
        """Publish the result of a task that is about to fail."""
        if self.do_xcom_push:
            push(context, return_value=published.summary)

    def _deadline(self, context: Context) -> float | None:
        """Return when to give up waiting, somewhat before Airflow would, in seconds since the epoch."""
        if self.execution_timeout is None:
            return None
        started: datetime = context["ti"].start_date or datetime.now(UTC)
        seconds = self.execution_timeout.total_seconds()
        return started.timestamp() + seconds - min(SECONDS_BEFORE_AIRFLOW, seconds / 10)

    def _timed_out(self, context: Context, batch_id: str) -> dict[str, Any]:
        """
        Do with the batch what was asked for, publish how far it is, and fail; or judge it if it has ended.

        :raises RunBatchTimeoutError: It has not.
        """
        # From here on a kill would undo what was asked for: Airflow's own timeout is near.
        self._batch_id = None
        cancelled = self.on_timeout == "cancel" and asyncio.run(self._cancel(batch_id))
        # Airflow's own timeout must not strike before all is said.
        seconds = BACKSTOP_SECONDS if self.deferrable else SECONDS_BEFORE_AIRFLOW / 3
        published = self._publisher(context).publish_so_far(batch_id, seconds)
        state = published.outcome.state
        if state.status == PROCESSED or (state.ended and not cancelled):
            return self._judge(context, published)
        self._push_summary(context, published)
        message = (
            f"Run batch {batch_id} had not ended within execution_timeout ({self.execution_timeout}) "
            f"and was {'cancelled' if cancelled else 'left as it is'}: it is {state.status}, "
            f"{state.runs.completed:,} of {state.total:,} runs completed, {state.runs.failed:,} failed"
        )
        raise RunBatchTimeoutError(message, batch_id, published.summary)

    @property
    def hook_params(self) -> dict[str, Any]:
        """Arguments for a hook that talks to AWS as the operator's does."""
        return dict(self._hook_parameters)

    async def _cancel(self, batch_id: str) -> bool:
        return await cancel_run_batch(PatientClient(_BlockingClient(self.hook), self.log), batch_id, self.log)

    @property
    def _connection(self) -> dict[str, Any]:
        return {"aws_conn_id": self.aws_conn_id, "region_name": self.region_name, "verify": self.verify}


class _BlockingClient:
    """The worker's own client where a coroutine wants one."""

    def __init__(self, hook: OmicsHook) -> None:
        self._hook = hook

    async def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        return dict(getattr(self._hook.conn, operation)(**parameters))


def backstop(deadline: float | None) -> timedelta | None:
    """Return after what time Airflow itself is to end a deferral."""
    return timedelta(seconds=deadline - time.time() + BACKSTOP_SECONDS) if deadline else None


async def _first_event(trigger: RunBatchTrigger) -> dict[str, Any]:
    async with aclosing(trigger.run()) as events:
        event: dict[str, Any] = (await anext(events)).payload
    return event

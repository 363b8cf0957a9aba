"""What a task does for a run batch that it has submitted: it waits for it, and ends it where it has to."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal

from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator
from airflow.sdk.exceptions import AirflowException

from airflow_provider_omics_batch.hooks.omics import BlockingClient, OmicsHook
from airflow_provider_omics_batch.operators.following import RunBatchFollower
from airflow_provider_omics_batch.operators.memory import pull
from airflow_provider_omics_batch.operators.waiting import check_poll_interval
from airflow_provider_omics_batch.run_batch.cancel import cancel_run_batch
from airflow_provider_omics_batch.run_batch.client import PatientClient
from airflow_provider_omics_batch.run_batch.submitted import SubmittedBatch
from airflow_provider_omics_batch.triggers.ownership import was_killed

if TYPE_CHECKING:
    from airflow.sdk import Context


class RunBatchWaitOperator(RunBatchFollower, AwsBaseOperator[OmicsHook]):
    """
    Waits for a run batch that it answers for, in the triggerer or on the worker, and publishes and judges it.

    :param poll_interval: Seconds; the shortest time between two looks. It grows with the work that is left.
    :param cancel_on_kill: Whether to cancel the batch when a person marks the task or clears it. While the
        task is deferred, that takes Airflow 3.3 or newer.
    :param on_timeout: What to do with a batch that has not ended within ``execution_timeout``:
        ``"cancel"`` or ``"leave"`` it. Either way the task fails.

    The others are those of :class:`~airflow_provider_omics_batch.operators.following.RunBatchFollower`.
    """

    def __init__(
        self,
        *,
        poll_interval: float = 30,
        cancel_on_kill: bool = True,
        on_timeout: Literal["cancel", "leave"] = "cancel",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if on_timeout not in ("cancel", "leave"):
            raise ValueError(f"on_timeout is 'cancel' or 'leave', not {on_timeout!r}")
        check_poll_interval(poll_interval)
        self.poll_interval = poll_interval
        self.cancel_on_kill = cancel_on_kill
        self.on_timeout = on_timeout
        self._batch_ids: list[str] = []
        self._task_instance: Any = None
        self._gives_up_at: float | None = None
        self._killed = False

    def wait(self, context: Context, batch: SubmittedBatch, **watching: Any) -> dict[str, Any]:
        """
        Wait for a batch, and return what :meth:`execute_complete` does.

        The task has to have pushed its ``batch_id`` by then: by it, a trigger that is cancelled knows whether
        it was killed.
        """
        self._stop_if_killed()
        self._gives_up_at = self._deadline(context)
        if not self.deferrable:
            # on_kill may have to do with this client, at a time when none can be made.
            self.hook.conn  # noqa: B018
        return super().wait(
            context,
            batch,
            cancel_on_kill=self.cancel_on_kill,
            earlier_batch_ids=self._batch_ids[:-1],
            **watching,
        )

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        # A batch whose runs go on still ends with its task.
        self._batch_ids = [] if self.wait_until == "processed" else pull(context, "batch_ids") or []
        return super().execute_complete(context, event)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        self._task_instance = context["ti"]
        return super().resume_execution(next_method, next_kwargs, context)

    def _batch_waited_for(self, context: Context) -> str | None:
        batch_id: str | None = pull(context, "batch_id")
        return batch_id

    def on_kill(self) -> None:
        """Cancel the batch when a person ends the task while it is at work on the worker."""
        # The signal may have come in the midst of an event loop, so this one needs a thread of its own.
        with ThreadPoolExecutor(1) as pool:
            pool.submit(asyncio.run, self._cancel_if_killed()).result()

    async def _cancel_if_killed(self) -> None:
        overdue = self._gives_up_at is not None and time.time() >= self._gives_up_at
        self._killed = self._killed or await was_killed(self._task_instance)
        if not self._batch_ids:
            return
        if (self._killed and self.cancel_on_kill) or (overdue and self.on_timeout == "cancel"):
            await self._cancel(self._batch_ids)
        elif not self._killed:
            self.log.info("Nobody has killed the task; run batch %s is left alone", self._batch_ids[-1])

    def _take_on(self, batches: list[SubmittedBatch]) -> None:
        """
        Answer for the batches of a task from now on: the last, and those before it that may go on still.

        Airflow lets a task go on for some seconds after its ``on_kill``, which may have come too early to
        know of the batch.
        """
        self._batch_ids = self._that_may_go_on([batch.batch_id for batch in batches])
        if self._killed:
            self.on_kill()
        self._stop_if_killed()

    def _that_may_go_on(self, batch_ids: list[str]) -> list[str]:
        return batch_ids if self.wait_until == "submitted" else batch_ids[-1:]

    def _stop_if_killed(self) -> None:
        """Do nothing more that costs money once somebody has ended the task."""
        if self._killed:
            raise AirflowException("The task was killed")

    def _timed_out(self, context: Context, batch_id: str, *, cancelled: bool = False) -> dict[str, Any]:
        """Do with the batches what was asked for, then give them up."""
        batch_ids = self._that_may_go_on(pull(context, "batch_ids") or [batch_id])
        # From here on a kill would undo what was asked for: Airflow's own timeout is near.
        self._batch_ids = []
        cancelled = self.on_timeout == "cancel" and asyncio.run(self._cancel(batch_ids))
        return super()._timed_out(context, batch_id, cancelled=cancelled)

    async def _cancel(self, batch_ids: list[str]) -> bool:
        """Cancel batches, and return whether the last of them was."""
        client = PatientClient(BlockingClient(self.hook), self.log)
        cancelling = (cancel_run_batch(client, batch_id, self.log) for batch_id in reversed(batch_ids))
        return (await asyncio.gather(*cancelling))[0]

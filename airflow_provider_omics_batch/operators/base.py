"""What all operators have in common that wait for a run batch."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator
from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import TaskDeferralTimeout

from airflow_provider_omics_batch.exceptions import RunBatchFailedError, RunBatchTimeoutError
from airflow_provider_omics_batch.hooks.omics import OmicsHook
from airflow_provider_omics_batch.hooks.shared import shared_client
from airflow_provider_omics_batch.run_batch.cancel import cancel_run_batch
from airflow_provider_omics_batch.run_batch.client import PatientClient
from airflow_provider_omics_batch.run_batch.events import read_event, timed_out_batch
from airflow_provider_omics_batch.run_batch.faults import FAULTS, remedy
from airflow_provider_omics_batch.run_batch.manifest import read_run_manifest
from airflow_provider_omics_batch.run_batch.mapping import Outcome, RunIds, collect_runs
from airflow_provider_omics_batch.run_batch.policy import check_max_failed_runs, objection
from airflow_provider_omics_batch.run_batch.states import PROCESSED, BatchState
from airflow_provider_omics_batch.run_batch.watch import look
from airflow_provider_omics_batch.triggers.omics import RunBatchTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context

#: Seconds after the deadline in which a trigger may still list a large batch and write its manifest,
#: before Airflow's own timeout ends it without a word.
BACKSTOP_SECONDS = 600

#: Our deadline comes so many seconds before Airflow's own, or a tenth of the whole time.
SECONDS_BEFORE_AIRFLOW = 30

#: What a manifest that is not there, or not whole, ends in.
UNREADABLE: tuple[type[Exception], ...] = (*FAULTS, ValueError)

#: About 38,000 run ids.
DEFAULT_RUN_IDS_MAX_BYTES = 1_000_000


Result = TypeVar("Result")


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

    def wait(
        self, context: Context, batch_id: str, *, manifest_uri: str | None = None, submitted: int = 0
    ) -> dict[str, Any]:
        """
        Wait for a batch, and return what :meth:`execute_complete` does.

        The task has to have pushed its ``batch_id`` by then: by it, a trigger that is cancelled knows whether
        it was killed.

        :param manifest_uri: Where the manifest goes.
        :param submitted: Runs that were submitted, should HealthOmics not tell how many there are.
        """
        self._batch_id = batch_id
        deadline = self._deadline(context)
        trigger = RunBatchTrigger(
            batch_id=batch_id,
            manifest_uri=manifest_uri,
            poll_interval=self.poll_interval,
            submitted=submitted,
            deadline=deadline,
            cancel_on_kill=self.cancel_on_kill,
            botocore_config=self.botocore_config,
            **self._connection,
        )
        if self.deferrable:
            backstop = timedelta(seconds=deadline - time.time() + BACKSTOP_SECONDS) if deadline else None
            self.defer(trigger=trigger, method_name="execute_complete", timeout=backstop)
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
            raise self._timed_out(context, batch_id)
        with self.hook.refusals_explained():
            outcome, manifest = read_event(event)
        try:
            with self.hook.refusals_explained():
                outcome, run_ids = self._mapping(outcome, manifest)
        except FAULTS:
            self._push_result(context, outcome.summary(manifest))
            if outcome.state.status == PROCESSED:
                raise
            run_ids = self._new_run_ids()
        summary = self._publish(context, outcome, run_ids, manifest)
        if problem := objection(outcome.state, self.max_failed_runs):
            self._push_result(context, summary)
            raise RunBatchFailedError(problem, outcome.state.batch_id, summary)
        return summary

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume as any deferred task does, also after a timeout of which no trigger lived to tell."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except TaskDeferralTimeout:
            ti = context["ti"]
            batch_id = ti.xcom_pull(task_ids=ti.task_id, key="batch_id", map_indexes=ti.map_index)
            if batch_id is None:
                raise
            raise self._timed_out(context, batch_id) from None

    def on_kill(self) -> None:
        """Cancel the batch when the task is killed while it waits on the worker."""
        if self._batch_id and self.cancel_on_kill:
            # The signal may have come in the midst of an event loop, so this one needs a thread of its own.
            with ThreadPoolExecutor(1) as pool:
                pool.submit(asyncio.run, self._cancel(self._batch_id)).result()

    def _deadline(self, context: Context) -> float | None:
        """Return when to give up waiting, somewhat before Airflow would, in seconds since the epoch."""
        if self.execution_timeout is None:
            return None
        started: datetime = context["ti"].start_date or datetime.now(UTC)
        seconds = self.execution_timeout.total_seconds()
        return started.timestamp() + seconds - min(SECONDS_BEFORE_AIRFLOW, seconds / 10)

    def _timed_out(self, context: Context, batch_id: str) -> RunBatchTimeoutError:
        """Do with the batch what was asked for, publish how far it is, and return the error to raise."""
        # From here on a kill would undo what was asked for: Airflow's own timeout is near.
        self._batch_id = None
        cancelled = self.on_timeout == "cancel" and asyncio.run(self._cancel(batch_id))
        outcome, run_ids = Outcome(BatchState(batch_id, "UNKNOWN")), self._new_run_ids()
        try:
            outcome = Outcome(self._within_limit(self._look(batch_id)))
            outcome = self._within_limit(self._collect(outcome.state, run_ids))
        except FAULTS as error:
            self.log.warning("How far run batch %s is, is not known: %s", batch_id, remedy(error) or error)
            run_ids = self._new_run_ids()
        summary = self._publish(context, outcome, run_ids, None)
        self._push_result(context, summary)
        runs, total = outcome.state.runs, outcome.state.total
        message = (
            f"Run batch {batch_id} had not ended within execution_timeout ({self.execution_timeout}) "
            f"and was {'cancelled' if cancelled else 'left as it is'}: it is {outcome.state.status}, "
            f"{runs.completed:,} of {total:,} runs completed, {runs.failed:,} failed"
        )
        return RunBatchTimeoutError(message, batch_id, summary)

    def _within_limit(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Return what comes of work that must not be what Airflow's own timeout strikes."""
        limit = BACKSTOP_SECONDS if self.deferrable else SECONDS_BEFORE_AIRFLOW / 3
        return asyncio.run(asyncio.wait_for(work, limit))

    async def _look(self, batch_id: str) -> BatchState:
        async with shared_client(**self._hook_parameters) as shared:
            return await look(PatientClient(shared, self.log), batch_id)

    def _mapping(self, outcome: Outcome, manifest: str | None) -> tuple[Outcome, RunIds]:
        """Return the run ids, from the manifest or else from HealthOmics, and how the batch ended."""
        run_ids = self._new_run_ids()
        if manifest:
            try:
                for record in read_run_manifest(
                    manifest, botocore_config=self.botocore_config, **self._connection
                ):
                    run_ids.add(record)
            except UNREADABLE as error:
                self.log.warning("The manifest at %s cannot be read: %s", manifest, error)
            else:
                if run_ids.seen == outcome.state.total or outcome.state.status != PROCESSED:
                    return outcome, run_ids
                self.log.warning("The manifest at %s has %d runs", manifest, run_ids.seen)
            run_ids = self._new_run_ids()
        return asyncio.run(self._collect(outcome.state, run_ids)), run_ids

    def _publish(
        self, context: Context, outcome: Outcome, run_ids: RunIds, manifest: str | None
    ) -> dict[str, Any]:
        if run_ids.value is None:
            where = f"they are in {manifest}" if manifest else "set staging_uri to get them as a manifest"
            self.log.warning("There are too many run ids for XCom; %s", where)
        for failure in outcome.failures:
            self.log.warning("%s: %s: %s", _described(failure), failure["reason"], failure["message"])
        self._push(context, run_ids=run_ids.value, manifest_uri=manifest)
        return outcome.summary(manifest)

    def _new_run_ids(self) -> RunIds:
        return RunIds(conf.getint("omics_batch", "run_ids_max_bytes", fallback=DEFAULT_RUN_IDS_MAX_BYTES))

    async def _cancel(self, batch_id: str) -> bool:
        return await cancel_run_batch(PatientClient(_BlockingClient(self.hook), self.log), batch_id, self.log)

    @property
    def _connection(self) -> dict[str, Any]:
        return {"aws_conn_id": self.aws_conn_id, "region_name": self.region_name, "verify": self.verify}

    async def _collect(self, state: BatchState, run_ids: RunIds) -> Outcome:
        async with shared_client(**self._hook_parameters) as shared:
            return await collect_runs(PatientClient(shared, self.log), state, run_ids.add, self.log)

    def _push_result(self, context: Context, summary: dict[str, Any]) -> None:
        """Publish the result of a task that is about to fail."""
        if self.do_xcom_push:
            self._push(context, return_value=summary)

    def _push(self, context: Context, **values: Any) -> None:
        for key, value in values.items():
            context["ti"].xcom_push(key=key, value=value)


class _BlockingClient:
    """The worker's own client where a coroutine wants one."""

    def __init__(self, hook: OmicsHook) -> None:
        self._hook = hook

    async def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        return dict(getattr(self._hook.conn, operation)(**parameters))


async def _first_event(trigger: RunBatchTrigger) -> dict[str, Any]:
    async with aclosing(trigger.run()) as events:
        event: dict[str, Any] = (await anext(events)).payload
    return event


def _described(failure: Mapping[str, Any]) -> str:
    if failure["run_id"]:
        return f"{failure['run_setting_id']} (run {failure['run_id']}) is {failure['run_status']}"
    return f"{failure['run_setting_id']} could not be submitted"

"""What all tasks have in common that wait for a run batch."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from airflow.providers.amazon.aws.utils.mixins import AwsBaseHookMixin
from airflow.providers.standard.triggers.temporal import DateTimeTrigger
from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import TaskDeferralTimeout

from airflow_provider_omics_batch.hooks.omics import OmicsHook
from airflow_provider_omics_batch.hooks.shared import shared_client
from airflow_provider_omics_batch.operators.memory import pull, push
from airflow_provider_omics_batch.run_batch.client import PatientClient
from airflow_provider_omics_batch.triggers.omics import RunBatchTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context

Answer = TypeVar("Answer")

#: Seconds after the deadline in which a trigger may still list a large batch and write its manifest,
#: before Airflow's own timeout ends it without a word.
BACKSTOP_SECONDS = 600

#: The XCom in which a task keeps since when it has asked HealthOmics, while it rests between two times.
ASKED_SINCE = "asked_since"

#: Our deadline comes so many seconds before Airflow's own, or a tenth of the whole time.
SECONDS_BEFORE_AIRFLOW = 30


class OmicsTask(BaseOperator, AwsBaseHookMixin[OmicsHook]):
    """Asks HealthOmics on the worker."""

    aws_hook_class = OmicsHook
    ui_color = "#e3f4ec"

    @property
    def hook_params(self) -> dict[str, Any]:
        """Arguments for a hook that talks to AWS as the operator's does."""
        return dict(self._hook_parameters)

    def _ask(self, question: Callable[[PatientClient], Awaitable[Answer]]) -> Answer:
        """Return the answer to a question, asked within the rate limit that all share."""

        async def ask() -> Answer:
            async with shared_client(**self.hook_params) as shared:
                return await question(PatientClient(shared, self.log))

        with self.hook.refusals_explained():
            return asyncio.run(ask())


class RunBatchWaiter(OmicsTask):
    """
    Waits for a run batch, in the triggerer or on the worker.

    :param deferrable: Whether to wait in the triggerer, rather than on the worker.
    """

    poll_interval: float

    def __init__(self, *, deferrable: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.deferrable = deferrable
        self._resumed = False

    def wait_for(
        self, context: Context, batch_id: str, *, cancel_on_kill: bool = False, **watching: Any
    ) -> Any:
        """
        Wait for a batch, and return what :meth:`execute_complete` does.

        :param cancel_on_kill: Whether the task answers for the batch, so that it ends with it.
        :param watching: More arguments of :class:`RunBatchTrigger`.
        """
        deadline = self._deadline(context)
        trigger = RunBatchTrigger(
            batch_id=batch_id,
            poll_interval=self.poll_interval,
            deadline=deadline,
            cancel_on_kill=cancel_on_kill,
            aws_conn_id=self.aws_conn_id,
            region_name=self.region_name,
            verify=self.verify,
            botocore_config=self.botocore_config,
            **watching,
        )
        if self.deferrable:
            self.defer(trigger=trigger, method_name="execute_complete", timeout=backstop(deadline))
        return self.execute_complete(context, asyncio.run(_first_event(trigger)))

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> Any:
        """Go on once the batch has come to what it was waited for."""
        raise NotImplementedError

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume as any deferred task does, also after a timeout of which no trigger lived to tell."""
        self._resumed = True
        try:
            # A sensor's own way would fail it in words that are not ours, and never try it again.
            return BaseOperator.resume_execution(self, next_method, next_kwargs, context)
        except TaskDeferralTimeout:
            if (batch_id := self._batch_waited_for(context)) is None:
                raise
            return self._timed_out(context, batch_id)

    def _batch_waited_for(self, context: Context) -> str | None:
        """Return the batch that a task has waited for."""
        raise NotImplementedError

    def _timed_out(self, context: Context, batch_id: str) -> Any:
        """
        Give a batch up.

        :raises RunBatchTimeoutError: It has not come to what it was waited for.
        """
        raise NotImplementedError

    def _rest(self, context: Context, seconds: float, method_name: str) -> None:
        """Let time pass, in the triggerer if deferrable; then the task goes on with another method."""
        if self.deferrable:
            push(context, **{ASKED_SINCE: self._began(context)})
            moment = datetime.now(UTC) + timedelta(seconds=seconds)
            self.defer(trigger=DateTimeTrigger(moment=moment), method_name=method_name)
        time.sleep(seconds)

    def _push_result(self, context: Context, summary: dict[str, Any]) -> None:
        """Publish the result of a task that is about to fail."""
        if self.do_xcom_push:
            push(context, return_value=summary)

    @property
    def _time_limit(self) -> str:
        return f"execution_timeout ({self.execution_timeout})"

    def _began(self, context: Context) -> float:
        """Return when this try has begun, in seconds since the epoch."""
        # dag.test() gives a task that resumes another time of start, and none of its own arguments back.
        since: float | None = pull(context, ASKED_SINCE) if self._resumed else None
        return since or started_at(context)

    def _deadline(self, context: Context) -> float | None:
        """Return when to give up waiting, somewhat before Airflow would, in seconds since the epoch."""
        if self.execution_timeout is None:
            return None
        seconds = self.execution_timeout.total_seconds()
        return self._began(context) + seconds - min(SECONDS_BEFORE_AIRFLOW, seconds / 10)


def given(batch_id: object) -> str | None:
    """
    Return the id of a batch, or ``None`` where there is none.

    A template renders what is not there as ``"None"``, and in a Dag of native objects an id as a number.

    :raises ValueError: It is something else, like the ids of several batches.
    """
    if batch_id is None or (isinstance(batch_id, str) and batch_id in ("", "None")):
        return None
    if isinstance(batch_id, bool) or not isinstance(batch_id, str | int):
        raise ValueError(
            f"batch_id is the id of one batch, not a {type(batch_id).__name__}: that of a task is its "
            'output["batch_id"], and over those of several this task can be mapped'
        )
    return str(batch_id)


def check_poll_interval(poll_interval: object, name: str = "poll_interval") -> None:
    """
    Refuse what is no time between two looks.

    :raises ValueError: With what would be valid.
    """
    is_number = isinstance(poll_interval, int | float) and not isinstance(poll_interval, bool)
    if not is_number or not 0 < poll_interval < math.inf:  # type: ignore[operator]
        raise ValueError(f"{name} is a number of seconds above 0, not {poll_interval!r}")


def started_at(context: Context) -> float:
    """Return when this try has started, in seconds since the epoch."""
    started: datetime = context["ti"].start_date or datetime.now(UTC)
    return started.timestamp()


def backstop(deadline: float | None) -> timedelta | None:
    """Return after what time Airflow itself is to end a deferral."""
    return timedelta(seconds=deadline - time.time() + BACKSTOP_SECONDS) if deadline else None


async def _first_event(trigger: RunBatchTrigger) -> dict[str, Any]:
    async with aclosing(trigger.run()) as events:
        event: dict[str, Any] = (await anext(events)).payload
    return event

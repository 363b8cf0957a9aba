"""What cancelling a batch and deleting its runs share: ask, wait until it is done, tell what is left."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Collection
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NoReturn

from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields
from airflow.sdk.exceptions import AirflowSkipException
from botocore.exceptions import ClientError

from airflow_provider_omics_batch.exceptions import RunBatchTimeoutError
from airflow_provider_omics_batch.hooks.omics import OmicsHook
from airflow_provider_omics_batch.links.omics import RunBatchLogsLink
from airflow_provider_omics_batch.operators.memory import push
from airflow_provider_omics_batch.operators.publishing import new_run_ids
from airflow_provider_omics_batch.operators.waiting import (
    RunBatchWaiter,
    check_poll_interval,
    given,
)
from airflow_provider_omics_batch.run_batch.client import PatientClient
from airflow_provider_omics_batch.run_batch.events import read_event, timed_out_batch
from airflow_provider_omics_batch.run_batch.faults import FAULTS, code_of, remedy
from airflow_provider_omics_batch.run_batch.look import look_or_gone
from airflow_provider_omics_batch.run_batch.mapping import list_records
from airflow_provider_omics_batch.run_batch.records import FirstNames, Outcome, RunRecord
from airflow_provider_omics_batch.run_batch.states import GONE, BatchState
from airflow_provider_omics_batch.run_batch.targets import Target, is_reached

if TYPE_CHECKING:
    from airflow.sdk import BaseOperatorLink, Context

#: Yields runs of the batch with an id.
Lister = Callable[[PatientClient, str], AsyncIterator[RunRecord]]

#: Seconds until HealthOmics is asked again; they grow with the time for which it was.
SHORTEST_PAUSE, LONGEST_PAUSE = 2.0, 30.0

EARLY: Literal["early"] = "early"

#: Seconds on a worker until HealthOmics has answered; where it has not by then, it is asked again later.
LONGEST_REQUEST = 60


class RunBatchEndingOperator(RunBatchWaiter, AwsBaseOperator[OmicsHook]):
    """
    Asks HealthOmics to do something with all runs of a batch, and waits until that is done.

    It may be asked again at any time: what is done already is not an error. XCom: the batch's summary as
    ``return_value``, and ``run_ids_left`` (``{runSettingId: runId}``) of the runs with which it could not be
    done.

    :param batch_id: The batch. Without one, as after a task that has submitted none, the task is skipped.
        (templated)
    :param wait_for_completion: Whether to wait until it is done.
    :param poll_interval: Seconds; the shortest time between two looks. It grows with the work that is left.
    """

    template_fields = aws_template_fields("batch_id")
    operator_extra_links: Collection[BaseOperatorLink] = (RunBatchLogsLink(),)

    #: What the batch is waited for, how people say it, and the submission status of runs that are left.
    target: ClassVar[Target]
    done: ClassVar[str]
    left_as: ClassVar[str]

    def __init__(
        self,
        *,
        batch_id: str | None,
        wait_for_completion: bool = True,
        poll_interval: float = 30,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_poll_interval(poll_interval)
        self.batch_id = batch_id
        self.wait_for_completion = wait_for_completion
        self.poll_interval = poll_interval

    def execute(self, context: Context) -> dict[str, Any]:
        return self.request(context)

    def request(self, context: Context, event: Any = None) -> dict[str, Any]:
        """
        Ask HealthOmics, and wait until it is done.

        :raises RunBatchTimeoutError: It was not done within ``execution_timeout``.
        """
        batch_id = given_or_skip(self.batch_id)
        RunBatchLogsLink.show(context, self)
        state = self._requested(context, batch_id)
        found = state is None or state.status != GONE
        if state is None or not is_reached(state, self.target):
            if self.wait_for_completion:
                summary: dict[str, Any] = self.wait_for(context, batch_id, wait_until=self.target)
                return summary
            state = self._ask(lambda client: look_or_gone(client, batch_id))
        return self._report(context, state, found=found)

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """
        Publish which runs are left.

        :raises RunBatchTimeoutError: It was not done within ``execution_timeout``.
        :raises botocore.exceptions.ClientError: AWS did not tell what became of it.
        """
        if batch_id := timed_out_batch(event):
            return self._timed_out(context, batch_id)
        return self._report(context, self._state_in(event))

    def _state_in(self, event: dict[str, Any] | None) -> BatchState:
        """Return how a trigger has left a batch, be it that its record was deleted meanwhile."""
        try:
            with self.hook.refusals_explained():
                return read_event(event)[0].state
        except ClientError as error:
            if code_of(error) != "ResourceNotFoundException":
                raise
        return self._ask(lambda client: look_or_gone(client, given_or_skip(self.batch_id)))

    def _requested(self, context: Context, batch_id: str) -> BatchState | None:
        """Ask HealthOmics until it is no more too early, and return what :meth:`_request` does then."""
        while True:
            left = (self._deadline(context) or math.inf) - time.time()
            seconds = max(1, min(LONGEST_REQUEST, left))
            try:
                state = self._ask(
                    lambda client: asyncio.wait_for(self._request(context, client, batch_id), seconds)  # noqa: B023 - called at once
                )
            except TimeoutError:
                state = EARLY
            if state != EARLY:
                return state
            self._pause(context, batch_id)

    async def _request(
        self, context: Context, client: PatientClient, batch_id: str
    ) -> BatchState | Literal["early"] | None:
        """
        Ask HealthOmics once.

        :return: ``None`` where it is going to do it, the state of a batch where it need not, or that it is to
            be asked again later.
        """
        raise NotImplementedError

    def _pause(self, context: Context, batch_id: str) -> None:
        """
        Let time pass until HealthOmics is asked again.

        :raises RunBatchTimeoutError: There is none left.
        """
        pause = min(LONGEST_PAUSE, max(SHORTEST_PAUSE, self._seconds(context)))
        if deadline := self._deadline(context):
            if time.time() >= deadline:
                self._timed_out(context, batch_id)
            pause = min(pause, deadline - time.time())
        self._rest(context, pause, "request")

    def _seconds(self, context: Context) -> float:
        """Return for how long this try has been at work."""
        return time.time() - self._began(context)

    def _batch_waited_for(self, context: Context) -> str | None:
        return given(self.batch_id)

    def _timed_out(self, context: Context, batch_id: str) -> NoReturn:
        message = f"The runs of batch {batch_id} were not {self.done} within {self._time_limit}"
        raise RunBatchTimeoutError(message, batch_id, {})

    def _failed(self, state: BatchState) -> int:
        """Return with how many runs it could not be done, as far as the batch tells."""
        raise NotImplementedError

    def _lister(self, state: BatchState) -> Lister | None:
        """Return what lists the runs with which it could not be done; ``None`` where there are none."""
        return partial(list_records, submission_status=self.left_as) if self._failed(state) else None

    def _complain(self, context: Context, message: str, summary: dict[str, Any]) -> None:
        """Tell of runs that are left."""
        raise NotImplementedError

    def _miss(self, context: Context, batch_id: str, summary: dict[str, Any]) -> None:
        """Judge a batch that has no record, and no runs that this could not be done with."""

    def _report(self, context: Context, state: BatchState, *, found: bool = True) -> dict[str, Any]:
        """
        Publish which runs are left.

        :param found: Whether HealthOmics knew the batch when it was asked to do something with it.
        :raises botocore.exceptions.ClientError: Whether there are any is not known.
        """
        if state.status == GONE:
            self.log.warning("HealthOmics has no record of run batch %s in %s", state.batch_id, self._region)
        summary, left, failed = Outcome(state).summary(), _Left(), self._failed(state)
        try:
            if lister := self._lister(state):
                self._ask(lambda client: left.add(lister(client, state.batch_id)))
                left.known = True
        except FAULTS as error:
            if not failed:
                raise
            self.log.warning("Which runs are left is not known: %s", remedy(error) or error)
        push(context, run_ids_left=left.run_ids.value)
        if left.run_ids.value is None:
            which = f'_in_batch("{state.batch_id}", submission_status="{self.left_as}")'
            self.log.warning(
                "There are too many run ids for XCom; OmicsHook().list_runs%s lists the runs",
                which if failed else f'("{state.batch_id}")',
            )
        if count := left.first.count if left.known else failed:
            total = max(count, state.total)
            message = f"Of the {total:,} runs of batch {state.batch_id}, {count:,} could not be {self.done}"
            self._complain(context, f"{message}{left}", summary)
        elif not found:
            self._miss(context, state.batch_id, summary)
        return summary

    @property
    def _region(self) -> str:
        return str(self.hook.conn_region_name)


class _Left:
    """The runs with which something could not be done, the first ones by name."""

    def __init__(self) -> None:
        self.run_ids = new_run_ids()
        self.first = FirstNames()
        self.known = False

    async def add(self, records: AsyncIterator[RunRecord]) -> None:
        async for record in records:
            self.run_ids.add(record)
            self.first.add(record)

    def __str__(self) -> str:
        names = self.first.names
        more = ", …" if self.first.count > len(names) else ""
        return f": {', '.join(names)}{more}" if names else ""


def given_or_skip(batch_id: object) -> str:
    """
    Return the id of a batch.

    :raises AirflowSkipException: There is none, so that there is nothing to do.
    """
    if (known := given(batch_id)) is None:
        raise AirflowSkipException(f"batch_id is {batch_id!r}: there is no batch, and nothing to do")
    return known

"""Waits for run batches of AWS HealthOmics that something else has started."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.sensors.base_aws import AwsBaseSensor
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields
from airflow.sdk import PokeReturnValue
from airflow.sdk.exceptions import AirflowSkipException

from airflow_provider_omics_batch.exceptions import (
    RunBatchFailedError,
    RunBatchSensorTimeoutError,
    RunBatchTimeoutError,
)
from airflow_provider_omics_batch.hooks.omics import OmicsHook
from airflow_provider_omics_batch.operators.following import RunBatchFollower
from airflow_provider_omics_batch.operators.memory import publish
from airflow_provider_omics_batch.operators.waiting import check_poll_interval, given
from airflow_provider_omics_batch.run_batch.look import look_if_known
from airflow_provider_omics_batch.run_batch.manifest import manifest_uri
from airflow_provider_omics_batch.run_batch.records import Outcome
from airflow_provider_omics_batch.run_batch.results import EndedBatch
from airflow_provider_omics_batch.run_batch.staging import check_staging_uri
from airflow_provider_omics_batch.run_batch.states import BatchState
from airflow_provider_omics_batch.run_batch.submitted import SubmittedBatch
from airflow_provider_omics_batch.run_batch.targets import is_reached

if TYPE_CHECKING:
    from airflow.sdk import Context

#: Seconds for the look of one poke, which is to leave its worker soon also where no answer comes.
POKE_SECONDS = 60

#: Seconds until a batch is looked for again that HealthOmics does not know, or of which it does not tell.
PAUSE = 10.0


class RunBatchSensor(RunBatchFollower, AwsBaseSensor[OmicsHook]):
    """
    Wait for a batch that something else has started, and publish and judge it as the operator does.

    A sensor never cancels the batch. XCom is that of
    :class:`~airflow_provider_omics_batch.operators.omics.StartRunBatchOperator`.

    .. seealso::
        https://docs.aws.amazon.com/omics/latest/dev/workflows-batch.html

    :param batch_id: The batch to wait for. (templated)
    :param staging_uri: ``s3://bucket/prefix/``, where the manifest goes; ``None`` for no manifest.
        (templated)

    The others are ``deferrable``, ``wait_until`` and ``max_failed_runs``, as of
    :class:`~airflow_provider_omics_batch.operators.following.RunBatchFollower`, and those of every sensor.
    ``poke_interval`` is the shortest time between two looks, and grows with the work that is left; with
    ``deferrable=False, mode="reschedule"`` it is as given, with one look per poke.
    """

    template_fields = aws_template_fields("batch_id", "staging_uri")

    def __init__(self, *, batch_id: str, staging_uri: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.batch_id = batch_id
        self.staging_uri = staging_uri
        check_poll_interval(self.poke_interval, "poke_interval")
        self.poll_interval = self.poke_interval

    def execute(self, context: Context) -> Any:
        if self.staging_uri:
            check_staging_uri(self.staging_uri)
        if self._reschedules:
            return super().execute(context)
        with self._failures_softened():
            while (state := self._look(context)) is None:
                if (seconds := self._deadline(context) - time.time()) <= 0:
                    return self._timed_out(context, self._given())
                self._rest(context, min(PAUSE, seconds), "execute_again")
            batch = self._note(context, state)
            if is_reached(state, self.wait_until):
                return self._complete(context, EndedBatch(Outcome(state)))
            return self.wait(context, batch)

    def execute_again(self, context: Context, event: Any = None) -> Any:
        """Go on where there was no answer yet, or no batch that HealthOmics knows."""
        return self.execute(context)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        with self._failures_softened():
            return super().resume_execution(next_method, next_kwargs, context)

    def _batch_waited_for(self, context: Context) -> str | None:
        return given(self.batch_id)

    def poke(self, context: Context) -> PokeReturnValue:
        """Look at the batch once, and publish and judge it where it has come to its target."""
        with self._failures_softened():
            if state := self._look(context):
                self._note(context, state)
                if is_reached(state, self.wait_until):
                    return PokeReturnValue(True, self._complete(context, EndedBatch(Outcome(state))))
            if time.time() >= self._deadline(context):
                return PokeReturnValue(True, self._timed_out(context, self._given()))
            return PokeReturnValue(is_done=False)

    def _look(self, context: Context) -> BatchState | None:
        """Return the batch's state, or ``None`` where it is not known yet."""
        batch_id, asked = self._given(), time.time() - self._began(context)
        seconds = min(POKE_SECONDS, max(1, self._deadline(context) - time.time()))
        try:
            return self._ask(lambda c: asyncio.wait_for(look_if_known(c, batch_id, asked), seconds))
        except TimeoutError:
            self.log.warning("HealthOmics has not told in time how far run batch %s is", batch_id)
            return None

    def _given(self) -> str:
        if (batch_id := given(self.batch_id)) is None:
            raise ValueError(f"batch_id is {self.batch_id!r}: there is no batch to wait for")
        return batch_id

    def _note(self, context: Context, state: BatchState) -> SubmittedBatch:
        """Publish which batch this is."""
        manifest = None
        if self.staging_uri:
            manifest = manifest_uri(self.staging_uri, state.batch_id, state.uuid, self.wait_until)
        batch = SubmittedBatch(
            batch_id=state.batch_id,
            batch_arn=state.arn,
            batch_uuid=state.uuid,
            wait_until=self.wait_until,
            manifest_uri=manifest,
        )
        publish(context, [batch])
        self._show_links(context, manifest, state.output_uri)
        return batch

    @contextmanager
    def _failures_softened(self) -> Iterator[None]:
        """Skip the task where it may fail, and say what for."""
        try:
            yield
        except (RunBatchFailedError, RunBatchTimeoutError) as error:
            if self.soft_fail or self.never_fail:
                raise AirflowSkipException(f"Skipped, not failed: {error}") from error
            raise

    @property
    def _reschedules(self) -> bool:
        return self.reschedule and not self.deferrable

    def _began(self, context: Context) -> float:
        rescheduled = context["ti"].get_first_reschedule_date(context) if self._reschedules else None
        return rescheduled.timestamp() if rescheduled else super()._began(context)

    def _deadline(self, context: Context) -> float:
        if self._ends_by_execution_timeout and (deadline := super()._deadline(context)):
            return deadline
        return self._began(context) + self.timeout

    @property
    def _ends_by_execution_timeout(self) -> bool:
        """Whether it ends the wait before ``timeout`` does; with ``reschedule``, it is that of one poke."""
        limit = self.execution_timeout
        return limit is not None and not self._reschedules and limit.total_seconds() < self.timeout

    @property
    def _time_limit(self) -> str:
        by_execution = self._ends_by_execution_timeout
        return super()._time_limit if by_execution else f"timeout ({timedelta(seconds=self.timeout)})"

    @property
    def timeout_error(self) -> type[RunBatchTimeoutError]:
        return RunBatchTimeoutError if self._ends_by_execution_timeout else RunBatchSensorTimeoutError

"""Waits in the triggerer for run batches of AWS HealthOmics."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from functools import partial
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_omics_batch.hooks.shared import shared_client
from airflow_provider_omics_batch.run_batch.cancel import cancel_run_batch
from airflow_provider_omics_batch.run_batch.client import PatientClient
from airflow_provider_omics_batch.run_batch.events import ended, refused, timed_out
from airflow_provider_omics_batch.run_batch.fail_fast import FailFast
from airflow_provider_omics_batch.run_batch.faults import FAULTS, remedy
from airflow_provider_omics_batch.run_batch.manifest import write_run_manifest
from airflow_provider_omics_batch.run_batch.records import Outcome
from airflow_provider_omics_batch.run_batch.rounds import RetryFailed
from airflow_provider_omics_batch.run_batch.s3 import s3_client
from airflow_provider_omics_batch.run_batch.targets import Target
from airflow_provider_omics_batch.run_batch.watch import watch_run_batch
from airflow_provider_omics_batch.triggers.ownership import is_still_deferred_on, uninterrupted

#: Airflow allows ``[triggerer] on_kill_timeout``, 30 seconds.
ON_KILL_SECONDS = 28

#: Where many tasks are killed at once, and the API's rate does not let all of them be cancelled by then, the
#: triggerer goes on with it beside its other work.
CANCEL_SECONDS = 600


class RunBatchTrigger(BaseTrigger):
    """
    Fires when a run batch has come to what it is waited for and its manifest is written, or at a deadline.

    A batch that has ended in another way is not waited for any longer. The trigger submits nothing. It
    reads, it writes to the same place, the same content once the batch has ended, and cancels batches at
    most that it was told to cancel, so that it may run twice, and start again from its arguments at any
    time. These are stored as clear text; there are no secrets among them.

    :param batch_id: The batch to wait for.
    :param manifest_uri: Where the runs' records go, as ``s3://…``; ``None`` for no manifest.
    :param poll_interval: Seconds; the shortest time between two looks. It grows with the work that is left.
    :param wait_until: What the batch is waited for: ``"processed"``, ``"submitted"`` (every submission has
        been tried) or ``"runs_deleted"``.
    :param submitted: Runs that were submitted, should HealthOmics not tell how many there are.
    :param deadline: When to give up waiting, in seconds since the epoch; ``None`` for never.
    :param cancel_on_kill: Whether to cancel the batch when a person ends the task (Airflow 3.3 or newer).
    :param earlier_batch_ids: Batches of the same task that may go on beside this one, and are cancelled with
        it then.
    :param fail_fast_beyond: Cancel the batch when more runs have gone wrong than that: an int, or a float
        as a fraction of all runs; ``None`` for never.
    :param retry_failed: The failed runs that another round will send again, and that ``fail_fast_beyond``
        does not count therefore: ``"retriable"``, ``"all"``, or ``None`` where there is no other round.
    :param every_reason: Whether to ask why each failed run did, and not only the first 1,000.
    :param aws_conn_id: The Airflow connection used for AWS credentials.
    :param region_name: AWS region of the batch.
    :param verify: Whether, or with which CA bundle, to verify certificates.
    :param botocore_config: Configuration of the botocore client; takes the place of the connection's own.
        Stored as clear text like the rest, so proxies with a password belong into the connection.
    """

    def __init__(
        self,
        *,
        batch_id: str,
        manifest_uri: str | None = None,
        poll_interval: float = 30,
        wait_until: Target = "processed",
        submitted: int = 0,
        deadline: float | None = None,
        cancel_on_kill: bool = True,
        earlier_batch_ids: Sequence[str] = (),
        fail_fast_beyond: float | None = None,
        retry_failed: RetryFailed | None = None,
        every_reason: bool = False,
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.batch_id = batch_id
        self.manifest_uri = manifest_uri
        self.poll_interval = poll_interval
        self.wait_until = wait_until
        self.submitted = submitted
        self.deadline = deadline
        self.cancel_on_kill = cancel_on_kill
        self.earlier_batch_ids = list(earlier_batch_ids)
        self.fail_fast_beyond = fail_fast_beyond
        self.retry_failed = retry_failed
        self.every_reason = every_reason
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class's path and the arguments, from which another triggerer can go on."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {
            "batch_id": self.batch_id,
            "manifest_uri": self.manifest_uri,
            "poll_interval": self.poll_interval,
            "wait_until": self.wait_until,
            "submitted": self.submitted,
            "deadline": self.deadline,
            "cancel_on_kill": self.cancel_on_kill,
            "earlier_batch_ids": self.earlier_batch_ids,
            "fail_fast_beyond": self.fail_fast_beyond,
            "retry_failed": self.retry_failed,
            "every_reason": self.every_reason,
            "aws_conn_id": self.aws_conn_id,
            "region_name": self.region_name,
            "verify": self.verify,
            "botocore_config": self.botocore_config,
        }

    @property
    def hook_params(self) -> dict[str, Any]:
        """Arguments for a hook that talks to AWS as the operator's does."""
        return {
            "aws_conn_id": self.aws_conn_id,
            "region_name": self.region_name,
            "verify": self.verify,
            "config": self.botocore_config,
        }

    async def run(self) -> AsyncGenerator[TriggerEvent, None]:
        """Yield one event: what the batch has come to, or why AWS does not tell."""
        async with shared_client(**self.hook_params) as shared:
            try:
                event = await self._watch(PatientClient(shared, self.log))
            except FAULTS as error:
                event = refused(self.batch_id, error)
        yield TriggerEvent(event)

    async def on_kill(self) -> None:
        """Cancel the batch, now that a person has marked the task or cleared it."""
        if self.cancel_on_kill and self.task_instance is not None:
            await uninterrupted(self._cancel_if_killed(), seconds=ON_KILL_SECONDS)

    async def _cancel_if_killed(self) -> None:
        if await is_still_deferred_on(self.batch_id, self.task_instance):
            self.log.info("Another triggerer watches run batch %s; it is left alone", self.batch_id)
            return
        async with shared_client(**self.hook_params) as shared:
            client = PatientClient(shared, self.log)
            await asyncio.gather(
                *(
                    cancel_run_batch(client, batch_id, self.log, patience=CANCEL_SECONDS)
                    for batch_id in (self.batch_id, *self.earlier_batch_ids)
                )
            )

    @property
    def _fail_fast(self) -> FailFast | None:
        if self.fail_fast_beyond is None:
            return None
        return FailFast(self.fail_fast_beyond, self.retry_failed, self.wait_until)

    async def _watch(self, client: PatientClient) -> dict[str, Any]:
        try:
            async with asyncio.timeout(None if self.deadline is None else self.deadline - time.time()):
                state = await watch_run_batch(
                    client,
                    self.batch_id,
                    poll_interval=self.poll_interval,
                    log=self.log,
                    submitted=self.submitted,
                    target=self.wait_until,
                    fail_fast=self._fail_fast,
                )
        except TimeoutError:
            return timed_out(self.batch_id)
        if self.manifest_uri is None:
            return ended(Outcome(state))
        try:
            outcome = await write_run_manifest(
                client,
                state,
                self.manifest_uri,
                partial(s3_client, **self.hook_params),
                self.log,
                every_reason=self.every_reason,
            )
        except FAULTS as error:
            # A batch that has been paid for does not fail for want of a list.
            self.log.error("There is no manifest at %s: %s", self.manifest_uri, remedy(error) or error)
            return ended(Outcome(state))
        return ended(outcome, self.manifest_uri)

"""Submits run batches to AWS HealthOmics and waits for them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields
from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import TaskDeferralTimeout

from airflow_provider_omics_batch.exceptions import (
    RunBatchFailedError,
    RunBatchTimeoutError,
)
from airflow_provider_omics_batch.hooks.omics import OmicsHook
from airflow_provider_omics_batch.hooks.shared import shared_client
from airflow_provider_omics_batch.run_batch.cancel import cancel_run_batch
from airflow_provider_omics_batch.run_batch.client import PatientClient
from airflow_provider_omics_batch.run_batch.events import read_event
from airflow_provider_omics_batch.run_batch.identity import derive_request_id
from airflow_provider_omics_batch.run_batch.manifest import manifest_uri, read_run_manifest
from airflow_provider_omics_batch.run_batch.mapping import Outcome, RunIds, collect_runs
from airflow_provider_omics_batch.run_batch.policy import check_max_failed_runs, objection
from airflow_provider_omics_batch.run_batch.sheets import SampleSheet
from airflow_provider_omics_batch.run_batch.states import BatchState
from airflow_provider_omics_batch.run_batch.submission import Submission
from airflow_provider_omics_batch.triggers.omics import RunBatchTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context

#: Seconds after the deadline in which a trigger may still list a large batch and write its manifest,
#: before Airflow's own timeout ends it without a word.
BACKSTOP_SECONDS = 600

#: About 38,000 run ids.
DEFAULT_RUN_IDS_MAX_BYTES = 1_000_000


class StartRunBatchOperator(AwsBaseOperator[OmicsHook]):
    """
    Submit up to 100,000 workflow runs as one batch, wait for them, and publish their ids.

    Everything is checked before anything is sent. The batch is submitted under a request id that stays
    the same over Airflow's retries, so that a retry finds the batch of the try before; clearing the task
    starts a new one.

    XCom: ``batch_id``, ``batch_arn``, ``batch_uuid``, ``batch_ids``, ``manifest_uri``, ``run_ids``
    (``{runSettingId: runId}``; ``None`` where it is larger than ``[omics_batch] run_ids_max_bytes``),
    and the summary as ``return_value``. All are published also when the task fails.

    .. seealso::
        https://docs.aws.amazon.com/omics/latest/dev/workflows-batch.html

    :param default_run_setting: What the runs share, as the API's ``DefaultRunSetting``; every member is
        passed on. ``workflowId`` and ``roleArn`` are required. (templated)
    :param batch_run_settings: What the runs do not share: a
        :class:`~airflow_provider_omics_batch.run_batch.SampleSheet`, a list or another iterable of the
        API's run settings, or its own ``{"inlineSettings": […]}`` or ``{"s3UriSettings": "s3://…"}``.
        (templated)
    :param batch_name: A name for people, up to 64 characters. (templated)
    :param tags: Tags of the batch; those of its runs are ``runTags`` in the settings. (templated)
    :param request_id: Names the submission. HealthOmics starts no second batch for one that it knows.
        Derived from the task instance unless given. (templated)
    :param staging_uri: ``s3://bucket/prefix/``, where run settings are put that are too many for the
        request (over 100) and where the manifest goes. (templated)
    :param wait_for_completion: Whether to wait until the batch has ended.
    :param deferrable: Whether to wait in the triggerer, rather than on the worker.
    :param poll_interval: Seconds; the shortest time between two looks. It grows with the work that is left.
    :param max_failed_runs: How many failed submissions, failed and cancelled runs are borne together: an int,
        or a float as a fraction of all runs.
    :param cancel_on_kill: Whether to cancel the batch when a person marks the task or clears it. While the
        task is deferred, that takes Airflow 3.3 or newer.
    :param on_timeout: What to do with a batch that has not ended within ``execution_timeout``:
        ``"cancel"`` or ``"leave"`` it. Either way the task fails.
    """

    aws_hook_class = OmicsHook
    template_fields = aws_template_fields(
        "default_run_setting", "batch_run_settings", "batch_name", "tags", "request_id", "staging_uri"
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {
        "default_run_setting": "json",
        "batch_run_settings": "json",
        "tags": "json",
    }
    ui_color = "#e3f4ec"

    def __init__(
        self,
        *,
        default_run_setting: dict[str, Any],
        batch_run_settings: SampleSheet | Mapping[str, Any] | Iterable[Mapping[str, Any]],
        batch_name: str | None = None,
        tags: dict[str, str] | None = None,
        request_id: str | None = None,
        staging_uri: str | None = None,
        wait_for_completion: bool = True,
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
        self.default_run_setting = default_run_setting
        self.batch_run_settings = batch_run_settings
        self.batch_name = batch_name
        self.tags = tags
        self.request_id = request_id
        self.staging_uri = staging_uri
        self.wait_for_completion = wait_for_completion
        self.deferrable = deferrable
        self.poll_interval = poll_interval
        self.max_failed_runs = max_failed_runs
        self.cancel_on_kill = cancel_on_kill
        self.on_timeout = on_timeout
        self._batch_id: str | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        deadline = self._deadline(context)
        settings, total = self._submission().prepare(lambda: S3Hook(**self._hook_parameters).conn)
        if "s3UriSettings" in settings:
            self.log.info("The run settings are in %s", settings["s3UriSettings"])
        batch = self.hook.start_run_batch(
            default_run_setting=self.default_run_setting,
            batch_run_settings=settings,
            request_id=self.request_id or self._derived_request_id(context),
            batch_name=self.batch_name,
            tags=self.tags,
        )
        state = BatchState(batch["id"], batch.get("status") or "CREATING", total or 0)
        self._batch_id = state.batch_id
        count = "the staged" if total is None else f"{total:,}"
        self.log.info("Run batch %s of %s runs is %s", state.batch_id, count, state.status)
        # Before the task defers: by its batch_id, a trigger that is cancelled knows whether it was killed.
        self._push(context, batch_id=state.batch_id, batch_ids=[state.batch_id])
        self._push(context, batch_arn=batch.get("arn"), batch_uuid=batch.get("uuid"))
        if not self.wait_for_completion:
            return Outcome(state).summary()
        trigger = self._trigger(batch, deadline)
        if self.deferrable:
            backstop = timedelta(seconds=deadline - time.time() + BACKSTOP_SECONDS) if deadline else None
            self.defer(trigger=trigger, method_name="execute_complete", timeout=backstop)
        return self.execute_complete(context, asyncio.run(_first_event(trigger)))

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """
        Publish what became of the batch, then judge it.

        :raises RunBatchFailedError: It did not end well enough.
        :raises RunBatchTimeoutError: It did not end within ``execution_timeout``.
        :raises botocore.exceptions.ClientError: AWS did not tell how it ended.
        """
        if event and event.get("status") == "timeout":
            raise self._timed_out(context, event["batch_id"])
        outcome, manifest = read_event(event)
        run_ids = self._new_run_ids()
        if manifest:
            for record in read_run_manifest(manifest, **self._connection):
                run_ids.add(record)
        else:
            outcome = asyncio.run(self._collect(outcome.state, run_ids))
        summary = self._publish(context, outcome, run_ids, manifest)
        if problem := objection(outcome.state, self.max_failed_runs):
            self._push(context, return_value=summary)
            raise RunBatchFailedError(problem, outcome.state.batch_id, summary)
        return summary

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume as any deferred task does, also after a timeout of which no trigger lived to tell."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except TaskDeferralTimeout:
            ti = context["ti"]
            batch_id = ti.xcom_pull(task_ids=ti.task_id, key="batch_id", map_indexes=ti.map_index)
            raise self._timed_out(context, batch_id) from None

    def on_kill(self) -> None:
        """Cancel the batch when the task is killed while it waits on the worker."""
        if self._batch_id and self.cancel_on_kill:
            # The signal may have come in the midst of an event loop, so this one needs a thread of its own.
            with ThreadPoolExecutor(1) as pool:
                pool.submit(asyncio.run, self._cancel(self._batch_id)).result()

    def dry_run(self) -> None:
        """Check and show what would be submitted, without sending or staging anything."""
        first, total = self._submission().preview()
        self.log.info(
            "Would submit %s runs; the first: %s", "the staged" if total is None else f"{total:,}", first
        )

    def _submission(self) -> Submission:
        members = {
            "default_run_setting": self.default_run_setting,
            "batch_name": self.batch_name,
            "tags": self.tags,
            "request_id": self.request_id,
        }
        return Submission(
            self.hook.service_model, members, self.batch_run_settings, self.staging_uri, self.aws_conn_id
        )

    def _derived_request_id(self, context: Context) -> str:
        ti = context["ti"]
        return derive_request_id(
            dag_id=ti.dag_id,
            run_id=ti.run_id,
            task_id=ti.task_id,
            map_index=-1 if ti.map_index is None else ti.map_index,
            # A clear raises max_tries, a retry does not.
            first_try_number=ti.max_tries - (self.retries or 0) + 1,
            dag_run_start=context["dag_run"].start_date,
        )

    def _deadline(self, context: Context) -> float | None:
        """Return when to give up waiting, somewhat before Airflow would, in seconds since the epoch."""
        if self.execution_timeout is None:
            return None
        started: datetime = context["ti"].start_date or datetime.now(UTC)
        seconds = self.execution_timeout.total_seconds()
        return started.timestamp() + seconds - min(30, seconds / 10)

    def _timed_out(self, context: Context, batch_id: str) -> RunBatchTimeoutError:
        """Do with the batch what was asked for, publish how far it is, and return the error to raise."""
        cancelled = self.on_timeout == "cancel" and asyncio.run(self._cancel(batch_id))
        state = BatchState.from_response(batch_id, self.hook.get_batch(batch_id))
        run_ids = self._new_run_ids()
        outcome = asyncio.run(self._collect(state, run_ids))
        summary = self._publish(context, outcome, run_ids, None)
        self._push(context, return_value=summary)
        runs, total = outcome.state.runs, outcome.state.total
        message = (
            f"Run batch {batch_id} had not ended within execution_timeout ({self.execution_timeout}) "
            f"and was {'cancelled' if cancelled else 'left as it is'}: it is {outcome.state.status}, "
            f"{runs.completed:,} of {total:,} runs completed, {runs.failed:,} failed"
        )
        return RunBatchTimeoutError(message, batch_id, summary)

    def _publish(
        self, context: Context, outcome: Outcome, run_ids: RunIds, manifest: str | None
    ) -> dict[str, Any]:
        if run_ids.value is None:
            place = manifest or "set staging_uri to get a manifest"
            self.log.warning("The run ids are too many for XCom; %s", place)
        for failure in outcome.failures:
            self.log.warning("%s: %s: %s", _described(failure), failure["reason"], failure["message"])
        self._push(context, run_ids=run_ids.value, manifest_uri=manifest)
        return outcome.summary(manifest)

    def _new_run_ids(self) -> RunIds:
        return RunIds(conf.getint("omics_batch", "run_ids_max_bytes", fallback=DEFAULT_RUN_IDS_MAX_BYTES))

    async def _cancel(self, batch_id: str) -> bool:
        return await cancel_run_batch(PatientClient(_BlockingClient(self.hook), self.log), batch_id, self.log)

    def _trigger(self, batch: Mapping[str, Any], deadline: float | None) -> RunBatchTrigger:
        return RunBatchTrigger(
            batch_id=batch["id"],
            manifest_uri=self.staging_uri and manifest_uri(self.staging_uri, batch["id"], batch.get("uuid")),
            poll_interval=self.poll_interval,
            deadline=deadline,
            cancel_on_kill=self.cancel_on_kill,
            botocore_config=self.botocore_config,
            **self._connection,
        )

    @property
    def _connection(self) -> dict[str, Any]:
        return {"aws_conn_id": self.aws_conn_id, "region_name": self.region_name, "verify": self.verify}

    async def _collect(self, state: BatchState, run_ids: RunIds) -> Outcome:
        async with shared_client(**self._hook_parameters) as shared:
            return await collect_runs(PatientClient(shared, self.log), state, run_ids.add, self.log)

    def _push(self, context: Context, **values: Any) -> None:
        for key, value in values.items():
            context["ti"].xcom_push(key=key, value=value)


class _BlockingClient:
    """The worker's own client where a coroutine wants one; it is there already, whatever is going on."""

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

"""Submits run batches to AWS HealthOmics and waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from contextlib import aclosing
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields
from airflow.sdk.configuration import conf

from airflow_provider_omics_batch.exceptions import RunBatchFailedError, RunSettingsError
from airflow_provider_omics_batch.hooks.omics import OmicsHook
from airflow_provider_omics_batch.hooks.shared import shared_client
from airflow_provider_omics_batch.run_batch.client import PatientClient
from airflow_provider_omics_batch.run_batch.events import read_event
from airflow_provider_omics_batch.run_batch.identity import derive_request_id
from airflow_provider_omics_batch.run_batch.manifest import manifest_uri, read_run_manifest
from airflow_provider_omics_batch.run_batch.mapping import Outcome, RunIds, collect_runs
from airflow_provider_omics_batch.run_batch.policy import check_max_failed_runs, objection
from airflow_provider_omics_batch.run_batch.settings import (
    MAX_INLINE_RUNS,
    RequestChecker,
    merged,
    run_settings_of,
    staged_by_author,
)
from airflow_provider_omics_batch.run_batch.sheets import SampleSheet
from airflow_provider_omics_batch.run_batch.staging import check_staging_uri, stage_settings
from airflow_provider_omics_batch.run_batch.states import BatchState
from airflow_provider_omics_batch.triggers.omics import RunBatchTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context

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
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_max_failed_runs(max_failed_runs)
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

    def execute(self, context: Context) -> dict[str, Any]:
        request, total = self._request()
        batch = self.hook.start_run_batch(
            **request, request_id=self.request_id or self._derived_request_id(context)
        )
        state = BatchState(batch["id"], batch.get("status") or "CREATING", total or 0)
        self.log.info("Run batch %s of %s runs is %s", state.batch_id, total or "the staged", state.status)
        self._push(context, batch_id=state.batch_id, batch_ids=[state.batch_id])
        self._push(context, batch_arn=batch.get("arn"), batch_uuid=batch.get("uuid"))
        if not self.wait_for_completion:
            return Outcome(state).summary()
        trigger = self._trigger(batch)
        if self.deferrable:
            self.defer(trigger=trigger, method_name="execute_complete")
        return self.execute_complete(context, asyncio.run(_first_event(trigger)))

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """
        Publish what became of the batch, then judge it.

        :raises RunBatchFailedError: It did not end well enough.
        :raises botocore.exceptions.ClientError: AWS did not tell how it ended.
        """
        outcome, manifest = read_event(event)
        run_ids = RunIds(conf.getint("omics_batch", "run_ids_max_bytes", fallback=DEFAULT_RUN_IDS_MAX_BYTES))
        if manifest:
            for record in read_run_manifest(manifest, **self._connection):
                run_ids.add(record)
        else:
            outcome = asyncio.run(self._collect(outcome.state, run_ids))
        if run_ids.value is None:
            self.log.warning(
                "The run ids are too many for XCom; %s", manifest or "set staging_uri to get a manifest"
            )
        summary = outcome.summary(manifest)
        self._push(context, run_ids=run_ids.value, manifest_uri=manifest)
        for failure in outcome.failures:
            self.log.warning("%s: %s: %s", _described(failure), failure["reason"], failure["message"])
        if problem := objection(outcome.state, self.max_failed_runs):
            self._push(context, return_value=summary)
            raise RunBatchFailedError(problem, outcome.state.batch_id, summary)
        return summary

    def dry_run(self) -> None:
        """Check and show what would be submitted, without sending or staging anything."""
        checker, default = self._checked_members()
        if uri := staged_by_author(self.batch_run_settings):
            self.log.info("Would submit the run settings in %s", uri)
            return
        settings = self._run_settings(checker)
        first = next(settings)
        total = 1 + sum(1 for _ in settings)
        self.log.info(
            "Would submit %s runs; the first: %s", f"{total:,}", merged(default["default_run_setting"], first)
        )

    def _request(self) -> tuple[dict[str, Any], int | None]:
        """Return the checked request and how many runs it has, where that is known."""
        checker, request = self._checked_members()
        if uri := staged_by_author(self.batch_run_settings):
            return {**request, "batch_run_settings": {"s3UriSettings": uri}}, None
        settings = self._run_settings(checker)
        first = list(islice(settings, MAX_INLINE_RUNS + 1))
        if len(first) <= MAX_INLINE_RUNS:
            return {**request, "batch_run_settings": {"inlineSettings": first}}, len(first)
        if not self.staging_uri:
            raise RunSettingsError(
                f"More than {MAX_INLINE_RUNS} run settings do not fit into the request; "
                "set staging_uri='s3://bucket/prefix/', where roleArn may read and this task may write"
            )
        staged = stage_settings(
            chain(first, settings), self.staging_uri, S3Hook(**self._hook_parameters).conn
        )
        self.log.info("Staged %s run settings at %s", f"{staged.total:,}", staged.uri)
        return {**request, "batch_run_settings": {"s3UriSettings": staged.uri}}, staged.total

    def _checked_members(self) -> tuple[RequestChecker, dict[str, Any]]:
        if self.staging_uri:
            check_staging_uri(self.staging_uri)
        request = {
            "default_run_setting": self.default_run_setting,
            "batch_name": self.batch_name,
            "tags": self.tags,
        }
        checker = RequestChecker(self.hook.service_model)
        checker.check_request({**request, "request_id": self.request_id})
        return checker, request

    def _run_settings(self, checker: RequestChecker) -> Iterator[dict[str, Any]]:
        given = run_settings_of(self.batch_run_settings, self.aws_conn_id)
        return checker.checked(given, self.default_run_setting.get("parameters") or {})

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

    def _trigger(self, batch: Mapping[str, Any]) -> RunBatchTrigger:
        return RunBatchTrigger(
            batch_id=batch["id"],
            manifest_uri=self.staging_uri and manifest_uri(self.staging_uri, batch["id"], batch.get("uuid")),
            poll_interval=self.poll_interval,
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


async def _first_event(trigger: RunBatchTrigger) -> dict[str, Any]:
    async with aclosing(trigger.run()) as events:
        event: dict[str, Any] = (await anext(events)).payload
    return event


def _described(failure: Mapping[str, Any]) -> str:
    if failure["run_id"]:
        return f"{failure['run_setting_id']} (run {failure['run_id']}) is {failure['run_status']}"
    return f"{failure['run_setting_id']} could not be submitted"

"""Submits run batches to AWS HealthOmics and waits for them."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields

from airflow_provider_omics_batch.operators.base import RunBatchWaitOperator
from airflow_provider_omics_batch.run_batch.identity import derive_request_id
from airflow_provider_omics_batch.run_batch.manifest import manifest_uri
from airflow_provider_omics_batch.run_batch.mapping import Outcome
from airflow_provider_omics_batch.run_batch.settings import Once
from airflow_provider_omics_batch.run_batch.sheets import SampleSheet
from airflow_provider_omics_batch.run_batch.states import BatchState
from airflow_provider_omics_batch.run_batch.submission import Submission

if TYPE_CHECKING:
    from airflow.sdk import Context

# What a task returns is read as a SampleSheet by the next one, without further configuration (Airflow 3.3).
with suppress(ImportError):
    from airflow.sdk.serde import allow_class

    allow_class(SampleSheet)

#: Under this key Airflow 3.3 keeps what a task has submitted.
STATE_KEY = "run_batch"

#: The XCom keys that are there as soon as a batch is submitted.
IDENTITY = ("batch_id", "batch_arn", "batch_uuid")


class StartRunBatchOperator(RunBatchWaitOperator):
    """
    Submit up to 100,000 workflow runs as one batch, wait for them, and publish their ids.

    Everything is checked before anything is sent. The batch is submitted under a request id that stays
    the same over Airflow's retries, so that a retry finds the batch of the try before; clearing the task
    starts a new one. Airflow 3.3 keeps the batch's id over retries, too.

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

    The others are those of :class:`~airflow_provider_omics_batch.operators.base.RunBatchWaitOperator`:
    ``deferrable``, ``poll_interval``, ``max_failed_runs``, ``cancel_on_kill`` and ``on_timeout``.
    """

    template_fields = aws_template_fields(
        "default_run_setting", "batch_run_settings", "batch_name", "tags", "request_id", "staging_uri"
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {
        "default_run_setting": "json",
        "batch_run_settings": "json",
        "tags": "json",
    }

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
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.default_run_setting = default_run_setting
        self.batch_run_settings = (
            Once(batch_run_settings) if isinstance(batch_run_settings, Iterator) else batch_run_settings
        )
        self.batch_name = batch_name
        self.tags = tags
        self.request_id = request_id
        self.staging_uri = staging_uri
        self.wait_for_completion = wait_for_completion

    def execute(self, context: Context) -> dict[str, Any]:
        batch = self._earlier_submission(context) or self._submit(context)
        self._push(context, **{key: batch[key] for key in IDENTITY}, batch_ids=[batch["batch_id"]])
        store = context.get("task_state_store")
        if store is not None:
            store.set(STATE_KEY, batch)
        if not self.wait_for_completion:
            return Outcome(BatchState(batch["batch_id"], batch["status"], batch["submitted"])).summary()
        manifest = self.staging_uri and manifest_uri(self.staging_uri, batch["batch_id"], batch["batch_uuid"])
        return self.wait(context, batch["batch_id"], manifest_uri=manifest, submitted=batch["submitted"])

    def dry_run(self, context: Context | None = None) -> None:
        """
        Check and show what would be submitted, without sending or staging anything.

        :param context: What Jinja templates need, such as ``{"ds": "2026-11-22"}``.
        :raises RunSettingsError: With all that is wrong.
        """
        operator = copy.copy(self)
        if context is not None:
            operator.render_template_fields({**context, "task": operator})
        first, total = operator._submission().preview()
        self.log.info(
            "Would submit %s runs; the first: %s", "the staged" if total is None else f"{total:,}", first
        )

    def _earlier_submission(self, context: Context) -> Any:
        """
        Return the batch that an earlier try of this task has submitted, where Airflow has kept it.

        Airflow 3.3 keeps it over retries, and over a clear, too: by max_tries the two are told apart.
        """
        store = context.get("task_state_store")
        batch: Any = store.get(STATE_KEY) if store is not None else None
        if batch is None or batch.get("max_tries") != context["ti"].max_tries:
            return None
        self.log.info(
            "Run batch %s was submitted by an earlier try; this one waits for it. A clear starts another",
            batch["batch_id"],
        )
        return batch

    def _submit(self, context: Context) -> dict[str, Any]:
        settings, total = self._submission().prepare(lambda: S3Hook(**self._hook_parameters).conn)
        if "s3UriSettings" in settings:
            self.log.info("The run settings are in %s", settings["s3UriSettings"])
        answer = self.hook.start_run_batch(
            default_run_setting=self.default_run_setting,
            batch_run_settings=settings,
            request_id=self.request_id or self._derived_request_id(context),
            batch_name=self.batch_name,
            tags=self.tags,
        )
        batch = {
            "batch_id": answer["id"],
            "batch_arn": answer.get("arn"),
            "batch_uuid": answer.get("uuid"),
            "status": answer.get("status") or "CREATING",
            "submitted": total or 0,
            "max_tries": context["ti"].max_tries,
        }
        count = "the staged" if total is None else f"{total:,}"
        self.log.info("Run batch %s of %s runs is %s", batch["batch_id"], count, batch["status"])
        return batch

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
            max_tries=ti.max_tries,
            dag_run_start=context["dag_run"].start_date,
        )

"""Submits run batches to AWS HealthOmics and waits for them; cancels and deletes them."""

from __future__ import annotations

import copy
import time
from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.amazon.aws.utils.mixins import aws_template_fields
from airflow.providers.standard.triggers.temporal import DateTimeTrigger

from airflow_provider_omics_batch.operators.base import RunBatchWaitOperator
from airflow_provider_omics_batch.operators.cancelling import CancelRunBatchOperator
from airflow_provider_omics_batch.operators.deleting import DeleteBatchOperator, DeleteRunBatchOperator
from airflow_provider_omics_batch.operators.memory import (
    batches_of_earlier_tries,
    batches_of_this_try,
    has_store,
    remember,
)
from airflow_provider_omics_batch.operators.submitting import UNUSABLE, RunsSubmitter, submission_of
from airflow_provider_omics_batch.operators.waiting import backstop
from airflow_provider_omics_batch.run_batch.policy import allowed_failures
from airflow_provider_omics_batch.run_batch.records import Outcome
from airflow_provider_omics_batch.run_batch.results import EndedBatch, ended_batch
from airflow_provider_omics_batch.run_batch.rounds import (
    Remainder,
    RetryFailed,
    check_retry_failed,
    is_worth_a_round,
)
from airflow_provider_omics_batch.run_batch.settings import Once
from airflow_provider_omics_batch.run_batch.sheets import SampleSheet
from airflow_provider_omics_batch.run_batch.states import GONE, PROCESSED, BatchState
from airflow_provider_omics_batch.run_batch.submitted import SubmittedBatch
from airflow_provider_omics_batch.run_batch.targets import is_reached

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = [
    "CancelRunBatchOperator",
    "DeleteBatchOperator",
    "DeleteRunBatchOperator",
    "StartRunBatchOperator",
]

# What a task returns is read as a SampleSheet by the next one, without further configuration (Airflow 3.3).
with suppress(ImportError):
    from airflow.sdk.serde import allow_class

    allow_class(SampleSheet)


class StartRunBatchOperator(RunBatchWaitOperator):
    """
    Submit up to 100,000 workflow runs as one batch, wait for them, and publish their ids.

    Everything is checked before anything is sent. The batch is submitted under a request id that stays
    the same over Airflow's retries, so that a retry finds the batch of the try before; clearing the task
    starts a new one. Airflow 3.3 keeps the batch's id over retries, too. Where that batch ended badly, a
    retry submits another one, of the runs that did not complete.

    XCom: ``batch_id``, ``batch_arn``, ``batch_uuid`` of the last batch, ``batch_ids`` of all,
    ``manifest_uri``, ``run_ids`` (``{runSettingId: runId}``; ``None`` where it is larger than
    ``[omics_batch] run_ids_max_bytes``), and the summary as ``return_value``. All are published also when
    the task fails. For every run setting they tell of its last run.

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
    :param wait_for_completion: Whether to wait until the batch has ended. Without, the task neither judges
        what becomes of it nor cancels it for that.
    :param fail_fast: Whether to cancel the batch as soon as more runs have gone wrong than
        ``max_failed_runs`` and the rounds that are left can bear.
    :param retry_failed_rounds: How many more batches a try submits, each of the runs that failed in the one
        before it. Where they failed for want of rate, quota or capacity, ``retry_delay`` passes first.
    :param retry_failed: Which failed runs are sent again: ``"retriable"``, those that failed for a reason
        that passes by itself, or ``"all"``.

    The others are those of :class:`~airflow_provider_omics_batch.operators.base.RunBatchWaitOperator`:
    ``deferrable``, ``poll_interval``, ``wait_until``, ``max_failed_runs``, ``cancel_on_kill`` and
    ``on_timeout``. Until it is processed has to wait for a batch who sends its failed runs again.
    """

    # The run settings come first, so that batch_name may be made of a sheet's.
    template_fields = (
        "batch_run_settings",
        *aws_template_fields("default_run_setting", "batch_name", "tags", "request_id", "staging_uri"),
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
        fail_fast: bool = False,
        retry_failed_rounds: int = 0,
        retry_failed: RetryFailed = "retriable",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_retry_failed(retry_failed_rounds, retry_failed)
        if retry_failed_rounds and self.wait_until != "processed":
            raise ValueError(
                "retry_failed_rounds takes wait_until='processed': before, which runs fail is not known"
            )
        if (retry_failed_rounds or fail_fast) and not wait_for_completion:
            raise ValueError(
                "retry_failed_rounds and fail_fast take wait_for_completion=True: "
                "a task that ends with the submission sees no run fail"
            )
        self.default_run_setting = default_run_setting
        self.batch_run_settings = (
            Once(batch_run_settings) if isinstance(batch_run_settings, Iterator) else batch_run_settings
        )
        self.batch_name = batch_name
        self.tags = tags
        self.request_id = request_id
        self.staging_uri = staging_uri
        self.wait_for_completion = wait_for_completion
        self.fail_fast = fail_fast
        self.retry_failed_rounds = retry_failed_rounds
        self.retry_failed = retry_failed
        may_retry = bool(retry_failed_rounds or (self.retries and self.wait_until == "processed"))
        self._every_reason = retry_failed == "retriable" and may_retry

    def run_settings(self, context: Context) -> Any:
        """Return what is to be submitted, in any of its forms, whenever some of it is."""
        return self.batch_run_settings

    def check_before_submission(self, context: Context) -> None:
        """Stop a task that was killed; not in a retry, which finds by submitting what it has to cancel."""
        if self._tries(context) == 1:
            self._stop_if_killed()

    def execute(self, context: Context) -> dict[str, Any]:
        self._task_instance = context["ti"]
        submitter = RunsSubmitter(self, context)
        batches = batches_of_earlier_tries(context)
        if batches:
            self.log.info(
                "Run batch %s was submitted by an earlier try, and this one goes on from there. "
                "Clear the task to start from the beginning",
                batches[-1].batch_id,
            )
            submitter.compare(batches[0])
        else:
            batches = [submitter.submit()]
        last = batches[-1]
        self._take_on(batches)
        remember(context, batches)
        self._show_links_of(context, last)
        if not self.wait_for_completion:
            return Outcome(BatchState(last.batch_id, last.status, last.submitted)).summary()
        return self._resume(context, last) if self._tries(context) > 1 else self._wait(context, last)

    def execute_round(self, context: Context, event: Any = None) -> dict[str, Any]:
        """Send failed runs again, after the pause that they have called for."""
        last = batches_of_this_try(context)[-1]
        return self._complete(context, self._as_it_is(last), rested=True)

    def dry_run(self, context: Context | None = None) -> None:
        """
        Check and show what would be submitted, without sending or staging anything.

        :param context: What Jinja templates need, such as ``{"ds": "2026-11-22"}``.
        :raises RunSettingsError: With all that is wrong.
        """
        operator = copy.copy(self)
        given: Any = context or {}
        params = ChainMap(dict(given.get("params") or {}), self.params)
        known: Any = {**given, "params": params, "task": operator}
        if context is not None:
            operator.render_template_fields(known)
        first, total = submission_of(operator, known).preview()
        self.log.info(
            "Would submit %s runs; the first: %s", "the staged" if total is None else f"{total:,}", first
        )

    def _resume(self, context: Context, last: SubmittedBatch) -> dict[str, Any]:
        """Go on with a batch that an earlier try may have seen to its end."""
        batch = self._as_it_is(last)
        state = batch.outcome.state
        if is_reached(state, self.wait_until):
            return self._complete(context, batch, resuming=True)
        if state.status == "STOPPING":
            last = replace(last, resumed=True)
            remember(context, [*batches_of_this_try(context)[:-1], last])
        return self._wait(context, last)

    def _wait(self, context: Context, batch: SubmittedBatch) -> dict[str, Any]:
        another_round = batch.round_number < self.retry_failed_rounds
        return self.wait(
            context,
            batch,
            fail_fast_beyond=batch.may_fail if self.fail_fast else None,
            retry_failed=self.retry_failed if another_round else None,
            every_reason=self._every_reason,
        )

    def _complete(
        self, context: Context, batch: EndedBatch, *, resuming: bool = False, rested: bool = False
    ) -> dict[str, Any]:
        """
        Publish what became of the runs so far, then send some of them again, or judge.

        :param resuming: Whether an earlier try has come so far already, and may have judged.
        :param rested: Whether failed runs have had the pause that they called for.
        """
        batches = batches_of_this_try(context)
        resuming = resuming or batches[-1].resumed
        rounds_left = self.retry_failed_rounds - batches[-1].round_number
        if not resuming and rounds_left <= 0:
            return super()._complete(context, batch)
        remainder = Remainder(self.retry_failed, batch.outcome.state)
        published = self._publisher(context).publish(batch, remainder.note, again=rested)
        state = published.outcome.state
        retrying = resuming and self._objection(context, state) is not None
        if published.fault or not (retrying or (rounds_left > 0 and is_worth_a_round(state))):
            return self._judge(context, published)
        pause = remainder.needs_a_pause and not (retrying or rested)
        bearable = allowed_failures(self.max_failed_runs, state.total) if self.fail_fast else None
        why_not = remainder.objection(state.total, bearable) or self._is_too_late(context, pause)
        if why_not:
            self.log.info("No runs are sent again: %s", why_not)
            return self._judge(context, published)
        if pause:
            self._pause(context, len(remainder.again))
        round_number = 0 if retrying else batches[-1].round_number + 1
        try:
            new = self._submit_again(context, state, remainder, round_number)
        except UNUSABLE as error:
            self.log.error("No runs are sent again: %s", error)
            return self._judge(context, published, cause=error)
        # Where Airflow keeps nothing over tries, an earlier one may have come even further.
        walks = retrying and not has_store(context) and len(batches) < self._batches_before(context)
        return self._resume(context, new) if walks else self._wait(context, new)

    def _submit_again(
        self, context: Context, state: BatchState, remainder: Remainder, round_number: int
    ) -> SubmittedBatch:
        self._stop_if_killed()
        first, *others = batches_of_this_try(context)
        if state.ended and state.status != PROCESSED:
            self.log.warning("Run batch %s is %s: %s", state.batch_id, state.status, state.failure_reason)
        new = RunsSubmitter(self, context).submit_again(
            remainder,
            batch_number=1 + len(others),
            round_number=round_number,
            may_fail=max(0, allowed_failures(self.max_failed_runs, state.total) - remainder.lasting),
        )
        self._take_on([first, *others, new])
        # Of runs that their author has staged, HealthOmics alone has told how many there are.
        first = replace(first, submitted=max(first.submitted, state.total))
        remember(context, [first, *others, new])
        self._show_links_of(context, new)
        return new

    def _show_links_of(self, context: Context, batch: SubmittedBatch) -> None:
        manifest_uri = batch.manifest_uri if self.wait_for_completion else None
        self._show_links(context, manifest_uri, self.default_run_setting.get("outputUri"))

    def _objection(self, context: Context, state: BatchState) -> str | None:
        problem = super()._objection(context, state)
        may_fail = allowed_failures(self.max_failed_runs, state.total)
        failed = state.submissions.failed + (state.runs.failed if self.wait_until == "processed" else 0)
        if problem and self.fail_fast and state.status == "CANCELLED" and failed > may_fail:
            return f"{problem}; fail_fast cancels a batch of whose runs more fail than may, {may_fail:,}"
        return problem

    def _is_too_late(self, context: Context, pause: bool) -> str | None:
        deadline = self._deadline(context)
        rest = self.retry_delay.total_seconds() if pause else 0
        if deadline is None or time.time() + rest < deadline:
            return None
        return "execution_timeout leaves no time for that"

    def _pause(self, context: Context, runs: int) -> None:
        """Let time pass for runs that have failed for want of rate, quota or capacity."""
        self.log.info(
            "%s runs are sent again in %s: some failed for want of rate, quota or capacity",
            f"{runs:,}",
            self.retry_delay,
        )
        if self.deferrable:
            self.defer(
                trigger=DateTimeTrigger(moment=datetime.now(UTC) + self.retry_delay),
                method_name="execute_round",
                timeout=backstop(self._deadline(context)),
            )
        time.sleep(self.retry_delay.total_seconds())

    def _as_it_is(self, batch: SubmittedBatch) -> EndedBatch:
        """Return what HealthOmics says now of a batch."""
        found = self._ask(lambda client: ended_batch(client, batch, may_be_new=True))
        if found.outcome.state.status == GONE:
            known = f"the manifest at {batch.manifest_uri} tells" if batch.manifest_uri else "nothing tells"
            self.log.warning(
                "HealthOmics has no record of run batch %s any more; %s what has completed",
                batch.batch_id,
                known,
            )
        return found

    def _tries(self, context: Context) -> int:
        """Return which try this is since a person has last cleared the task, counted from 1."""
        ti = context["ti"]
        return max(1, ti.try_number - ti.max_tries + (self.retries or 0))

    def _batches_before(self, context: Context) -> int:
        """Return how many batches earlier tries may have submitted, at most."""
        return (self._tries(context) - 1) * (self.retry_failed_rounds + 1)

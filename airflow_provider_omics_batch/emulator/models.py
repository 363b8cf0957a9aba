"""The state of HealthOmics in one account and Region, and the rules of its operations on batches."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from moto.core.base_backend import BackendDict
from moto.moto_api._internal import mock_random

from airflow_provider_omics_batch.emulator.exceptions import ERRORS, ResourceNotFoundException
from airflow_provider_omics_batch.emulator.plan.chance import deletion_fails
from airflow_provider_omics_batch.emulator.plan.course import cancel, delete, last_turn
from airflow_provider_omics_batch.emulator.plan.tally import has_failed
from airflow_provider_omics_batch.emulator.requests.filters import only_filter
from airflow_provider_omics_batch.emulator.requests.idempotency import RequestLog, without_id
from airflow_provider_omics_batch.emulator.requests.paging import first_place, page
from airflow_provider_omics_batch.emulator.requests.validation import check_request
from airflow_provider_omics_batch.emulator.resources.batch import (
    CAN_CANCEL,
    CAN_DELETE,
    CAN_DELETE_RUNS,
    CAN_FAIL,
    TRANSIENT_ERROR,
    Batch,
)
from airflow_provider_omics_batch.emulator.resources.intake import decide, gather, passing_failures
from airflow_provider_omics_batch.emulator.resources.run import Run, candidates
from airflow_provider_omics_batch.emulator.resources.run_settings import (
    RunSettings,
    check_default,
    checked_tags,
)
from airflow_provider_omics_batch.emulator.resources.tags import TagOperations

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_omics_batch.emulator.plan.chance import Fate
    from airflow_provider_omics_batch.emulator.plan.failures import FailureRule
    from airflow_provider_omics_batch.emulator.resources.account import Page, Params
    from airflow_provider_omics_batch.emulator.resources.intake import FailedBefore
    from airflow_provider_omics_batch.emulator.resources.run_settings import RunSetting


class OmicsBackend(TagOperations):
    """HealthOmics in one account and Region."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self._batch_requests: RequestLog[Batch] = RequestLog()
        self._next_batch_id = 1_000_001

    def start_run_batch(self, params: Params, fails_after: int | None = None) -> Params:
        """
        Start a batch.

        :param fails_after: the batch fails with a transient error when it has submitted so many runs.
        """
        check_request("StartRunBatch", params)
        default = params["defaultRunSetting"]
        with self._lock:
            now = self._observe()
            if known := self._repeated(params, now, fails_after):
                return known.started(now)
            check_default(default)
            checked_tags(params)
            premises, failed = self._premises(default, now), self._failed_before(default, now)
        source = params["batchRunSettings"]
        mark, settings, reason = gather(source, self.account_id, self.partition, self.settings)
        runs = RunSettings() if reason else settings
        fates = decide(default, runs, self.settings, failed, premises)
        with self._lock:
            now = self._observe()
            if known := self._repeated(params, now, fails_after):
                return known.started(now)
            batch = self._create(params, settings, fates, now)
            batch.file = mark
            if reason is not None:
                batch.fail(reason)
            elif fails_after is not None:
                batch.fail(TRANSIENT_ERROR, fails_after)
            self._plan(now)
            self._batch_requests.note(params, batch)
            return batch.started(now)

    def _repeated(self, params: Params, now: float, fails_after: int | None) -> Batch | None:
        """Find the batch of a request that was sent before; it is the one to fail, if one is."""
        before = self._batch_requests.used_for(params["requestId"])
        if before and self.settings.failed_batch_frees_request and before.status(now) == "FAILED":
            return None
        known = self._batch_requests.find(params, self.settings)
        if known and fails_after is not None and known.status(now) in CAN_FAIL and not known.failure_reason:
            submitted = known.course.submissions(now)
            known.fail(TRANSIENT_ERROR, max(fails_after, submitted), max(now, known.ready_at))
            self._plan(now)
        return known

    def _failed_before(self, default: RunSetting, now: float) -> FailedBefore:
        """Look up which runs of a workflow have failed by now for passing reasons."""
        failed: defaultdict[str, list[FailureRule | None]] = defaultdict(list)
        for batch in self._batches:
            if batch.passing and batch.default["workflowId"] == default["workflowId"]:
                for place, rule in batch.passing.items():
                    if has_failed(batch.course, place, now):
                        failed[batch.run_settings.names[place]].append(rule)
        return failed

    def _create(self, params: Params, settings: RunSettings, fates: list[Fate], now: float) -> Batch:
        batch_id = str(self._next_batch_id)
        self._next_batch_id += 1
        default = params["defaultRunSetting"]
        ready_at = now + self.settings.creating_seconds + self.settings.pending_seconds
        batch = Batch(
            id=batch_id,
            arn=self.arn(f"runBatch/{batch_id}"),
            uuid=str(mock_random.uuid4()),
            first_run_id=self._take_run_ids(max(1, len(fates)), now),
            request=without_id(params),
            run_settings=settings,
            created_at=now,
            settings=self.settings,
            course=self._course(default, settings, fates, ready_at),
            workflow=self._workflow_facts(default, now),
            tags=checked_tags(params),
            passing=passing_failures(default, settings, fates, self.settings.failures),
        )
        self._add(batch)
        self._by_id[batch_id] = batch
        return batch

    def get_batch(self, params: Params) -> Params:
        check_request("GetBatch", params)
        with self._lock:
            now = self._observe()
            return self._batch(params["batchId"]).describe(now)

    def _batch(self, batch_id: str) -> Batch:
        batch = self._by_id.get(batch_id)
        if batch is None:
            raise ResourceNotFoundException(f"The batch {batch_id} does not exist")
        return batch

    def list_batch(self, params: Params) -> Page:
        """List the batches, the newest first."""
        check_request("ListBatch", params)
        filters = only_filter(params, self.settings, "status", "name", "runGroupId")
        with self._lock:
            now = self._observe()
            start = first_place(params.get("startingToken"), filters) or len(self._batches)
            start = min(start, len(self._batches))
            batches = ((place + 1, self._batches[place]) for place in reversed(range(start)))
            found = ((place, batch.item(now)) for place, batch in batches if batch.matches(filters, now))
            return page(found, params.get("maxItems"), filters)

    def list_runs_in_batch(self, params: Params) -> Page:
        """List the runs whose submission was attempted, in the order of the settings."""
        check_request("ListRunsInBatch", params)
        filters = only_filter(params, self.settings, "submissionStatus", "runSettingId", "runId")
        with self._lock:
            now = self._observe()
            batch = self._batch(params["batchId"])
            question = (batch.id, filters)
            places = range(first_place(params.get("startingToken"), question), self._shown_runs(batch, now))
            runs = (Run(batch, place) for place in candidates(batch, filters, places, now))
            shown = ((run.place, run.submission(now)) for run in runs)
            found = ((place, item) for place, item in shown if filters.items() <= item.items())
            return page(found, params.get("maxItems"), question)

    def _shown_runs(self, batch: Batch, now: float) -> int:
        if self.settings.unsubmitted_after_cancel != "absent" and batch.course.cancelled_at <= now:
            return len(batch.course.fates)
        return batch.course.submissions(now)

    def cancel_run_batch(self, params: Params) -> None:
        check_request("CancelRunBatch", params)
        with self._lock:
            batch, now = self._in_status("cancel", params["batchId"], CAN_CANCEL)
            orders = (turns for each in self._batches for turns in (each.course.stops, each.course.missed))
            cancel(batch.course, self.settings, now, last_turn(orders, now))
            self._plan(now)

    def fail_batch(self, batch_id: str, reason: str = TRANSIENT_ERROR) -> None:
        """Let a batch fail now, as the service may do on its side; the runs it has submitted go on."""
        with self._lock:
            batch, now = self._in_status("fail", batch_id, CAN_FAIL)
            batch.fail(reason, batch.course.submissions(now), since=now)
            self._plan(now)

    def delete_run_batch(self, params: Params) -> None:
        """Delete the runs of a batch; the batch stays."""
        check_request("DeleteRunBatch", params)
        with self._lock:
            batch, now = self._in_status("delete the runs of", params["batchId"], CAN_DELETE_RUNS)
            names = enumerate(batch.run_settings.names)
            failing = {place for place, name in names if deletion_fails(name, self.settings)}
            courses = (each.course for each in self._batches)
            orders = (turns for course in courses for turns in (course.deletions, course.undeleted))
            delete(batch.course, self.settings, now, failing, last_turn(orders, now))
            self._plan(now)

    def delete_batch(self, params: Params) -> None:
        """Delete a batch; its runs stay."""
        check_request("DeleteBatch", params)
        with self._lock:
            batch, _ = self._in_status("delete", params["batchId"], CAN_DELETE)
            batch.deleted = True
            del self._by_id[batch.id]
            self._batch_requests.forget(batch)

    def _in_status(self, verb: str, batch_id: str, allowed: Sequence[str]) -> tuple[Batch, float]:
        now = self._observe()
        batch = self._batch(batch_id)
        status = batch.status(now)
        if status not in allowed:
            raise ERRORS[self.settings.illegal_transition](
                f"Cannot {verb} the batch {batch_id} in status {status}; allowed: {', '.join(allowed)}"
            )
        return batch, now


omics_backends = BackendDict(OmicsBackend, "omics")

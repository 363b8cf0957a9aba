"""The state of HealthOmics in one account and Region, and the rules of its operations."""

from __future__ import annotations

from bisect import bisect_right
from itertools import count
from threading import RLock
from typing import TYPE_CHECKING, Any, ClassVar

from moto.core.base_backend import BackendDict, BaseBackend
from moto.moto_api._internal import mock_random

from airflow_provider_omics_batch.emulator.batch import (
    CAN_CANCEL,
    CAN_DELETE,
    CAN_DELETE_RUNS,
    CAN_FAIL,
    TRANSIENT_ERROR,
    Batch,
)
from airflow_provider_omics_batch.emulator.clock import Clock, ScaledClock
from airflow_provider_omics_batch.emulator.exceptions import ConflictException, ResourceNotFoundException
from airflow_provider_omics_batch.emulator.intake import decide, excused, gather
from airflow_provider_omics_batch.emulator.paging import first_place, page
from airflow_provider_omics_batch.emulator.run import Run, batch_runs
from airflow_provider_omics_batch.emulator.run_settings import RunSetting, check_default, current_etag
from airflow_provider_omics_batch.emulator.schedule import Course, cancel, delete, plan
from airflow_provider_omics_batch.emulator.settings import Settings
from airflow_provider_omics_batch.emulator.validation import check_request, only_filters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_omics_batch.emulator.chance import Fate

Params = dict[str, Any]
Page = tuple[list[dict[str, Any]], str | None]


class OmicsBackend(BaseBackend):
    """
    HealthOmics in one account and Region.

    A backend made after :meth:`configure_all`, a reset included, has those settings and that clock.
    """

    default_settings: ClassVar[Settings] = Settings()
    default_clock: ClassVar[Clock] = ScaledClock()

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.settings = type(self).default_settings
        self.clock: Clock = type(self).default_clock
        self._lock = RLock()
        self._batches: list[Batch] = []
        self._by_id: dict[str, Batch] = {}
        self._by_request: dict[str, Batch] = {}
        self._unchecked: list[Batch] = []
        self._excused: set[str] = set()
        self._batch_ids = count(1_000_001)
        self._next_run_id = 5_000_001

    @classmethod
    def configure_all(cls, settings: Settings, clock: Clock) -> None:
        """Set what every backend that is made from now on begins with."""
        cls.default_settings = settings
        cls.default_clock = clock

    def configure(self, settings: Settings | None = None, clock: Clock | None = None) -> None:
        """Set this account and Region, for the batches started from now on."""
        self.settings = settings or self.settings
        self.clock = clock or self.clock

    def start_run_batch(self, params: Params, fails_after: int | None = None) -> Params:
        """
        Start a batch.

        :param fails_after: the batch fails with a transient error when it has submitted so many runs.
        """
        check_request("StartRunBatch", params)
        request = {name: value for name, value in params.items() if name != "requestId"}
        with self._lock:
            if known := self._repeated(params["requestId"], request):
                return known.started(self._observe())
        check_default(request["defaultRunSetting"])
        mark, settings, reason = gather(request["batchRunSettings"], self.account_id, self.partition)
        known_good = [] if reason else settings
        fates = decide(request["defaultRunSetting"], known_good, self.settings, self._excused)
        with self._lock:
            now = self._observe()
            if known := self._repeated(params["requestId"], request):
                return known.started(now)
            batch = self._create(request, settings, fates, now)
            batch.file = mark
            if reason is not None:
                batch.fail(reason)
            elif fails_after is not None:
                batch.fail(TRANSIENT_ERROR, fails_after)
            self._plan(now)
            self._by_request[params["requestId"]] = batch
            return batch.started(now)

    def _repeated(self, request_id: str, request: Params) -> Batch | None:
        """Find the batch of a request that was sent before; AWS does not document what it answers."""
        batch = self._by_request.get(request_id)
        if batch and batch.request != request:
            raise ConflictException(f"requestId {request_id} was used before with other parameters")
        return batch

    def _create(
        self, request: Params, settings: Sequence[RunSetting], fates: list[Fate], now: float
    ) -> Batch:
        batch_id = str(next(self._batch_ids))
        ready_at = now + self.settings.creating_seconds + self.settings.pending_seconds
        batch = Batch(
            id=batch_id,
            arn=f"arn:{self.partition}:omics:{self.region_name}:{self.account_id}:runBatch/{batch_id}",
            uuid=str(mock_random.uuid4()),
            first_run_id=self._next_run_id,
            request=request,
            run_settings=settings,
            created_at=now,
            settings=self.settings,
            course=Course(self.settings, ready_at, fates),
        )
        self._next_run_id += max(1, len(fates))
        self._batches.append(batch)
        self._by_id[batch_id] = batch
        self._unchecked.append(batch)
        self._excused |= excused(settings, fates)
        return batch

    def _plan(self, now: float) -> None:
        plan([batch.course for batch in self._batches], self.settings, now)

    def _observe(self) -> float:
        """
        Read the clock, and compare the ETags that are due.

        A service would have compared them in the background; here the first call after that moment does.
        """
        now = self.clock()
        due = [batch for batch in self._unchecked if batch.ready_at <= now]
        self._unchecked = [batch for batch in self._unchecked if batch.ready_at > now]
        changed = [batch for batch in due if self._compare(batch)]
        if changed:
            self._plan(now)
        return now

    def _compare(self, batch: Batch) -> bool:
        if batch.file is None or batch.failure_reason or batch.course.cancelled_at <= batch.ready_at:
            return False
        etag = current_etag(batch.file, self.account_id, self.partition)
        if etag == batch.file.etag:
            return False
        batch.fail(
            f'Expected s3UriConfigs etag: "{batch.file.etag}" but was: "{etag}". '
            "s3UriConfigs have changed since calling StartRunBatch"
        )
        return True

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
        filters = only_filters(params, "status", "name", "runGroupId")
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
        filters = only_filters(params, "submissionStatus", "runSettingId", "runId")
        with self._lock:
            now = self._observe()
            batch = self._batch(params["batchId"])
            question = (batch.id, filters)
            places = range(first_place(params.get("startingToken"), question), batch.course.submissions(now))
            runs = ((place, Run(batch, place).submission(now)) for place in places)
            found = ((place, shown) for place, shown in runs if filters.items() <= shown.items())
            return page(found, params.get("maxItems"), question)

    def cancel_run_batch(self, params: Params) -> None:
        check_request("CancelRunBatch", params)
        with self._lock:
            batch, now = self._in_status("cancel", params["batchId"], CAN_CANCEL)
            cancel(batch.course, self.settings, now)
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
            delete(batch.course, self.settings, now)

    def delete_batch(self, params: Params) -> None:
        """Delete a batch; its runs stay."""
        check_request("DeleteBatch", params)
        with self._lock:
            batch, _ = self._in_status("delete", params["batchId"], CAN_DELETE)
            batch.deleted = True
            del self._by_id[batch.id]
            self._by_request = {key: kept for key, kept in self._by_request.items() if kept is not batch}

    def _in_status(self, verb: str, batch_id: str, allowed: Sequence[str]) -> tuple[Batch, float]:
        now = self._observe()
        batch = self._batch(batch_id)
        status = batch.status(now)
        if status not in allowed:
            raise ConflictException(
                f"Cannot {verb} the batch {batch_id} in status {status}; allowed: {', '.join(allowed)}"
            )
        return batch, now

    def list_runs(self, params: Params) -> Page:
        """List the runs of all batches that exist, in the order of their ids."""
        check_request("ListRuns", params)
        filters = only_filters(params, "name", "runGroupId", "batchId", "status", only_one=False)
        with self._lock:
            now = self._observe()
            start = first_place(params.get("startingToken"), filters)
            wanted = filters.get("batchId")
            batches = (batch for batch in self._batches if wanted in (None, batch.id))
            runs = (run for batch in batches for run in batch_runs(batch, start, now))
            found = ((int(run.id), run.item(now)) for run in runs if run.matches(filters, now))
            return page(found, params.get("maxResults"), filters)

    def get_run(self, params: Params) -> Params:
        check_request("GetRun", params)
        with self._lock:
            now = self._observe()
            run = self._run(int(params["id"]))
            if run is None or run.status(now) in (None, "DELETED"):
                raise ResourceNotFoundException(f"The run {params['id']} does not exist")
            return run.describe(now)

    def _run(self, run_id: int) -> Run | None:
        position = bisect_right(self._batches, run_id, key=lambda batch: batch.first_run_id) - 1
        if position < 0:
            return None
        batch = self._batches[position]
        place = run_id - batch.first_run_id
        return Run(batch, place) if place < len(batch.course.fates) else None


omics_backends = BackendDict(OmicsBackend, "omics")

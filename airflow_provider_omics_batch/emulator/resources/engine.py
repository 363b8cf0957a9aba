"""The batches and runs of an account, and the plan of what becomes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_omics_batch.emulator.plan.schedule import plan
from airflow_provider_omics_batch.emulator.resources.account import Account
from airflow_provider_omics_batch.emulator.resources.events import Herald
from airflow_provider_omics_batch.emulator.resources.run import Run
from airflow_provider_omics_batch.emulator.resources.run_ids import RunIds
from airflow_provider_omics_batch.emulator.resources.run_settings import current_etag

if TYPE_CHECKING:
    from airflow_provider_omics_batch.emulator.clock import Clock
    from airflow_provider_omics_batch.emulator.resources.batch import Batch
    from airflow_provider_omics_batch.emulator.settings import Settings


class Engine(Account):
    """An account whose batches and runs follow a plan."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self._batches: list[Batch] = []
        self._run_ids = RunIds()
        self._unchecked: list[Batch] = []
        self._herald = Herald(account_id, region_name)

    def configure(self, settings: Settings | None = None, clock: Clock | None = None) -> None:
        """Set this account and Region, for what is started from now on; rates and places follow at once."""
        with self._lock:
            super().configure(settings, clock)
            self._plan(self._observe())

    def _take_run_ids(self, number: int, now: float) -> int:
        if self.settings.reuse_run_ids:
            self._run_ids.reclaim(now)
        return self._run_ids.take(number)

    def _add(self, batch: Batch) -> None:
        self._batches.append(batch)
        self._run_ids.add(batch)
        self._unchecked.append(batch)

    def _plan(self, now: float) -> None:
        plan([batch.course for batch in self._batches], self.settings, now, self._group_limits())

    def _group_limits(self) -> dict[str, int]:
        """Tell how many runs of each run group may be at work."""
        return {}

    def _observe(self) -> float:
        """
        Read the clock, compare the ETags and send the events that are due.

        A service would have done so in the background; here the first call after that moment does.
        """
        now = self.clock()
        due = [batch for batch in self._unchecked if batch.ready_at <= now]
        self._unchecked = [batch for batch in self._unchecked if batch.ready_at > now]
        changed = [batch for batch in due if self._compare(batch)]
        if changed:
            self._plan(now)
        self._herald.tell(self._batches, now)
        return now

    def send_events(self) -> None:
        """Tell EventBridge what has happened since the last call of an operation."""
        if self._herald.is_heard():
            with self._lock:
                self._observe()

    def _compare(self, batch: Batch) -> bool:
        if batch.file is None or batch.failure_reason or batch.course.cancelled_at <= batch.ready_at:
            return False
        etag = current_etag(batch.file, self.account_id, self.partition)
        if etag == batch.file.etag:
            return False
        if etag is None:
            batch.fail(f"Unable to access s3UriSettings {batch.file.uri}: no such object")
            return True
        batch.fail(
            f'Expected s3UriConfigs etag: "{batch.file.etag}" but was: "{etag}". '
            "s3UriConfigs have changed since calling StartRunBatch"
        )
        return True

    def _run(self, run_id: str) -> Run | None:
        batch = self._run_ids.find(int(run_id))
        place = int(run_id) - batch.first_run_id if batch else 0
        return Run(batch, place) if batch and place < len(batch.course.fates) else None

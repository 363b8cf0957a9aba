"""Run groups: how many runs of one may be at work, and how long each may take."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, ClassVar

from airflow_provider_omics_batch.emulator.exceptions import ConflictException
from airflow_provider_omics_batch.emulator.requests.validation import check_request
from airflow_provider_omics_batch.emulator.resources.created import Resource, Shelf, new_facts
from airflow_provider_omics_batch.emulator.resources.engine import Engine
from airflow_provider_omics_batch.emulator.resources.tasks import CPUS

if TYPE_CHECKING:
    from airflow_provider_omics_batch.emulator.resources.account import Page, Params


@dataclass(eq=False, kw_only=True)
class RunGroup(Resource):
    """A run group. No task here needs a GPU, so ``maxGpus`` limits nothing."""

    kind: ClassVar[str] = "runGroup"
    title: ClassVar[str] = "run group"
    listed: ClassVar[tuple[str, ...]] = ("maxCpus", "maxGpus", "maxRuns", "maxDuration")

    @property
    def max_runs(self) -> int:
        """How many runs may be at work: a run has one task at a time, and no less than one run goes."""
        by_cpus: int = max(1, self.request.get("maxCpus", 100_000) // CPUS)
        by_runs: int = self.request.get("maxRuns", 100_000)
        return min(by_cpus, by_runs)

    @property
    def max_seconds(self) -> float:
        minutes: float = self.request.get("maxDuration", inf)
        return minutes * 60


class RunGroupOperations(Engine):
    """The operations on run groups."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self._run_groups = Shelf(RunGroup, 3_000_001)

    def create_run_group(self, params: Params) -> Params:
        check_request("CreateRunGroup", params)
        with self._lock:
            now = self._observe()
            if known := self._run_groups.requests.find(params, self.settings):
                return known.created(now)
            facts = new_facts(params, now)
            group = self._run_groups.create(params, facts, self.arn, self.settings.max_run_groups)
            return group.created(now)

    def get_run_group(self, params: Params) -> Params:
        check_request("GetRunGroup", params)
        with self._lock:
            return self._run_groups.get(params["id"]).describe(self._observe())

    def list_run_groups(self, params: Params) -> Page:
        check_request("ListRunGroups", params)
        with self._lock:
            return self._run_groups.list(params, self.settings, self._observe())

    def update_run_group(self, params: Params) -> None:
        """Change a run group; the number of runs at work follows at once, the duration for new runs."""
        check_request("UpdateRunGroup", params)
        with self._lock:
            now = self._observe()
            group = self._run_groups.get(params["id"])
            group.request.update({name: value for name, value in params.items() if name != "id"})
            self._plan(now)

    def delete_run_group(self, params: Params) -> None:
        """Delete a run group; one with runs that are not over stays."""
        check_request("DeleteRunGroup", params)
        with self._lock:
            now = self._observe()
            group = self._run_groups.get(params["id"])
            courses = (b.course for b in self._batches if b.default.get("runGroupId") == group.id)
            if any(course.goes_on(now) for course in courses):
                raise ConflictException(f"The run group {group.id} has runs that are not over")
            self._run_groups.delete(group.id)

    def _group_limits(self) -> dict[str, int]:
        return {group.id: group.max_runs for group in self._run_groups}

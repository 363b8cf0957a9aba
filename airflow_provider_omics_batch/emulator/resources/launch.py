"""What StartRunBatch and StartRun have in common: what their runs refer to, and where these wait."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_omics_batch.emulator.plan.chance import Failure
from airflow_provider_omics_batch.emulator.plan.course import Course, Line
from airflow_provider_omics_batch.emulator.resources.intake import Premises
from airflow_provider_omics_batch.emulator.resources.run_caches import RunCacheOperations
from airflow_provider_omics_batch.emulator.resources.run_groups import RunGroupOperations
from airflow_provider_omics_batch.emulator.resources.workflows import WorkflowOperations

if TYPE_CHECKING:
    from airflow_provider_omics_batch.emulator.plan.chance import Fate
    from airflow_provider_omics_batch.emulator.resources.run_settings import RunSetting, RunSettings


class Launch(WorkflowOperations, RunGroupOperations, RunCacheOperations):
    """An account that can start runs."""

    def _premises(self, default: RunSetting, now: float) -> Premises:
        """
        Look up what runs refer to.

        :raises ResourceNotFoundException: there is no such workflow.
        """
        definition = self._definition(default, now)
        group = self._run_groups.find(default.get("runGroupId"))
        limit = self.settings.max_run_seconds
        return Premises(
            template=definition.template if definition else None,
            missing=self._missing(default),
            cached=self._cached_tasks(default, now),
            limit=min(limit, group.max_seconds) if group else limit,
        )

    def _missing(self, default: RunSetting) -> Failure | None:
        for name, shelf in (("runGroupId", self._run_groups), ("cacheId", self._run_caches)):
            resource_id = default.get(name)
            # A run cache that was deleted is empty.
            deleted = name == "runGroupId" and shelf.is_deleted(resource_id)
            if deleted or (self.settings.strict_ids and resource_id and shelf.find(resource_id) is None):
                return Failure("ResourceNotFoundException", f"There is no {name} {resource_id}")
        return None

    def _workflow_facts(self, default: RunSetting, now: float) -> dict[str, Any]:
        """Tell what runs show of their workflow."""
        definition = self._definition(default, now)
        if definition is None:
            return {}
        return {
            "workflowName": self._workflows.get(definition.id).request.get("name"),
            "workflowUuid": definition.uuid,
            "digest": definition.digest,
            "accelerators": definition.request.get("accelerators"),
        }

    def _course(
        self, default: RunSetting, run_settings: RunSettings, fates: list[Fate], ready_at: float
    ) -> Course:
        storage = default.get("storageType") or self.settings.default_storage_type
        rank = self._rank(default.get("priority"))
        own = run_settings.priorities.items()
        return Course(
            self.settings,
            ready_at,
            fates,
            line=Line(default.get("runGroupId"), storage == "STATIC"),
            rank=rank,
            ranks={place: self._rank(priority) for place, priority in own},
            removable=default.get("retentionMode") == "REMOVE",
        )

    def _rank(self, priority: int | None) -> int:
        return (priority or 0) * (-1 if self.settings.urgent_priority == "high" else 1)

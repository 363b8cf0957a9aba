"""Run caches: what a run has finished before it failed, a later one with the same input does not do again."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, ClassVar

from airflow_provider_omics_batch.emulator.plan.tally import outcome
from airflow_provider_omics_batch.emulator.requests.validation import check_request
from airflow_provider_omics_batch.emulator.resources.created import Resource, Shelf, new_facts
from airflow_provider_omics_batch.emulator.resources.engine import Engine
from airflow_provider_omics_batch.emulator.resources.run_settings import RunSetting, merge
from airflow_provider_omics_batch.emulator.resources.tasks import finished_tasks

if TYPE_CHECKING:
    from airflow_provider_omics_batch.emulator.resources.account import Page, Params
    from airflow_provider_omics_batch.emulator.resources.batch import Batch

#: After these nothing of a run is kept.
_NOT_KEPT = ("EXPORT_FAILED", "FILE_SYSTEM_OUT_OF_SPACE", "RUN_TIMED_OUT")

#: Tells how many tasks of a run are in the cache.
Lookup = Callable[[RunSetting], int]


@dataclass(eq=False, kw_only=True)
class RunCache(Resource):
    """A run cache; one that was deleted is gone."""

    kind: ClassVar[str] = "runCache"
    title: ClassVar[str] = "run cache"
    listed: ClassVar[tuple[str, ...]] = ("cacheBehavior", "cacheS3Uri", "status")

    @property
    def behavior(self) -> str:
        behavior: str = self.request.get("cacheBehavior") or "CACHE_ON_FAILURE"
        return behavior

    def created(self, now: float) -> Params:
        return {**super().created(now), "status": "ACTIVE"}

    def describe(self, now: float) -> Params:
        described = super().describe(now)
        described["cacheS3Uri"] = described.pop("cacheS3Location")
        return {**described, "cacheBehavior": self.behavior}


class RunCacheOperations(Engine):
    """The operations on run caches."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self._run_caches = Shelf(RunCache, 2_000_001)

    def create_run_cache(self, params: Params) -> Params:
        check_request("CreateRunCache", params)
        with self._lock:
            now = self._observe()
            if known := self._run_caches.requests.find(params, self.settings):
                return known.created(now)
            facts = new_facts({"cacheBucketOwnerId": self.account_id, **params}, now)
            cache = self._run_caches.create(params, facts, self.arn, self.settings.max_run_caches)
            return cache.created(now)

    def get_run_cache(self, params: Params) -> Params:
        check_request("GetRunCache", params)
        with self._lock:
            return self._run_caches.get(params["id"]).describe(self._observe())

    def list_run_caches(self, params: Params) -> Page:
        check_request("ListRunCaches", params)
        with self._lock:
            return self._run_caches.list(params, self.settings, self._observe())

    def update_run_cache(self, params: Params) -> None:
        check_request("UpdateRunCache", params)
        with self._lock:
            cache = self._run_caches.get(params["id"])
            cache.request.update({name: value for name, value in params.items() if name != "id"})

    def delete_run_cache(self, params: Params) -> None:
        check_request("DeleteRunCache", params)
        with self._lock:
            self._run_caches.delete(params["id"])

    def _cached_tasks(self, default: RunSetting, now: float) -> Lookup:
        """Look up what earlier runs of the same workflow have left by now in the cache of new ones."""
        kept: dict[bytes, int] = {}
        cache_id = default.get("cacheId")
        # An id that was never created is taken for good; a deleted cache stays empty.
        if cache_id and not self._run_caches.is_deleted(cache_id):
            source = _source(default)
            for batch in self._batches:
                if _source(batch.default) == source:
                    self._collect(batch, kept, now)
        return lambda setting: kept.get(_key(default, setting), 0) if kept else 0

    def _collect(self, batch: Batch, kept: dict[bytes, int], now: float) -> None:
        cache = self._run_caches.find(batch.default["cacheId"])
        behavior = batch.default.get("cacheBehavior") or (cache.behavior if cache else "CACHE_ON_FAILURE")
        for place in range(batch.course.submissions(now)):
            if number := _kept_tasks(batch, place, behavior, now):
                key = _key(batch.default, batch.run_settings[place])
                kept[key] = max(number, kept.get(key, 0))


def _kept_tasks(batch: Batch, place: int, behavior: str, now: float) -> int:
    course = batch.course
    fate = course.fates[place]
    if fate.refusal or course.ended[place] > now:
        return 0
    end = outcome(course, place)
    if end == "COMPLETED" and behavior != "CACHE_ALWAYS":
        return 0
    if end == "FAILED" and fate.failure and fate.failure.reason in _NOT_KEPT:
        return 0
    return finished_tasks(course, place)


def _source(setting: RunSetting) -> tuple[str | None, ...]:
    return tuple(setting.get(name) for name in ("cacheId", "workflowId", "workflowVersionName"))


def _key(default: RunSetting, setting: RunSetting) -> bytes:
    """Name the input of a run."""
    parameters = json.dumps(merge(default, setting)["parameters"], sort_keys=True)
    return blake2b(parameters.encode(errors="surrogatepass"), digest_size=16).digest()

"""
The events of HealthOmics in moto's EventBridge.

Nothing happens until a rule with a target is there, and so nothing of EventBridge is loaded before. What has
changed is found by the times of the plan whenever somebody looks; see :meth:`.Engine.send_events`.
"""

from __future__ import annotations

import logging
import sys
import time
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple

from moto.moto_api._internal import mock_random

from airflow_provider_omics_batch.emulator.plan.tally import spans
from airflow_provider_omics_batch.emulator.resources.batch import TRANSIENT_ERROR
from airflow_provider_omics_batch.emulator.resources.run import Run

if TYPE_CHECKING:
    from airflow_provider_omics_batch.emulator.plan.course import Course
    from airflow_provider_omics_batch.emulator.resources.batch import Batch

SOURCE = "aws.omics"
KINDS = BATCH_CHANGE, RUN_CHANGE = "RunBatch Status Change", "Run Status Change"

log = logging.getLogger(__name__)


class Change(NamedTuple):
    """A new status of a batch, or of the run at a place of it."""

    time: float
    batch: Batch
    place: int | None
    status: str

    def order(self) -> tuple[float, bool]:
        """Give what changes are told by: a batch is only over when its last run is."""
        return self.time, self.place is None


class Herald:
    """Tells EventBridge of each change of a status once."""

    def __init__(self, account_id: str, region_name: str) -> None:
        self._account_id = account_id
        self._region_name = region_name
        self._told_until = -inf
        # Changes at that very moment, of which some may come later.
        self._told: set[Change] = set()
        # The names of the rules that were there the last time.
        self._heard_by: set[str] = set()
        self._orders: dict[int, _Order] = {}

    def __getstate__(self) -> dict[str, Any]:
        # The ids of objects do not last, and rules are not kept.
        return {**vars(self), "_orders": {}, "_heard_by": set()}

    def tell(self, batches: Iterable[Batch], now: float) -> None:
        """Send what has changed since the last time; a rule that is new hears nothing older than itself."""
        rules = self._rules()
        wanted = _wanted(rules)
        since = self._told_until
        changes: list[Change] = []
        if BATCH_CHANGE in wanted:
            changes += _batch_changes(batches, since, now)
        if RUN_CHANGE in wanted:
            changes += self._run_changes(batches, since, now)
        fresh = sorted((c for c in changes if c not in self._told), key=Change.order)
        if since < now:
            self._told.clear()
        self._told |= {change for change in fresh if change.time == now}
        self._told_until = now
        heard_by, self._heard_by = self._heard_by, {rule.name for rule in rules}
        for change in fresh:
            hearing = [rule for rule in rules if rule.name in heard_by or change.time == now]
            if hearing:
                self._send(_event(change), hearing)

    def is_heard(self) -> bool:
        """Tell whether anybody wants to know, or did so the last time."""
        return bool(_wanted(self._rules()) or self._heard_by)

    def _rules(self) -> list[Any]:
        """List the rules for us with a target; one without a pattern has a schedule instead."""
        if "moto.events.models" not in sys.modules:
            return []
        backend = sys.modules["moto.events.models"].events_backends[self._account_id][self._region_name]
        rules = backend.event_buses["default"].rules.values()
        enabled = (rule for rule in rules if rule.state == "ENABLED" and rule.targets)
        return [rule for rule in enabled if _is_for_us(rule.event_pattern.get_pattern())]

    def _send(self, event: dict[str, Any], rules: Iterable[Any]) -> None:
        """Give an event to the rules ourselves: what moto's PutEvents delivers lacks the account."""
        event = {**event, "account": self._account_id, "region": self._region_name}
        for rule in rules:
            transforms = all("InputTransformer" in target for target in rule.targets)
            ingestion = {"ingestion-time": time.time()} if transforms else {}
            try:
                rule.send_to_targets({**event, **ingestion}, transform_input=transforms)
            except Exception:
                log.warning("An event could not be delivered to the rule %s", rule.name, exc_info=True)

    def _run_changes(self, batches: Iterable[Batch], since: float, until: float) -> Iterator[Change]:
        for batch in batches:
            if max([*batch.turns(), *batch.course.gone.values()]) < since:
                self._orders.pop(id(batch), None)
                continue
            order = self._orders.get(id(batch))
            if order is None or order.revision != batch.course.revision:
                order = self._orders[id(batch)] = _Order(batch.course)
            for place in order.places(since, until):
                for status, begin, end in spans(batch.course, place):
                    passed_by = begin == end and status not in ("PENDING", "STARTING")
                    if since <= begin <= until and not passed_by:
                        yield Change(begin, batch, place, status)


def _is_for_us(pattern: dict[str, Any]) -> bool:
    return bool(pattern) and _may_fit(pattern.get("source", [SOURCE]), SOURCE)


def _wanted(rules: Iterable[Any]) -> set[str]:
    """Name the kinds of events that some rule may want."""
    patterns = [rule.event_pattern.get_pattern() for rule in rules]
    filters = [pattern.get("detail-type", KINDS) for pattern in patterns]
    return {kind for kind in KINDS if any(_may_fit(each, kind) for each in filters)}


def _may_fit(filters: Iterable[Any], value: str) -> bool:
    """Tell whether a rule may want a value; of one like {"prefix": …}, moto finds out when it delivers."""
    return any(each == value or not isinstance(each, str) for each in filters)


class _Order:
    """The runs of a batch by the times of their changes."""

    def __init__(self, course: Course) -> None:
        self.revision = course.revision
        self._course = course
        self._submitted = _by_time(course.submitted)
        self._started = _by_time(course.started)
        self._ended = _by_time(course.ended)

    def places(self, since: float, until: float) -> list[int]:
        """Find the runs of which the status may have changed in a time."""
        settings = self._course.settings
        found: set[int] = set()
        for times, shift in (
            (self._submitted, 0.0),
            (self._started, 0.0),
            (self._started, -settings.starting_seconds),
            (self._ended, 0.0),
            (self._ended, settings.stopping_seconds),
        ):
            first = bisect_left(times, (since + shift - _MARGIN, -1))
            last = bisect_right(times, (until + shift + _MARGIN, len(times)))
            found.update(place for _, place in times[first:last])
        for gone in (self._course.gone, self._course.deletions):
            found.update(place for place, moment in gone.items() if since <= moment <= until)
        return sorted(place for place in found if not self._course.fates[place].refusal)


#: More than what is lost when seconds since the epoch are added and subtracted.
_MARGIN = 1e-3


def _by_time(times: list[float]) -> list[tuple[float, int]]:
    return sorted((moment, place) for place, moment in enumerate(times) if moment < inf)


def _batch_changes(batches: Iterable[Batch], since: float, until: float) -> Iterator[Change]:
    for batch in batches:
        status: str | None = None
        for moment in sorted(set(batch.turns())):
            before, status = status, batch.status(moment)
            unsaid = status in (before, "RUNS_DELETE_FAILED") or batch.deleted
            if since <= moment <= until and not unsaid:
                yield Change(moment, batch, None, status)


def _event(change: Change) -> dict[str, Any]:
    batch, place = change.batch, change.place
    run = None if place is None else Run(batch, place)
    arn = batch.arn if run is None else run.arn
    detail = _batch_detail(change) if run is None else _run_detail(run)
    return {
        "version": "0",
        "id": str(mock_random.uuid4()),
        "detail-type": BATCH_CHANGE if run is None else RUN_CHANGE,
        "source": SOURCE,
        "time": int(change.time),  # moto writes it as AWS does when it delivers
        "resources": [arn],
        "detail": {"omicsVersion": "1.0.0", "arn": arn, "status": change.status, **detail},
    }


def _run_detail(run: Run) -> dict[str, Any]:
    settings = run.settings()
    detail = {
        "uuid": run.uuid,
        "runId": run.id,
        "runName": run.name,
        "runOutputUri": run.output_uri,
        "workflowId": settings.get("workflowId"),
        "workflowName": run.batch.workflow.get("workflowName"),
    }
    return {name: value for name, value in detail.items() if value is not None}


def _batch_detail(change: Change) -> dict[str, Any]:
    batch = change.batch
    if change.status == "FAILED":
        reason = batch.reason()
        code = "SERVICE_ERROR" if reason == TRANSIENT_ERROR else "VALIDATION_EXCEPTION"
        return {"batchId": batch.id, "failureReason": code, "failureMessage": reason}
    tally = batch.tally()
    counts = {**tally.submissions(change.time), **tally.runs(change.time)}
    shown = {
        name: str(count) for name, count in counts.items() if "Cancel" not in name and "Delete" not in name
    }
    detail = {
        "batchId": batch.id,
        "uuid": batch.uuid,
        "batchName": batch.request.get("batchName"),
        "totalRuns": str(batch.total_runs),
        **shown,
        **_references(batch),
    }
    return {name: value for name, value in detail.items() if value is not None}


def _references(batch: Batch) -> dict[str, Any]:
    default, base = batch.default, batch.arn.rsplit(":", 1)[0]
    workflow = f"{base}:workflow/{default['workflowId']}"
    version, cache = default.get("workflowVersionName"), default.get("cacheId")
    return {
        "workflowId": default["workflowId"],
        "workflowArn": workflow,
        "workflowVersionArn": version and f"{workflow}/version/{version}",
        "workflowOwnerId": default.get("workflowOwnerId"),
        "runCache": cache and f"{base}:runCache/{cache}",
        "runCacheBehavior": default.get("cacheBehavior"),
    }

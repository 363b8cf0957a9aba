"""From run settings to runs: what became of each."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass, replace
from typing import Any

from botocore.exceptions import ClientError

from airflow_provider_omics_batch.run_batch.client import Log, PatientClient
from airflow_provider_omics_batch.run_batch.faults import FAULTS, code_of, remedy
from airflow_provider_omics_batch.run_batch.logs import stream_name
from airflow_provider_omics_batch.run_batch.records import (
    UNDER_WAY,
    FirstFailures,
    Outcome,
    RunRecord,
    counted_as,
    recounted,
    was_submitted,
)
from airflow_provider_omics_batch.run_batch.states import PROCESSED, BatchState, plain

#: For so many failed runs the reason is asked for, with one GetRun each, unless all of them are wanted.
MAX_REASONS = 1_000

#: Seconds for a page of the mapping, and for getting those of its runs that a list has left out.
PATIENCE_FOR_MAPPING = 3600
PAUSES_BEFORE_LISTING_AGAIN = (2, 10, 30, 60)

#: Seconds. A batch that has ended must not be kept from its task by what is good to know.
PATIENCE_FOR_DETAILS = 300


async def collect_runs(
    client: PatientClient,
    state: BatchState,
    keep: Callable[[RunRecord], object],
    log: Log,
    *,
    every_reason: bool = False,
) -> Outcome:
    """
    Hand the record of every run of an ended batch to ``keep``, and return how the batch ended.

    Lists the batch's runs once, and asks for more only of those that went wrong.

    :param client: Calls HealthOmics.
    :param state: The batch's state, as of its end.
    :param keep: Called once for each record, in the order of the service.
    :param log: Gets a warning where the caller lacks a permission that only details depend on.
    :param every_reason: Whether to ask why each failed run did, and not only the first 1,000.
    """
    statuses = await _run_statuses(client, state, log)
    details = Details(client, log, most=math.inf if every_reason else MAX_REASONS)
    counts, failures = Counter[str](), FirstFailures()
    async for item in _all_items(client, state, log):
        record = _record(state.batch_id, item, statuses)
        failure = await details.complete(record)
        counts[counted_as(record)] += 1
        if failures.wants(record):
            failures.add(record, failure)
        keep(record)
    return Outcome(_settled(state, statuses, counts), failures.value)


async def _all_items(client: PatientClient, state: BatchState, log: Log) -> AsyncIterator[dict[str, Any]]:
    """Yield each run of a batch once, listing them again as long as some are missing or lack their run."""
    expected = state.total if state.status == PROCESSED else state.submissions.attempted
    seen: set[str] = set()
    for pause in (*PAUSES_BEFORE_LISTING_AGAIN, None):
        async for page in client.pages(
            "list_runs_in_batch", items="runs", patience=PATIENCE_FOR_MAPPING, batchId=state.batch_id
        ):
            for item in page:
                lacks_run = item.get("submissionStatus") == "SUCCESS" and not item.get("runId")
                if lacks_run and pause is not None:
                    continue
                if item.get("runSettingId") and item["runSettingId"] not in seen:
                    seen.add(item["runSettingId"])
                    yield item
        if len(seen) >= expected:
            return
        log.warning("HealthOmics listed %d of the batch's %d runs", len(seen), expected)
        if pause is not None:
            await asyncio.sleep(pause)


@dataclass(frozen=True)
class _Statuses:
    """
    The status of single runs.

    :param known: By run id.
    :param others: That of all other runs.
    :param recount: All runs have been listed, since the batch's own counts do not add up or are not final.
    """

    known: dict[str, str]
    others: str | None = None
    recount: bool = False


async def _run_statuses(client: PatientClient, state: BatchState, log: Log) -> _Statuses:
    gone_wrong = {"FAILED": state.runs.failed, "CANCELLED": state.runs.cancelled}
    try:
        if state.status == PROCESSED and state.total and not state.unaccounted and not state.runs.deleted:
            for pause in PAUSES_BEFORE_LISTING_AGAIN:
                known: dict[str, str] = {}
                for status in (status for status, count in gone_wrong.items() if count):
                    known |= await list_statuses(client, state.batch_id, status)
                if len(known) == sum(gone_wrong.values()):
                    return _Statuses(known, others="COMPLETED")
                await asyncio.sleep(pause)
        return _Statuses(await list_statuses(client, state.batch_id), recount=True)
    except FAULTS as error:
        log.warning("What became of single runs is not known: %s", remedy(error) or error)
        return _Statuses({})


async def list_statuses(client: PatientClient, batch_id: str, status: str | None = None) -> dict[str, str]:
    """Return the status by run id, of all runs of a batch or of those in one status."""
    filters = {"batchId": batch_id, **({"status": status} if status else {})}
    statuses: dict[str, str] = {}
    try:
        async for page in client.pages("list_runs", items="items", patience=PATIENCE_FOR_DETAILS, **filters):
            statuses |= {
                item["id"]: item.get("status", "")
                for item in page
                if item.get("id") and item.get("batchId") in (batch_id, None)
            }
    except ClientError as error:
        # Two filters at a time are neither documented nor forbidden.
        if status is None or code_of(error) != "ValidationException":
            raise
        statuses = await list_statuses(client, batch_id)
    return {run_id: found for run_id, found in statuses.items() if status in (found, None)}


async def list_records(
    client: PatientClient, batch_id: str, submission_status: str
) -> AsyncIterator[RunRecord]:
    """Yield the runs of a batch whose submission has this status, without a status of their own."""
    async for page in client.pages(
        "list_runs_in_batch",
        items="runs",
        patience=PATIENCE_FOR_DETAILS,
        batchId=batch_id,
        submissionStatus=submission_status,
    ):
        for item in page:
            if item.get("runSettingId"):
                yield _record(batch_id, item, _Statuses({}))


async def list_under_way(client: PatientClient, batch_id: str) -> AsyncIterator[RunRecord]:
    """Yield the runs of a batch that go on."""
    statuses = await list_statuses(client, batch_id)
    async for record in list_records(client, batch_id, "SUCCESS"):
        if statuses.get(record["run_id"] or "") in UNDER_WAY:
            yield record


async def list_undeleted(client: PatientClient, batch_id: str) -> AsyncIterator[RunRecord]:
    """Yield the runs that could not be deleted with their batch, and were not one by one since."""
    statuses = await list_statuses(client, batch_id)
    async for record in list_records(client, batch_id, "DELETE_FAILED"):
        if (record["run_id"] or "") in statuses:
            yield record


async def list_without_record(
    client: PatientClient, batch_id: str, statuses: Collection[str] | None = None
) -> AsyncIterator[RunRecord]:
    """
    Yield the runs of a batch of which there is no record; their own ids stand for their settings.

    :param statuses: Only those in one of these.
    """
    listed = await list_statuses(client, batch_id)
    for run_id in (run_id for run_id, status in listed.items() if statuses is None or status in statuses):
        item = {"runSettingId": run_id, "runId": run_id, "submissionStatus": "SUCCESS"}
        yield _record(batch_id, item, _Statuses({}))


class Details:
    """
    Asks why single runs failed, as long as that is allowed and they are not too many.

    :param client: Calls HealthOmics.
    :param log: Gets a warning where HealthOmics does not tell.
    :param most: How many runs are asked about.
    """

    def __init__(self, client: PatientClient, log: Log, most: float) -> None:
        self._client = client
        self._log = log
        self._left = most

    async def complete(self, record: RunRecord) -> dict[str, Any]:
        """Complete a failed run's record with the reason, and return what people want to know of it."""
        run = await self._failed_run(record) if record["run_status"] == "FAILED" and self._left else {}
        record["failure_reason"] = plain(run.get("failureReason")) or record["failure_reason"]
        return {
            "run_setting_id": record["run_setting_id"],
            "run_id": record["run_id"],
            "submission_status": record["submission_status"],
            "run_status": record["run_status"],
            "reason": record["failure_reason"] or record["submission_failure_reason"],
            "message": plain(run.get("statusMessage")) or record["submission_failure_message"],
            "log_stream": stream_name((run.get("logLocation") or {}).get("engineLogStream")),
        }

    async def _failed_run(self, record: RunRecord) -> dict[str, Any]:
        self._left -= 1
        try:
            return await self._client.call(
                "get_run", required="status", patience=PATIENCE_FOR_DETAILS, id=record["run_id"]
            )
        except FAULTS as error:
            if code_of(error) != "ResourceNotFoundException":
                self._left = 0
                self._log.warning("Why runs failed is not known: %s", remedy(error) or error)
            return {}


def _record(batch_id: str, item: dict[str, Any], statuses: _Statuses) -> RunRecord:
    run_id = item.get("runId") or None
    record = RunRecord(
        run_setting_id=item["runSettingId"],
        run_id=run_id,
        run_arn=item.get("runArn"),
        run_uuid=item.get("runInternalUuid"),
        batch_id=batch_id,
        submission_status=item.get("submissionStatus"),
        submission_failure_reason=plain(item.get("submissionFailureReason")),
        submission_failure_message=plain(item.get("submissionFailureMessage")),
        run_status=None,
        failure_reason=None,
    )
    if run_id and was_submitted(record):
        record["run_status"] = statuses.known.get(run_id, statuses.others)
    return record


def _settled(state: BatchState, statuses: _Statuses, counts: Counter[str]) -> BatchState:
    """Return the state with the counts to believe: the service's own, or those of the records."""
    listed = counts.total()
    if statuses.others and listed > state.total:
        # The service has not counted some runs, and what became of them is only assumed.
        return replace(state, total=listed)
    if statuses.others and (listed < state.total or counts["submission SUCCESS"]):
        return recounted(state, counts)
    all_known = not any(key.startswith("submission ") and key != "submission FAILED" for key in counts)
    if statuses.recount and (all_known or state.unaccounted):
        return recounted(state, counts)
    return state

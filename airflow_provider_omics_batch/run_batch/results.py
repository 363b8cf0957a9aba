"""What became of all runs of a task, over all the batches that it took."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace

from airflow_provider_omics_batch.run_batch.client import Log, PatientClient
from airflow_provider_omics_batch.run_batch.faults import FAULTS
from airflow_provider_omics_batch.run_batch.look import look_or_gone
from airflow_provider_omics_batch.run_batch.manifest import RunRecords
from airflow_provider_omics_batch.run_batch.mapping import Details, collect_runs
from airflow_provider_omics_batch.run_batch.records import (
    SHOWN_FAILURES,
    FirstFailures,
    Outcome,
    RunRecord,
    counted_as,
    recounted,
)
from airflow_provider_omics_batch.run_batch.states import GONE, PROCESSED, BatchState
from airflow_provider_omics_batch.run_batch.submitted import SubmittedBatch

#: What a manifest that is not there, or not whole, ends in.
UNREADABLE: tuple[type[Exception], ...] = (*FAULTS, ValueError)


@dataclass(frozen=True)
class EndedBatch:
    """
    A batch of a task.

    :param outcome: How it ended.
    :param manifest_uri: Where its own manifest is, if it has one that is still true.
    :param settled: Whether the outcome is that of the runs' records, and not only what GetBatch says.
    """

    outcome: Outcome
    manifest_uri: str | None = None
    settled: bool = False


async def ended_batch(
    client: PatientClient, batch: SubmittedBatch, *, may_be_new: bool = False
) -> EndedBatch:
    """
    Return what HealthOmics says now of a batch that was submitted, be it that it knows it no more.

    :param may_be_new: Whether it may have been submitted so lately that HealthOmics does not know it yet.
    """
    state = await look_or_gone(client, batch.batch_id, batch.submitted, may_be_new=may_be_new)
    # Runs that were under way may have ended since the manifest was written.
    still_true = state.status == GONE or (state.status == PROCESSED and batch.wait_until == "processed")
    return EndedBatch(Outcome(state), batch.manifest_uri if still_true else None)


class ResultsReader:
    """
    Reads what became of the runs of all batches of a task.

    :param client: Calls HealthOmics, for what no manifest has.
    :param read: Reads a manifest.
    :param log: Gets warnings.
    :param every_reason: Whether to ask why each failed run did, and not only the first 1,000.
    """

    def __init__(
        self,
        client: PatientClient,
        read: Callable[[str], Iterable[RunRecord]],
        log: Log,
        *,
        every_reason: bool = False,
    ) -> None:
        self._client = client
        self._read = read
        self._log = log
        self._every_reason = every_reason

    async def collect(self, batches: Sequence[EndedBatch], keep: Callable[[RunRecord], object]) -> Outcome:
        """
        Hand the last record of every run setting to ``keep``, and return how all of it ended.

        :param batches: In the order of their submission. How the last one ended is how all of it did.
        """
        with ExitStack() as stack:
            records = [stack.enter_context(closing(RunRecords())) for _ in batches]
            filled = [await self._fill(*one) for one in zip(records, batches, strict=True)]
            if len(filled) > 1 or not filled[0].settled:
                return await self._merged([batch.outcome for batch in filled], records, keep)
            for record in records[0]:
                keep(record)
            return filled[0].outcome

    async def _fill(self, records: RunRecords, batch: EndedBatch) -> EndedBatch:
        """Fill in the records of a batch, and return it with what they tell of its outcome."""
        if batch.manifest_uri and await self._has_read(batch.manifest_uri, batch.outcome.state, records):
            return batch
        records.clear()
        if batch.outcome.state.status == GONE:
            return batch
        outcome = await collect_runs(
            self._client, batch.outcome.state, records.add, self._log, every_reason=self._every_reason
        )
        return EndedBatch(outcome, settled=True)

    async def _has_read(self, manifest_uri: str, state: BatchState, records: RunRecords) -> bool:
        # Whoever wrote it may not have been told all reasons.
        details = Details(self._client, self._log, most=math.inf if self._every_reason else 0)
        try:
            for record in self._read(manifest_uri):
                if not record.keys() >= RunRecord.__annotations__.keys():
                    raise ValueError(f"line {records.count + 1} is no record of a run")
                if record["run_status"] == "FAILED" and not record["failure_reason"]:
                    await details.complete(record)
                records.add(record)
        except UNREADABLE as error:
            self._log.warning("The manifest at %s cannot be read: %s", manifest_uri, error)
            return False
        if state.status == PROCESSED and records.count != state.total:
            self._log.warning("The manifest at %s has %d runs", manifest_uri, records.count)
            return False
        return True

    async def _merged(
        self, outcomes: list[Outcome], batches: list[RunRecords], keep: Callable[[RunRecord], object]
    ) -> Outcome:
        counts = Counter[str]()
        details = Details(self._client, self._log, most=SHOWN_FAILURES)
        failures = FirstFailures()
        for record in last_records(batches):
            counts[counted_as(record)] += 1
            if failures.wants(record):
                failures.add(record, await details.complete(record))
            keep(record)
        state = replace(outcomes[-1].state, total=max(outcome.state.total for outcome in outcomes))
        return Outcome(recounted(state, counts), failures.value)


def last_records(batches: Sequence[Iterable[RunRecord]]) -> Iterator[RunRecord]:
    """
    Yield the last record of every run setting, in the order of the first batch.

    :param batches: The records of each batch, the first one's first. Those of the others, which are few as
        a rule, are held in memory.
    """
    later = {record["run_setting_id"]: record for records in batches[1:] for record in records}
    for record in batches[0]:
        yield later.pop(record["run_setting_id"], record)
    yield from later.values()

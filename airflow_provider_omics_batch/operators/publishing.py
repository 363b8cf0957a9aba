"""What a task publishes of its runs: XCom, a manifest, and lines in its log."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow.sdk.configuration import conf

from airflow_provider_omics_batch.hooks.shared import shared_client
from airflow_provider_omics_batch.operators.memory import batches_of_this_try, push
from airflow_provider_omics_batch.run_batch.client import Log, PatientClient
from airflow_provider_omics_batch.run_batch.faults import FAULTS, remedy
from airflow_provider_omics_batch.run_batch.look import look
from airflow_provider_omics_batch.run_batch.manifest import RunRecords, manifest_uri_of_all
from airflow_provider_omics_batch.run_batch.reading import read_run_manifest
from airflow_provider_omics_batch.run_batch.records import (
    UNDER_WAY,
    FirstNames,
    Outcome,
    RunIds,
    RunRecord,
)
from airflow_provider_omics_batch.run_batch.results import EndedBatch, ResultsReader, ended_batch
from airflow_provider_omics_batch.run_batch.s3 import s3_client
from airflow_provider_omics_batch.run_batch.states import BatchState

if TYPE_CHECKING:
    from airflow.sdk import Context

#: Seconds for the answer how far a batch is, be there time or not to list its runs after that.
LONGEST_LOOK = 30

#: About 38,000 run ids.
DEFAULT_RUN_IDS_MAX_BYTES = 1_000_000

Keep = Callable[[RunRecord], object]


class Published(NamedTuple):
    """
    What a task has published of its runs.

    :param outcome: How all of it ended.
    :param manifest_uri: Where the manifest is, if there is one.
    :param fault: Why the runs could not be listed, if so.
    """

    outcome: Outcome
    manifest_uri: str | None
    fault: Exception | None = None

    @property
    def summary(self) -> dict[str, Any]:
        return self.outcome.summary(self.manifest_uri)


class RunsPublisher:
    """
    Publishes what became of the runs of a task, over all its batches.

    :param context: The task's.
    :param hook_params: Arguments for a hook that talks to AWS as the task's own does.
    :param log: Gets what people are to know at once.
    :param every_reason: Whether to ask why each failed run did, and not only the first 1,000.
    """

    def __init__(
        self, context: Context, hook_params: Mapping[str, Any], log: Log, *, every_reason: bool = False
    ) -> None:
        self._context = context
        self._hook_params = hook_params
        self._log = log
        self._every_reason = every_reason
        self._batches = batches_of_this_try(context)

    def publish(self, batch: EndedBatch, keep: Keep | None = None, *, again: bool = False) -> Published:
        """
        Publish what became of all runs of a task, whose last batch has ended or has all runs submitted.

        :param keep: Gets the last record of every run setting.
        :param again: Whether all of this has been told in the log before.
        """
        run_ids, under_way = new_run_ids(), self._under_way(batch)
        takers = [run_ids.add, under_way.note, *([keep] if keep else [])]
        try:
            outcome, manifest = asyncio.run(self._collect_and_write(batch, takers))
        except FAULTS as error:
            self._log.error(
                "The runs of batch %s cannot be listed: %s",
                batch.outcome.state.batch_id,
                remedy(error) or error,
            )
            return self._push(Published(batch.outcome, batch.manifest_uri, error), new_run_ids())
        if under_way.runs.count and outcome.state.ended and not again:
            self._log.warning(
                "%s runs of a batch that was broken off are under way, and paid for unless somebody cancels "
                "them one by one: %s",
                f"{under_way.runs.count:,}",
                ", ".join(under_way.runs.names),
            )
        return self._push(Published(outcome, manifest), run_ids, quietly=again)

    def publish_so_far(self, batch_id: str, seconds: float) -> Published:
        """
        Publish what is known of the runs of a task whose last batch goes on.

        :param seconds: How long that may take in all.
        """
        run_ids, manifest, outcome = new_run_ids(), None, Outcome(BatchState(batch_id, "UNKNOWN"))
        end = time.monotonic() + seconds
        try:
            look = asyncio.wait_for(self._look(batch_id), min(LONGEST_LOOK, seconds))
            outcome = Outcome(asyncio.run(look))
            work = self._collect_and_write(EndedBatch(outcome), [run_ids.add])
            outcome, manifest = asyncio.run(asyncio.wait_for(work, end - time.monotonic()))
        except FAULTS as error:
            why = remedy(error) or str(error) or "no answer in time"
            self._log.warning("How far run batch %s is, is not known: %s", batch_id, why)
            push(self._context, run_ids=None, manifest_uri=None)
            return Published(outcome, None)
        return self._push(Published(outcome, manifest), run_ids)

    def _under_way(self, last: EndedBatch) -> _UnderWay:
        """Return what counts the runs left behind; a batch that only had to be submitted may go on."""
        goes_on = bool(self._batches) and self._batches[-1].wait_until == "submitted"
        return _UnderWay(last.outcome.state.batch_id if goes_on else None)

    def _push(self, result: Published, run_ids: RunIds, *, quietly: bool = False) -> Published:
        if run_ids.value is None:
            where = (
                f"they are in {result.manifest_uri}"
                if result.manifest_uri
                else "there is no manifest of them either"
            )
            self._log.warning("There are too many run ids for XCom; %s", where)
        for failure in [] if quietly else result.outcome.failures:
            if failure["run_status"] != "CANCELLED":
                self._log.warning("%s: %s: %s", _described(failure), failure["reason"], failure["message"])
        push(self._context, run_ids=run_ids.value, manifest_uri=result.manifest_uri)
        return result

    async def _look(self, batch_id: str) -> BatchState:
        async with self._client() as client:
            return await look(client, batch_id)

    async def _collect_and_write(
        self, last: EndedBatch, takers: Sequence[Keep]
    ) -> tuple[Outcome, str | None]:
        uri = self._where_to_write(last)
        if uri is None:
            return await self._collect(last, takers), last.manifest_uri
        with closing(RunRecords()) as records:
            outcome = await self._collect(last, [*takers, records.add])
            return outcome, await self._write(records, uri)

    def _where_to_write(self, last: EndedBatch) -> str | None:
        """Return where the manifest goes that the trigger cannot have written, if there is to be one."""
        own = self._batches[-1].manifest_uri if self._batches else None
        if own is None or len(self._batches) > 1:
            return own and manifest_uri_of_all(own)
        return None if last.settled and last.manifest_uri else own

    async def _collect(self, last: EndedBatch, takers: Sequence[Keep]) -> Outcome:
        """Hand the last record of every run setting to all takers, and return how all of it ended."""

        def keep(record: RunRecord) -> None:
            for take in takers:
                take(record)

        async with self._client() as client:
            batches = [*[await ended_batch(client, batch) for batch in self._batches[:-1]], last]
            reader = ResultsReader(client, self._read, self._log, every_reason=self._every_reason)
            return await reader.collect(batches, keep)

    async def _write(self, records: RunRecords, uri: str) -> str | None:
        """Write the last record of every run setting to S3, and return where that is."""
        try:
            await records.put(uri, partial(s3_client, **self._hook_params), self._log)
        except FAULTS as error:
            self._log.warning("There is no manifest at %s: %s", uri, remedy(error) or error)
            return None
        return uri

    def _read(self, uri: str) -> Iterator[RunRecord]:
        params = {name: value for name, value in self._hook_params.items() if name != "config"}
        return read_run_manifest(uri, botocore_config=self._hook_params["config"], **params)

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[PatientClient]:
        async with shared_client(**self._hook_params) as shared:
            yield PatientClient(shared, self._log)


class _UnderWay:
    """
    The runs that a batch has left behind when it ended, the first ones by name.

    :param batch_id: Count those of this batch alone; ``None`` for those of all.
    """

    def __init__(self, batch_id: str | None) -> None:
        self._batch_id = batch_id
        self.runs = FirstNames()

    def note(self, record: RunRecord) -> None:
        if record["run_status"] in UNDER_WAY and self._batch_id in (None, record["batch_id"]):
            self.runs.add(record)


def new_run_ids() -> RunIds:
    """Return a mapping that takes as many run ids as a task may publish."""
    return RunIds(conf.getint("omics_batch", "run_ids_max_bytes", fallback=DEFAULT_RUN_IDS_MAX_BYTES))


def _described(failure: Mapping[str, Any]) -> str:
    if not failure["run_id"]:
        return f"{failure['run_setting_id']} could not be submitted"
    where = f", log stream {failure['log_stream']}" if failure.get("log_stream") else ""
    return f"{failure['run_setting_id']} (run {failure['run_id']}{where}) is {failure['run_status']}"

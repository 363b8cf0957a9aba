"""Whether so many runs have failed that the others need not be paid for."""

from __future__ import annotations

from dataclasses import dataclass, field

from airflow_provider_omics_batch.run_batch.client import Log, PatientClient
from airflow_provider_omics_batch.run_batch.faults import FAULTS, remedy
from airflow_provider_omics_batch.run_batch.mapping import PATIENCE_FOR_DETAILS, list_statuses
from airflow_provider_omics_batch.run_batch.policy import allowed_failures, losses
from airflow_provider_omics_batch.run_batch.rounds import RETRIABLE, RetryFailed
from airflow_provider_omics_batch.run_batch.states import BatchState
from airflow_provider_omics_batch.run_batch.targets import Target

#: So many reasons are asked for between two looks, with one GetRun each.
MOST_REASONS_AT_ONCE = 100


@dataclass
class FailFast:
    """
    Finds out whether a batch that is under way can still end well.

    :param max_failed_runs: How many runs may go wrong: an int, or a float as a fraction of all runs.
    :param retry_failed: Which failed runs the next round will send again, so that they may still end well;
        ``None`` where there is none.
    :param target: What the batch is to come to.
    """

    max_failed_runs: float
    retry_failed: RetryFailed | None = None
    target: Target = "processed"
    _reasons: dict[str, str | None] = field(default_factory=dict, init=False)
    _borne: dict[str, int] | None = field(default=None, init=False)

    async def verdict(self, client: PatientClient, state: BatchState, log: Log) -> str | None:
        """Return why the batch cannot end well any more, or ``None`` where it can, or has ended."""
        if state.ended or state.status == "STOPPING":
            return None
        what = losses(state, self.target)
        lost, allowed = sum(what.values()), allowed_failures(self.max_failed_runs, state.total)
        if not state.total or lost <= allowed or self._borne == what:
            return None
        if not self.retry_failed:
            return f"{lost:,} of {state.total:,} runs went wrong, and {allowed:,} may"
        asked = len(self._reasons)
        lasting = await self._lasting(client, state, log, allowed)
        if lasting > allowed:
            return f"{lasting:,} of {state.total:,} runs and more went wrong for good, and {allowed:,} may"
        if len(self._reasons) - asked < MOST_REASONS_AT_ONCE:
            self._borne = what
        return None

    async def _lasting(self, client: PatientClient, state: BatchState, log: Log, allowed: int) -> int:
        """Return how many runs went wrong that no other round will send again, or just too many."""
        lasting = state.runs.cancelled + state.runs.deleted
        if self.retry_failed == "all":
            return lasting
        try:
            async for page in client.pages(
                "list_runs_in_batch",
                items="runs",
                patience=PATIENCE_FOR_DETAILS,
                batchId=state.batch_id,
                submissionStatus="FAILED",
            ):
                lasting += sum(item.get("submissionFailureReason") not in RETRIABLE for item in page)
                if lasting > allowed:
                    return lasting
            asked = len(self._reasons)
            for run_id in await list_statuses(client, state.batch_id, "FAILED") if state.runs.failed else ():
                if lasting > allowed or len(self._reasons) - asked >= MOST_REASONS_AT_ONCE:
                    break
                lasting += await self._reason(client, run_id) not in RETRIABLE
        except FAULTS as error:
            log.warning(
                "Whether failed runs are worth another round is not known: %s", remedy(error) or error
            )
        return lasting

    async def _reason(self, client: PatientClient, run_id: str) -> str | None:
        if run_id not in self._reasons:
            run = await client.call("get_run", required="status", patience=PATIENCE_FOR_DETAILS, id=run_id)
            self._reasons[run_id] = run.get("failureReason")
        return self._reasons[run_id]

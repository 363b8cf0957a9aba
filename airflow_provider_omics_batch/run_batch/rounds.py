"""What another batch is to run again, after one in which not all went well."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from airflow_provider_omics_batch.run_batch.records import RunRecord, was_submitted, went_wrong
from airflow_provider_omics_batch.run_batch.states import GONE, PROCESSED, RUNS_DELETED, BatchState

RetryFailed = Literal["retriable", "all"]

#: Reasons that pass by themselves; what is not listed here wants a change first.
#: Of submissions: https://docs.aws.amazon.com/omics/latest/dev/workflows-batch.html
#: Of runs: https://docs.aws.amazon.com/omics/latest/dev/workflows-run-errors.html
RETRIABLE = frozenset(
    {
        "ConflictException",
        "InternalServerException",
        "RequestTimeoutException",
        "ServiceQuotaExceededException",
        "ThrottlingException",
        "INSTANCE_RESERVATION_FAILED",
        "MODIFIED_INPUT_RESOURCE",
        "SERVICE_ERROR",
    }
)

#: Those of them that come back at once where nothing has been waited for: rates, quotas, capacity.
NEEDS_A_PAUSE = frozenset(
    {"ServiceQuotaExceededException", "ThrottlingException", "INSTANCE_RESERVATION_FAILED"}
)

#: The one failure of a whole batch that AWS advises to send again.
_TRANSIENT = "transient error in the service"

#: A batch that ended so has left run settings behind that it never came to.
_BROKEN_OFF = frozenset({"FAILED", "CANCELLED", GONE})


def check_retry_failed(retry_failed_rounds: object, retry_failed: object) -> None:
    """
    Refuse what is no number of rounds, and no choice of runs.

    :raises ValueError: With what would be valid.
    """
    if type(retry_failed_rounds) is not int or retry_failed_rounds < 0:
        raise ValueError(f"retry_failed_rounds is a number, 0 or more, not {retry_failed_rounds!r}")
    if retry_failed not in get_args(RetryFailed):
        raise ValueError(f"retry_failed is 'retriable' or 'all', not {retry_failed!r}")


def is_worth_a_round(state: BatchState) -> bool:
    """Return whether a batch ended in a way in which the same task may go on with another one."""
    transient = state.status == "FAILED" and _TRANSIENT in (state.failure_reason or "")
    return state.status == PROCESSED or transient


def is_worth_another_run(record: RunRecord, which: RetryFailed, *, batch_cancelled: bool = False) -> bool:
    """
    Return whether a run setting is to be sent again.

    A run that somebody has cancelled alone, deleted, or that may still be running is not.

    :param which: Failed runs of whatever reason, or those whose reason passes by itself.
    :param batch_cancelled: Whether its batch is known to have been cancelled.
    """
    if record["submission_status"] == "CANCEL_SUCCESS" or record["run_status"] == "CANCELLED":
        return batch_cancelled or record["submission_status"] == "CANCEL_SUCCESS"
    if record["run_status"] == "FAILED" or record["submission_status"] == "FAILED":
        return which == "all" or reason_of(record) in RETRIABLE
    return False


def reason_of(record: RunRecord) -> str | None:
    return record["failure_reason"] or record["submission_failure_reason"]


@dataclass
class Remainder:
    """
    The run settings that are to be sent again.

    :param which: Failed runs of whatever reason, or those whose reason passes by itself.
    :param last: The state of the last batch, as of its end.
    :param again: The ids of run settings whose last record says so.
    :param settled: The ids of all others that have a record.
    :param lasting: How many of these went wrong, and stay so.
    :param unexplained: How many of these failed for a reason that is not known.
    :param runs: How many of ``again`` had a run.
    :param needs_a_pause: Whether any of ``again`` failed for want of rate, quota or capacity.
    """

    which: RetryFailed
    last: BatchState
    again: set[str] = field(default_factory=set)
    settled: set[str] = field(default_factory=set)
    lasting: int = 0
    unexplained: int = 0
    runs: int = 0
    needs_a_pause: bool = False

    def note(self, record: RunRecord) -> None:
        """Take the last record of a run setting into account."""
        cancelled = self.last.status == "CANCELLED" and record["batch_id"] == self.last.batch_id
        if is_worth_another_run(record, self.which, batch_cancelled=cancelled):
            self.again.add(record["run_setting_id"])
            self.runs += was_submitted(record)
            self.needs_a_pause |= reason_of(record) in NEEDS_A_PAUSE
        else:
            self.settled.add(record["run_setting_id"])
            self.lasting += went_wrong(record)
            self.unexplained += record["run_status"] == "FAILED" and reason_of(record) is None

    def has(self, run_setting_id: object) -> bool:
        """Return whether a run setting is one of these, be it that its batch never came to it."""
        return run_setting_id in self.again or (
            self.last.status in _BROKEN_OFF and run_setting_id not in self.settled
        )

    def size(self, total: int) -> int:
        """
        Return how many run settings these are, at least.

        :param total: How many there are in all, as far as that is known.
        """
        if self.last.status not in _BROKEN_OFF:
            return len(self.again)
        unlisted = total - len(self.again) - len(self.settled)
        # What a batch of unknown size or fate has left behind is more than nothing.
        return len(self.again) + max(unlisted, 1 if self.last.status == GONE or not total else 0)

    def objection(self, total: int, bearable: int | None) -> str | None:
        """
        Return why there is no point in another batch, or ``None`` where there is.

        :param total: How many run settings there are in all, as far as that is known.
        :param bearable: How many runs may have failed for good; ``None`` for any number.
        """
        if self.last.status in RUNS_DELETED:
            return "somebody has deleted its runs"
        if not self.size(total):
            unknown = f"; of {self.unexplained:,} the reason is not known" if self.unexplained else ""
            return f"what has gone wrong does not pass by itself{unknown}" if self.lasting else "none failed"
        if bearable is not None and self.lasting > bearable:
            return f"{self.lasting:,} have failed for good, and {bearable:,} may"
        return None

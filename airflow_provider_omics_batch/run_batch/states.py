"""What ``GetBatch`` says of a batch: its status and its counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

PROCESSED = "PROCESSED"

#: No status of the API: HealthOmics has no record of the batch any more.
GONE = "GONE"

#: Characters of a reason or a message that are handed on.
MAX_TEXT_LENGTH = 300

#: The batch will not change by itself any more, or its runs are being deleted.
#: Any status that is not listed here, one that AWS adds later included, means: go on waiting.
RUNS_DELETED = frozenset({"RUNS_DELETING", "RUNS_DELETED", "RUNS_DELETE_FAILED"})
ENDED = RUNS_DELETED | {PROCESSED, "FAILED", "CANCELLED", GONE}
UNDER_WAY = frozenset({"CREATING", "PENDING", "SUBMITTING", "INPROGRESS", "STOPPING"})


@dataclass(frozen=True)
class Submissions:
    """How many runs of a batch HealthOmics has tried to start."""

    successful: int = 0
    failed: int = 0
    pending: int = 0

    @property
    def attempted(self) -> int:
        return self.successful + self.failed

    @classmethod
    def from_response(cls, counts: Mapping[str, Any]) -> Submissions:
        return cls(**{name: _count(counts, f"{name}StartSubmissionCount") for name in cls.__annotations__})


@dataclass(frozen=True)
class Attempts:
    """For how many runs HealthOmics has tried to do what was asked for their batch, like cancelling them."""

    successful: int = 0
    failed: int = 0

    @classmethod
    def from_response(cls, counts: Mapping[str, Any], verb: str) -> Attempts:
        return cls(**{name: _count(counts, f"{name}{verb}SubmissionCount") for name in cls.__annotations__})


@dataclass(frozen=True)
class Runs:
    """How many of the submitted runs are in which status."""

    pending: int = 0
    starting: int = 0
    running: int = 0
    stopping: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    deleted: int = 0

    @classmethod
    def from_response(cls, counts: Mapping[str, Any]) -> Runs:
        return cls(**{name: _count(counts, f"{name}RunCount") for name in cls.__annotations__})

    @property
    def ended(self) -> int:
        return self.completed + self.failed + self.cancelled + self.deleted

    @property
    def under_way(self) -> int:
        return self.pending + self.starting + self.running + self.stopping


@dataclass(frozen=True)
class BatchState:
    """
    One look at a batch.

    :param total: Runs in the batch; 0 as long as HealthOmics has not counted them.
    :param failure_reason: Why the batch itself failed, where it did.
    :param cancellations: Of its runs, where the batch was cancelled.
    :param deletions: Of its runs, where they were deleted.
    :param output_uri: Where the runs put their outputs that have no place of their own.
    """

    batch_id: str
    status: str
    total: int = 0
    submissions: Submissions = Submissions()
    runs: Runs = Runs()
    failure_reason: str | None = None
    cancellations: Attempts = Attempts()
    deletions: Attempts = Attempts()
    arn: str | None = None
    uuid: str | None = None
    output_uri: str | None = None

    @classmethod
    def from_response(cls, batch_id: str, response: Mapping[str, Any], submitted: int = 0) -> BatchState:
        """
        Read an answer of ``GetBatch``, in which no member is promised.

        :param submitted: Runs that were submitted, for an answer that has no total, or counts fewer by now.
        :raises KeyError: The answer has no status, so it is no answer.
        """
        counts = response.get("submissionSummary") or {}
        submissions = Submissions.from_response(counts)
        counted = max(response.get("totalRuns") or 0, sum(asdict(submissions).values()))
        return cls(
            batch_id=batch_id,
            status=response["status"],
            total=max(counted, submitted),
            submissions=submissions,
            runs=Runs.from_response(response.get("runSummary") or {}),
            failure_reason=plain(response.get("failureReason")),
            cancellations=Attempts.from_response(counts, "Cancel"),
            deletions=Attempts.from_response(counts, "Delete"),
            arn=response.get("arn"),
            uuid=response.get("uuid"),
            output_uri=(response.get("defaultRunSetting") or {}).get("outputUri"),
        )

    @property
    def ended(self) -> bool:
        return self.status in ENDED

    @property
    def all_submitted(self) -> bool:
        """Whether every submission has been tried, and nobody has asked to undo them."""
        tried = bool(self.total) and self.submissions.attempted >= self.total
        return tried and not self.submissions.pending and not self.ended and self.status != "STOPPING"

    @property
    def unaccounted(self) -> int:
        """Runs that the counts of an ended batch say nothing about."""
        return max(0, self.total - self.submissions.failed - self.runs.ended)


def plain(text: str | None) -> str | None:
    """
    Return a text of the service as a single line of bounded length, safe for logs and for XCom.

    :param text: What a workflow or its author may have put there: any length, line breaks, escape sequences.
    """
    if not text:
        return None
    printable = "".join(char if char.isprintable() else " " for char in text[: MAX_TEXT_LENGTH + 1])
    return printable if len(printable) <= MAX_TEXT_LENGTH else f"{printable[: MAX_TEXT_LENGTH - 1]}…"


def _count(counts: Mapping[str, Any], name: str) -> int:
    return int(counts.get(name) or 0)

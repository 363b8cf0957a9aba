"""
What becomes of a run: which fail, why, and how long each takes.

All of it follows from the seed and the runSettingId alone, so it is the same in every process and whatever
the order of the runs.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from hashlib import blake2b
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_omics_batch.emulator.settings import Settings


@dataclass(frozen=True)
class Failure:
    """
    A documented reason and a sentence to go with it.

    :param passing: gone when the same runSettingId is sent again after it.
    """

    reason: str
    message: str
    passing: bool = False

    @property
    def of_submission(self) -> bool:
        """Submissions fail for exceptions of the API, and runs for codes."""
        return self.reason.endswith("Exception")


SUBMISSION_FAILURES = (
    Failure("ThrottlingException", "Request was denied due to request throttling.", passing=True),
    Failure("ServiceQuotaExceededException", "The request exceeds a quota on active runs.", passing=True),
    Failure("ValidationException", "The parameters do not match the workflow's parameter template."),
    Failure("AccessDeniedException", "The service role has no access to an input of the run."),
)

RUN_FAILURES = (
    Failure("RUN_TASK_FAILED", "A task of the run ended with exit code 1. See the log of the task."),
    Failure("INSTANCE_RESERVATION_FAILED", "There was no capacity for an instance of the run.", passing=True),
    Failure("OUT_OF_MEMORY_ERROR", "A task of the run needed more memory than it had asked for."),
    Failure("SERVICE_ERROR", "There was a transient error in the service.", passing=True),
    Failure("FILE_SYSTEM_OUT_OF_SPACE", "The run's file system is full."),
    Failure("INPUT_URI_NOT_FOUND", "An input of the run does not exist or cannot be read."),
)


TIMED_OUT = Failure("RUN_TIMED_OUT", "The run took longer than it may.")

#: How many tasks a run has.
TASK_COUNT = 4


@dataclass(frozen=True, slots=True)
class Fate:
    """
    What becomes of one run.

    :param seconds: time in RUNNING; a failing run gets through a part of it.
    :param finished: how many of its tasks it finishes.
    :param cached: how many of these come from a run cache, and take no time.
    """

    seconds: float
    refusal: Failure | None = None
    failure: Failure | None = None
    finished: int = TASK_COUNT
    cached: int = 0


def fate_of(
    run_setting_id: str,
    settings: Settings,
    *,
    again: bool = False,
    cached: int = 0,
    limit: float = inf,
    rule: Failure | None = None,
) -> Fate:
    """
    Decide the fate of a run.

    :param again: the run has failed before for a passing reason, and no chance lets it do so now.
    :param cached: how many of its tasks are in a run cache.
    :param limit: the longest time in RUNNING.
    :param rule: how a rule wants the run to fail, whatever the chances.
    """
    submission, run, kind, length = _draw(run_setting_id, settings.seed)
    refusal = _pick(SUBMISSION_FAILURES, submission < settings.fail_submissions, kind, again)
    failure = _pick(RUN_FAILURES, run < settings.fail_runs, kind, again)
    if rule:
        refusal, failure = (rule, None) if rule.of_submission else (None, rule)
    whole = settings.run_seconds * (0.5 + length)
    if not failure and not cached and whole <= limit:
        return Fate(whole, refusal)
    progress = kind if failure else 1.0
    cached = min(cached, int(progress * TASK_COUNT))
    seconds = whole * (progress - cached / TASK_COUNT)
    if seconds > limit:
        failure, progress, seconds = TIMED_OUT, cached / TASK_COUNT + limit / whole, limit
    return Fate(seconds, refusal, failure, int(progress * TASK_COUNT), cached)


def deletion_fails(run_setting_id: str, settings: Settings) -> bool:
    """Tell whether DeleteRunBatch cannot delete a run."""
    return _draw(f"deletion/{run_setting_id}", settings.seed)[0] < settings.fail_deletions


def _pick(failures: Sequence[Failure], fails: bool, kind: float, again: bool) -> Failure | None:
    if not fails:
        return None
    failure = failures[int(kind * len(failures))]
    return None if failure.passing and again else failure


def _draw(run_setting_id: str, seed: int) -> list[float]:
    """Give four independent numbers, each at least 0 and below 1."""
    digest = blake2b(f"{seed}/{run_setting_id}".encode(errors="surrogatepass"), digest_size=16).digest()
    return [number / 2**32 for number in struct.unpack(">4I", digest)]

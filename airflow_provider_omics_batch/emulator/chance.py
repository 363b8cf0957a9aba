"""
What becomes of a run: which fail, why, and how long each takes.

All of it follows from the seed and the runSettingId alone, so it is the same in every process and whatever
the order of the runs.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_omics_batch.emulator.settings import Settings


@dataclass(frozen=True)
class Failure:
    """
    A documented reason and a sentence to go with it.

    :param passing: gone when the same runSettingId is sent again.
    """

    reason: str
    message: str
    passing: bool = False


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


@dataclass(frozen=True, slots=True)
class Fate:
    """
    What becomes of one run.

    :param seconds: time in RUNNING; a failing run gets through a part of it.
    """

    seconds: float
    refusal: Failure | None = None
    failure: Failure | None = None


def fate_of(run_setting_id: str, settings: Settings, *, again: bool = False) -> Fate:
    """
    Decide the fate of a run.

    :param again: the run failed before for a passing reason, and so is let through now.
    """
    submission, run, kind, length = _draw(run_setting_id, settings.seed)
    refusal = _pick(SUBMISSION_FAILURES, submission < settings.fail_submissions, kind, again)
    failure = _pick(RUN_FAILURES, run < settings.fail_runs, kind, again)
    seconds = settings.run_seconds * (0.5 + length) * (kind if failure else 1.0)
    return Fate(seconds, refusal, failure)


def _pick(failures: Sequence[Failure], fails: bool, kind: float, again: bool) -> Failure | None:
    if not fails:
        return None
    failure = failures[int(kind * len(failures))]
    return None if failure.passing and again else failure


def _draw(run_setting_id: str, seed: int) -> list[float]:
    """Give four independent numbers, each at least 0 and below 1."""
    digest = blake2b(f"{seed}/{run_setting_id}".encode(errors="surrogatepass"), digest_size=16).digest()
    return [number / 2**32 for number in struct.unpack(">4I", digest)]

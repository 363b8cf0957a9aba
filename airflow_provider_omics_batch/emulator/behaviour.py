"""How the emulator answers where AWS says nothing, or two things."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args, get_origin, get_type_hints


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """
    What AWS does not document, or documents in two ways; the defaults are what seems likeliest.

    :param strict_ids: refuse the ids of workflows, run groups and caches that were not created here.
    :param repeated_request: what a ``requestId`` gives that was sent before with the same parameters.
    :param changed_request: what it gives with other parameters.
    :param failed_batch_frees_request: the ``requestId`` of a batch that has FAILED starts a new one.
    :param illegal_transition: the error of an operation that the status of a batch or run does not allow.
    :param several_filters: the error of more than one filter where one is allowed, or ``all`` must hold.
    :param name_filter: ``name`` filters match the whole name or the beginning of it.
    :param duplicate_inline_ids: whether they fail the batch, as those of a file do, or StartRunBatch.
    :param all_submissions_failed: the last status of a batch of which no run could be submitted.
    :param unsubmitted_after_cancel: how ListRunsInBatch shows the runs that a cancelled batch did not submit.
    :param count_lag_seconds: how far ``runSummary`` is behind until the batch is PROCESSED.
    :param urgent_priority: whether high or low priorities go first; the priority of a run without one is 0.
    :param default_storage_type: of runs that do not name theirs.
    :param reuse_run_ids: ids of deleted runs are given out again.
    """

    strict_ids: bool = False
    repeated_request: Literal["same", "ConflictException"] = "same"
    changed_request: Literal["ConflictException", "ValidationException", "same"] = "ConflictException"
    failed_batch_frees_request: bool = False
    illegal_transition: Literal["ConflictException", "ValidationException"] = "ConflictException"
    several_filters: Literal["ValidationException", "all"] = "ValidationException"
    name_filter: Literal["whole", "beginning"] = "whole"
    duplicate_inline_ids: Literal["batch", "request"] = "batch"
    all_submissions_failed: Literal["PROCESSED", "FAILED"] = "PROCESSED"
    unsubmitted_after_cancel: Literal["absent", "CANCEL_SUCCESS"] = "absent"
    count_lag_seconds: float = 0.0
    urgent_priority: Literal["high", "low"] = "high"
    default_storage_type: Literal["DYNAMIC", "STATIC"] = "DYNAMIC"
    reuse_run_ids: bool = True

    def __post_init__(self) -> None:
        for name, hint in get_type_hints(Behaviour).items():
            if get_origin(hint) is Literal and getattr(self, name) not in get_args(hint):
                raise ValueError(f"{name} must be one of {', '.join(get_args(hint))}")

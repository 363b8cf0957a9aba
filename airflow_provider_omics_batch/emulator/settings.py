"""What can be set about the emulated service."""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_omics_batch.emulator.plan.failures import FailureRule

from airflow_provider_omics_batch.emulator.behaviour import Behaviour
from airflow_provider_omics_batch.emulator.quotas import Quotas


@dataclass(frozen=True, kw_only=True)
class Settings(Quotas, Behaviour):
    """
    How quick and how healthy the service is, beside its quotas and its behaviour where AWS says nothing.

    :param creating_seconds: time a batch or a workflow spends in CREATING.
    :param pending_seconds: time a batch spends in PENDING, while its settings are checked.
    :param starting_seconds: time of a run in STARTING.
    :param run_seconds: mean time of a run in RUNNING; single ones take from half to one and a half of it.
    :param stopping_seconds: time of a run in STOPPING.
    :param fail_submissions: share of runs that cannot be submitted, 0 to 1.
    :param fail_runs: share of the submitted runs that fail, 0 to 1.
    :param failures: which runs fail by rule, whatever the chances; of the rules that fit, the first one acts.
    :param fail_deletions: share of the runs that DeleteRunBatch cannot delete, 0 to 1.
    :param seed: which runs fail, and how long each takes, follows from this and the runSettingId, for those
        of StartRun from this and how many there were before.
    """

    creating_seconds: float = 5.0
    pending_seconds: float = 10.0
    starting_seconds: float = 60.0
    run_seconds: float = 1800.0
    stopping_seconds: float = 30.0
    fail_submissions: float = 0.0
    fail_runs: float = 0.0
    failures: tuple[FailureRule, ...] = ()
    fail_deletions: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        Quotas.__post_init__(self)
        Behaviour.__post_init__(self)
        for name in ("fail_submissions", "fail_runs", "fail_deletions"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie between 0 and 1")
        for field in fields(self):
            if field.name.endswith("_seconds") and not 0 <= float(getattr(self, field.name)) < inf:
                raise ValueError(f"{field.name} must be 0 or more, and finite")

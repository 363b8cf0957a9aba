"""What can be set about the emulated service."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, kw_only=True)
class Settings:
    """
    How quick and how healthy the service is; the defaults are the documented quotas.

    :param creating_seconds: time a batch spends in CREATING.
    :param pending_seconds: time it spends in PENDING, while its settings are checked.
    :param start_run_tps: runs submitted a second, shared by all batches of an account and Region.
    :param concurrent_runs: runs at work at the same time, shared likewise; more wait in PENDING.
    :param starting_seconds: time of a run in STARTING.
    :param run_seconds: mean time of a run in RUNNING; single ones take from half to one and a half of it.
    :param stopping_seconds: time of a run in STOPPING.
    :param cancel_run_tps: runs cancelled a second.
    :param delete_run_tps: runs deleted a second.
    :param fail_submissions: share of runs that cannot be submitted, 0 to 1.
    :param fail_runs: share of the submitted runs that fail, 0 to 1.
    :param seed: which runs fail, and how long each takes, follows from this and the runSettingId.
    """

    creating_seconds: float = 5.0
    pending_seconds: float = 10.0
    start_run_tps: float = 5.0
    concurrent_runs: int = 50
    starting_seconds: float = 60.0
    run_seconds: float = 1800.0
    stopping_seconds: float = 30.0
    cancel_run_tps: float = 10.0
    delete_run_tps: float = 10.0
    fail_submissions: float = 0.0
    fail_runs: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("start_run_tps", "concurrent_runs", "cancel_run_tps", "delete_run_tps"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be more than 0")
        for name in ("fail_submissions", "fail_runs"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie between 0 and 1")
        for field in fields(self):
            if field.name.endswith("_seconds") and not getattr(self, field.name) >= 0:
                raise ValueError(f"{field.name} must not be less than 0")

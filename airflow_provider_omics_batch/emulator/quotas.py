"""How much of everything an account may have in a Region."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf


@dataclass(frozen=True, kw_only=True)
class Quotas:
    """
    The quotas of an account and Region; the defaults are those of AWS.

    :param throttle: refuse what goes beyond the documented calls a second, see :mod:`.throttle`.
    :param start_run_tps: runs submitted a second, shared by all batches and by StartRun.
    :param cancel_run_tps: runs cancelled a second.
    :param delete_run_tps: runs deleted a second.
    :param concurrent_runs: runs with dynamic storage at work at the same time; more wait in PENDING.
    :param concurrent_static_runs: the same for those with static storage.
    :param max_runs: runs kept, whether at work or ended.
    :param max_run_seconds: time in RUNNING after which a run fails.
    :param max_workflows: workflows that exist.
    :param max_run_groups: run groups that exist.
    :param max_run_caches: run caches that exist.
    """

    throttle: bool = False
    start_run_tps: float = 5.0
    cancel_run_tps: float = 10.0
    delete_run_tps: float = 10.0
    concurrent_runs: int = 50
    concurrent_static_runs: int = 10
    max_runs: int = 100_000
    max_run_seconds: float = 604_800.0
    max_workflows: int = 1_000
    max_run_groups: int = 1_000
    max_run_caches: int = 1_000

    def __post_init__(self) -> None:
        for name in Quotas.__dataclass_fields__:
            if name != "throttle" and not 0 < float(getattr(self, name)) < inf:
                raise ValueError(f"{name} must be more than 0, and finite")

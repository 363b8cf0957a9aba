"""How often batches are looked at over their whole lives, on the emulator in virtual time."""

from __future__ import annotations

import pytest

from airflow_provider_omics_batch.emulator import Settings
from airflow_provider_omics_batch.run_batch.fail_fast import FailFast
from tests.simulation import watch_simulated_batch


@pytest.mark.parametrize(
    ("run_seconds", "concurrent_runs"), [(60, 100_000), (1800, 100_000), (1800, 9_000), (3600, 100_000)]
)
def test_a_100_000_run_batch_costs_at_most_150_looks_and_its_end_is_seen_within_a_minute(
    run_seconds: float, concurrent_runs: int
) -> None:
    life = watch_simulated_batch(100_000, Settings(run_seconds=run_seconds, concurrent_runs=concurrent_runs))

    assert life.status == "PROCESSED"
    # At five submissions a second, the quota.
    assert life.ended_at >= 20_000
    assert life.calls["get_batch"] <= 150
    assert life.seen_at - life.ended_at <= 60


@pytest.mark.parametrize("poll_interval", [5, 30])
@pytest.mark.parametrize("run_seconds", [60, 600])
def test_the_end_of_three_short_runs_is_seen_within_the_poll_interval(
    poll_interval: float, run_seconds: float
) -> None:
    life = watch_simulated_batch(3, Settings(run_seconds=run_seconds), poll_interval=poll_interval)

    assert life.seen_at - life.ended_at <= poll_interval


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("runs", [20, 1_000])
def test_the_end_of_runs_of_many_hours_is_seen_within_a_minute(runs: int, seed: int) -> None:
    settings = Settings(run_seconds=8 * 3600, concurrent_runs=runs, seed=seed)

    life = watch_simulated_batch(runs, settings)

    assert life.seen_at - life.ended_at <= 60


def test_a_batch_under_fail_fast_is_looked_at_once_a_minute_for_what_that_saves() -> None:
    doomed = Settings(fail_submissions=1.0)

    life = watch_simulated_batch(20_000, doomed, fail_fast=FailFast(1_000))

    assert life.status == "CANCELLED"
    # One look sees that the batch is lost, and the next that it is cancelled.
    lost_at = doomed.creating_seconds + doomed.pending_seconds + 1_001 / doomed.start_run_tps
    assert life.seen_at <= lost_at + 2 * 60


def test_what_is_looked_at_rarely_costs_no_other_calls() -> None:
    life = watch_simulated_batch(1_000, Settings(concurrent_runs=1_000))

    assert set(life.calls) == {"get_batch"}

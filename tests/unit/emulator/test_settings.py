"""What can be set in process."""

from __future__ import annotations

from datetime import UTC, datetime

import boto3
import pytest
from moto.core.base_backend import BackendDict

from airflow_provider_omics_batch.emulator import (
    ManualClock,
    OmicsBackend,
    ScaledClock,
    Settings,
    omics_backends,
)


@pytest.mark.parametrize(
    "values",
    [
        {"start_run_tps": 0},
        {"concurrent_runs": 0},
        {"fail_runs": 1.01},
        {"fail_submissions": -0.01},
        {"fail_runs": float("nan")},
        {"run_seconds": -1},
        {"run_seconds": float("inf")},
        {"start_run_tps": float("inf")},
    ],
    ids=str,
)
def test_settings_must_make_sense(values):
    with pytest.raises(ValueError, match=next(iter(values))):
        Settings(**values)


def test_a_clock_may_run_faster(monkeypatch):
    now = iter([100.0, 101.0, 102.5])
    monkeypatch.setattr("time.monotonic", lambda: next(now))
    monkeypatch.setattr("time.time", lambda: 5000.0)
    clock = ScaledClock(600)

    assert [clock(), clock()] == [5600.0, 6500.0]


def test_a_clock_goes_on_from_its_time_when_its_speed_changes(monkeypatch):
    now = iter([100.0, 101.0, 102.0, 103.0, 104.0, 105.0])
    monkeypatch.setattr("time.monotonic", lambda: next(now))
    monkeypatch.setattr("time.time", lambda: 5000.0)
    clock = ScaledClock(600)
    clock.speed = 0
    stopped = clock()
    clock.advance(3600)
    clock.speed = 1

    assert stopped == 5600.0
    assert clock() == 9201.0


def test_time_ends_where_it_can_be_shown(monkeypatch):
    moments = iter([100.0, 101.0, 102.0])
    monkeypatch.setattr("time.monotonic", lambda: next(moments))
    clock = ScaledClock(1e300)

    assert clock() == datetime(9999, 1, 1, tzinfo=UTC).timestamp()
    with pytest.raises(ValueError, match="time ends"):
        clock.advance(1)


@pytest.mark.parametrize("speed", [-1, float("nan"), float("inf")])
def test_a_clock_must_run_forwards(speed):
    with pytest.raises(ValueError, match="speed"):
        ScaledClock(speed)
    with pytest.raises(ValueError, match="speed"):
        ScaledClock().speed = speed


@pytest.mark.parametrize("clock", [ManualClock(), ScaledClock()], ids=["manual", "scaled"])
def test_a_clock_does_not_jump_back(clock):
    with pytest.raises(ValueError, match="backwards"):
        clock.advance(-1)


def test_a_reset_clears_settings_and_batches(start, omics):
    start()
    BackendDict.reset()
    backend = omics_backends["123456789012"]["eu-west-1"]

    assert backend.settings == OmicsBackend.default_settings
    assert omics.list_batch()["items"] == []


@pytest.mark.parametrize(
    ("quotas", "counted"),
    [
        ({"start_run_tps": 10}, {"successfulStartSubmission": 20, "runningRun": 2, "pendingRun": 18}),
        ({"start_run_tps": 1, "concurrent_runs": 6}, {"runningRun": 6}),
        ({"start_run_tps": 1, "max_runs": 12}, {"failedStartSubmission": 1}),
    ],
    ids=["rate", "places", "room"],
)
def test_quotas_act_at_once_on_a_batch_that_is_there(start, counts, clock, configure, quotas, counted):
    usual = {"run_seconds": 1000, "concurrent_runs": 2}
    configure(**usual)
    batch = start(20)
    clock.advance(20)
    configure(**{**usual, **quotas})
    clock.advance(3)

    assert counted.items() <= counts(batch).items()


def test_defaults_may_be_set_for_the_process(monkeypatch):
    monkeypatch.setattr(OmicsBackend, "default_settings", OmicsBackend.default_settings)
    monkeypatch.setattr(OmicsBackend, "default_clock", OmicsBackend.default_clock)
    settings, clock = Settings(seed=7), ManualClock()
    OmicsBackend.configure_all(settings, clock)
    backend = omics_backends["123456789012"]["us-west-2"]
    client = boto3.client("omics", region_name="us-west-2")
    client.list_batch()
    client.close()

    assert (backend.settings, backend.clock) == (settings, clock)

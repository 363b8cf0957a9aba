"""What can be set in process."""

from __future__ import annotations

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


@pytest.mark.parametrize("speed", [0, -1, float("nan")])
def test_a_clock_must_run_forwards(speed):
    with pytest.raises(ValueError, match="speed"):
        ScaledClock(speed)
    with pytest.raises(ValueError, match="backwards"):
        ManualClock().advance(-1)


def test_a_reset_clears_settings_and_batches(start, omics):
    start()
    BackendDict.reset()
    backend = omics_backends["123456789012"]["eu-west-1"]

    assert backend.settings == OmicsBackend.default_settings
    assert omics.list_batch()["items"] == []


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

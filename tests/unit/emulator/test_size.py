"""At the greatest size that is allowed. The bounds are wide, they catch a wrong order of growth."""

from __future__ import annotations

import time

import pytest

from airflow_provider_omics_batch.emulator import omics_backends


def seconds(call):
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


@pytest.fixture(name="backend")
def _backend(configure):
    configure(start_run_tps=100, concurrent_runs=1000)
    return omics_backends["123456789012"]["eu-west-1"]


def test_100_000_runs_are_taken_and_counted(start_from_s3, omics, backend, clock, runs):
    settings = [{"runSettingId": f"run-{i}", "parameters": {"cram": f"s3://c/{i}"}} for i in range(100_000)]
    assert seconds(lambda: start_from_s3(settings)) < 15
    clock.advance(600)
    batch = {"batchId": omics.list_batch()["items"][0]["id"]}
    first = backend.get_batch(batch)

    assert sum(first["runSummary"].values()) == first["submissionSummary"]["successfulStartSubmissionCount"]
    assert seconds(lambda: [backend.get_batch(batch) for _ in range(100)]) / 100 < 0.005
    clock.advance(5000)
    assert backend.get_batch(batch)["runSummary"]["completedRunCount"] == 100_000
    page = omics.list_runs_in_batch(**batch, maxItems=100)
    assert [run["runSettingId"] for run in page["runs"]] == [f"run-{i}" for i in range(100)]
    assert seconds(lambda: omics.list_runs_in_batch(**batch, runSettingId="run-99999")) < 3


def test_10_batches_of_10_000_share_the_rate(start_from_s3, omics, backend, clock):
    settings = [{"runSettingId": f"run-{i}"} for i in range(10_000)]
    batches = [start_from_s3(settings) for _ in range(10)]
    clock.advance(110)
    found = [backend.get_batch({"batchId": b})["submissionSummary"] for b in batches]
    submitted = [summary["successfulStartSubmissionCount"] for summary in found]

    assert sum(submitted) == 10_000
    assert max(submitted) - min(submitted) <= 1

"""At the greatest size that is allowed: what must not grow with it does not, told by calls, not by time."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from airflow_provider_omics_batch.emulator import omics_backends
from airflow_provider_omics_batch.emulator.server.state import take
from tests.unit.emulator.conftest import DEFAULT


def calls(function):
    """Count the calls of Python functions, and the steps of generators, that a call leads to."""
    count, before = 0, sys.getprofile()

    def note(_frame, event, _argument):
        nonlocal count
        count += event == "call"

    sys.setprofile(note)
    try:
        function()
    finally:
        sys.setprofile(before)
    return count


@pytest.fixture(name="backend")
def _backend(configure):
    configure(start_run_tps=100, concurrent_runs=1000)
    return omics_backends["123456789012"]["eu-west-1"]


def cohort(size):
    return [{"runSettingId": f"run-{i}", "parameters": {"cram": f"s3://c/{i}"}} for i in range(size)]


def test_100_000_runs_are_taken_and_counted(start_from_s3, omics, backend, clock):
    batch = {"batchId": start_from_s3(cohort(100_000))}
    clock.advance(600)
    found = backend.get_batch(batch)

    assert sum(found["runSummary"].values()) == found["submissionSummary"]["successfulStartSubmissionCount"]
    clock.advance(5000)
    assert backend.get_batch(batch)["runSummary"]["completedRunCount"] == 100_000
    page = omics.list_runs_in_batch(**batch, maxItems=100)
    assert [run["runSettingId"] for run in page["runs"]] == [f"run-{i}" for i in range(100)]
    [last] = omics.list_runs_in_batch(**batch, runSettingId="run-99999")["runs"]
    assert last["submissionStatus"] == "SUCCESS"


@pytest.mark.parametrize(
    "filters", [{"submissionStatus": "FAILED"}, {"runSettingId": "run-9999"}, {"runId": "1"}]
)
def test_a_list_of_a_few_runs_says_nothing_of_the_others(start_from_s3, backend, clock, filters):
    """Others wait for the answer, so that what is not listed must not be made up to be compared."""
    few, many = (start_from_s3(cohort(size), key=f"{size}.json") for size in (1_000, 10_000))
    clock.advance(600)

    def listing(batch):
        return calls(lambda: backend.list_runs_in_batch({"batchId": batch, **filters}))

    assert listing(many) - listing(few) < 3 * 9_000


def test_looking_takes_no_more_for_a_large_batch(start_from_s3, backend, clock):
    """GetBatch counts the runs once, and a page takes no more runs than it shows."""
    batches = [{"batchId": start_from_s3(cohort(size), key=f"{size}.json")} for size in (1_000, 10_000)]
    clock.advance(600)
    looks, pages = [], []
    for batch in batches:
        assert backend.get_batch(batch)["submissionSummary"]["pendingStartSubmissionCount"] == 0
        clock.advance(1)
        looks.append(calls(lambda: backend.get_batch(batch)))  # noqa: B023 - called at once
        pages.append(calls(lambda: backend.list_runs_in_batch({**batch, "maxItems": 100})))  # noqa: B023

    assert looks[1] == looks[0] < 1_000
    # Some more for a run in another state, but far from one for each run of the batch.
    assert max(pages) < 5_000


def test_a_batch_is_not_counted_anew_for_what_leaves_it_as_it_was(start_from_s3, configure, backend, clock):
    configure(start_run_tps=100, concurrent_runs=10)
    batch = {"batchId": start_from_s3(cohort(10_000))}
    clock.advance(150)
    before = backend.get_batch(batch)
    run = backend.start_run({**DEFAULT, "requestId": "another"})
    looks = [calls(lambda: backend.get_batch(batch))]
    backend.cancel_run({"id": run["id"]})
    looks.append(calls(lambda: backend.get_batch(batch)))

    assert max(looks) < 1_000
    assert backend.get_batch(batch) == before


def test_a_state_is_written_in_small_pieces(start_from_s3, backend):
    """It would double what the process holds otherwise."""
    start_from_s3(cohort(10_000))
    pieces = []
    file = SimpleNamespace(write=lambda piece: pieces.append(len(piece)))
    take(file)

    assert max(pieces) < sum(pieces) / 2


def test_10_batches_of_10_000_share_the_rate(start_from_s3, omics, backend, clock):
    settings = [{"runSettingId": f"run-{i}"} for i in range(10_000)]
    batches = [start_from_s3(settings) for _ in range(10)]
    clock.advance(110)
    found = [backend.get_batch({"batchId": b})["submissionSummary"] for b in batches]
    submitted = [summary["successfulStartSubmissionCount"] for summary in found]

    assert sum(submitted) == 10_000
    assert max(submitted) - min(submitted) <= 1

"""Many threads at one account: whatever they do at the same time, it stays in order."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO
from random import Random

import pytest

from airflow_provider_omics_batch.emulator import omics_backends
from airflow_provider_omics_batch.emulator.exceptions import ConflictException, ResourceNotFoundException
from airflow_provider_omics_batch.emulator.models import OmicsBackend
from airflow_provider_omics_batch.emulator.server.state import take
from tests.unit.emulator.conftest import ACCOUNT, DEFAULT, REGION

THREADS = 16
STEPS = 60
RUNS = 20


@pytest.fixture(name="often")
def _often():
    """Let threads take turns a hundred times as often."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(interval / 100)
    yield
    sys.setswitchinterval(interval)


@pytest.fixture(name="backend")
def _backend(configure):
    configure(start_run_tps=50, concurrent_runs=30, fail_runs=0.2, fail_submissions=0.1, reuse_run_ids=False)
    return omics_backends[ACCOUNT][REGION]


class Client:
    """Does one thing after another, and remembers what it was told."""

    def __init__(self, backend, clock, number):
        self.backend = backend
        self.clock = clock
        self.random = Random(number)  # noqa: S311 - only the same each time
        self.started = {}
        self.cancelled = set()

    def act(self):
        for _ in range(STEPS):
            with suppress(ConflictException, ResourceNotFoundException):
                self.random.choice((self.start, self.look, self.list, self.cancel, self.delete, self.wait))()
        return self

    def start(self):
        request_id = f"shared-{self.random.randrange(200)}"
        settings = [{"runSettingId": f"{request_id}-{place}"} for place in range(RUNS)]
        answer = self.backend.start_run_batch(
            {
                "requestId": request_id,
                "defaultRunSetting": DEFAULT,
                "batchRunSettings": {"inlineSettings": settings},
            }
        )
        self.started[request_id] = answer["id"]

    def some(self):
        batches, _ = self.backend.list_batch({})
        return {"batchId": self.random.choice(batches)["id"] if batches else "1"}

    def look(self):
        found = self.backend.get_batch(self.some())
        counts = found["submissionSummary"]
        submitted = counts["successfulStartSubmissionCount"]
        assert sum(found["runSummary"].values()) == submitted
        if found["status"] not in ("STOPPING", "CANCELLED", "RUNS_DELETING", "RUNS_DELETED"):
            attempted = submitted + counts["failedStartSubmissionCount"]
            assert attempted + counts["pendingStartSubmissionCount"] == RUNS

    def list(self):
        self.backend.list_runs_in_batch(self.some())
        self.backend.list_runs({})

    def cancel(self):
        batch = self.some()
        self.backend.cancel_run_batch(batch)
        self.cancelled.add(batch["batchId"])

    def delete(self):
        self.backend.delete_run_batch(self.some())

    def wait(self):
        self.clock.advance(1)


@pytest.mark.usefixtures("often")
def test_threads_corrupt_nothing(backend, clock):
    clients = [Client(backend, clock, number) for number in range(THREADS)]
    with ThreadPoolExecutor(THREADS) as pool:
        for done in [pool.submit(client.act) for client in clients]:
            done.result()
    clock.advance(1e6)

    batches = every(backend.list_batch, {})
    started = {pair for client in clients for pair in client.started.items()}
    cancelled = {batch for client in clients for batch in client.cancelled}
    # One batch for each requestId, however many asked for it.
    assert len(started) == len(dict(started)) == len(batches)
    assert {batch["id"] for batch in batches} == {batch for _, batch in started}
    run_ids = []
    for batch in batches:
        runs = every(backend.list_runs_in_batch, {"batchId": batch["id"]})
        run_ids += [run["runId"] for run in runs if "runId" in run]
        if batch["id"] not in cancelled:
            assert batch["status"] in ("PROCESSED", "RUNS_DELETED")
            assert len(runs) == RUNS
    assert len(run_ids) == len(set(run_ids))
    assert {batch["status"] for batch in batches if batch["id"] in cancelled} <= {"CANCELLED", "RUNS_DELETED"}


@pytest.mark.usefixtures("often")
def test_a_state_can_be_taken_at_rest_while_threads_are_at_work(backend, clock):
    with ThreadPoolExecutor(THREADS) as pool:
        working = [pool.submit(Client(backend, clock, number).act) for number in range(THREADS)]
        while not all(work.done() for work in working):
            with backend.at_rest():
                take(BytesIO())
        for work in working:
            work.result()


def every(call, params):
    """Go through all pages."""
    items, token = call({**params, "maxItems": 100})
    while token:
        more, token = call({**params, "maxItems": 100, "startingToken": token})
        items += more
    return items


def test_who_looks_amid_a_reset_sees_the_account_before_or_after_it(backend, monkeypatch):
    begin, seen = OmicsBackend.__init__, []

    def begin_while_another_looks(self, region_name, account_id):
        seen.append(backend.list_batch({}))
        begin(self, region_name, account_id)

    monkeypatch.setattr(OmicsBackend, "__init__", begin_while_another_looks)
    backend.reset()

    assert seen == [([], None)]

"""What a person does to a deferred task, on a real Airflow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.system.api import LogLine
from tests.system.deployment import Airflow, Emulator, environment, free_port
from tests.system.processes import Services

DAGS = Path(__file__).parent / "dags"
UNDER_WAY = {"SUBMITTING", "INPROGRESS"}
CANCELLED = {"STOPPING", "CANCELLED"}


@dataclass
class Deployment:
    """A real Airflow, and a HealthOmics in which runs take days."""

    services: Services
    airflow: Airflow
    emulator: Emulator

    def batches(self) -> list[dict[str, Any]]:
        """Return all batches, the oldest first."""
        batches = self.emulator.client("omics").list_batch()["items"]
        return sorted(batches, key=lambda batch: int(batch["id"]))

    def wait_for(self, condition: Callable[[], bool], what: str) -> None:
        self.services.wait_for(condition, what, seconds=180)


@pytest.fixture(scope="module", name="deployment")
def _deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    home = tmp_path_factory.mktemp("airflow")
    (home / "logs").mkdir()
    with Services(home / "logs", environment(home)) as services:
        emulator = Emulator(services, 0, "--speed", "30", "--run-seconds", "1000000")
        emulator.start()
        airflow = Airflow(services, home, DAGS, free_port())
        airflow.prepare()
        emulator.wait_until_ready()
        airflow.connect(aws_default=emulator.connection)
        airflow.start()
        deployment = Deployment(services, airflow, emulator)
        deployment.wait_for(lambda: airflow.api.has_dag("retried"), "the Dags")
        yield deployment
        airflow.api.close()


def start(deployment: Deployment, dag_id: str, batches: int = 1) -> tuple[str, list[str]]:
    """Start a Dag run, wait until its task is deferred, and return the run's id and its batches'."""
    before = {batch["id"] for batch in deployment.batches()}
    run_id = deployment.airflow.api.trigger(dag_id)

    def ours() -> list[dict[str, Any]]:
        return [batch for batch in deployment.batches() if batch["id"] not in before]

    def waiting() -> bool:
        # Airflow tells nobody when a task is killed before the triggerer has begun to wait for it.
        indexes = range(batches) if batches > 1 else [-1]
        logs = [deployment.airflow.api.log(dag_id, run_id, "start", map_index=index) for index in indexes]
        under_way = [batch for batch in ours() if batch["status"] in UNDER_WAY]
        return len(under_way) == batches and all(_is_watched(log) for log in logs)

    deployment.wait_for(waiting, f"{dag_id} to be deferred")
    return run_id, [batch["id"] for batch in ours()]


def _is_watched(log: list[LogLine]) -> bool:
    return any(line.logger.endswith("RunBatchTrigger") and "INPROGRESS" in line.text for line in log)


def status(deployment: Deployment, batch_id: str) -> str:
    return next(batch["status"] for batch in deployment.batches() if batch["id"] == batch_id)


@pytest.mark.parametrize("state", ["failed", "success"])
def test_a_deferred_task_that_is_marked_cancels_its_batch(deployment: Deployment, state: str) -> None:
    run_id, [batch_id] = start(deployment, "plain")

    deployment.airflow.api.set_task_state("plain", run_id, "start", state)

    deployment.wait_for(lambda: status(deployment, batch_id) in CANCELLED, "the batch to be cancelled")


def test_a_mapped_task_that_is_marked_cancels_its_own_batch_and_no_other(deployment: Deployment) -> None:
    run_id, batches = start(deployment, "mapped", batches=2)
    api = deployment.airflow.api
    by_index = {index: api.xcom("mapped", run_id, "start", "batch_id", index) for index in (0, 1)}
    assert sorted(by_index.values()) == sorted(batches)

    api.set_task_state("mapped", run_id, "start", "failed", map_index=1)

    deployment.wait_for(lambda: status(deployment, by_index[1]) in CANCELLED, "the batch to be cancelled")
    assert status(deployment, by_index[0]) in UNDER_WAY


def test_a_cleared_task_cancels_its_batch_and_starts_another_that_goes_on(deployment: Deployment) -> None:
    run_id, [old] = start(deployment, "plain")
    known = {batch["id"] for batch in deployment.batches()}
    api = deployment.airflow.api

    api.clear("plain", run_id, "start")

    deployment.wait_for(lambda: status(deployment, old) in CANCELLED, "the old batch to be cancelled")
    deployment.wait_for(lambda: len(deployment.batches()) > len(known), "a new batch")
    [new] = {batch["id"] for batch in deployment.batches()} - known
    deployment.wait_for(lambda: status(deployment, new) in UNDER_WAY, "the new batch to be under way")
    deployment.wait_for(lambda: "deferred" in api.task_states("plain", run_id)["start"], "the wait for it")
    assert api.xcom("plain", run_id, "start", "batch_id") == new
    assert status(deployment, new) in UNDER_WAY


def test_a_task_told_to_leave_its_batch_alone_does_so(deployment: Deployment) -> None:
    run_id, [batch_id] = start(deployment, "left_alone")
    other_run, [other] = start(deployment, "plain")

    deployment.airflow.api.set_task_state("left_alone", run_id, "start", "failed")
    deployment.airflow.api.set_task_state("plain", other_run, "start", "failed")

    deployment.wait_for(lambda: status(deployment, other) in CANCELLED, "the other batch to be cancelled")
    assert status(deployment, batch_id) in UNDER_WAY


def test_a_task_over_its_time_cancels_its_batch_and_fails(deployment: Deployment) -> None:
    known = {batch["id"] for batch in deployment.batches()}
    api = deployment.airflow.api

    run_id = api.trigger("limited")

    deployment.wait_for(lambda: api.task_states("limited", run_id).get("start") == ["failed"], "the timeout")
    [batch_id] = {batch["id"] for batch in deployment.batches()} - known
    assert status(deployment, batch_id) in CANCELLED
    assert list(api.xcom("limited", run_id, "start", "run_ids")) == ["NA12878", "NA12891", "NA12892"]


def test_a_retry_waits_for_the_batch_that_the_try_before_has_left(deployment: Deployment) -> None:
    known = {batch["id"] for batch in deployment.batches()}
    api = deployment.airflow.api

    run_id = api.trigger("retried")

    deployment.wait_for(lambda: api.dag_run_state("retried", run_id) == "failed", "both tries to end")
    [batch_id] = {batch["id"] for batch in deployment.batches()} - known
    assert status(deployment, batch_id) in UNDER_WAY
    second = [line.text for line in api.log("retried", run_id, "start", try_number=2)]
    assert any(f"{batch_id} was submitted by an earlier try" in line for line in second)

"""A deployment of several processes, in which tests kill and stop one or the other."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from tests.system.api import LogLine
from tests.system.deployment import COMPONENTS, Airflow, Emulator
from tests.system.postgres import Database
from tests.system.processes import Service, Services

TASK = "start"
PATIENCE = 180

UNDER_WAY = {"SUBMITTING", "INPROGRESS"}
CANCELLED = {"STOPPING", "CANCELLED"}

#: What Airflow says in the log of a trigger that has come to its end.
FIRED = "Trigger fired event"

#: Where the batches' manifests go.
BUCKET = "cohort"

#: By the ids of their connections: runs that take days, and runs that take seconds, one after the other.
SERVICES = {
    "aws_default": ("--speed", "30", "--run-seconds", "1000000"),
    "aws_brief": ("--speed", "60", "--run-seconds", "60", "--concurrent-runs", "1"),
}

COMPONENTS_BUT_TRIGGERERS = tuple(name for name in COMPONENTS if name != "triggerer")

#: Seconds after which Airflow takes a silent task for dead, and gives away a silent triggerer's triggers.
TASK_SILENCE = 60
TRIGGERER_SILENCE = 6

#: Airflow's, on PostgreSQL.
OPTIONS = {
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": str(TASK_SILENCE),
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "1",
    "WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
    "TRIGGERER__JOB_HEARTBEAT_SEC": "1",
    "TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": str(TRIGGERER_SILENCE),
}


@dataclass
class Deployment:
    """
    A real Airflow, and HealthOmics twice: one in which runs take days, and one in which they take seconds.

    :param database: Airflow's; ``None`` where it is SQLite, with one triggerer.
    :param triggerers: By the ids of their jobs; known on PostgreSQL only.
    """

    services: Services
    airflow: Airflow
    emulators: dict[str, Emulator]
    logs: Path
    database: Database | None
    triggerers: dict[int, Service] = field(default_factory=dict)
    runs: list[DagRun] = field(default_factory=list)

    @property
    def postgres(self) -> Database:
        assert self.database is not None
        return self.database

    def wait_for(self, condition: Callable[[], bool], what: str, every: float = 0.25) -> None:
        self.services.wait_for(condition, what, PATIENCE, every)

    def start_triggerer(self) -> int:
        """Start one more triggerer, and return the id of its job."""
        name = f"triggerer-{len(self.triggerers) + 1}"
        service = self.airflow.launch("triggerer", name)
        self.wait_for(lambda: bool(self._new_jobs()), f"the {name}")
        [job] = self._new_jobs()
        self.triggerers[job] = service
        return job

    def _new_jobs(self) -> list[int]:
        jobs = self.postgres.rows("SELECT id FROM job WHERE job_type = 'TriggererJob'")
        return [job for (job,) in jobs if job not in self.triggerers]

    def alive_triggerers(self) -> set[int]:
        return {job for job, service in self.triggerers.items() if service in self.services}

    def kill_triggerer(self, job: int) -> None:
        self.services.kill(self.triggerers[job])

    def end_triggerer(self, job: int) -> float:
        """Ask a triggerer to end, as a new release would, and return how many seconds it takes."""
        service, begin = self.triggerers[job], time.monotonic()
        service.process.terminate()
        service.process.wait(PATIENCE)
        self.services.forget(service)
        return time.monotonic() - begin

    def signal_triggerer(self, job: int, number: signal.Signals) -> None:
        self.services.signal(self.triggerers[job], number)

    def two_triggerers(self) -> None:
        """Start what is missing of two triggerers."""
        while len(self.alive_triggerers()) < 2:
            self.start_triggerer()

    def start(self, dag_id: str, conf: dict[str, Any] | None = None) -> DagRun:
        connection = "aws_brief" if dag_id.startswith("brief") else "aws_default"
        run_id = self.airflow.api.trigger(dag_id, conf)
        run = DagRun(self, self.emulators[connection], dag_id, run_id)
        self.runs.append(run)
        return run

    def wait_until_stuck(self, statement: str) -> None:
        """Wait until Airflow waits for a lock with a statement that is like this."""
        self.wait_for(lambda: self.postgres.keeps_waiting(statement), f"{statement!r} to wait", every=0.05)

    def restart(self, component: str) -> None:
        """Kill a component of which there is one, and start it again."""
        self.services.kill(self.services.named(component))
        self.airflow.launch(component)
        self.airflow.wait_until_healthy()

    @contextmanager
    def restarting(self) -> Iterator[None]:
        """Start again what ends by itself, as whoever runs a deployment would."""

        def restart(ended: Service) -> None:
            if ended in self.triggerers.values():
                self.start_triggerer()
            else:
                self.airflow.launch(ended.name)

        self.services.successor = restart
        try:
            yield
        finally:
            self.services.successor = None

    def tidy(self) -> None:
        """End what a test has left behind, so that the next one finds the deployment as it was."""
        for emulator in self.emulators.values():
            emulator.clear_faults()
        if self.database is not None:
            for job in self.alive_triggerers():
                self.signal_triggerer(job, signal.SIGCONT)
            self.two_triggerers()
        for run in self.runs:
            if not run.has_ended():
                run.fail()
        self.wait_for(lambda: all(run.is_at_rest() for run in self.runs), "the end of all Dag runs")
        self.runs.clear()


@dataclass
class DagRun:
    """A run of a Dag whose one task starts batches that bear the run's name."""

    deployment: Deployment
    emulator: Emulator
    dag_id: str
    run_id: str

    def batches(self) -> list[dict[str, Any]]:
        """Return the run's batches, the oldest first."""
        pages = self.emulator.client("omics").get_paginator("list_batch").paginate(name=self.run_id)
        batches = [batch for page in pages for batch in page["items"]]
        return sorted(batches, key=lambda batch: int(batch["id"]))

    def batch_ids(self) -> list[str]:
        return [batch["id"] for batch in self.batches()]

    def status(self, batch_id: str) -> str:
        """Return the status of one of the batches."""
        return next(batch["status"] for batch in self.batches() if batch["id"] == batch_id)

    def wait_for_status(self, batch_id: str, statuses: set[str]) -> None:
        what = f"batch {batch_id} to be {' or '.join(sorted(statuses))}"
        self.deployment.wait_for(lambda: self.status(batch_id) in statuses, what)

    def wait_until_submitted(self) -> list[str]:
        """Wait until there is a batch, and return the batches' ids."""
        self.deployment.wait_for(lambda: bool(self.batches()), f"a batch of {self.dag_id}", every=0.05)
        return self.batch_ids()

    def wait_until_watched(self, count: int = 1) -> list[str]:
        """Wait until triggers watch batches that are under way, and return the batches' ids."""

        # Airflow tells nobody when a task is killed before the triggerer has begun to wait for it.
        def watched() -> bool:
            under_way = [batch for batch in self.batches() if batch["status"] in UNDER_WAY]
            indexes = range(count) if count > 1 else [-1]
            return len(under_way) == count and all(_is_watched(self.log(map_index=i)) for i in indexes)

        self.deployment.wait_for(watched, f"{self.dag_id} to be deferred")
        return self.batch_ids()

    def log(self, try_number: int = 1, map_index: int = -1) -> list[LogLine]:
        return self.deployment.airflow.api.log(self.dag_id, self.run_id, TASK, try_number, map_index)

    def xcom(self, key: str = "return_value", map_index: int = -1) -> Any:
        return self.deployment.airflow.api.xcom(self.dag_id, self.run_id, TASK, key, map_index)

    def mark(self, state: str, map_index: int | None = None) -> None:
        """Mark the task as a person would."""
        self.deployment.airflow.api.set_task_state(self.dag_id, self.run_id, TASK, state, map_index)

    def clear(self) -> None:
        self.deployment.airflow.api.clear(self.dag_id, self.run_id, TASK)

    def fail(self) -> None:
        self.deployment.airflow.api.fail_dag_run(self.dag_id, self.run_id)

    def state(self) -> str:
        return self.deployment.airflow.api.dag_run_state(self.dag_id, self.run_id)

    def task_states(self) -> list[str | None]:
        return self.deployment.airflow.api.task_states(self.dag_id, self.run_id).get(TASK, [])

    def has_ended(self) -> bool:
        return self.state() in ("success", "failed")

    def is_at_rest(self) -> bool:
        return self.has_ended() and not {"running", "deferred"} & set(self.task_states())

    def wait_for_task(self, state: str) -> None:
        self.deployment.wait_for(lambda: self.task_states() == [state], f"{self.dag_id} to be {state}")

    def wait_for_end(self) -> str:
        """Wait until the Dag run has ended, and return how."""
        self.deployment.wait_for(self.has_ended, f"the end of {self.dag_id}", every=0.5)
        return self.state()

    def tries(self) -> int:
        [(number,)] = self._rows("SELECT ti.try_number FROM task_instance ti")
        return int(number)

    def owner(self) -> int | None:
        """Return the id of the triggerer's job to which Airflow has given the task's trigger."""
        rows = self._rows(
            "SELECT triggerer_id FROM trigger JOIN task_instance ti ON ti.trigger_id = trigger.id"
        )
        return rows[0][0] if rows else None

    def told(self, job: int, text: str) -> bool:
        """Return whether a triggerer has told something in the log of the task's first try."""
        folder = self.deployment.logs / f"dag_id={self.dag_id}" / f"run_id={self.run_id}" / f"task_id={TASK}"
        log = folder / f"attempt=1.log.trigger.{job}.log"
        return log.exists() and text in log.read_text()

    def is_watched_by(self, job: int) -> bool:
        return self.told(job, " INPROGRESS ")

    def kill_worker(self) -> None:
        """Kill the task and what runs it, as the eviction of a pod or a machine that is gone would."""
        [(pid,)] = self._rows("SELECT ti.pid FROM task_instance ti")
        task = psutil.Process(pid)
        worker = task.parent()
        assert worker is not None
        assert "LocalExecutor" in " ".join(worker.cmdline())
        # First the one that would tell Airflow of the other's end.
        for process in (worker, *worker.children(recursive=True)):
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)

    def let_airflow_miss_it(self) -> None:
        """Let Airflow take the task for dead now, and not only when it has been silent for some time."""
        self.deployment.postgres.rows(
            "UPDATE task_instance SET last_heartbeat_at = now() - interval '1 day'"
            " WHERE dag_id = %s AND run_id = %s",
            self.dag_id,
            self.run_id,
        )

    def _rows(self, select: str) -> list[tuple[Any, ...]]:
        where = " WHERE ti.dag_id = %s AND ti.run_id = %s"
        return self.deployment.postgres.rows(select + where, self.dag_id, self.run_id)


def _is_watched(log: list[LogLine]) -> bool:
    return any(line.logger.endswith("RunBatchTrigger") and "INPROGRESS" in line.text for line in log)

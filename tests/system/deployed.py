"""A deployment of several processes, in which tests kill and stop one or the other."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.system.dag_run import DagRun
from tests.system.deployment import COMPONENTS, Airflow, Emulator
from tests.system.postgres import Database
from tests.system.processes import Service, Services

PATIENCE = 180

#: Where the batches' manifests go.
BUCKET = "cohort"

#: By the ids of their connections: runs that take days, runs that take seconds, one after the other, and
#: runs of which many go wrong.
SERVICES = {
    "aws_default": ("--speed", "30", "--run-seconds", "1000000"),
    "aws_brief": ("--speed", "60", "--run-seconds", "60", "--concurrent-runs", "1"),
    "aws_failing": (
        "--speed",
        "60",
        "--run-seconds",
        "60",
        "--fail-runs",
        "0.5",
        "--fail-submissions",
        "0.5",
    ),
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
    A real Airflow, and several of HealthOmics, in which runs take days, or seconds, or often fail.

    :param database: Airflow's; ``None`` where it is SQLite, with one triggerer.
    :param triggerers: By the ids of their jobs; known on PostgreSQL only.
    :param patience: Seconds; how long to wait for anything.
    """

    services: Services
    airflow: Airflow
    emulators: dict[str, Emulator]
    logs: Path
    database: Database | None
    triggerers: dict[int, Service] = field(default_factory=dict)
    runs: list[DagRun] = field(default_factory=list)
    patience: float = PATIENCE

    @property
    def postgres(self) -> Database:
        assert self.database is not None
        return self.database

    def wait_for(self, condition: Callable[[], bool], what: str, every: float = 0.25) -> None:
        self.services.wait_for(condition, what, self.patience, every)

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
        kind = dag_id.partition("_")[0]
        connection = f"aws_{kind}" if f"aws_{kind}" in SERVICES else "aws_default"
        run_id = self.airflow.api.trigger(dag_id, conf)
        run = DagRun(self, self.emulators[connection], dag_id, run_id)
        self.runs.append(run)
        return run

    def wait_until_stuck(self, statement: str) -> None:
        """Wait until Airflow waits for a lock with a statement that is like this."""
        self.wait_for(lambda: self.postgres.keeps_waiting(statement), f"{statement!r} to wait", every=0.05)

    def kill(self, component: str) -> None:
        """Kill a component of which there is one."""
        self.services.kill(self.services.named(component))

    def launch(self, component: str) -> None:
        """Start a component again, and wait until all are healthy."""
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

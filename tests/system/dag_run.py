"""A Dag run as a test sees it, with the batches that belong to it."""

from __future__ import annotations

import json
import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import psutil

from tests.system.api import LogLine
from tests.system.deployment import Emulator
from tests.system.processes import show_logs

if TYPE_CHECKING:
    from pathlib import Path

    from tests.system.deployed import Deployment

#: The one task of each Dag.
TASK = "start"

UNDER_WAY = {"SUBMITTING", "INPROGRESS"}
CANCELLED = {"STOPPING", "CANCELLED"}

#: What Airflow says in the log of a trigger that has come to its end.
FIRED = "Trigger fired event"


@dataclass
class DagRun:
    """A run of a Dag whose one task starts batches that bear the run's name."""

    deployment: Deployment
    emulator: Emulator
    dag_id: str
    run_id: str

    @property
    def logs(self) -> Path:
        """Where the logs of its tasks are."""
        return self.deployment.logs / f"dag_id={self.dag_id}" / f"run_id={self.run_id}"

    def batches(self) -> list[dict[str, Any]]:
        """Return the run's batches, the oldest first."""
        pages = self.emulator.client("omics").get_paginator("list_batch").paginate(name=self.run_id)
        batches = [batch for page in pages for batch in page["items"]]
        return sorted(batches, key=lambda batch: int(batch["id"]))

    def batch_ids(self) -> list[str]:
        return [batch["id"] for batch in self.batches()]

    def status(self, batch_id: str) -> str:
        """Return the status of one of the batches."""
        status: str = next(batch["status"] for batch in self.batches() if batch["id"] == batch_id)
        return status

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

    def links(self, map_index: int = -1) -> dict[str, str | None]:
        """Return the links on the task's page."""
        return self.deployment.airflow.api.links(self.dag_id, self.run_id, TASK, map_index)

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

    def names(self) -> dict[int, str | None]:
        """Return what Airflow calls the instances of a mapped task."""
        instances = self.deployment.airflow.api.task_instances(self.dag_id, self.run_id)
        return {
            instance["map_index"]: instance["rendered_map_index"]
            for instance in instances
            if instance["task_id"] == TASK
        }

    def has_ended(self) -> bool:
        return self.state() in ("success", "failed")

    def is_at_rest(self) -> bool:
        return self.has_ended() and not {"running", "deferred"} & set(self.task_states())

    def wait_for_task(self, state: str) -> None:
        self.deployment.wait_for(lambda: self.task_states() == [state], f"{self.dag_id} to be {state}")

    def wait_for_end(self) -> str:
        """Wait until the Dag run has ended, and return how."""
        self.deployment.wait_for(self.has_ended, f"the end of {self.dag_id}", every=0.5)
        show_logs(self.logs)
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
        return self.told_at(job, text) is not None

    def told_at(self, job: int, text: str) -> float | None:
        """Return when it has told that first, in seconds since the epoch."""
        log = self.logs / f"task_id={TASK}" / f"attempt=1.log.trigger.{job}.log"
        lines = log.read_text().splitlines() if log.exists() else []
        times = (datetime.fromisoformat(json.loads(line)["timestamp"]) for line in lines if text in line)
        return next((time.timestamp() for time in times), None)

    def is_watched_by(self, job: int) -> bool:
        return self.told(job, " INPROGRESS ")

    def state_in_database(self) -> str | None:
        """Return the task's state, where there is no API server to tell it."""
        [(state,)] = self._rows("SELECT ti.state FROM task_instance ti")
        return None if state is None else str(state)

    def process(self) -> psutil.Process:
        """Return the process in which the task runs."""
        [(pid,)] = self._rows("SELECT ti.pid FROM task_instance ti")
        return psutil.Process(pid)

    def worker(self) -> psutil.Process:
        """Return the process that looks after the task's own."""
        worker = self.process().parent()
        assert worker is not None
        assert "LocalExecutor" in " ".join(worker.cmdline())
        return worker

    def kill_worker(self) -> None:
        """Kill the task and what runs it, as the eviction of a pod or the loss of a machine would."""
        worker = self.worker()
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

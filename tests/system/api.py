"""Airflow's REST API, as far as the harness needs it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx

from tests.system.processes import BusyError

REQUEST_SECONDS = 60


class LogLine(NamedTuple):
    """A line of a task's log, from the worker or the triggerer."""

    level: str
    logger: str
    text: str
    time: datetime | None


class AirflowApi:
    """
    A client of an API server that takes everybody for an admin.

    :param address: ``http://…`` of the server.
    """

    def __init__(self, address: str) -> None:
        self._client = httpx.Client(base_url=address, timeout=REQUEST_SECONDS, trust_env=False)

    def close(self) -> None:
        self._client.close()

    def unhealthy(self) -> list[str]:
        """Return the components that are not healthy, the API server first."""
        try:
            health = self._client.get("/api/v2/monitor/health").raise_for_status().json()
        except httpx.HTTPError:
            return ["api_server"]
        components = ("metadatabase", "scheduler", "triggerer", "dag_processor")
        return [name for name in components if (health.get(name) or {}).get("status") != "healthy"]

    def log_in(self) -> None:
        token = self._client.get("/auth/token").raise_for_status().json()["access_token"]
        self._client.headers["Authorization"] = f"Bearer {token}"

    def has_dag(self, dag_id: str) -> bool:
        try:
            return bool(self._get(f"/dags/{dag_id}"))
        except httpx.HTTPStatusError as error:
            if error.response.status_code != httpx.codes.NOT_FOUND:
                raise
            return False

    def import_errors(self) -> dict[str, str]:
        """Return what is wrong with which Dag file."""
        errors = self._get("/importErrors")["import_errors"]
        return {error["filename"]: error["stack_trace"] for error in errors}

    def trigger(self, dag_id: str, conf: dict[str, Any] | None = None) -> str:
        """Start a Dag run, and return its id."""
        body = {"logical_date": None, "conf": conf or {}}
        response = self._client.post(f"/api/v2/dags/{dag_id}/dagRuns", json=body)
        run_id: str = response.raise_for_status().json()["dag_run_id"]
        return run_id

    def dag_runs(self, dag_id: str) -> list[dict[str, Any]]:
        """Return what Airflow shows of the first runs of a Dag, the earliest first."""
        runs: list[dict[str, Any]] = self._get(f"/dags/{dag_id}/dagRuns", order_by="logical_date")["dag_runs"]
        return runs

    def backfills(self, dag_id: str) -> list[dict[str, Any]]:
        """Return what Airflow shows of the backfills of a Dag."""
        backfills: list[dict[str, Any]] = self._get("/backfills", dag_id=dag_id)["backfills"]
        return backfills

    def dag_run_state(self, dag_id: str, run_id: str) -> str:
        state: str = self._get(_dag_run(dag_id, run_id))["state"]
        return state

    def task_states(self, dag_id: str, run_id: str) -> dict[str, list[str | None]]:
        """Return the states of each task's instances."""
        states: dict[str, list[str | None]] = {}
        for instance in self.task_instances(dag_id, run_id):
            states.setdefault(instance["task_id"], []).append(instance["state"])
        return states

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return what Airflow shows of the task instances of a Dag run."""
        path = f"{_dag_run(dag_id, run_id)}/taskInstances"
        instances: list[dict[str, Any]] = self._get(path)["task_instances"]
        return instances

    def set_task_state(
        self, dag_id: str, run_id: str, task_id: str, state: str, map_index: int | None = None
    ) -> None:
        """Mark a task as a person would; it is ``failed`` or ``success`` from then on."""
        path = f"/api/v2{_dag_run(dag_id, run_id)}/taskInstances/{task_id}"
        path += "" if map_index is None else f"/{map_index}"
        self._client.patch(path, json={"new_state": state}).raise_for_status()

    def fail_dag_run(self, dag_id: str, run_id: str) -> None:
        """Mark a Dag run as failed, with what is left of its tasks."""
        path = f"/api/v2{_dag_run(dag_id, run_id)}"
        self._client.patch(path, json={"state": "failed"}).raise_for_status()

    def pause(self, dag_id: str, paused: bool = True) -> None:
        self._client.patch(f"/api/v2/dags/{dag_id}", json={"is_paused": paused}).raise_for_status()

    def clear(self, dag_id: str, run_id: str, task_id: str) -> None:
        """Let a task run again."""
        body = {"dry_run": False, "dag_run_id": run_id, "task_ids": [task_id], "only_failed": False}
        self._client.post(f"/api/v2/dags/{dag_id}/clearTaskInstances", json=body).raise_for_status()

    def log(
        self, dag_id: str, run_id: str, task_id: str, try_number: int = 1, map_index: int = -1
    ) -> list[LogLine]:
        """Return the log of a task's try so far; nothing if it has not begun."""
        path = f"{_dag_run(dag_id, run_id)}/taskInstances/{task_id}/logs/{try_number}"
        try:
            content = self._get(path, full_content="true", map_index=str(map_index))["content"]
        except httpx.HTTPStatusError as error:
            if error.response.status_code != httpx.codes.NOT_FOUND:
                raise
            return []
        return [
            LogLine(
                entry.get("level") or "",
                entry.get("logger") or "",
                entry["event"],
                datetime.fromisoformat(entry["timestamp"]) if entry.get("timestamp") else None,
            )
            for entry in content
            if isinstance(entry, dict)
        ]

    def xcom(
        self, dag_id: str, run_id: str, task_id: str, key: str = "return_value", map_index: int = -1
    ) -> Any:
        path = f"{_dag_run(dag_id, run_id)}/taskInstances/{task_id}/xcomEntries/{key}"
        return self._get(path, map_index=str(map_index))["value"]

    def links(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> dict[str, str | None]:
        """Return the links on a task's page; ``None`` for those that it does not show."""
        path = f"{_dag_run(dag_id, run_id)}/taskInstances/{task_id}/links"
        links: dict[str, str | None] = self._get(path, map_index=str(map_index))["extra_links"]
        return links

    def xcom_keys(self, dag_id: str, run_id: str, task_id: str) -> list[str]:
        """Return under which keys a task has published something."""
        entries = self._get(f"{_dag_run(dag_id, run_id)}/taskInstances/{task_id}/xcomEntries")["xcom_entries"]
        return [entry["key"] for entry in entries]

    def _get(self, path: str, **query: str) -> Any:
        try:
            response = self._client.get(
                f"/api/v2{path}", params=query, headers={"Accept": "application/json"}
            )
        except httpx.TransportError as error:
            raise BusyError(f"The API server does not answer GET {path}: {error}") from error
        if response.is_server_error:
            # Its SQLite is locked, for one.
            raise BusyError(f"The API server answers GET {path} with {response.status_code}")
        return response.raise_for_status().json()


def _dag_run(dag_id: str, run_id: str) -> str:
    return f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}"

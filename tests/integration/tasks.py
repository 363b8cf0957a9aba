"""A task's life without an Airflow around it: execute, defer, wait, resume."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import aclosing
from datetime import UTC, datetime
from functools import partial
from types import SimpleNamespace
from typing import Any

from airflow.sdk import BaseOperator, serde
from airflow.sdk._shared.module_loading import import_string
from airflow.sdk.exceptions import TaskDeferred


class StateStore(dict[str, Any]):
    """What Airflow 3.3 keeps for a task over its tries, and for how long."""

    def __init__(self) -> None:
        self.retentions: dict[str, Any] = {}

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        self[key] = json.loads(json.dumps(value))
        self.retentions[key] = retention


class TaskInstance:
    """What an operator asks of its task instance, and the XCom that it pushes."""

    def __init__(
        self,
        *,
        map_index: int = -1,
        try_number: int = 1,
        max_tries: int = 0,
        task_id: str = "call_variants",
    ) -> None:
        self.dag_id = "cohort"
        self.run_id = "manual__2026-11-22"
        self.task_id = task_id
        self.map_index = map_index
        self.try_number = try_number
        self.max_tries = max_tries
        self.start_date = datetime.now(UTC)
        self.xcom: dict[str, Any] = {}
        self.deferred: TaskDeferred | None = None
        self.state_store: StateStore | None = None
        self.first_rescheduled_at: datetime | None = None
        #: As in ``dag.test()``, every time that the task resumes.
        self.starts_anew = False

    def get_first_reschedule_date(self, context: Any) -> datetime | None:
        return self.first_rescheduled_at

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcom[key] = json.loads(json.dumps(value))

    def xcom_pull(self, task_ids: str, key: str, map_indexes: int) -> Any:
        assert (task_ids, map_indexes) == (self.task_id, self.map_index)
        return self.xcom.get(key)

    @property
    def context(self) -> Any:
        dag_run = SimpleNamespace(start_date=datetime(2026, 11, 22, tzinfo=UTC))
        context = {"ti": self, "dag_run": dag_run}
        return context if self.state_store is None else {**context, "task_state_store": self.state_store}

    def run(self, operator: BaseOperator) -> Any:
        """Run a task to its end, as worker, database and triggerer would do it in turn."""
        result = self.resume(operator, lambda: operator.execute({**self.context, "task": operator}))
        self.xcom_push("return_value", result)
        return result

    def resume(self, operator: BaseOperator, go_on: Callable[[], Any]) -> Any:
        """Let a task go on, and as often as it defers itself."""
        while True:
            try:
                return go_on()
            except TaskDeferred as deferred:
                self.deferred = deferred
                if self.starts_anew:
                    self.start_date = datetime.now(UTC)
                event = json.loads(json.dumps(asyncio.run(first_event(deferred)), default=str))
                go_on = partial(
                    operator.resume_execution,
                    deferred.method_name,
                    {"event": event},
                    {**self.context, "task": operator},
                )

    def until_deferred(self, go_on: Callable[..., Any]) -> TaskDeferred:
        """Let a task go on until it defers itself, and return how it did."""
        event = asyncio.run(first_event(self.deferred)) if self.deferred else None
        try:
            go_on(self.context, event) if self.deferred else go_on(self.context)
        except TaskDeferred as deferred:
            self.deferred = deferred
            return deferred
        raise AssertionError("It did not defer itself")

    def retry(self) -> TaskInstance:
        """Return the same task instance in its next try, which finds no XCom."""
        again = TaskInstance(
            map_index=self.map_index,
            try_number=self.try_number + 1,
            max_tries=self.max_tries,
            task_id=self.task_id,
        )
        again.state_store = self.state_store
        return again


async def first_event(deferred: TaskDeferred) -> Any:
    """Run a deferred task's trigger from what the database would hold of it."""
    path, arguments = serde.deserialize(json.loads(json.dumps(serde.serialize(deferred.trigger.serialize()))))
    async with aclosing(import_string(path)(**arguments).run()) as events:
        return (await anext(events)).payload


def lines(logged: Any) -> list[str]:
    """Return the lines of a log that structlog has captured."""
    return [
        line["event"] % line["positional_args"] if "positional_args" in line else line["event"]
        for line in logged
    ]

"""A batch by tasks of one's own: submit it, wait for it with the generic waiter trigger, publish run ids."""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseOperator, task
from airflow.sdk.exceptions import AirflowException

from tests.benchmarks.rivals.trigger import WaiterHook, WaiterTrigger


@task
def submit_batch(request: dict[str, Any], request_id: str) -> str:
    answer = WaiterHook(aws_conn_id="aws_default").conn.start_run_batch(requestId=request_id, **request)
    batch_id: str = answer["id"]
    return batch_id


class WaitForBatch(BaseOperator):
    """
    Waits for a batch, and publishes its run ids.

    :param batch_id: The batch to wait for. (templated)
    :param waiter_delay: Seconds between two looks.
    """

    template_fields = ("batch_id",)

    def __init__(self, *, batch_id: str, waiter_delay: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.batch_id = batch_id
        self.waiter_delay = waiter_delay

    def execute(self, context: Any) -> None:
        self.defer(
            trigger=WaiterTrigger(batch_id=self.batch_id, waiter_delay=self.waiter_delay),
            method_name="execute_complete",
        )

    def execute_complete(self, context: Any, event: dict[str, Any]) -> None:
        if event["status"] != "success":
            raise AirflowException(event["message"])
        paginator = WaiterHook(aws_conn_id="aws_default").conn.get_paginator("list_runs_in_batch")
        pages = paginator.paginate(batchId=event["batch_id"])
        run_ids = {run["runSettingId"]: run["runId"] for page in pages for run in page["runs"]}
        context["ti"].xcom_push(key="run_ids", value=run_ids)

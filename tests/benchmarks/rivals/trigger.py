"""Waiting with the amazon provider's generic waiter trigger."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
from airflow.providers.amazon.aws.triggers.base import AwsBaseWaiterTrigger


class WaiterHook(AwsBaseHook):
    """Has a waiter for GetBatch, which botocore has not."""

    def __init__(self, **kwargs: object) -> None:
        super().__init__(client_type="omics", **kwargs)

    @cached_property
    def waiter_path(self) -> Path:
        return Path(__file__).with_name("omics.json")


class WaiterTrigger(AwsBaseWaiterTrigger):
    """
    Fires when a batch has ended.

    :param batch_id: The batch to wait for.
    :param waiter_delay: Seconds between two looks.
    :param waiter_max_attempts: How many looks there are at most.
    """

    aws_hook_class = WaiterHook

    def __init__(
        self,
        *,
        batch_id: str,
        waiter_delay: int = 30,
        waiter_max_attempts: int = 2880,
        aws_conn_id: str | None = "aws_default",
    ) -> None:
        super().__init__(
            serialized_fields={"batch_id": batch_id},
            waiter_name="batch_processed",
            waiter_args={"batchId": batch_id},
            failure_message="The batch failed",
            status_message="The batch is",
            status_queries=["status"],
            return_key="batch_id",
            return_value=batch_id,
            waiter_delay=waiter_delay,
            waiter_max_attempts=waiter_max_attempts,
            aws_conn_id=aws_conn_id,
        )

"""The run batches of AWS HealthOmics, as its API has them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
from botocore import __version__ as botocore_version
from botocore.config import Config
from tenacity import RetryCallState, Retrying, before_sleep_log, stop_after_delay, wait_random_exponential

from airflow_provider_omics_batch.run_batch.faults import (
    FAULTS,
    IncompleteAnswerError,
    code_of,
    is_about_credentials,
    is_passing,
    remedy,
)
from airflow_provider_omics_batch.run_batch.limits import MAX_PAGE_ITEMS

#: How long a submission is tried again, in seconds. The API allows one StartRunBatch a second for a
#: whole account, so that many cohorts submitted at once have to queue.
SUBMIT_PATIENCE = 120

#: More than a rate limit lets begin before the first of them have timed out.
MOST_CALLS_AT_ONCE = 1_000


class OmicsHook(AwsBaseHook):
    """
    Run batches of AWS HealthOmics.

    A thin wrapper around :py:class:`boto3.client("omics") <Omics.Client>`; additional arguments, such as
    ``aws_conn_id``, go to :class:`~airflow.providers.amazon.aws.hooks.base_aws.AwsBaseHook`.

    .. seealso::
        https://docs.aws.amazon.com/omics/latest/dev/workflows-batch.html
    """

    #: The first botocore that knows the API.
    MIN_BOTOCORE_VERSION = "1.42.74"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["client_type"] = "omics"
        super().__init__(*args, **kwargs)

    def start_run_batch(
        self,
        *,
        default_run_setting: Mapping[str, Any],
        batch_run_settings: Mapping[str, Any],
        request_id: str,
        batch_name: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """
        Submit a batch and return its id, arn, uuid and status.

        A call that is throttled, or whose answer is lost, is made again for two minutes: HealthOmics
        knows it by its request id, so that it does not start a second batch.

        :param default_run_setting: What the runs share, as the API's ``DefaultRunSetting``.
        :param batch_run_settings: ``{"inlineSettings": […]}`` or ``{"s3UriSettings": "s3://…"}``.
        :param request_id: Names this submission; up to 128 characters.
        :param batch_name: Up to 64 characters.
        :param tags: Tags of the batch, not of its runs.
        """
        request = {
            "defaultRunSetting": default_run_setting,
            "batchRunSettings": batch_run_settings,
            "requestId": request_id,
            "batchName": batch_name,
            "tags": tags,
        }
        return self._submit({name: value for name, value in request.items() if value is not None})

    def get_batch(self, batch_id: str) -> dict[str, Any]:
        """Return a batch's status and counts."""
        return self._call("get_batch", batchId=batch_id)

    def list_batch(self, **filters: str) -> Iterator[dict[str, Any]]:
        """
        Yield the account's batches, page after page.

        :param filters: At most one of ``status``, ``name`` and ``runGroupId``.
        """
        return self._items("list_batch", **filters)

    def list_runs_in_batch(self, batch_id: str, **filters: str) -> Iterator[dict[str, Any]]:
        """
        Yield the runs of a batch with the outcome of their submission, page after page.

        :param filters: At most one of ``submissionStatus``, ``runSettingId`` and ``runId``.
        """
        return self._items("list_runs_in_batch", batchId=batch_id, **filters)

    def cancel_run_batch(self, batch_id: str) -> None:
        """Cancel a batch: what is not submitted never will be, what is running is cancelled."""
        self._call("cancel_run_batch", batchId=batch_id)

    def delete_run_batch(self, batch_id: str) -> None:
        """Delete the runs of a batch that has ended; its record stays."""
        self._call("delete_run_batch", batchId=batch_id)

    def delete_batch(self, batch_id: str) -> None:
        """Delete the record of a batch that has ended; its runs stay."""
        self._call("delete_batch", batchId=batch_id)

    def new_async_client(self) -> Any:
        """
        Make an aiobotocore client that leaves retrying to those who keep a rate limit; to be closed.

        It takes a tenth of a second of work and reads the connection, so it has to be called in a thread. No
        event loop has a hold on the client before its first call.
        """
        retries = {"total_max_attempts": 1, "mode": "standard"}
        # Calls that wait for a connection would all be sent at once when a slow service has recovered.
        config = self.config.merge(Config(retries=retries, max_pool_connections=MOST_CALLS_AT_ONCE))
        making: Any = self.get_client_type(region_name=self.region_name, config=config, deferrable=True)
        # The connection is read by now: to read it in a thread with an event loop is what Airflow refuses.
        return asyncio.run(making.__aenter__())

    @property
    def _capable_client(self) -> Any:
        if not hasattr(self.conn, "start_run_batch"):
            raise RuntimeError(
                f"botocore {botocore_version} does not know StartRunBatch; "
                f"install botocore>={self.MIN_BOTOCORE_VERSION} and boto3>={self.MIN_BOTOCORE_VERSION}"
            )
        return self.conn

    @property
    def service_model(self) -> Any:
        """The installed botocore's model of HealthOmics."""
        return self._capable_client.meta.service_model

    def _submit(self, request: dict[str, Any]) -> dict[str, Any]:
        retrying = Retrying(
            retry=_may_succeed,
            wait=wait_random_exponential(max=20),
            stop=stop_after_delay(SUBMIT_PATIENCE),
            before_sleep=before_sleep_log(logging.getLogger(__name__), logging.WARNING),
            reraise=True,
        )
        with self.refusals_explained():
            return retrying(self._start, request)

    def _start(self, request: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = self._capable_client.start_run_batch(**request)
        if not answer.get("id"):
            raise IncompleteAnswerError("start_run_batch", "id")
        return answer

    @contextmanager
    def refusals_explained(self) -> Iterator[None]:
        """Log what a person can do about what AWS refuses inside, where there is something."""
        try:
            yield
        except FAULTS as error:
            if hint := remedy(error):
                self.log.error(hint)
            raise

    def _call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        with self.refusals_explained():
            return dict(getattr(self._capable_client, operation)(**parameters))

    def _items(self, operation: str, **parameters: Any) -> Iterator[dict[str, Any]]:
        pages = self._capable_client.get_paginator(operation).paginate(
            **parameters, PaginationConfig={"PageSize": MAX_PAGE_ITEMS}
        )
        key = pages.result_keys[0].expression
        for page in pages:
            yield from page[key]


def _may_succeed(state: RetryCallState) -> bool:
    error = state.outcome.exception() if state.outcome else None
    if error is None or is_about_credentials(error):
        return False
    # After an answer that was lost, a conflict may be with the submission that is still being carried out.
    return is_passing(error) or (state.attempt_number > 1 and code_of(error) == "ConflictException")

"""The run batches of AWS HealthOmics, as its API has them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime
from functools import cached_property
from typing import Any

from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
from botocore import __version__ as botocore_version
from botocore.config import Config
from botocore.model import ServiceModel
from botocore.session import get_session
from botocore.utils import parse_timestamp
from tenacity import RetryCallState, Retrying, before_sleep_log, stop_after_delay, wait_random_exponential

from airflow_provider_omics_batch.exceptions import IncompleteAnswerError
from airflow_provider_omics_batch.run_batch.client import PatientClient
from airflow_provider_omics_batch.run_batch.faults import (
    FAULTS,
    code_of,
    is_about_credentials,
    is_passing,
    remedy,
)
from airflow_provider_omics_batch.run_batch.limits import MAX_PAGE_ITEMS
from airflow_provider_omics_batch.run_batch.logs import RunFailure, run_failure
from airflow_provider_omics_batch.run_batch.manifest import RunRecords
from airflow_provider_omics_batch.run_batch.mapping import collect_runs
from airflow_provider_omics_batch.run_batch.records import RunRecord
from airflow_provider_omics_batch.run_batch.states import BatchState

__all__ = ["OmicsHook"]

#: How long a call is made again, in seconds. The API allows one StartRunBatch a second for a whole account,
#: so that many cohorts submitted at once have to queue.
PATIENCE = 120

#: More than a rate limit lets begin before the first of them have timed out.
MOST_CALLS_AT_ONCE = 1_000


class OmicsHook(AwsBaseHook):
    """
    Run batches of AWS HealthOmics.

    A thin wrapper around :py:class:`boto3.client("omics") <Omics.Client>`; additional arguments, such as
    ``aws_conn_id``, go to :class:`~airflow.providers.amazon.aws.hooks.base_aws.AwsBaseHook`. In an event
    loop, ``async with await hook.get_async_conn() as client`` lends an aiobotocore client, which has all
    operations, and which the iterators take whose names end in ``_async``.

    .. seealso::
        https://docs.aws.amazon.com/omics/latest/dev/workflows-batch.html
    """

    #: The first botocore that knows the API.
    MIN_BOTOCORE_VERSION = "1.42.74"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["client_type"] = "omics"
        super().__init__(*args, **kwargs)

    def get_session(self, region_name: str | None = None, deferrable: bool = False) -> Any:
        """Return a session; one for clients that wait reads the times in each answer in less of its time."""
        session: Any = super().get_session(region_name=region_name, deferrable=deferrable)
        if deferrable:
            factory = session.get_component("response_parser_factory")
            factory.set_parser_defaults(timestamp_parser=_time_of)
        return session

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

    def list_batch(
        self, *, status: str | None = None, name: str | None = None, run_group_id: str | None = None
    ) -> Iterator[dict[str, Any]]:
        """
        Yield the account's batches, page after page. HealthOmics takes one filter at most.

        :param status: Only those in this status.
        :param name: Only those of this name.
        :param run_group_id: Only those whose runs are in this run group.
        """
        return self._items("list_batch", status=status, name=name, runGroupId=run_group_id)

    def list_runs_in_batch(
        self,
        batch_id: str,
        *,
        submission_status: str | None = None,
        run_setting_id: str | None = None,
        run_id: str | None = None,
    ) -> Iterator[dict[str, Any]]:
        """
        Yield the runs of a batch with the outcome of their submission, page after page.

        HealthOmics takes one filter at most.

        :param submission_status: Only those in this status.
        :param run_setting_id: Only that of this run setting.
        :param run_id: Only this one.
        """
        return self._items(
            "list_runs_in_batch",
            batchId=batch_id,
            submissionStatus=submission_status,
            runSettingId=run_setting_id,
            runId=run_id,
        )

    def list_runs(
        self,
        batch_id: str,
        *,
        status: str | None = None,
        name: str | None = None,
        run_group_id: str | None = None,
    ) -> Iterator[dict[str, Any]]:
        """
        Yield the runs of a batch with their status, page after page.

        AWS does not say whether it takes two filters at a time.

        :param status: Only those in this status.
        :param name: Only those of this name.
        :param run_group_id: Only those in this run group.
        """
        return self._items("list_runs", batchId=batch_id, status=status, name=name, runGroupId=run_group_id)

    def list_batch_async(
        self,
        client: Any,
        *,
        status: str | None = None,
        name: str | None = None,
        run_group_id: str | None = None,
    ) -> AsyncIterator[dict[str, Any]]:
        """
        Yield what :meth:`list_batch` does.

        :param client: An aiobotocore client.
        """
        return self._items_async(client, "list_batch", status=status, name=name, runGroupId=run_group_id)

    def list_runs_in_batch_async(
        self,
        client: Any,
        batch_id: str,
        *,
        submission_status: str | None = None,
        run_setting_id: str | None = None,
        run_id: str | None = None,
    ) -> AsyncIterator[dict[str, Any]]:
        """
        Yield what :meth:`list_runs_in_batch` does.

        :param client: An aiobotocore client.
        """
        return self._items_async(
            client,
            "list_runs_in_batch",
            batchId=batch_id,
            submissionStatus=submission_status,
            runSettingId=run_setting_id,
            runId=run_id,
        )

    def list_runs_async(
        self,
        client: Any,
        batch_id: str,
        *,
        status: str | None = None,
        name: str | None = None,
        run_group_id: str | None = None,
    ) -> AsyncIterator[dict[str, Any]]:
        """
        Yield what :meth:`list_runs` does.

        :param client: An aiobotocore client.
        """
        return self._items_async(
            client, "list_runs", batchId=batch_id, status=status, name=name, runGroupId=run_group_id
        )

    def get_run_batch_mapping(self, batch_id: str) -> dict[str, str]:
        """Return ``{runSettingId: runId}`` of the runs of a batch that were submitted so far."""
        return {
            run["runSettingId"]: run["runId"]
            for run in self.list_runs_in_batch(batch_id)
            if run.get("runId") and run.get("submissionStatus") != "FAILED"
        }

    def list_run_records(self, batch_id: str) -> Iterator[RunRecord]:
        """
        Yield what has become of every run of a batch so far, in the form of a manifest's lines.

        The runs are listed to the end first, and lie on disk until they are asked for; a page that fails is
        asked for again for two minutes. Why a run failed is asked for up to 1,000 of them. Not for use in an
        event loop.
        """
        state = BatchState.from_response(batch_id, self.get_batch(batch_id))
        client = PatientClient(BlockingClient(self), self.log, longest=PATIENCE)
        with closing(RunRecords()) as records:
            with self.refusals_explained():
                asyncio.run(collect_runs(client, state, records.add, self.log))
            yield from records

    def get_run_failure(self, run_id: str) -> RunFailure:
        """
        Return why a run failed, the tasks in which it did, and the log streams of all of them.

        The tasks are left out, with a warning, where HealthOmics does not tell.
        """
        run = self._call("get_run", id=run_id)
        tasks: list[dict[str, Any]] = []
        try:
            tasks += self._items("list_run_tasks", id=run_id, status="FAILED")
        except FAULTS as error:
            self.log.warning("In which tasks run %s failed is not known: %s", run_id, error)
        return run_failure(run, tasks)

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
            raise self._too_old()
        return self.conn

    @cached_property
    def service_model(self) -> ServiceModel:
        """The installed botocore's model of HealthOmics; no client is made for it."""
        model: ServiceModel = get_session().get_service_model("omics")
        if "StartRunBatch" not in model.operation_names:
            raise self._too_old()
        return model

    def _too_old(self) -> RuntimeError:
        return RuntimeError(
            f"botocore {botocore_version} does not know StartRunBatch; "
            f"install botocore>={self.MIN_BOTOCORE_VERSION} and boto3>={self.MIN_BOTOCORE_VERSION}"
        )

    def _submit(self, request: dict[str, Any]) -> dict[str, Any]:
        retrying = Retrying(
            retry=_may_succeed,
            wait=wait_random_exponential(max=20),
            stop=stop_after_delay(PATIENCE),
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
        pages, key = _pages(self._capable_client, operation, parameters)
        with self.refusals_explained():
            for page in pages:
                yield from page.get(key) or []

    async def _items_async(
        self, client: Any, operation: str, **parameters: Any
    ) -> AsyncIterator[dict[str, Any]]:
        pages, key = _pages(client, operation, parameters)
        with self.refusals_explained():
            async for page in pages:
                for item in page.get(key) or []:
                    yield item


class BlockingClient:
    """
    A hook's own client where a coroutine wants one.

    :param hook: Has the client.
    """

    def __init__(self, hook: OmicsHook) -> None:
        self._hook = hook

    async def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        return dict(getattr(self._hook.conn, operation)(**parameters))


def _pages(client: Any, operation: str, parameters: Mapping[str, Any]) -> tuple[Any, str]:
    """Return the pages of a list, and the name of their items."""
    given = {name: value for name, value in parameters.items() if value is not None}
    pages = client.get_paginator(operation).paginate(**given, PaginationConfig={"PageSize": MAX_PAGE_ITEMS})
    return pages, pages.result_keys[0].expression


def _time_of(text: Any) -> datetime:
    """Do what botocore does with dateutil, which for the times of GetBatch takes a tenth of a look."""
    try:
        return datetime.fromisoformat(text)
    except (TypeError, ValueError):
        parsed: datetime = parse_timestamp(text)
        return parsed


def _may_succeed(state: RetryCallState) -> bool:
    error = state.outcome.exception() if state.outcome else None
    if error is None or is_about_credentials(error):
        return False
    # After an answer that was lost, a conflict may be with the submission that is still being carried out.
    return is_passing(error) or (state.attempt_number > 1 and code_of(error) == "ConflictException")

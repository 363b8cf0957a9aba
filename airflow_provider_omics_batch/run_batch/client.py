"""Calls that outlast the faults of a network."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol, TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_random_exponential

from airflow_provider_omics_batch.run_batch.faults import IncompleteAnswerError, is_passing

Answer = TypeVar("Answer")

#: Seconds; the longest pause after a fault that passes by itself.
LONGEST_PAUSE = 60


class Log(Protocol):
    """What the standard library's and Airflow's own loggers have in common."""

    def info(self, message: str, /, *args: Any) -> Any: ...

    def warning(self, message: str, /, *args: Any) -> Any: ...


class Client(Protocol):
    """Calls the operations of HealthOmics by their boto3 names."""

    async def call(self, operation: str, **parameters: Any) -> dict[str, Any]: ...


class PatientClient:
    """
    Makes a call again that failed for a reason that passes by itself, however long that takes.

    A wait of days must not end with one lost packet. What AWS refuses for good is raised at once.

    :param client: Makes the calls.
    :param log: Gets a line for each fault.
    """

    def __init__(self, client: Client, log: Log) -> None:
        self._client = client
        self._log = log

    async def call(self, operation: str, *, required: str, **parameters: Any) -> dict[str, Any]:
        """
        Return the answer to an operation.

        :param required: The member without which it is none.
        :raises botocore.exceptions.ClientError: What AWS refuses, and will go on refusing.
        """
        return await patiently(self._call, operation, required, parameters, log=self._log)

    async def pages(
        self, operation: str, *, required: str, **parameters: Any
    ) -> AsyncIterator[list[dict[str, Any]]]:
        """
        Yield the items of a list operation, a page at a time.

        A fault costs the call of one page, where botocore's paginator would have to begin again.

        :param required: The member that holds the items.
        """
        token: str | None = None
        while True:
            start = {"startingToken": token} if token else {}
            page = await self.call(operation, required=required, **parameters, **start)
            yield page[required]
            if not page.get("nextToken") or page["nextToken"] == token:
                return
            token = page["nextToken"]

    async def _call(self, operation: str, required: str, parameters: dict[str, Any]) -> dict[str, Any]:
        answer = await self._client.call(operation, **parameters)
        if answer.get(required) is None:
            raise IncompleteAnswerError(operation, required)
        return answer


async def patiently(call: Callable[..., Awaitable[Answer]], *args: Any, log: Log) -> Answer:
    """
    Return what a call returns, once it is not kept from it by a fault that passes by itself.

    :param log: Gets a line for each fault.
    """

    def report(state: RetryCallState) -> None:
        error = state.outcome and state.outcome.exception()
        log.warning("%s: %s; trying again in %.0f s", type(error).__name__, error, state.upcoming_sleep)

    retrying = AsyncRetrying(
        retry=retry_if_exception(is_passing),
        wait=wait_random_exponential(max=LONGEST_PAUSE),
        before_sleep=report,
    )
    return await retrying(call, *args)

"""Calls that outlast the faults of a network."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol, TypeVar

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_before_delay,
    wait_random_exponential,
)

from airflow_provider_omics_batch.run_batch.faults import IncompleteAnswerError, is_passing

Answer = TypeVar("Answer")

#: Seconds; the longest pause after a fault that passes by itself.
LONGEST_PAUSE = 60

FOREVER = float("inf")


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

    async def call(
        self, operation: str, *, required: str | None, patience: float = FOREVER, **parameters: Any
    ) -> dict[str, Any]:
        """
        Return the answer to an operation.

        :param required: The member without which it is none; ``None`` where an empty answer will do.
        :param patience: Seconds after which a fault is raised even though it may pass by itself.
        :raises botocore.exceptions.ClientError: What AWS refuses, and will go on refusing.
        """
        return await patiently(self._call, operation, required, parameters, log=self._log, patience=patience)

    async def pages(
        self, operation: str, *, required: str, patience: float = FOREVER, **parameters: Any
    ) -> AsyncIterator[list[dict[str, Any]]]:
        """
        Yield the items of a list operation, a page at a time.

        A fault costs the call of one page, where botocore's paginator would have to begin again.

        :param required: The member that holds the items.
        :param patience: Seconds, for each page.
        """
        tokens: list[str] = []
        while True:
            start = {"startingToken": tokens[-1]} if tokens else {}
            page = await self.call(operation, required=required, patience=patience, **parameters, **start)
            yield page[required]
            following = page.get("nextToken")
            # A token that comes back would send us round for ever.
            if not following or following in tokens:
                return
            tokens.append(following)

    async def _call(self, operation: str, required: str | None, parameters: dict[str, Any]) -> dict[str, Any]:
        answer = await self._client.call(operation, **parameters)
        if required is not None and answer.get(required) is None:
            raise IncompleteAnswerError(operation, required)
        return answer


async def patiently(
    call: Callable[..., Awaitable[Answer]], *args: Any, log: Log, patience: float = FOREVER
) -> Answer:
    """
    Return what a call returns, once it is not kept from it by a fault that passes by itself.

    :param log: Gets a line for each fault.
    :param patience: Seconds after which such a fault is raised all the same.
    """

    def report(state: RetryCallState) -> None:
        error = state.outcome and state.outcome.exception()
        log.warning("%s: %s; trying again in %.0f s", type(error).__name__, error, state.upcoming_sleep)

    retrying = AsyncRetrying(
        retry=retry_if_exception(is_passing),
        wait=wait_random_exponential(max=LONGEST_PAUSE),
        stop=stop_before_delay(patience),
        before_sleep=report,
        reraise=True,
    )
    return await retrying(call, *args)

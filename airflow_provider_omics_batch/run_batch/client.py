"""Calls that outlast the faults of a network."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol, TypeVar

from botocore.exceptions import ClientError
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_before_delay,
    wait_random_exponential,
)

from airflow_provider_omics_batch.exceptions import IncompleteAnswerError
from airflow_provider_omics_batch.run_batch.faults import (
    code_of,
    is_about_credentials,
    is_passing,
)
from airflow_provider_omics_batch.run_batch.limits import MAX_PAGE_ITEMS

Answer = TypeVar("Answer")

#: Seconds; the longest pause after a fault that passes by itself.
LONGEST_PAUSE = 60

FOREVER = float("inf")

#: The longest pages that there are. AWS does not say how long one is for which this is not asked.
_LONGEST_PAGE = {
    "list_runs_in_batch": {"maxItems": MAX_PAGE_ITEMS},
    "list_runs": {"maxResults": MAX_PAGE_ITEMS},
}

#: Seconds. Credentials that are being rotated come back; a role that the triggerer lacks does not.
PATIENCE_FOR_CREDENTIALS = 1800


class Log(Protocol):
    """What the standard library's and Airflow's own loggers have in common."""

    def info(self, message: str, /, *args: Any) -> Any: ...

    def warning(self, message: str, /, *args: Any) -> Any: ...

    def error(self, message: str, /, *args: Any) -> Any: ...


class Client(Protocol):
    """Calls the operations of HealthOmics by their boto3 names."""

    async def call(self, operation: str, **parameters: Any) -> dict[str, Any]: ...


class PatientClient:
    """
    Makes a call again that failed for a reason that passes by itself, however long that takes.

    A wait of days must not end with one lost packet. What AWS refuses for good is raised at once.

    :param client: Makes the calls.
    :param log: Gets a line for each fault.
    :param longest: Seconds; the most patience that there is with any call.
    """

    def __init__(self, client: Client, log: Log, longest: float = FOREVER) -> None:
        self._client = client
        self.log = log
        self._longest = longest

    async def call(
        self, operation: str, *, required: str | None, patience: float = FOREVER, **parameters: Any
    ) -> dict[str, Any]:
        """
        Return the answer to an operation.

        :param required: The member without which it is none; ``None`` where an empty answer will do.
        :param patience: Seconds after which a fault is raised even though it may pass by itself.
        :raises botocore.exceptions.ClientError: What AWS refuses, and will go on refusing.
        """
        patience = min(patience, self._longest)
        return await patiently(self._call, operation, required, parameters, log=self.log, patience=patience)

    async def pages(
        self, operation: str, *, items: str, patience: float = FOREVER, **parameters: Any
    ) -> AsyncIterator[list[dict[str, Any]]]:
        """
        Yield the items of a list operation, a page at a time.

        A fault costs the call of one page, where botocore's paginator would have to begin again.

        :param operation: ``list_runs_in_batch`` or ``list_runs``.
        :param items: The member that holds them.
        :param patience: Seconds, for each page.
        """
        parameters |= _LONGEST_PAGE[operation]
        tokens: list[str] = []
        while True:
            start = {"startingToken": tokens[-1]} if tokens else {}
            try:
                page = await self.call(operation, required=None, patience=patience, **parameters, **start)
            except ClientError as error:
                if not tokens or code_of(error) != "ValidationException":
                    raise
                # The token has expired; who needs the whole list has to begin again.
                self.log.warning("%s cannot be continued: %s", operation, error)
                return
            # No member of an answer is promised, so a list may be missing where it would be empty.
            yield page.get(items) or []
            following = page.get("nextToken")
            # A token that comes back would send us round for ever.
            if not following or following in tokens:
                return
            tokens.append(following)

    async def _call(self, operation: str, required: str | None, parameters: dict[str, Any]) -> dict[str, Any]:
        answer = await self._client.call(operation, **parameters)
        if (required is not None and answer.get(required) is None) or not _is_json(answer):
            raise IncompleteAnswerError(operation, required or "content")
        return answer


def _is_json(answer: dict[str, Any]) -> bool:
    """Return whether the service has answered, and not a proxy in its place."""
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return "html" not in headers.get("content-type", "")


async def patiently(
    call: Callable[..., Awaitable[Answer]], *args: Any, log: Log, patience: float = FOREVER
) -> Answer:
    """
    Return what a call returns, once it is not kept from it by a fault that passes by itself.

    :param log: Gets a line for each fault.
    :param patience: Seconds after which such a fault is raised all the same.
    """
    # Nearly all calls go well, and what follows would cost as much as a tenth of one.
    try:
        return await call(*args)
    except Exception as error:
        if not is_passing(error):
            raise
        faults = [error]

    async def call_again() -> Answer:
        if faults:
            raise faults.pop()
        return await call(*args)

    def report(state: RetryCallState) -> None:
        error = state.outcome and state.outcome.exception()
        log.warning("%s: %s; trying again in %.0f s", type(error).__name__, error, state.upcoming_sleep)

    def gives_up(state: RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome else None
        about_credentials = error is not None and is_about_credentials(error)
        limit = min(patience, PATIENCE_FOR_CREDENTIALS) if about_credentials else patience
        return stop_before_delay(limit)(state)

    retrying = AsyncRetrying(
        retry=retry_if_exception(is_passing),
        wait=wait_random_exponential(max=LONGEST_PAUSE),
        stop=gives_up,
        before_sleep=report,
        reraise=True,
    )
    return await retrying(call_again)

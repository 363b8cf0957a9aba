"""
One client for all who wait in a process.

HealthOmics allows an account ten GetBatch calls a second in a Region, and a client costs a megabyte and
a tenth of a second. So the triggers of a process share a client where they use the same connection, and a
rate limit where that leads to the same Region.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiolimiter import AsyncLimiter
from airflow.sdk.configuration import conf
from asgiref.sync import sync_to_async

from airflow_provider_omics_batch.hooks.omics import OmicsHook
from airflow_provider_omics_batch.run_batch.faults import FAULTS, is_about_credentials, is_unanswered

log = logging.getLogger(__name__)

#: Half of what the API allows an account (10 of each operation, fixed); others want to look, too.
#: https://docs.aws.amazon.com/omics/latest/dev/fixed-quotas.html
DEFAULT_REQUESTS_PER_SECOND = 5.0

#: Seconds. A client is replaced after that, since its connection may have been edited, and since botocore
#: would soon assume its role again, in the midst of the event loop.
LONGEST_USE = 1800

#: Seconds. A client that does not work is replaced not earlier than that, however many try it.
SHORTEST_USE = 30


class _Turns:
    """Lets one in after the other, first come, first served, at a limited rate."""

    def __init__(self) -> None:
        rate = conf.getfloat("omics_batch", "requests_per_second", fallback=DEFAULT_REQUESTS_PER_SECOND)
        if not rate > 0:
            log.error(
                "[omics_batch] requests_per_second must be above 0; %s is used", DEFAULT_REQUESTS_PER_SECOND
            )
            rate = DEFAULT_REQUESTS_PER_SECOND
        self._limiter = AsyncLimiter(1, 1 / rate)
        # The limiter alone would let a newcomer overtake.
        self._queue = asyncio.Lock()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        async with self._queue:
            await self._limiter.acquire()
            yield


#: By connection, Region and operation.
_AllTurns = defaultdict[tuple[str | None, str, str], _Turns]


@dataclass
class _Shared:
    """
    What the users of one event loop share.

    :param clients: By the arguments of their hooks.
    """

    clients: dict[str, SharedClient] = field(default_factory=dict)
    turns: _AllTurns = field(default_factory=lambda: defaultdict(_Turns))


#: By event loop, as long as it lives: whoever comes after all others have left has to keep their rate limit.
_shared: dict[asyncio.AbstractEventLoop, _Shared] = {}


class SharedClient:
    """
    An aiobotocore client that keeps within the API's rate limits and renews itself.

    :param hook_params: Arguments for :class:`OmicsHook`.
    :param turns: The rate limits to keep, with others.
    """

    def __init__(self, hook_params: dict[str, Any], turns: _AllTurns) -> None:
        self.users = 0
        self._hook_params = hook_params
        self._turns = turns
        self._client: Any = None
        self._made_at = 0.0
        self._renew_at = 0.0
        self._renewal: asyncio.Task[None] | None = None
        self._calls = Counter[Any]()

    async def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """
        Call an operation by its boto3 name, as soon as its turn has come; once, whatever the answer.

        :raises botocore.exceptions.ClientError: What AWS refuses. Where it does not answer, or not accept
            the credentials, calls are soon made with a new client and what the connection holds by then.
        """
        region = (await self._connect()).meta.region_name
        async with self._turns[self._hook_params.get("aws_conn_id"), region, operation].turn():
            # The turn may have been long in coming, and the client been replaced meanwhile.
            client = await self._connect()
            self._calls[client] += 1
        try:
            return dict(await getattr(client, operation)(**parameters))
        except FAULTS as error:
            if client is self._client and (is_about_credentials(error) or is_unanswered(error)):
                self._renew_at = self._made_at + SHORTEST_USE
            raise
        finally:
            self._calls[client] -= 1
            await self._close_if_unused(client)

    async def close(self) -> None:
        if self._renewal is not None:
            self._renewal.cancel()
            await asyncio.gather(self._renewal, return_exceptions=True)
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _connect(self) -> Any:
        """Return the client, which is used on while another one is made in its place."""
        is_due = asyncio.get_running_loop().time() >= self._renew_at
        if self._renewal is None and (self._client is None or is_due):
            self._renewal = asyncio.create_task(self._renew())
        if self._client is None and self._renewal is not None:
            # One attempt for all who wait; where one of them is cancelled, the others still want it.
            await asyncio.shield(self._renewal)
        return self._client

    async def _renew(self) -> None:
        before = self._client
        try:
            # A new hook, since the connection may hold something else by now.
            self._client = await sync_to_async(lambda: OmicsHook(**self._hook_params).new_async_client())()
        except Exception as error:
            if before is None:
                raise
            log.warning("A new client for HealthOmics cannot be made, the old one stays: %s", error)
        finally:
            self._renewal = None
            self._made_at = asyncio.get_running_loop().time()
            self._renew_at = self._made_at + LONGEST_USE
        if before is not None:
            await self._close_if_unused(before)

    async def _close_if_unused(self, client: Any) -> None:
        """Close a client that was replaced, once its last call has ended: closing it ends all calls."""
        if client is not self._client and not self._calls[client]:
            del self._calls[client]
            await client.close()


@asynccontextmanager
async def shared_client(**hook_params: Any) -> AsyncIterator[SharedClient]:
    """
    Lend the running loop's client for a connection; the last one to leave closes it.

    :param hook_params: Arguments for :class:`OmicsHook`; those who give the same share a client.
    """
    for ended in [loop for loop in _shared if loop.is_closed()]:
        del _shared[ended]
    shared = _shared.setdefault(asyncio.get_running_loop(), _Shared())
    key = json.dumps(hook_params, sort_keys=True, default=repr)
    client = shared.clients.setdefault(key, SharedClient(hook_params, shared.turns))
    client.users += 1
    try:
        yield client
    finally:
        client.users -= 1
        if not client.users:
            del shared.clients[key]
            await client.close()

"""
One client for all who wait in a process.

HealthOmics allows an account ten GetBatch calls a second in a Region, and a client costs 0.4 MB and
ten milliseconds of a blocked event loop. So the triggers of a process share a client where they use the same
connection, and a rate limit where that leads to the same Region.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiolimiter import AsyncLimiter
from airflow.sdk.configuration import conf
from asgiref.sync import sync_to_async
from botocore.exceptions import ClientError

from airflow_provider_omics_batch.hooks.omics import OmicsHook
from airflow_provider_omics_batch.run_batch.faults import STALE_CREDENTIALS, code_of

#: Half of what the API allows an account (10 of each operation, fixed); others want to look, too.
#: https://docs.aws.amazon.com/omics/latest/dev/fixed-quotas.html
DEFAULT_REQUESTS_PER_SECOND = 5.0


@dataclass
class _Shared:
    """
    What the users of one event loop share.

    :param clients: By the arguments of their hooks.
    :param limiters: By connection, Region and operation.
    """

    clients: dict[str, SharedClient] = field(default_factory=dict)
    limiters: dict[tuple[str | None, str, str], AsyncLimiter] = field(
        default_factory=lambda: defaultdict(_new_limiter)
    )


#: By event loop, as long as there is anybody who waits in it; limiters hold on to their loop.
_shared: dict[asyncio.AbstractEventLoop, _Shared] = {}


class SharedClient:
    """
    An aiobotocore client that keeps within the API's rate limits and renews itself.

    :param hook_params: Arguments for :class:`OmicsHook`.
    :param limiters: The rate limits that this client has to keep, with others.
    """

    def __init__(
        self, hook_params: dict[str, Any], limiters: dict[tuple[str | None, str, str], AsyncLimiter]
    ) -> None:
        self.users = 0
        self._hook_params = hook_params
        self._limiters = limiters
        self._client: Any = None
        self._calls = Counter[Any]()
        self._lock = asyncio.Lock()

    async def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """
        Call an operation by its boto3 name, as soon as its turn has come; once, whatever the answer.

        :raises botocore.exceptions.ClientError: What AWS refuses. Where it does not accept the
            credentials, the next call is made with a new client and what the connection holds by then.
        """
        # First the client: a turn that is taken before a slow log-in would be used up in a burst after it.
        client = await self._connect()
        await self._limiters[
            self._hook_params.get("aws_conn_id"), client.meta.region_name, operation
        ].acquire()
        self._calls[client] += 1
        try:
            return dict(await getattr(client, operation)(**parameters))
        except ClientError as error:
            if code_of(error) in STALE_CREDENTIALS and client is self._client:
                self._client = None
            raise
        finally:
            self._calls[client] -= 1
            # A client that was replaced is closed by its last caller: closing it ends all calls at once.
            if client is not self._client and not self._calls[client]:
                del self._calls[client]
                await client.close()

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _connect(self) -> Any:
        async with self._lock:
            if self._client is None:
                # A new hook, since the connection may hold something else by now.
                connecting = await sync_to_async(
                    OmicsHook(**self._hook_params).get_async_client_without_retries
                )()
                self._client = await connecting.__aenter__()
            return self._client


@asynccontextmanager
async def shared_client(**hook_params: Any) -> AsyncIterator[SharedClient]:
    """
    Lend the running loop's client for a connection; the last one to leave closes it.

    :param hook_params: Arguments for :class:`OmicsHook`; those who give the same share a client.
    """
    loop = asyncio.get_running_loop()
    shared = _shared.setdefault(loop, _Shared())
    key = json.dumps(hook_params, sort_keys=True, default=repr)
    client = shared.clients.setdefault(key, SharedClient(hook_params, shared.limiters))
    client.users += 1
    try:
        yield client
    finally:
        client.users -= 1
        if not client.users:
            del shared.clients[key]
            if not shared.clients:
                del _shared[loop]
            await client.close()


def _new_limiter() -> AsyncLimiter:
    rate = conf.getfloat("omics_batch", "requests_per_second", fallback=DEFAULT_REQUESTS_PER_SECOND)
    return AsyncLimiter(1, 1 / rate)

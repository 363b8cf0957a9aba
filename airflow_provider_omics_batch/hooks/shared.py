"""
One client for all who wait in a process.

HealthOmics allows an account ten GetBatch calls a second in a Region, and a client costs 0.4 MB and
ten milliseconds of a blocked event loop. So the triggers that use the same connection share both.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from weakref import WeakKeyDictionary

from aiolimiter import AsyncLimiter
from airflow.sdk.configuration import conf
from botocore.exceptions import ClientError

from airflow_provider_omics_batch.hooks.omics import OmicsHook
from airflow_provider_omics_batch.run_batch.faults import STALE_CREDENTIALS, code_of

#: Half of what the API allows an account (10 of each operation, fixed); others want to look, too.
#: https://docs.aws.amazon.com/omics/latest/dev/fixed-quotas.html
DEFAULT_REQUESTS_PER_SECOND = 5.0


class SharedClient:
    """
    An aiobotocore client that keeps within the API's rate limits and renews itself.

    :param hook_params: Arguments for :class:`OmicsHook`.
    :param requests_per_second: How often each operation may be called.
    """

    def __init__(self, hook_params: dict[str, Any], requests_per_second: float) -> None:
        self.users = 0
        self._hook_params = hook_params
        self._limiters: dict[str, AsyncLimiter] = defaultdict(
            lambda: AsyncLimiter(1, 1 / requests_per_second)
        )
        self._client: Any = None
        self._lock = asyncio.Lock()

    async def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """
        Call an operation by its boto3 name, as soon as its turn has come.

        :raises botocore.exceptions.ClientError: What AWS refuses. Where it does not accept the
            credentials, the next call is made with a new client and what the connection holds by then.
        """
        await self._limiters[operation].acquire()
        client = await self._connect()
        try:
            return dict(await getattr(client, operation)(**parameters))
        except ClientError as error:
            if code_of(error) in STALE_CREDENTIALS and client is self._client:
                await self.close()
            raise

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _connect(self) -> Any:
        async with self._lock:
            if self._client is None:
                hook = OmicsHook(**self._hook_params)
                connecting = await hook.get_async_conn()  # type: ignore[no-untyped-call]
                self._client = await connecting.__aenter__()
            return self._client


_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, SharedClient]] = WeakKeyDictionary()


@asynccontextmanager
async def shared_client(**hook_params: Any) -> AsyncIterator[SharedClient]:
    """
    Lend the running loop's client for a connection; the last one to leave closes it.

    :param hook_params: Arguments for :class:`OmicsHook`; those who give the same share a client.
    """
    clients = _clients.setdefault(asyncio.get_running_loop(), {})
    key = json.dumps(hook_params, sort_keys=True, default=repr)
    client = clients.get(key)
    if client is None:
        rate = conf.getfloat("omics_batch", "requests_per_second", fallback=DEFAULT_REQUESTS_PER_SECOND)
        client = clients[key] = SharedClient(hook_params, rate)
    client.users += 1
    try:
        yield client
    finally:
        client.users -= 1
        if not client.users:
            del clients[key]
            await client.close()

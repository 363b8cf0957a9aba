"""
The emulator within this process, and an event loop whose time does not wait for anybody.

A batch of a day is over in seconds, and what is due at a time happens at that time, since neither clients
nor the emulator take any. aiobotocore's clients are the real ones, to the last byte of a request.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from aiobotocore.awsrequest import AioAWSResponse
from aiobotocore.httpsession import AIOHTTPSession
from moto.core import DEFAULT_ACCOUNT_ID
from werkzeug.test import Client

from airflow_provider_omics_batch.emulator import (
    FaultList,
    OmicsBackend,
    Settings,
    omics_backends,
    register,
)
from airflow_provider_omics_batch.emulator.middleware import operation_of
from airflow_provider_omics_batch.emulator.server import Application
from tests.system.deployment import REGION

EPOCH = 1_800_000_000

#: Seconds that a turn of the loop takes.
TURN = 1e-6


class VirtualLoop(asyncio.SelectorEventLoop):
    """Its time jumps to what comes next as soon as there is nothing to do."""

    def __init__(self) -> None:
        self.now = 0.0
        self.threads_at_work = 0
        super().__init__(_Selector(self))

    def time(self) -> float:
        return self.now

    def run_in_executor(
        self, executor: Executor | None, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        future = super().run_in_executor(executor, func, *args)
        self.threads_at_work += 1
        future.add_done_callback(self._thread_is_done)
        return future

    def _thread_is_done(self, future: asyncio.Future[Any]) -> None:
        self.threads_at_work -= 1


class _Selector(selectors.DefaultSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        """Return what is ready; instead of waiting for a time, let that time come."""
        # Some wait again where a time has come but for its last digit, which must not go on for ever.
        self._loop.now += TURN
        if not timeout or self._loop.threads_at_work:
            return super().select(timeout)
        ready = super().select(0)
        if not ready:
            self._loop.now += timeout
        return ready


@dataclass(frozen=True)
class Call:
    """One call of the emulator: when, and what."""

    at: float
    operation: str | None
    path: str


class VirtualService:
    """
    HealthOmics and S3, asked by all aiobotocore clients of this process.

    :param loop: Has the time.
    :param settings: How quick the service is.
    """

    def __init__(self, loop: VirtualLoop, **settings: Any) -> None:
        register()
        self.calls: list[Call] = []
        self._loop = loop
        self._http = Client(Application(FaultList()))
        self.backend.configure(Settings(**settings), lambda: EPOCH + loop.time())
        AIOHTTPSession.send = self._send

    @property
    def backend(self) -> OmicsBackend:
        return omics_backends[DEFAULT_ACCOUNT_ID][REGION]

    def put(self, path: str, content: bytes = b"") -> None:
        """Make a bucket, or an object in it."""
        answer = self._http.put(path, data=content)
        if answer.status_code >= 300:
            raise RuntimeError(answer.text)

    async def _send(self, request: Any) -> AioAWSResponse:
        url = urlsplit(request.url)
        environ = {"REQUEST_METHOD": request.method, "PATH_INFO": url.path}
        self.calls.append(Call(self._loop.time(), operation_of("omics", environ), url.path))
        headers = {
            name: value.decode() if isinstance(value, bytes) else value
            for name, value in request.headers.items()
        }
        answer = self._http.open(request.url, method=request.method, headers=headers, data=request.body)
        response = AioAWSResponse(
            request.url,
            answer.status_code,
            {name.lower(): value for name, value in answer.headers.items()},
            None,
        )
        response._content = answer.data
        return response

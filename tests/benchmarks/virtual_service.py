"""
The emulator within this process, in the virtual time of an event loop.

A batch of a day is over in seconds, and what is due at a time happens at that time, since neither clients
nor the emulator take any. aiobotocore's clients are the real ones, to the last byte of a request.
"""

from __future__ import annotations

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
from airflow_provider_omics_batch.emulator.server.application import Application
from airflow_provider_omics_batch.emulator.server.middleware import operation_of
from tests.system.deployment import REGION
from tests.virtual_time import EPOCH, VirtualLoop


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

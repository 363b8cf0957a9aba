"""The emulator over HTTP in this process, where a test can set its clock and look into it."""

from __future__ import annotations

import json
import socket
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from threading import Thread
from typing import Any
from urllib.request import Request, urlopen

import boto3
import pytest
from moto.core import DEFAULT_ACCOUNT_ID

from airflow_provider_omics_batch.emulator import OmicsBackend, ScaledClock, Settings, omics_backends
from airflow_provider_omics_batch.emulator.server import create_server, listen

REGION = "eu-west-1"
BUCKET = "cohort"

#: A WSGI application, or anything that takes its place for one request.
Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@dataclass
class Emulator:
    """
    The emulator as a test sees it.

    :param start_faults: Applications that answer the next StartRunBatch in the emulator's place.
    :param faults: The same for all other operations of HealthOmics.
    :param requests: Method and path of every request to HealthOmics.
    """

    url: str
    application: Application
    start_faults: deque[Application] = field(default_factory=deque)
    faults: deque[Application] = field(default_factory=deque)
    requests: Counter[str] = field(default_factory=Counter)

    @property
    def backend(self) -> OmicsBackend:
        return omics_backends[DEFAULT_ACCOUNT_ID][REGION]

    @property
    def batches(self) -> list[dict[str, Any]]:
        return self.client("omics").list_batch()["items"]

    def configure(self, *, speed: float = 3600, **settings: Any) -> None:
        self.backend.configure(Settings(**settings), ScaledClock(speed))

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id="any",
            aws_secret_access_key="any",
            config=boto3.session.Config(inject_host_prefix=False),
        )

    def reset(self) -> None:
        urlopen(Request(f"{self.url}/moto-api/reset", method="POST")).close()  # noqa: S310
        self.start_faults.clear()
        self.faults.clear()
        self.requests.clear()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if "/omics/aws4_request" not in environ.get("HTTP_AUTHORIZATION", ""):
            return self.application(environ, start_response)
        request = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"
        self.requests[request] += 1
        faults = self.start_faults if request == "POST /runBatch" else self.faults
        answer = faults.popleft() if faults else self.application
        return answer(environ, start_response)


@pytest.fixture(scope="session", name="server")
def _server() -> Iterator[Emulator]:
    with listen("127.0.0.1", 0) as listener:
        server = create_server("127.0.0.1", listener)
        emulator = Emulator(f"http://127.0.0.1:{server.port}", server.app)
        server.app = emulator
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield emulator
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(name="emulator")
def _emulator(server: Emulator, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """Serve HealthOmics with an empty account, an hour a second, and let ``aws_default`` lead to it."""
    connection = {
        "conn_type": "aws",
        "login": "any-key-id",
        "password": "any-secret",
        "extra": {
            "region_name": REGION,
            "endpoint_url": server.url,
            "config_kwargs": {"inject_host_prefix": False, "retries": {"total_max_attempts": 1}},
        },
    }
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))
    monkeypatch.setenv("AIRFLOW__OMICS_BATCH__REQUESTS_PER_SECOND", "1000")
    server.reset()
    server.configure()
    server.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    return server


def answer(status: str, body: bytes = b"", **headers: str) -> Application:
    """Return an application that answers one request in the emulator's place."""

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response(status, [("Content-Length", str(len(body))), *headers.items()])
        return [body]

    return application


def hang_up(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    raise ConnectionAbortedError


def refuse(code: str, status: int) -> Application:
    body = json.dumps({"message": "not now"}).encode()
    return answer(f"{status} {code}", body, **{"x-amzn-ErrorType": code, "Content-Type": "application/json"})

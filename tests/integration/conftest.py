"""The emulator over HTTP in this process, where a test can set its clock and look into it."""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from threading import Thread
from typing import Any
from urllib.request import Request, urlopen

import boto3
import pytest
from moto.core import DEFAULT_ACCOUNT_ID

from airflow_provider_omics_batch.emulator import (
    FaultList,
    OmicsBackend,
    ScaledClock,
    Settings,
    omics_backends,
)
from airflow_provider_omics_batch.emulator.faults import service_of
from airflow_provider_omics_batch.emulator.middleware import operation_of
from airflow_provider_omics_batch.emulator.server import create_server, listen

REGION = "eu-west-1"
BUCKET = "cohort"

#: A WSGI application, or anything that takes its place for one request.
Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@dataclass
class Emulator:
    """
    The emulator as a test sees it.

    :param answers: Applications that answer the next calls of an operation in the emulator's place.
    """

    url: str
    application: Application
    faults: FaultList
    answers: defaultdict[str, deque[Application]] = field(default_factory=lambda: defaultdict(deque))

    @property
    def backend(self) -> OmicsBackend:
        return omics_backends[DEFAULT_ACCOUNT_ID][REGION]

    @property
    def calls(self) -> dict[str, int]:
        """The calls of HealthOmics by operation, without those that were answered in the emulator's place."""
        return {name: count for name, count in self.faults.calls.items() if service_of(name) == "omics"}

    @property
    def batches(self) -> list[dict[str, Any]]:
        return self.client("omics").list_batch()["items"]

    def configure(self, *, speed: float = 3600, **settings: Any) -> None:
        self.backend.configure(Settings(**settings), ScaledClock(speed))

    def client(self, service: str, **config: Any) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id="any",
            aws_secret_access_key="any",
            config=boto3.session.Config(inject_host_prefix=False, **config),
        )

    def reset(self) -> None:
        urlopen(Request(f"{self.url}/moto-api/reset", method="POST")).close()  # noqa: S310
        self.answers.clear()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        answers = self.answers.get(operation_of("omics", environ) or "")
        answer = answers.popleft() if answers else self.application
        return answer(environ, start_response)


@pytest.fixture(scope="session", name="server")
def _server() -> Iterator[Emulator]:
    with listen("127.0.0.1", 0) as listener:
        faults = FaultList()
        server = create_server("127.0.0.1", listener, faults)
        emulator = Emulator(f"http://127.0.0.1:{server.port}", server.app, faults)
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

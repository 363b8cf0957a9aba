"""The emulator over HTTP in this process, where a test can set its clock and look into it."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from moto.core import DEFAULT_ACCOUNT_ID

from airflow_provider_omics_batch.emulator import (
    FaultList,
    OmicsBackend,
    ScaledClock,
    Settings,
    omics_backends,
)
from airflow_provider_omics_batch.emulator.local import REGION, LocalEmulator
from airflow_provider_omics_batch.emulator.server.faults import service_of
from airflow_provider_omics_batch.emulator.server.middleware import operation_of

BUCKET = "cohort"
DEFAULT = {
    "workflowId": "1234567",
    "roleArn": "arn:aws:iam::123456789012:role/omics",
    "outputUri": f"s3://{BUCKET}/out/",
}

#: A WSGI application, or anything that takes its place for one request.
Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@dataclass
class Emulator:
    """
    The emulator as a test sees it.

    :param answers: Applications that answer the next calls of an operation in the emulator's place.
    """

    local: LocalEmulator
    application: Any
    answers: defaultdict[str, deque[Application]] = field(default_factory=lambda: defaultdict(deque))

    @property
    def url(self) -> str:
        return self.local.url

    @property
    def faults(self) -> FaultList:
        faults: FaultList = self.application.faults
        return faults

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
        return self.local.client(service, **config)

    def start_batch(self, runs: int = 3) -> str:
        """Start a batch as something else than our operators would, and return its id."""
        batch = self.client("omics").start_run_batch(
            requestId="somebody-else",
            defaultRunSetting=DEFAULT,
            batchRunSettings={"inlineSettings": [{"runSettingId": f"S{number}"} for number in range(runs)]},
        )
        return str(batch["id"])

    def reset(self) -> None:
        self.local.control.reset()
        self.answers.clear()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        answers = self.answers.get(operation_of("omics", environ) or "")
        answer = answers.popleft() if answers else self.application
        return answer(environ, start_response)


@pytest.fixture(scope="session", name="server")
def _server(omics_emulator_server: LocalEmulator) -> Iterator[Emulator]:
    http = omics_emulator_server.server
    emulator = http.app = Emulator(omics_emulator_server, http.app)
    yield emulator
    http.app = emulator.application


@pytest.fixture(name="emulator")
def _emulator(server: Emulator, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """Serve HealthOmics with an empty account, an hour a second, and let ``aws_default`` lead to it."""
    connection = server.local.connection(retries={"total_max_attempts": 1})
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", connection)
    monkeypatch.setenv("AIRFLOW__OMICS_BATCH__REQUESTS_PER_SECOND", "1000")
    server.reset()
    server.configure()
    server.client("s3").create_bucket(Bucket=BUCKET)
    return server


def answer(status: str, body: bytes = b"", **headers: str) -> Application:
    """Return an application that answers one request in the emulator's place."""

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response(status, [("Content-Length", str(len(body))), *headers.items()])
        return [body]

    return application

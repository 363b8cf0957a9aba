"""A server in this process, for tests and experiments."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Thread
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from moto.core.base_backend import BackendDict

from airflow_provider_omics_batch.emulator.clock import ScaledClock
from airflow_provider_omics_batch.emulator.models import OmicsBackend
from airflow_provider_omics_batch.emulator.server.application import address, create_server, listen
from airflow_provider_omics_batch.emulator.server.control import Control
from airflow_provider_omics_batch.emulator.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from werkzeug.serving import BaseWSGIServer

REGION = "us-east-1"

# Airflow warns of passwords that are too short to be masked in logs.
_KEY, _SECRET = "emulator", "any-will-do"


@dataclass(frozen=True)
class LocalEmulator:
    """An emulator that runs in a thread of this process, and what its clients need to know."""

    server: BaseWSGIServer

    @property
    def url(self) -> str:
        return address(self.server)

    @property
    def control(self) -> Control:
        return Control(self.url)

    def client(self, service: str, **config: Any) -> Any:
        """
        Make a boto3 client; close it when it is not needed any more.

        :param service: ``omics``, ``s3``, or any other that moto has.
        :param config: more members of botocore's ``Config``.
        """
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=_KEY,
            aws_secret_access_key=_SECRET,
            config=Config(inject_host_prefix=False, proxies={}, **config),
        )

    def connection(self, **config: Any) -> str:
        """
        Write an Airflow connection, as ``AIRFLOW_CONN_…`` takes it.

        :param config: more members of botocore's ``Config``.
        """
        extra = {
            "region_name": REGION,
            "endpoint_url": self.url,
            "config_kwargs": {"inject_host_prefix": False, "proxies": {}, **config},
        }
        return json.dumps({"conn_type": "aws", "login": _KEY, "password": _SECRET, "extra": extra})


@contextmanager
def running(
    settings: Settings | None = None, *, speed: float = 1.0, host: str = "127.0.0.1", port: int = 0
) -> Iterator[LocalEmulator]:
    """
    Run an emulator in a thread; it begins empty, and leaves moto empty behind.

    :param settings: how quick and how healthy it is.
    :param speed: seconds of the service that pass in a second.
    :param host: where it listens.
    :param port: 0 for any free one.
    """
    before = OmicsBackend.default_settings, OmicsBackend.default_clock
    with listen(host, port) as listener:
        OmicsBackend.configure_all(settings or Settings(), ScaledClock(speed))
        BackendDict.reset()
        server = create_server(host, listener)
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield LocalEmulator(server)
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
            OmicsBackend.configure_all(*before)
            BackendDict.reset()

"""HealthOmics, S3 and STS over HTTP, on one port."""

from __future__ import annotations

import re
import signal
import socket
from typing import TYPE_CHECKING, Any

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import BaseWSGIServer, make_server

from airflow_provider_omics_batch.emulator import register
from airflow_provider_omics_batch.emulator.control import Control
from airflow_provider_omics_batch.emulator.faults import SERVICES, FaultList
from airflow_provider_omics_batch.emulator.middleware import FaultyService, operation_of

if TYPE_CHECKING:
    from types import FrameType

# Paths that no bucket of S3 is likely to have.
_UNSIGNED_PATH = re.compile(r"/runBatch(/.*)?|/run(/\d+(/.*)?)?")
_UNSIGNED_HOST = "omics.us-east-1.amazonaws.com"


class Application(DomainDispatcherApplication):
    """moto's application, which also knows HealthOmics by its paths where a request is not signed."""

    def __init__(self, faults: FaultList) -> None:
        super().__init__(self._create_app)
        self._faults = faults

    def _create_app(self, service: Any) -> Any:
        app: Any = create_backend_app(service)
        if service in SERVICES:
            app.wsgi_app = FaultyService(app.wsgi_app, service, self._faults)
        elif service == "moto_api":
            app.wsgi_app = Control(app.wsgi_app, self._faults)
        return app

    def infer_service_region_host(self, environ: dict[str, Any], path: str) -> str | None:
        host = (
            _UNSIGNED_HOST
            if _is_unsigned(environ, path)
            else super().infer_service_region_host(environ, path)
        )
        if host and host.startswith("omics."):
            # Clients like curl call any body a form, which would be parsed away.
            environ["CONTENT_TYPE"] = "application/json"
        return host


def _is_unsigned(environ: dict[str, Any], path: str) -> bool:
    if "HTTP_AUTHORIZATION" in environ or not _UNSIGNED_PATH.fullmatch(path):
        return False
    return operation_of("omics", environ) is not None


class Handler(MotoRequestHandler):
    """Keeps quiet. One connection serves one request, as werkzeug has it."""

    protocol_version = "HTTP/1.1"
    # Head and body go out in two writes; joining them may wait 40 ms for the client.
    disable_nagle_algorithm = True

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


def listen(host: str, port: int) -> socket.socket:
    """Bind a port, 0 for any free one; ``OSError`` if it is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    address = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)[0][4]
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener


def create_server(host: str, listener: socket.socket, faults: FaultList | None = None) -> BaseWSGIServer:
    """
    Make a threaded server around a listening socket.

    :param faults: acts in this server, also what is added to it later.
    """
    register()
    port = listener.getsockname()[1]
    return make_server(
        host,
        port,
        Application(faults or FaultList()),
        threaded=True,
        request_handler=Handler,
        fd=listener.fileno(),
    )


def serve(host: str, port: int, faults: FaultList) -> None:
    """Serve until SIGINT or SIGTERM."""
    with listen(host, port) as listener:
        server = create_server(host, listener, faults)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _end)
        shown = f"[{host}]" if ":" in host else host
        print(f"listening on http://{shown}:{server.port}", flush=True)  # noqa: T201 - this line is the interface
        try:
            server.serve_forever()
        finally:
            server.server_close()


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)

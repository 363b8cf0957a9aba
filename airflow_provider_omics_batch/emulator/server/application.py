"""HealthOmics, S3 and STS over HTTP, on one port."""

from __future__ import annotations

import logging
import re
import signal
import socket
from functools import partial
from typing import TYPE_CHECKING, Any

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import BaseWSGIServer, make_server

from airflow_provider_omics_batch.emulator import omics_backends, register
from airflow_provider_omics_batch.emulator.server.calls import CallLog
from airflow_provider_omics_batch.emulator.server.control_api import ControlApi
from airflow_provider_omics_batch.emulator.server.faults import SERVICES, FaultList
from airflow_provider_omics_batch.emulator.server.keeping import Keeper, KeptService
from airflow_provider_omics_batch.emulator.server.middleware import FaultyService, operation_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from types import FrameType

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = logging.getLogger(__name__)

# Paths that no bucket of S3 is likely to have.
_UNSIGNED_PATH = re.compile(r"/(runBatch|runGroup|runCache)(/.*)?|/(run|workflow)(/\d+(/.*)?)?|/tags/arn:.*")
#: What changes what a state has.
KEPT = (*SERVICES, "moto_api")

_UNSIGNED_HOST = "omics.us-east-1.amazonaws.com"


class Application(DomainDispatcherApplication):
    """moto's application, which also knows HealthOmics by its paths where a request is not signed."""

    def __init__(self, faults: FaultList, keeper: Keeper | None = None) -> None:
        super().__init__(self._create_app)
        self.faults = faults
        self._keeper = keeper
        self._log = CallLog()
        self._control = ControlApi(faults, self._log)

    def _create_app(self, service: Any) -> Any:
        app: Any = create_backend_app(service)
        if service == "moto_api":
            app.wsgi_app = partial(self._control, app.wsgi_app)
        if service == "events":
            app.wsgi_app = partial(_between_events, app.wsgi_app)
        if self._keeper and service in KEPT:
            app.wsgi_app = KeptService(app.wsgi_app, self._keeper)
        if service in SERVICES:
            app.wsgi_app = FaultyService(app.wsgi_app, service, self.faults, self._log)
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


def _between_events(
    application: WSGIApplication, environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    """Let what is said to EventBridge hold for what happens afterwards, and not for what happened before."""
    send_events()
    answer = application(environ, start_response)
    send_events()
    return answer


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
        # As many as may come at once; the system may allow fewer.
        listener.listen(1024)
    except OSError:
        listener.close()
        raise
    return listener


def create_server(
    host: str, listener: socket.socket, faults: FaultList | None = None, keeper: Keeper | None = None
) -> BaseWSGIServer:
    """
    Make a threaded server around a listening socket.

    :param faults: acts in this server, also what is added to it later.
    :param keeper: keeps what is done in this server.
    """
    register()
    port = listener.getsockname()[1]
    server = make_server(
        host,
        port,
        Application(faults or FaultList(), keeper),
        threaded=True,
        request_handler=Handler,
        fd=listener.fileno(),
    )
    # Called twice a second; consumers of events may call nothing of HealthOmics.
    server.service_actions = send_events  # type: ignore[method-assign]
    return server


def send_events() -> None:
    """Tell the EventBridge of each account and Region what has happened."""
    for regions in list(omics_backends.values()):
        for backend in list(regions.values()):
            try:
                backend.send_events()
            except Exception:
                # The server would end with it.
                log.exception("Events could not be sent")


def address(server: BaseWSGIServer) -> str:
    """Give the URL at which a server listens."""
    host = f"[{server.host}]" if ":" in server.host else server.host
    return f"http://{host}:{server.port}"


def serve(host: str, port: int, faults: FaultList, state: Path | None = None) -> None:
    """
    Serve until SIGINT or SIGTERM.

    :param state: a file to go on from, and to keep all in.
    :raises StateError: the file is not of this emulator.
    :raises OSError: it cannot be read or written, or the port is taken.
    """
    with listen(host, port) as listener:
        keeper = Keeper(state) if state else None
        server = create_server(host, listener, faults, keeper)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _end)
        if keeper:
            keeper.start()
        print(f"listening on {address(server)}", flush=True)  # noqa: T201 - this line is the interface
        try:
            server.serve_forever()
        finally:
            server.server_close()
            if keeper:
                keeper.end()


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)

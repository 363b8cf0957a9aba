"""Between the server and moto: lets faults act on a service."""

from __future__ import annotations

import json
import socket
import time
from contextlib import suppress
from datetime import UTC, datetime
from io import BytesIO
from typing import TYPE_CHECKING, Any, NoReturn

from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import Request
from moto.core.routing import get_service_router
from werkzeug.exceptions import NotFound
from werkzeug.test import run_wsgi_app
from werkzeug.wrappers import Response

from airflow_provider_omics_batch.emulator.models import OmicsBackend
from airflow_provider_omics_batch.emulator.responses import FAILS_AFTER
from airflow_provider_omics_batch.emulator.server.calls import Call

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from airflow_provider_omics_batch.emulator.server.calls import CallLog
    from airflow_provider_omics_batch.emulator.server.faults import Fault, FaultList

_MESSAGE = "The emulator was told to answer so"
_XML = '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{}</Code><Message>{}</Message></Error>'


def operation_of(service: str, environ: WSGIEnvironment) -> str | None:
    """Name the operation of a request by its method and path; ``None`` if the service has no such."""
    found = _match(service, environ)
    return str(found[0].name) if found else None


def call_of(service: str, environ: WSGIEnvironment) -> Call | None:
    """Read a request; ``None`` if the service has no such operation."""
    found = _match(service, environ)
    if found is None:
        return None
    operation, parameters = found
    if service == "omics":
        parameters = _read(operation, parameters, environ)
    time = datetime.fromtimestamp(OmicsBackend.default_clock(), UTC)
    return Call(operation=str(operation.name), parameters=parameters, time=time)


def _match(service: str, environ: WSGIEnvironment) -> tuple[Any, dict[str, Any]] | None:
    try:
        # Clients like curl call any body a form, and forms have no operations.
        request = Request({**environ, "CONTENT_TYPE": "application/json"})
        operation, parameters = get_service_router(service).match(request)
        return operation, parameters
    except NotFound:
        return None


def _read(operation: Any, parameters: dict[str, Any], environ: WSGIEnvironment) -> dict[str, Any]:
    """Read all parameters by the service model, and leave the body to be read again."""
    request = Request(dict(environ))
    body = request.get_data()
    environ.update({"wsgi.input": BytesIO(body), "CONTENT_LENGTH": str(len(body))})
    parser = PROTOCOL_PARSERS["rest-json"](operation)
    found: Any = {
        "method": request.method,
        "values": request.args,
        "headers": request.headers,
        "body": body,
        "url_path": request.path,
        "url_params": parameters,
    }
    try:
        return dict(parser.parse(found))
    except (AttributeError, TypeError, ValueError, RecursionError):
        # The service itself complains.
        return parameters


class FaultyService:
    """A service of moto's: its calls are noted, and faults come between it and its clients."""

    def __init__(self, application: WSGIApplication, service: str, faults: FaultList, log: CallLog) -> None:
        self._application = application
        self._service = service
        self._faults = faults
        self._log = log

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        call = call_of(self._service, environ)
        if call is None:
            return self._application(environ, start_response)
        self._log.note(call, int(environ.get("CONTENT_LENGTH") or 0) if self._service == "omics" else 0)

        def start(status: str, *more: Any) -> Any:
            call.status = int(status[:3])
            return start_response(status, *more)

        fault = self._faults.next(call.operation)
        if fault:
            return self._act(fault, environ, start)
        return self._application(environ, start)

    def _act(self, fault: Fault, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if fault.kind == "error":
            return self._error(fault)(environ, start_response)
        if fault.kind == "dropped":
            _hang_up(environ)
        if fault.kind == "lost_answer":
            run_wsgi_app(self._application, environ, buffered=True)
            _hang_up(environ)
        if fault.kind == "latency":
            time.sleep(fault.seconds)
        if fault.kind == "failed_batch":
            environ[FAILS_AFTER] = fault.submissions
        answer = self._application(environ, start_response)
        if fault.kind == "late_answer":
            time.sleep(fault.seconds)
        return answer

    def _error(self, fault: Fault) -> Response:
        if self._service == "s3":
            text = _XML.format(fault.error, _MESSAGE)
            return Response(text, fault.status, content_type="application/xml")
        text = json.dumps({"message": _MESSAGE})
        headers = {"x-amzn-ErrorType": fault.error or ""}
        return Response(text, fault.status, headers, content_type="application/json")


def _hang_up(environ: WSGIEnvironment) -> NoReturn:
    # The client may have done so already.
    with suppress(OSError):
        environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    raise ConnectionAbortedError

"""Between the server and moto: lets faults act on a service."""

from __future__ import annotations

import json
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

from moto.core.request import Request
from moto.core.routing import get_service_router
from werkzeug.exceptions import NotFound
from werkzeug.test import run_wsgi_app
from werkzeug.wrappers import Response

from airflow_provider_omics_batch.emulator.responses import FAILS_AFTER

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from airflow_provider_omics_batch.emulator.faults import Fault, FaultList

_MESSAGE = "The emulator was told to answer so"
_XML = '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{}</Code><Message>{}</Message></Error>'


def operation_of(service: str, environ: WSGIEnvironment) -> str | None:
    """Name the operation of a request by its method and path; ``None`` if the service has no such."""
    try:
        # Clients like curl call any body a form, and forms have no operations.
        request = Request({**environ, "CONTENT_TYPE": "application/json"})
        return str(get_service_router(service).match(request)[0].name)
    except NotFound:
        return None


class FaultyService:
    """A service of moto's, with the faults that come between it and its clients."""

    def __init__(self, application: WSGIApplication, service: str, faults: FaultList) -> None:
        self._application = application
        self._service = service
        self._faults = faults

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        operation = operation_of(self._service, environ)
        fault = self._faults.next(operation) if operation else None
        if fault:
            return self._act(fault, environ, start_response)
        return self._application(environ, start_response)

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

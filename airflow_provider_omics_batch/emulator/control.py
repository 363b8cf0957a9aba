"""The addresses under ``/moto-api/omics`` that control the emulator from outside."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from werkzeug.wrappers import Request, Response

from airflow_provider_omics_batch.emulator.notation import read_faults, write_faults

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from airflow_provider_omics_batch.emulator.faults import FaultList

PREFIX = "/moto-api/omics/"


class Control:
    """moto's own API, with ours beside it; its reset is one of the fault list too."""

    def __init__(self, application: WSGIApplication, faults: FaultList) -> None:
        self._application = application
        self._faults = faults

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        request = Request(environ)
        if request.path.startswith(PREFIX):
            return self._answer(request)(environ, start_response)
        if (request.method, request.path) == ("POST", "/moto-api/reset"):
            self._faults.reset()
        return self._application(environ, start_response)

    def _answer(self, request: Request) -> Response:
        what = request.path.removeprefix(PREFIX)
        if what == "calls" and request.method == "GET":
            return _json(json.dumps(self._faults.calls))
        if what == "faults" and request.method in ("GET", "POST", "DELETE"):
            return self._control_faults(request)
        return _refuse(404, f"There is no {request.method} {request.path}")

    def _control_faults(self, request: Request) -> Response:
        """Add or remove faults, and answer with what is left."""
        if request.method == "POST":
            try:
                self._faults.add(*read_faults(request.get_data()))
            except ValueError as error:
                return _refuse(400, str(error))
        elif request.method == "DELETE":
            self._faults.clear()
        return _json(write_faults(self._faults.faults))


def _json(text: str, status: int = 200) -> Response:
    return Response(text, status, content_type="application/json")


def _refuse(status: int, message: str) -> Response:
    return _json(json.dumps({"message": message}), status)

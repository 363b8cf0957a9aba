"""The addresses under ``/moto-api/omics`` that control the emulator from outside."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from werkzeug.wrappers import Request, Response

from airflow_provider_omics_batch.emulator.clock import ScaledClock
from airflow_provider_omics_batch.emulator.models import OmicsBackend, omics_backends
from airflow_provider_omics_batch.emulator.plan.failures import FailureRule
from airflow_provider_omics_batch.emulator.server.faults import Fault
from airflow_provider_omics_batch.emulator.server.notation import read_json, read_list, write_list

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from airflow_provider_omics_batch.emulator.server.calls import CallLog
    from airflow_provider_omics_batch.emulator.server.faults import FaultList
    from airflow_provider_omics_batch.emulator.settings import Settings

PREFIX = "/moto-api/omics/"

Route = Callable[[bytes], str]


class ControlApi:
    """
    Our own API beside that of moto; :class:`.control.Control` is its client.

    A reset brings back the settings and the speed of the moment when this was made.
    """

    def __init__(self, faults: FaultList, log: CallLog) -> None:
        self._faults = faults
        self._log = log
        self._first_settings = OmicsBackend.default_settings
        self._first_clock = OmicsBackend.default_clock
        self._first_speed = getattr(self._first_clock, "speed", None)
        self._routes: dict[tuple[str, str], Route] = {
            ("GET", "settings"): self._settings,
            ("PATCH", "settings"): self._change_settings,
            ("GET", "clock"): self._time,
            ("PATCH", "clock"): self._change_speed,
            ("POST", "clock/advance"): self._advance,
            ("GET", "failures"): self._failures,
            ("POST", "failures"): self._add_failures,
            ("DELETE", "failures"): self._clear_failures,
            ("GET", "faults"): self._left,
            ("POST", "faults"): self._add_faults,
            ("DELETE", "faults"): self._clear_faults,
            ("GET", "calls"): lambda body: json.dumps(faults.calls),
            ("GET", "log"): self._logged,
        }

    def __call__(
        self, application: WSGIApplication, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Answer, or let moto's own application do so."""
        request = Request(environ)
        if request.path.startswith(PREFIX):
            return self._answer(request)(environ, start_response)
        if (request.method, request.path) == ("POST", "/moto-api/reset"):
            self._reset()
        return application(environ, start_response)

    def _answer(self, request: Request) -> Response:
        route = self._routes.get((request.method, request.path.removeprefix(PREFIX)))
        if route is None:
            return _refuse(404, f"There is no {request.method} {request.path}")
        try:
            return _json(route(request.get_data()))
        except (ValueError, OverflowError) as error:
            return _refuse(400, str(error))

    def _reset(self) -> None:
        """Bring back what the server has begun with; moto clears the rest."""
        self._faults.reset()
        self._log.clear()
        speed, clock = self._first_speed, self._first_clock
        OmicsBackend.configure_all(self._first_settings, clock if speed is None else ScaledClock(speed))

    def _settings(self, body: bytes) -> str:
        members = asdict(OmicsBackend.default_settings)
        del members["failures"]
        return json.dumps(members)

    def _change_settings(self, body: bytes) -> str:
        changes, settings = _object(body), OmicsBackend.default_settings
        known = {field.name: field.default for field in fields(settings)}
        del known["failures"]
        for name, value in changes.items():
            if name not in known:
                raise ValueError(f"there is no setting {name!r}; settings: {', '.join(known)}")
            _check_type(name, value, known[name])
        _configure(replace(settings, **changes))
        return self._settings(b"")

    def _time(self, body: bytes) -> str:
        clock = OmicsBackend.shared_clock()
        return json.dumps({"now": datetime.fromtimestamp(clock(), UTC).isoformat(), "speed": clock.speed})

    def _change_speed(self, body: bytes) -> str:
        OmicsBackend.shared_clock().speed = _only_number(body, "speed")
        return self._time(b"")

    def _advance(self, body: bytes) -> str:
        OmicsBackend.shared_clock().advance(_only_number(body, "seconds"))
        return self._time(b"")

    def _failures(self, body: bytes) -> str:
        return write_list(OmicsBackend.default_settings.failures)

    def _add_failures(self, body: bytes) -> str:
        settings = OmicsBackend.default_settings
        rules = read_list(FailureRule, body)
        _configure(replace(settings, failures=(*settings.failures, *rules)))
        return self._failures(b"")

    def _clear_failures(self, body: bytes) -> str:
        _configure(replace(OmicsBackend.default_settings, failures=()))
        return self._failures(b"")

    def _left(self, body: bytes) -> str:
        return write_list(self._faults.faults)

    def _add_faults(self, body: bytes) -> str:
        self._faults.add(*read_list(Fault, body))
        return self._left(b"")

    def _clear_faults(self, body: bytes) -> str:
        self._faults.clear()
        return self._left(b"")

    def _logged(self, body: bytes) -> str:
        return json.dumps([asdict(call) for call in self._log.calls()], default=_as_text)


def _configure(settings: Settings) -> None:
    """Set all accounts and Regions, those that are there and those to come."""
    OmicsBackend.configure_all(settings, OmicsBackend.default_clock)
    for regions in list(omics_backends.values()):
        for backend in list(regions.values()):
            backend.configure(settings)


def _object(body: bytes) -> dict[str, Any]:
    content = read_json(body)
    if not isinstance(content, dict):
        raise ValueError("the body must be an object")
    return content


def _only_number(body: bytes, name: str) -> float:
    content = _object(body)
    if list(content) != [name]:
        raise ValueError(f"the body must be an object with {name} alone")
    _check_type(name, content[name], 0.0)
    return float(content[name])


def _check_type(name: str, value: Any, current: Any) -> None:
    kinds = int | float if isinstance(current, float) else type(current)
    if not isinstance(value, kinds) or (isinstance(value, bool) and not isinstance(current, bool)):
        raise ValueError(f"{name} must be such as {json.dumps(current)}, not {json.dumps(value)}")


def _as_text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else f"<{len(value)} bytes>"


def _json(text: str, status: int = 200) -> Response:
    return Response(text, status, content_type="application/json")


def _refuse(status: int, message: str) -> Response:
    return _json(json.dumps({"message": message}), status)

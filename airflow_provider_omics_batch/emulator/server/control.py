"""The control of an emulator, wherever it runs."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

from airflow_provider_omics_batch.emulator.plan.failures import FailureRule
from airflow_provider_omics_batch.emulator.server.calls import Call
from airflow_provider_omics_batch.emulator.server.faults import Fault
from airflow_provider_omics_batch.emulator.server.notation import write_list

#: The emulator is near, whatever the machine's proxy.
_OPENER = build_opener(ProxyHandler({}))


@dataclass(frozen=True)
class Time:
    """
    The time in the emulator.

    :param speed: seconds that pass in a second; with 0 it stands still.
    """

    now: datetime
    speed: float


class Control:
    """
    What can be set and read of a running emulator, one method for each route below ``/moto-api/omics``.

    What is set is set for all accounts and Regions, and for the batches started from then on. Methods raise
    ``ValueError`` for what the emulator refuses.

    :param url: of the emulator.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")

    def settings(self) -> dict[str, Any]:
        """Get the members of ``Settings``, but for ``failures``, by name."""
        settings: dict[str, Any] = self._call("GET", "settings")
        return settings

    def configure(self, **changes: Any) -> dict[str, Any]:
        """
        Change settings; the others stay as they are.

        :param changes: members of ``Settings``.
        """
        settings: dict[str, Any] = self._call("PATCH", "settings", changes)
        return settings

    def clock(self) -> Time:
        return _time(self._call("GET", "clock"))

    def set_speed(self, speed: float) -> Time:
        """Let time run so many times as fast; with 0 it stands still, and :meth:`advance` alone moves it."""
        return _time(self._call("PATCH", "clock", {"speed": speed}))

    def advance(self, seconds: float) -> Time:
        """Let so many seconds pass at once."""
        return _time(self._call("POST", "clock/advance", {"seconds": seconds}))

    def failures(self) -> list[FailureRule]:
        """Get the rules by which runs fail, the one that goes first in front."""
        return [FailureRule(**rule) for rule in self._call("GET", "failures")]

    def add_failures(self, *rules: FailureRule) -> None:
        """Add rules behind those that are there."""
        self._call("POST", "failures", write_list(rules))

    def clear_failures(self) -> None:
        self._call("DELETE", "failures")

    def faults(self) -> list[Fault]:
        """Get the faults that are still to come, as one would give them now."""
        return [Fault(**fault) for fault in self._call("GET", "faults")]

    def add_faults(self, *faults: Fault) -> None:
        self._call("POST", "faults", write_list(faults))

    def clear_faults(self) -> None:
        self._call("DELETE", "faults")

    def calls(self) -> Counter[str]:
        """Get how often each operation was called, answered or not."""
        return Counter(self._call("GET", "calls"))

    def log(self) -> list[Call]:
        """Get the last 10,000 calls, or fewer large ones, the oldest first."""
        calls = self._call("GET", "log")
        return [Call(**{**call, "time": datetime.fromisoformat(call["time"])}) for call in calls]

    def reset(self) -> None:
        """Empty all services, forget calls and faults, and bring back the settings of the start."""
        self._send("POST", "/moto-api/reset")

    def _call(self, method: str, route: str, body: Any = None) -> Any:
        return json.loads(self._send(method, f"/moto-api/omics/{route}", body))

    def _send(self, method: str, path: str, body: Any = None) -> bytes:
        text = body if isinstance(body, str) else json.dumps(body)
        data = None if body is None else text.encode()
        request = Request(f"{self.url}{path}", data, method=method)  # noqa: S310 - the emulator's
        try:
            with _OPENER.open(request) as answer:
                content: bytes = answer.read()
                return content
        except HTTPError as error:
            if error.code not in (400, 404):
                raise
            with error:
                raise ValueError(json.loads(error.read())["message"]) from error


def _time(answer: dict[str, Any]) -> Time:
    return Time(datetime.fromisoformat(answer["now"]), answer["speed"])

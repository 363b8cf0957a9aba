"""Faults: what goes wrong on which call of an operation."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass, replace
from functools import cache
from threading import TIMEOUT_MAX, Lock
from typing import TYPE_CHECKING, Any

from moto.core.utils import get_service_model

if TYPE_CHECKING:
    from collections.abc import Iterable

#: The services that have faults, and their names.
SERVICES = {"omics": "HealthOmics", "s3": "S3"}

#: The kinds of faults, and the members that each has beside those of all.
KINDS: dict[str, tuple[str, ...]] = {
    "error": ("error", "status"),
    "latency": ("seconds",),
    "dropped": (),
    "lost_answer": (),
    "late_answer": ("seconds",),
    "failed_batch": ("submissions",),
}

_ERROR_CODE = re.compile(r"[A-Za-z][A-Za-z0-9.]*")


@dataclass(frozen=True, kw_only=True)
class Fault:
    """
    What goes wrong on the n-th call of an operation; ``ValueError`` if it makes no sense.

    :param operation: the API's name of an operation of HealthOmics or S3.
    :param kind: ``error``: it is answered in the service's place; ``latency``: the request is held before the
        service acts; ``dropped``: the connection is closed before it acts; ``lost_answer``: the connection is
        closed after it has acted; ``late_answer``: the answer is held after it has acted; ``failed_batch``:
        the batch that StartRunBatch starts fails later, with a transient error of the service.
    :param call: on which call, counted from the moment when the fault is given.
    :param times: on how many calls in a row; ``None`` for ever.
    :param error: the code of an ``error``.
    :param status: its HTTP status; known from the service model if the operation has that error.
    :param seconds: true seconds, whatever the speed of the emulator.
    :param submissions: how many runs a batch submits before it fails.
    """

    operation: str
    kind: str
    call: int = 1
    times: int | None = 1
    error: str | None = None
    status: int | None = None
    seconds: float = 0.0
    submissions: int = 0

    def __post_init__(self) -> None:
        service = service_of(self.operation)
        if self.kind not in tuple(KINDS):
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, not {self.kind!r}")
        for name in ("error", "status", "seconds", "submissions"):
            if getattr(self, name) and name not in KINDS[self.kind]:
                raise ValueError(f"a fault of kind {self.kind} has no {name}")
        _check_whole("call", self.call)
        if self.times is not None:
            _check_whole("times", self.times)
        if "seconds" in KINDS[self.kind]:
            _check_seconds(self.seconds)
        _check_whole("submissions", self.submissions, least=0)
        if self.kind == "failed_batch" and self.operation != "StartRunBatch":
            raise ValueError("failed_batch is for StartRunBatch alone")
        if self.kind == "error":
            object.__setattr__(self, "status", self._status(service))

    def _status(self, service: str) -> int:
        if not isinstance(self.error, str) or not _ERROR_CODE.fullmatch(self.error):
            raise ValueError(f"error must be a code such as ThrottlingException, not {self.error!r}")
        statuses = _error_statuses(service, self.operation)
        status = statuses.get(self.error) if self.status is None else self.status
        if status is None:
            known = ", ".join(statuses) or "none"
            raise ValueError(f"{self.error} needs a status; known for {self.operation}: {known}")
        _check_whole("status", status, 400, 599)
        return status

    def after(self, *, acted: bool) -> Fault | None:
        """Give what is left of the fault after a call of its operation."""
        if self.call > 1:
            return replace(self, call=self.call - 1)
        if not acted or self.times is None:
            return self
        return replace(self, times=self.times - 1) if self.times > 1 else None


class FaultList:
    """The faults that are still to come, and a count of the calls; any thread may use it at any time."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._lock = Lock()
        self._faults = list(faults)
        self._calls: Counter[str] = Counter()

    @property
    def faults(self) -> list[Fault]:
        """What is left, as one would give it now."""
        with self._lock:
            return list(self._faults)

    @property
    def calls(self) -> Counter[str]:
        """How often each operation was called, answered or not."""
        with self._lock:
            return self._calls.copy()

    def add(self, *faults: Fault) -> None:
        with self._lock:
            self._faults.extend(faults)

    def clear(self) -> None:
        """Remove the faults that are left."""
        with self._lock:
            self._faults.clear()

    def reset(self) -> None:
        """Remove the faults that are left, and count the calls anew."""
        with self._lock:
            self._faults.clear()
            self._calls.clear()

    def next(self, operation: str) -> Fault | None:
        """Count a call, and give the fault that acts on it; of several, the first, and the others wait."""
        with self._lock:
            self._calls[operation] += 1
            due = None
            left: list[Fault | None] = []
            for fault in self._faults:
                if fault.operation != operation:
                    left.append(fault)
                elif due is None and fault.call == 1:
                    due = fault
                    left.append(fault.after(acted=True))
                else:
                    left.append(fault.after(acted=False))
            self._faults = [fault for fault in left if fault]
            return due


def service_of(operation: Any) -> str:
    """Find the service of an operation; no name is in both."""
    for service in SERVICES:
        if operation in get_service_model(service).operation_names:
            return service
    raise ValueError(f"{operation!r} is no operation of {' or '.join(SERVICES.values())}")


@cache
def _error_statuses(service: str, operation: str) -> dict[str, int]:
    errors: Any = get_service_model(service).operation_model(operation).error_shapes
    return {error.name: error.metadata["error"]["httpStatusCode"] for error in errors}


def _check_whole(name: str, value: Any, least: int = 1, most: float = math.inf) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        demand = f"of {least} or more" if most == math.inf else f"between {least} and {most:g}"
        raise ValueError(f"{name} must be a whole number {demand}, not {value!r}")


def _check_seconds(value: Any) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < TIMEOUT_MAX:
        raise ValueError(f"seconds must be a number greater than 0, not {value!r}")

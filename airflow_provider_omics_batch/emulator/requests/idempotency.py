"""Requests that are sent again with the same ``requestId``."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from airflow_provider_omics_batch.emulator.exceptions import ERRORS

if TYPE_CHECKING:
    from airflow_provider_omics_batch.emulator.behaviour import Behaviour

Params = dict[str, Any]
T = TypeVar("T")


def without_id(params: Params) -> Params:
    """Give what makes two requests the same."""
    return {name: value for name, value in params.items() if name != "requestId"}


def _content(params: Params) -> str:
    """Digest what makes two requests the same, as JSON; in Python, ``True`` were as good as ``1``."""
    return _digest(json.dumps(without_id(params), sort_keys=True, default=_digest).encode())


def _digest(content: bytes) -> str:
    """Tell a content from others without keeping it: a definition may have megabytes."""
    return sha256(content).hexdigest()


class RequestLog(Generic[T]):
    """What the requests of one operation have made; AWS does not document what a repeated one answers."""

    def __init__(self) -> None:
        self._made: dict[str, tuple[str, T]] = {}

    def find(self, params: Params, behaviour: Behaviour) -> T | None:
        """Find what the request has made when it was sent before."""
        request_id = params["requestId"]
        if request_id not in self._made:
            return None
        before, made = self._made[request_id]
        same = before == _content(params)
        answer = behaviour.repeated_request if same else behaviour.changed_request
        if answer != "same":
            how = "already" if same else "before with other parameters"
            raise ERRORS[answer](f"requestId {request_id} was used {how}")
        return made

    def used_for(self, request_id: str) -> T | None:
        """Find what a request with this id has made, whatever its parameters."""
        return self._made[request_id][1] if request_id in self._made else None

    def note(self, params: Params, made: T) -> None:
        self._made[params["requestId"]] = _content(params), made

    def forget(self, made: T) -> None:
        """Free the ``requestId`` of what is no more."""
        self._made = {key: kept for key, kept in self._made.items() if kept[1] is not made}

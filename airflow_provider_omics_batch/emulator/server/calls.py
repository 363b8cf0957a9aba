"""What the server was asked."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from datetime import datetime
from threading import Lock
from typing import Any

#: How many calls are kept, the last ones, and how many bytes their bodies had together.
MOST_CALLS = 10_000
MOST_BYTES = 10_000_000


@dataclass(kw_only=True)
class Call:
    """
    A call of HealthOmics or S3.

    :param parameters: under the names of the API; of S3 bucket and key alone.
    :param time: by the emulator's clock.
    :param status: the HTTP status of its answer; ``None`` if there was none, or not yet.
    """

    operation: str
    parameters: dict[str, Any]
    time: datetime
    status: int | None = None


class CallLog:
    """The last calls, in the order in which they came; any thread may use it at any time."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._calls: deque[tuple[Call, int]] = deque()
        self._size = 0

    def note(self, call: Call, size: int) -> None:
        """
        Keep a call, and forget the oldest if they become too many.

        :param size: of its body, in bytes.
        """
        with self._lock:
            self._calls.append((call, size))
            self._size += size
            while len(self._calls) > MOST_CALLS or self._size > MOST_BYTES:
                self._size -= self._calls.popleft()[1]

    def calls(self) -> list[Call]:
        with self._lock:
            return [replace(call) for call, _ in self._calls]

    def clear(self) -> None:
        with self._lock:
            self._calls.clear()
            self._size = 0

"""Seconds since the epoch, as the API shows them."""

from __future__ import annotations

from datetime import UTC, datetime


def timestamp(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)

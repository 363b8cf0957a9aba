from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let all sleeping take no time, and note the seconds."""
    slept: list[float] = []
    sleep = asyncio.sleep

    async def nap(seconds: float, *args: Any) -> None:
        slept.append(seconds)
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", nap)
    return slept


@pytest.fixture
def log() -> logging.Logger:
    return logging.getLogger("airflow_provider_omics_batch.tests")

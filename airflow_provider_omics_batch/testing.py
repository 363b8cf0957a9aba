"""
Pytest fixtures for whoever tests Dags that run batches: HealthOmics and S3 without an account.

They need the extra ``emulator``. The outermost ``conftest.py`` asks for them::

    pytest_plugins = ["airflow_provider_omics_batch.testing"]
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from airflow_provider_omics_batch.emulator.local import LocalEmulator

#: An hour of the service passes in a second.
SPEED = 3600.0

CONNECTION_ID = "aws_default"


@pytest.fixture(scope="session")
def omics_emulator_server() -> Iterator[LocalEmulator]:
    """Run one emulator for all tests, on a free port."""
    # Not before a test asks for it: moto changes every client of botocore that is made afterwards.
    from airflow_provider_omics_batch.emulator.local import running

    with running(speed=SPEED) as emulator:
        yield emulator


@pytest.fixture
def omics_emulator(request: pytest.FixtureRequest) -> Iterator[LocalEmulator]:
    """
    Give the emulator as it was at its start: an empty account, no faults, an hour a second.

    A test that has moto to itself afterwards finds its own settings and clock again.
    """
    from airflow_provider_omics_batch.emulator.models import OmicsBackend

    before = OmicsBackend.default_settings, OmicsBackend.default_clock
    emulator: LocalEmulator = request.getfixturevalue("omics_emulator_server")
    emulator.control.reset()
    yield emulator
    OmicsBackend.configure_all(*before)


@pytest.fixture
def omics_connection(omics_emulator: LocalEmulator, monkeypatch: pytest.MonkeyPatch) -> str:
    """Give the id of an Airflow connection to the emulator, that of the amazon provider's default."""
    monkeypatch.setenv(f"AIRFLOW_CONN_{CONNECTION_ID.upper()}", omics_emulator.connection())
    return CONNECTION_ID

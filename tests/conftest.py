from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest_plugins = ["airflow_provider_omics_batch.testing"]


def pytest_xdist_auto_num_workers() -> int:
    """Return one process more than there are processors: tests mostly wait, for Airflow and for batches."""
    return (os.cpu_count() or 1) + 1


@pytest.fixture(autouse=True)
def _own_aws_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide what the developer has configured for AWS."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "BOTO_", "MOTO_", "AIRFLOW_CONN_")):
            monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / name))

"""The fixtures for whoever tests Dags, as these meet them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from airflow_provider_omics_batch.emulator.local import LocalEmulator
from airflow_provider_omics_batch.hooks.omics import OmicsHook

WITHOUT_MOTO = "import sys; sys.modules['moto'] = None; "
DEFAULT = {
    "workflowId": "1234567",
    "roleArn": "arn:aws:iam::123456789012:role/omics",
    "outputUri": "s3://cohort/out/",
}


def in_fresh_interpreter(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - code of our own
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("attempt", [1, 2])
def test_a_hook_starts_a_batch_over_the_connection_and_the_next_test_begins_anew(
    omics_emulator: LocalEmulator, omics_connection: str, attempt: int
) -> None:
    assert omics_emulator.control.calls() == {}
    hook = OmicsHook(aws_conn_id=omics_connection)

    hook.start_run_batch(
        default_run_setting=DEFAULT,
        batch_run_settings={"inlineSettings": [{"runSettingId": "a"}]},
        request_id="same",
    )

    assert omics_emulator.control.calls() == {"StartRunBatch": 1}
    assert len(hook.conn.list_batch()["items"]) == 1
    assert omics_emulator.control.clock().speed == 3600


def test_a_proxy_of_the_environment_does_not_come_between(
    omics_connection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "http_proxy"):
        # Nobody listens there.
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    assert OmicsHook(aws_conn_id=omics_connection).conn.list_batch()["items"] == []


def test_nothing_of_the_fixture_remains_at_the_end_of_a_test(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["airflow_provider_omics_batch.testing"]')
    (tmp_path / "test_both.py").write_text(
        """
from moto import mock_aws

from airflow_provider_omics_batch.emulator import omics_backends


def test_over_http(omics_emulator):
    omics_emulator.control.configure(start_run_tps=77)
    omics_emulator.control.set_speed(5)


@mock_aws
def test_without_a_server():
    backend = omics_backends["123456789012"]["us-east-1"]
    assert (backend.settings.start_run_tps, backend.clock.speed) == (5, 1)


def test_over_http_again(omics_emulator):
    assert omics_emulator.control.clock().speed == 3600
    assert omics_emulator.control.settings()["start_run_tps"] == 5
"""
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)  # noqa: S603

    assert done.returncode == 0, done.stdout


def test_the_fixtures_load_moto_only_when_they_are_used() -> None:
    done = in_fresh_interpreter(
        "import airflow_provider_omics_batch.testing, sys; print('moto' in sys.modules)"
    )

    assert done.stdout == "False\n"


def test_without_moto_the_extra_is_named() -> None:
    done = in_fresh_interpreter(WITHOUT_MOTO + "import airflow_provider_omics_batch.emulator.local")

    expected = "The emulator needs moto: pip install 'airflow-provider-omics-batch[emulator]'"
    assert done.stderr.splitlines()[-1] == f"ModuleNotFoundError: {expected}"


def test_no_other_module_of_the_package_uses_them() -> None:
    package = Path(__file__).parents[2] / "airflow_provider_omics_batch"
    using = [file.name for file in package.rglob("*.py") if "batch.testing" in file.read_text()]

    assert using == ["testing.py"]

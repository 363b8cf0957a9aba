"""What the emulator's README shows works as it stands there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from airflow_provider_omics_batch import emulator

README = Path(emulator.__file__).with_name("README.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("code", blocks("python"))
def test_a_snippet_of_python_runs_by_itself(code):
    exec(code, {})  # noqa: S102


def test_the_password_of_the_connection_is_long_enough_to_be_masked():
    """Airflow warns of passwords that are too short, from 5 characters on down."""
    [connection] = map(json.loads, blocks("json"))

    assert len(connection["password"]) > 5

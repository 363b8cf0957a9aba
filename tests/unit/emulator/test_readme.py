"""What the emulator's README shows works as it stands there."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from dataclasses import fields
from pathlib import Path

import pytest

from airflow_provider_omics_batch import emulator
from airflow_provider_omics_batch.emulator.__main__ import _parser
from airflow_provider_omics_batch.emulator.behaviour import Behaviour
from airflow_provider_omics_batch.emulator.local import running
from airflow_provider_omics_batch.emulator.quotas import Quotas

README = Path(emulator.__file__).with_name("README.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("code", blocks("python"))
def test_a_snippet_of_python_runs_by_itself(code):
    exec(code, {})  # noqa: S102


@pytest.mark.parametrize(
    "command",
    re.findall(r"^python -m \S+\.emulator((?: .*\\\n)*.*)$", "\n".join(blocks("shell")), re.MULTILINE),
)
def test_a_command_line_is_understood(command):
    assert _parser().parse_args(shlex.split(command.replace("\\\n", " ")))


@pytest.mark.parametrize("script", [script for script in blocks("shell") if "curl" in script])
def test_a_call_of_the_control_is_accepted(script):
    with running() as server:
        script = script.replace("http://127.0.0.1:5000", server.url)
        done = subprocess.run(  # noqa: S603 - the README's
            ["/bin/bash", "-ec", f"curl() {{ command curl -sSf --noproxy '*' \"$@\"; }}\n{script}"],
            capture_output=True,
            text=True,
            check=False,
        )

    assert (done.returncode, done.stderr) == (0, "")


def test_every_option_is_explained():
    for action in _parser()._actions:
        assert f"`{action.option_strings[-1]}`" in README or action.dest == "help"


def test_every_link_leads_to_a_heading():
    headings = re.findall(r"^#+ (.*)$", README, re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}

    assert set(re.findall(r"\]\(#([^)]*)\)", README)) <= anchors


def test_the_password_of_the_connection_is_long_enough_to_be_masked():
    """Airflow warns of passwords that are too short, from 5 characters on down."""
    [connection] = map(json.loads, blocks("json"))

    assert len(connection["password"]) > 5


@pytest.mark.parametrize("switch", [*fields(Behaviour), *fields(Quotas)], ids=lambda field: field.name)
def test_every_switch_and_quota_is_explained(switch):
    assert f"`{switch.name}`" in README

"""The Dag, the tests and the workflow for GitHub that the README of the emulator shows, run as they stand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from airflow_provider_omics_batch import emulator
from tests.system.deployment import environment, free_port

README = Path(emulator.__file__).with_name("README.md").read_text()
PATIENCE = 300


@pytest.fixture(name="project")
def _project(tmp_path: Path) -> Path:
    """Write the files of the README."""
    for name, content in re.findall(r"^```python (\S+)\n(.*?)^```", README, re.MULTILINE | re.DOTALL):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    return tmp_path


def test_a_project_tests_its_dag_as_in_the_workflow_for_github(project: Path) -> None:
    [text] = re.findall(r"^```yaml\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    text = text.replace("${{ github.workspace }}", str(project))
    text = text.replace("127.0.0.1:5000", f"127.0.0.1:{(port := free_port())}")
    job = yaml.safe_load(text.replace("emulator --speed", f"emulator --port {port} --speed"))["jobs"]["test"]
    steps = [step for step in job["steps"] if "run" in step and "pip install" not in step["run"]]

    outputs = [shell(project, step["run"], job["env"] | step.get("env", {})) for step in steps]

    assert len(outputs) == 3
    assert "4 passed" in outputs[1]
    assert '"operation": "StartRunBatch"' in (project / "calls.json").read_text()


def shell(project: Path, script: str, variables: dict[str, Any]) -> str:
    """Run a step as GitHub does, and end what it has left behind."""
    ours = {
        "AIRFLOW_HOME": str(project / "airflow"),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    done = subprocess.run(  # noqa: S603 - the README's
        [
            "/bin/bash",
            "-e",
            "-o",
            "pipefail",
            "-c",
            f"trap 'kill $(jobs -p) 2>/dev/null || :' EXIT\n{script}",
        ],
        cwd=project,
        env=environment(project) | variables | ours,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout

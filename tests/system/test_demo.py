"""``make demo`` as a person meets it: what it prints, what it leaves behind."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest
from botocore.config import Config

from tests.system.api import AirflowApi
from tests.system.demo import BATCH_TASK, DAG_ID
from tests.system.deployment import free_port, is_free
from tests.system.options import ROOT, fresh_home

SAMPLES = 3202
EMULATOR = "airflow_provider_omics_batch.emulator"

#: Seconds after which something is taken for stuck, however busy the machine.
PATIENCE = 300


class RunningDemo:
    """
    A demo in a process of its own.

    :param home: A folder for its files.
    :param variables: Its environment, beside this process's own.
    """

    def __init__(self, home: Path, **variables: str) -> None:
        self.port, self.emulator_port = free_port(), free_port()
        self._log = home.with_name(f"{home.name}-{self.port}.txt")
        ours = {
            "DEMO_HOME": str(home),
            "DEMO_PORT": str(self.port),
            "DEMO_EMULATOR_PORT": str(self.emulator_port),
            "DEMO_EXIT": "",
        }
        with self._log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.system.demo"],
                cwd=ROOT,
                env=os.environ | ours | variables,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def output(self) -> str:
        return self._log.read_text()

    def wait_for(self, text: str, seconds: float = PATIENCE) -> None:
        """Wait until it has printed something."""
        self._wait(lambda: text in self.output or self.process.poll() is not None, seconds)
        assert text in self.output, self.output

    def wait(self, seconds: float = PATIENCE) -> int:
        """Wait for the end, and return the exit code."""
        self._wait(lambda: self.process.poll() is not None, seconds)
        return self.process.returncode

    def _wait(self, condition: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, self.output
            time.sleep(0.2)


@contextmanager
def a_demo(home: Path, **variables: str) -> Iterator[RunningDemo]:
    demo = RunningDemo(home, **variables)
    try:
        yield demo
    finally:
        demo.process.terminate()
        demo.process.wait(PATIENCE)


def descendants(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [process for process in processes if is_alive(process)]


def client(service: str, port: int) -> Any:
    return boto3.client(
        service,
        region_name="us-east-1",
        endpoint_url=f"http://127.0.0.1:{port}",
        aws_access_key_id="any",
        aws_secret_access_key="any",
        config=Config(inject_host_prefix=False, proxies={}),
    )


def test_the_whole_way_from_a_sheet_to_mapped_tasks(tmp_path: Path) -> None:
    """The cohort becomes one batch, the next task gets every run id, and Ctrl-C leaves nothing behind."""
    with a_demo(tmp_path / "demo") as demo:
        demo.wait_for("In the browser", 4 * PATIENCE)
        with (
            closing(client("omics", demo.emulator_port)) as omics,
            closing(client("s3", demo.emulator_port)) as s3,
            closing(AirflowApi(f"http://127.0.0.1:{demo.port}")) as api,
        ):
            api.log_in()
            run_id = re.findall(r"/runs/(\S+)$", demo.output, re.MULTILINE)[0]
            found = check_batch(omics)
            check_report(api, run_id, found, s3)
            check_log_streams(api, run_id, omics)
        assert "it waits in the triggerer" in demo.output
        assert demo.output.index("Watch it at http") < demo.output.index("it waits in the triggerer")

        started = descendants(demo.process)
        demo.process.send_signal(signal.SIGINT)

        assert demo.wait() == 0
        assert not alive(started)
        assert is_free(demo.port)
        assert is_free(demo.emulator_port)


def check_batch(omics: Any) -> dict[str, Any]:
    [batch] = omics.list_batch()["items"]
    found: dict[str, Any] = omics.get_batch(batchId=batch["id"])
    assert found["status"] == "PROCESSED"
    assert found["totalRuns"] == SAMPLES
    return found


def check_report(api: AirflowApi, run_id: str, batch: dict[str, Any], s3: Any) -> None:
    submissions, runs = batch["submissionSummary"], batch["runSummary"]
    report = api.xcom(DAG_ID, run_id, "report")
    assert report["total"] == SAMPLES
    assert report["run_ids"] == submissions["successfulStartSubmissionCount"]
    failed = submissions["failedStartSubmissionCount"] + runs["failedRunCount"]
    assert len(report["failed"]) == failed > 0
    assert all(run["failure_reason"] or run["submission_failure_reason"] for run in report["failed"])
    run_ids = api.xcom(DAG_ID, run_id, BATCH_TASK, "run_ids")
    assert len(set(run_ids.values())) == report["run_ids"]
    assert run_ids.items() >= report["first_run_ids"].items()
    bucket, key = report["manifest_uri"].removeprefix("s3://").split("/", 1)
    with closing(s3.get_object(Bucket=bucket, Key=key)["Body"]) as body:
        assert sum(1 for _ in body.iter_lines()) == SAMPLES


def check_log_streams(api: AirflowApi, run_id: str, omics: Any) -> None:
    assert set(api.task_states(DAG_ID, run_id)["log_streams"]) == {"success"}
    for stream in api.xcom(DAG_ID, run_id, "log_streams", map_index=0)[:3]:
        run = omics.get_run(id=stream.removeprefix("run/"))
        assert run["logLocation"]["runLogStream"].endswith(f":log-stream:{stream}")


def test_a_termination_while_it_starts_leaves_nothing_behind(tmp_path: Path) -> None:
    """SIGTERM ends the demo at any time, with all that it has started so far."""
    with a_demo(tmp_path / "demo") as demo:
        demo.wait_for("Setting up a database")
        started = descendants(demo.process)
        assert started

        demo.process.terminate()

        assert demo.wait() == 130
        assert not alive(started)


def test_a_killed_emulator_is_reported(tmp_path: Path) -> None:
    """When a part of it dies, the demo says which and in which step, and ends with exit code 1."""
    with a_demo(tmp_path / "demo") as demo:
        demo.wait_for("Setting up a database")
        children = psutil.Process(demo.process.pid).children()
        [emulator] = [child for child in children if EMULATOR in child.cmdline()]
        started = descendants(demo.process)

        emulator.kill()

        assert demo.wait() == 1
        assert "The emulator ended by itself, exit code -9" in demo.output
        assert "while setting up a database" in demo.output
        assert not alive(started)


@pytest.mark.parametrize("variable", ["DEMO_PORT", "DEMO_EMULATOR_PORT"])
def test_a_taken_port_is_named_with_a_way_out(tmp_path: Path, variable: str) -> None:
    """A taken port ends the demo before anything is started, in one line that tells how to choose another."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with a_demo(tmp_path / "demo", **{variable: str(port)}) as demo:
            assert demo.wait() == 1
            assert demo.output.splitlines() == [
                f"Port {port} is taken; choose another: make demo {variable}={port % 65535 + 1}"
            ]
    assert not (tmp_path / "demo").exists()


def test_one_port_for_two_is_refused(tmp_path: Path) -> None:
    """The same port for Airflow and the emulator ends the demo in one line, before anything is started."""
    port = free_port()
    with a_demo(tmp_path / "demo", DEMO_PORT=str(port), DEMO_EMULATOR_PORT=str(port)) as demo:
        assert demo.wait() == 1
        [line] = demo.output.splitlines()
    assert f"DEMO_PORT and DEMO_EMULATOR_PORT are both {port}; choose another" in line
    assert not (tmp_path / "demo").exists()


@pytest.mark.parametrize("text", ["eighty", "-1", "65536"])
def test_what_is_not_a_port_is_refused(tmp_path: Path, text: str) -> None:
    with a_demo(tmp_path / "demo", DEMO_PORT=text) as demo:
        assert demo.wait() == 1
        [line] = demo.output.splitlines()
    assert line.startswith(f"DEMO_PORT={text} is not a port number")


def test_a_folder_that_is_not_from_a_demo_is_left_alone(tmp_path: Path) -> None:
    """A folder with files of somebody else ends the demo in one line, and nothing in it is touched."""
    home = tmp_path / "mine"
    (home / "logs").mkdir(parents=True)
    (home / "logs" / "thesis.txt").write_text("years of work")

    with a_demo(home) as demo:
        assert demo.wait() == 1
        [line] = demo.output.splitlines()

    assert line.startswith(f"{home} has files that are not from a demo")
    assert [path.relative_to(home).as_posix() for path in home.rglob("*")] == ["logs", "logs/thesis.txt"]
    assert (home / "logs" / "thesis.txt").read_text() == "years of work"


def test_the_folder_of_an_earlier_demo_is_emptied(tmp_path: Path) -> None:
    """A folder that is empty or from a demo is taken, and what the last demo has left is gone."""
    home = tmp_path / "demo"
    home.mkdir()
    for _ in range(2):
        with fresh_home(home):
            assert [path.name for path in (home / "logs").iterdir()] == []
            (home / "logs" / "old.log").touch()


def test_a_folder_that_cannot_be_is_named(tmp_path: Path) -> None:
    """A file in the place of the folder ends the demo in one line."""
    (tmp_path / "demo").touch()
    with a_demo(tmp_path / "demo") as demo:
        assert demo.wait() == 1
        assert demo.output.splitlines() == [f"Cannot use {tmp_path / 'demo'}: File exists"]


def test_two_demos_do_not_share_a_folder(tmp_path: Path) -> None:
    """A second demo in the same folder leaves the first one alone and says so."""
    with a_demo(tmp_path / "demo") as first:
        first.wait_for("Starting HealthOmics")
        with a_demo(tmp_path / "demo") as second:
            assert second.wait() == 1
            assert second.output.startswith("Another demo is running in ")
            assert len(second.output.splitlines()) == 1
        assert first.process.poll() is None


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ('case "$2" in *print*) echo is 3.10.13;; *) exit 1;; esac', "is 3.10.13; choose another"),
        (
            "printf 'pyenv: not found\n\nIt is there in:\n  3.9.1\n' >&2; exit 127",
            "does not run; choose another",
        ),
        (None, "does not run; choose another"),
        ('case "$2" in *ensurepip*) exit 1;; esac', "apt-get install python3-venv"),
    ],
)
def test_an_unsuitable_python_is_refused_in_one_line(
    tmp_path: Path, script: str | None, complaint: str
) -> None:
    """A Python that is too old, missing or without venv is named before anything is made."""
    python = tmp_path / "python"
    if script:
        python.write_text(f"#!/bin/sh\n{script}\n")
        python.chmod(0o755)
    make = [shutil.which("make") or "make", "demo", f"PYTHON={python}", f"VENV={tmp_path / '.venv'}"]

    # The tests may have been started by make themselves.
    outside = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    made = subprocess.run(make, cwd=ROOT, env=outside, capture_output=True, text=True, check=False)  # noqa: S603

    assert made.returncode
    [line] = [line for line in made.stderr.splitlines() if not line.startswith("make: ***")]
    assert complaint in line
    assert str(python) in line
    assert not (tmp_path / ".venv").exists()

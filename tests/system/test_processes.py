from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event

import psutil
import pytest

from tests.system.processes import BusyError, DeploymentError, Interrupted, Services

DAY = 86400

#: Starts a process that does not listen, hands it on to another parent, tells its id and waits.
FORKS = """
import os, pathlib, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    orphan = os.fork()
    if orphan == 0:
        time.sleep(600)
    pathlib.Path(sys.argv[1]).write_text(f"{orphan}\\n")
    os._exit(0)
time.sleep(600)
"""


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    with Services(tmp_path, {}) as services:
        yield services


def test_stop_ends_what_refuses_to_end_and_what_has_another_parent(
    services: Services, tmp_path: Path
) -> None:
    """Nothing is left of a process and its descendants, though they ignore SIGTERM and are orphaned."""
    told = tmp_path / "orphan"
    parent = services.start("stubborn", [sys.executable, "-c", FORKS, str(told)]).process.pid
    services.wait_for(lambda: told.exists() and told.read_text().endswith("\n"), "the orphan", 120)
    orphan = psutil.Process(int(told.read_text()))
    assert orphan.is_running()

    services.stop(patience=0.5)

    assert not psutil.pid_exists(parent)
    with suppress(psutil.NoSuchProcess):
        assert not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE


def test_waiting_ends_when_a_process_ends_by_itself(services: Services) -> None:
    """Whoever waits for something is told at once which process has died, how, and where its output is."""
    service = services.start("brittle", [sys.executable, "-c", "print('why', flush=True); exit(3)"])

    with pytest.raises(DeploymentError, match="brittle ended by itself, exit code 3") as caught:
        services.wait_for(lambda: False, "what never comes", 120)

    assert caught.value.log == service.log
    assert service.log.read_text() == "why\n"


def test_a_command_that_fails_is_reported(services: Services) -> None:
    """A command that should end well and does not raises an error with its exit code."""
    with pytest.raises(DeploymentError, match="setup ended with exit code 4"):
        services.run("setup", [sys.executable, "-c", "exit(4)"], 120)


def test_waiting_has_an_end(services: Services) -> None:
    """Waiting for what does not come ends after the given time, with an error that names it."""
    with pytest.raises(DeploymentError, match="for what never comes"):
        services.wait_for(lambda: False, "what never comes", 0.1, every=0.05)


def test_waiting_goes_on_while_something_is_too_busy_to_answer(services: Services) -> None:
    """A question that gets no answer is asked again."""
    answers = iter([BusyError("too busy"), BusyError("too busy"), None])

    def condition() -> bool:
        if error := next(answers):
            raise error
        return True

    services.wait_for(condition, "an answer", 120, every=0.01)

    assert list(answers) == []


def test_waiting_ends_when_somebody_asks_for_it(tmp_path: Path) -> None:
    """``stop`` ends the waiting as soon as it is set, however long the pause between two questions."""
    stop, asked = Event(), []

    def condition() -> bool:
        asked.append("once")
        stop.set()
        return False

    with Services(tmp_path, {}, stop) as services, pytest.raises(Interrupted):
        services.wait_for(condition, "what never comes", DAY, every=DAY)

    assert asked == ["once"]

"""``make demo``: a real cohort as one batch, on a real Airflow and the emulator."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from threading import Event
from typing import Any

from tests.system.deployment import Airflow, Emulator, environment
from tests.system.options import ROOT, CannotStartError, Options, fresh_home
from tests.system.processes import DeploymentError, Interrupted, Services

DAG_ID = "example_omics_cohort"
BATCH_TASK = "call_variants"

#: Eight hours of the service in half a minute. Which runs fail follows from the seed.
TIME_WARP = 1000
EMULATOR_OPTIONS = (
    *("--speed", str(TIME_WARP), "--concurrent-runs", "200"),
    *("--fail-runs", "0.002", "--fail-submissions", "0.001", "--seed", "39"),
)
#: Where time is warped, so are the rate at which the service may be asked and the pause before a retry.
IN_A_HURRY = {
    "AIRFLOW__OMICS_BATCH__REQUESTS_PER_SECOND": "100",
    "AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY": "1",
}

#: Those of the Dag's params.
BUCKETS = ("example-omics-outputs", "example-omics-staging")

LOAD_SECONDS = 240
DAG_SECONDS = 600
LOG_TAIL = 15


class Screen:
    """Prints lines that begin with the time and with who speaks."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self.step = ""

    def say(self, who: str, what: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - self._start), 60)
        text = f"{minutes}:{seconds:02d}  {who:<14} {what}"
        if sys.stdout.isatty():
            text = textwrap.fill(
                text,
                shutil.get_terminal_size().columns,
                subsequent_indent=" " * 21,
                break_long_words=False,
                break_on_hyphens=False,
            )
        self.line(text)

    def begin(self, who: str, what: str) -> None:
        """Say what is being done, and remember it in case it fails."""
        self.step = what[0].lower() + what[1:]
        self.say(who, f"{what} ...")

    def line(self, text: str = "") -> None:
        print(text, flush=True)  # noqa: T201 - what it is for


class Demo:
    """
    The demo from start to end.

    :param options: What the environment asks for.
    :param services: Starts the processes.
    :param stop: Set when somebody wants the end.
    :param screen: Gets what there is to tell.
    """

    def __init__(self, options: Options, services: Services, stop: Event, screen: Screen) -> None:
        self._options = options
        self._services = services
        self._stop = stop
        self._screen = screen
        self._emulator = Emulator(services, options.emulator_port, *EMULATOR_OPTIONS)
        self._airflow = Airflow(services, options.home, ROOT / "dags", options.port)

    def run(self) -> bool:
        """Return whether the Dag run succeeded."""
        with closing(self._airflow.api):
            return self._run()

    def _run(self) -> bool:
        self._start()
        run_id = self._trigger()
        state = self._watch(run_id)
        if state == "success":
            self._report(run_id)
        else:
            logs = os.path.relpath(self._options.home / "logs" / "tasks")
            self._screen.line(f"\nThe Dag run ended as {state}; the logs of its tasks, in {logs}, tell why.")
        self._screen.line()
        if not self._options.stay:
            self._screen.line(
                "Ending, as DEMO_EXIT asks for; without it, all of this stays up for a look around.\n"
            )
            return state == "success"
        self._show_addresses(run_id)
        while not self._stop.wait(1):
            self._services.check()
        return state == "success"

    def _start(self) -> None:
        say, begin = self._screen.say, self._screen.begin
        begin("Emulator", "Starting HealthOmics and S3")
        self._emulator.start()
        begin("Airflow", f"Setting up a database (SQLite, in {os.path.relpath(self._options.home)})")
        self._airflow.prepare()
        self._emulator.wait_until_ready(*BUCKETS)
        self._airflow.connect(aws_default=self._emulator.connection)
        say("Emulator", f"{self._emulator.address}, where an hour passes in {3600 / TIME_WARP:.1f} s")
        begin("Airflow", "Starting scheduler, triggerer, dag processor and API server")
        self._airflow.start()
        say("Airflow", f"{self._airflow.address}, all components healthy")

    def _trigger(self) -> str:
        api = self._airflow.api
        self._screen.begin("Dag", f"Loading dags/{DAG_ID}.py")
        self._services.wait_for(
            lambda: api.has_dag(DAG_ID) or bool(api.import_errors()), DAG_ID, LOAD_SECONDS
        )
        if errors := api.import_errors():
            raise DeploymentError("\n".join(f"{file}: {error}" for file, error in errors.items()))
        self._screen.begin("Dag", f"Running {DAG_ID}: 3,202 samples as one batch")
        run_id = api.trigger(DAG_ID)
        self._screen.say("Dag", f"Watch it at {self._airflow.run_address(DAG_ID, run_id)} (without a login)")
        return run_id

    def _watch(self, run_id: str) -> str:
        """Show the Dag run's progress, and return how it ended."""
        api, shown, states = self._airflow.api, 0, dict[str, list[str | None]]()
        state = ""

        def has_ended() -> bool:
            nonlocal shown, states, state
            log = [line for line in api.log(DAG_ID, run_id, BATCH_TASK) if _is_ours(line.logger)]
            for line in log[shown:]:
                # The progress lines are long, and there is one batch only.
                self._screen.say(BATCH_TASK, re.sub(r"^Run batch \d+ (?=[A-Z])", "", line.text))
            shown = len(log)
            before, states = states, api.task_states(DAG_ID, run_id)
            for task, now in states.items():
                if now != before.get(task) and (told := _told(now)):
                    self._screen.say(task, told)
            state = api.dag_run_state(DAG_ID, run_id)
            return state in ("success", "failed")

        self._services.wait_for(has_ended, f"the end of {DAG_ID}", DAG_SECONDS, every=1)
        return state

    def _report(self, run_id: str) -> None:
        """Print what the task behind the batch received, as it has left it in XCom."""
        report = self._airflow.api.xcom(DAG_ID, run_id, "report")
        line = self._screen.line
        first = ", ".join(f"{sample} is run {run}" for sample, run in report["first_run_ids"].items())
        line("\nWhat the next task received\n")
        line(f"  run ids    {report['run_ids']:,} of {report['total']:,} samples; {first}, ...")
        line(f"  manifest   {report['manifest_uri']}")
        line(f"  failed     {len(report['failed'])}, which the Dag bears (max_failed_runs=0.01)")
        for run in report["failed"]:
            line(f"             {run['run_setting_id']}  {_fate(run)}")

    def _show_addresses(self, run_id: str) -> None:
        address = self._airflow.run_address(DAG_ID, run_id)
        self._screen.line("In the browser, without a login, until Ctrl-C\n")
        self._screen.line(f"  Dag run    {address}")
        self._screen.line(f"  batch      {address}/tasks/{BATCH_TASK}\n")


def _is_ours(logger: str) -> bool:
    return "airflow_provider_omics_batch" in logger


def _told(states: list[str | None]) -> str | None:
    """Return what there is to say about a task whose instances are in these states."""
    if "deferred" in states:
        return "deferred: it waits in the triggerer and holds no worker"
    counts = Counter(state for state in states if state in ("success", "failed", "upstream_failed"))
    if sum(counts.values()) < len(states):
        return None
    return ", ".join(state if len(states) == 1 else f"{state} x {count}" for state, count in counts.items())


def _fate(run: Mapping[str, Any]) -> str:
    if run["run_id"]:
        return f"run {run['run_id']} {run['run_status']}: {run['failure_reason']}"
    return f"not submitted: {run['submission_failure_reason']}: {run['submission_failure_message']}"


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()[-LOG_TAIL:]
    return "\n".join(f"  | {line}" for line in lines)


def main() -> int:
    stop, screen = Event(), Screen()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    try:
        options = Options.read(os.environ)
        with (
            fresh_home(options.home) as home,
            Services(home / "logs", environment(home) | IN_A_HURRY, stop) as services,
        ):
            try:
                return 0 if Demo(options, services, stop, screen).run() else 1
            except Interrupted:
                return 130
            except DeploymentError as error:
                screen.say("Failed", f"while {screen.step}: {error}")
                if error.log:
                    screen.line(f"The end of {os.path.relpath(error.log)}:\n{_tail(error.log)}")
                return 1
            finally:
                screen.say("Demo", "Ending all processes ...")
    except CannotStartError as error:
        screen.line(str(error))
        return 1


if __name__ == "__main__":
    sys.exit(main())

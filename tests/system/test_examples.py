"""The examples that the demo does not run: as ``airflow dags test`` runs them, or as a scheduler does."""

from __future__ import annotations

import csv
import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest

from tests.system.demo import BUCKETS, IN_A_HURRY
from tests.system.deployment import Airflow, Emulator, environment, free_port
from tests.system.options import ROOT
from tests.system.postgres import VARIABLE, Database, fresh_database
from tests.system.processes import DeploymentError, Services, show_logs

COHORT = ROOT / "dags/data/1000genomes-30x/cohort.tsv"
SAMPLES = 3202
SUPERPOPULATIONS = {"AFR", "AMR", "EAS", "EUR", "SAS"}

#: Where sheets arrive.
INTAKE = "example-omics-intake"
PATIENCE = 300

#: Of a service whose runs take days, but are submitted at once.
SLOW_OPTIONS = ("--speed", "5000", "--start-run-tps", "50", "--run-seconds", "100000000")
SLOW_OPTIONS += ("--fail-submissions", "0.001", "--seed", "39")

#: Eight hours of the service in some seconds.
EMULATOR_OPTIONS = (
    *("--speed", "5000", "--start-run-tps", "50", "--concurrent-runs", "2000"),
    *("--fail-runs", "0.002", "--fail-submissions", "0.001", "--seed", "39"),
)


class Examples:
    """
    Runs examples.

    :param services: Starts the processes.
    :param emulator: Serves them.
    :param home: Has Airflow's database.
    """

    def __init__(self, services: Services, emulator: Emulator, home: Path) -> None:
        self._services = services
        self.emulator = emulator
        self._home = home

    @property
    def environment(self) -> Mapping[str, str]:
        """That of the processes."""
        return self._services.environment

    def run(self, dag_id: str, *arguments: str) -> None:
        """
        Run a Dag to its end.

        :param arguments: More of the command line.
        :raises DeploymentError: It failed.
        """
        self._services.run(dag_id, ["airflow", "dags", "test", dag_id, *arguments], PATIENCE)

    def returned(self, dag_id: str, task_id: str) -> list[Any]:
        """Return what the instances of a task have returned, in all runs of its Dag."""
        select = "SELECT value FROM xcom WHERE key = 'return_value' AND dag_id = ? AND task_id = ?"
        with closing(sqlite3.connect(self._home / "airflow.db")) as database:
            return [json.loads(value) for (value,) in database.execute(select, (dag_id, task_id))]

    def batches(self, output_uri: str) -> list[dict[str, Any]]:
        """Return the batches whose runs put their outputs there."""
        with closing(self.emulator.client("omics")) as omics:
            found = [omics.get_batch(batchId=batch["id"]) for batch in omics.list_batch()["items"]]
        return [batch for batch in found if batch["defaultRunSetting"]["outputUri"] == output_uri]

    def submit(self, output_uri: str, *run_setting_ids: str) -> str:
        """Submit a batch as something else would, and return its id once it has ended."""
        request = {
            "requestId": output_uri,
            "defaultRunSetting": {
                "workflowId": "1234567",
                "roleArn": "arn:aws:iam::123456789012:role/omics-cohort",
                "outputUri": output_uri,
            },
            "batchRunSettings": {"inlineSettings": [{"runSettingId": name} for name in run_setting_ids]},
        }
        with closing(self.emulator.client("omics")) as omics:
            batch_id: str = omics.start_run_batch(**request)["id"]

            def has_ended() -> bool:
                return bool(omics.get_batch(batchId=batch_id)["status"] == "PROCESSED")

            self._services.wait_for(has_ended, f"the end of batch {batch_id}", PATIENCE)
        return batch_id

    def first_runs(self, batch_id: str) -> list[dict[str, Any]]:
        """Return the first runs of a batch as GetRun has them."""
        with closing(self.emulator.client("omics")) as omics:
            listed = omics.list_runs_in_batch(batchId=batch_id, submissionStatus="SUCCESS")["runs"]
            return [omics.get_run(id=run["runId"]) for run in listed]

    def first_outputs(self, *batches: dict[str, Any]) -> set[str]:
        """Return where the first completed runs of batches have put their outputs, as GetRun has it."""
        runs = [run for batch in batches for run in self.first_runs(batch["id"])]
        return {f"{run['runOutputUri']}/" for run in runs if run["status"] == "COMPLETED"}

    def deliver(self, key: str, population: str) -> int:
        """Put a sheet of a population's samples where sheets arrive, and return how many there are."""
        header, *rows = COHORT.read_text().splitlines(keepends=True)
        samples = [row for row in rows if row.split("\t")[2] == population]
        with closing(self.emulator.client("s3")) as s3:
            s3.put_object(Bucket=INTAKE, Key=key, Body="".join([header, *samples]).encode())
        return len(samples)

    def staged(self, prefix: str) -> list[str]:
        """Return the objects below a prefix of the staging place."""
        with closing(self.emulator.client("s3")) as s3:
            listed = s3.list_objects_v2(Bucket=BUCKETS[1], Prefix=f"airflow/{prefix}").get("Contents", [])
            answers = [s3.get_object(Bucket=BUCKETS[1], Key=item["Key"]) for item in listed]
            return [answer["Body"].read().decode() for answer in answers]


class Scheduled:
    """
    Runs examples as a scheduler does.

    :param services: Starts the processes.
    :param airflow: Has a scheduler, and a database of its own.
    :param database: PostgreSQL, if there is one.
    :param logs: Where those of tasks are.
    """

    def __init__(self, services: Services, airflow: Airflow, database: Database | None, logs: Path) -> None:
        self._services = services
        self._logs = logs
        self.database = database
        self.api = airflow.api

    def wait_for(self, condition: Callable[[], bool], what: str) -> None:
        self._services.wait_for(condition, what, PATIENCE)

    def backfill(self, dag_id: str, from_date: str, to_date: str) -> None:
        """
        Give the command for a backfill.

        :raises DeploymentError: Airflow refuses it.
        """
        dates = ["--from-date", from_date, "--to-date", to_date]
        command = ["airflow", "backfill", "create", "--dag-id", dag_id, *dates, "--max-active-runs", "2"]
        self._services.run("backfill", command, PATIENCE)

    def wait_for_backfills(self, dag_id: str) -> None:
        def are_completed() -> bool:
            return all(backfill["completed_at"] for backfill in self.api.backfills(dag_id))

        self.wait_for(are_completed, f"the end of the backfill of {dag_id}")

    def states(self, dag_id: str) -> dict[str, str]:
        """Return the states of a Dag's runs by their days."""
        show_logs(self._logs / f"dag_id={dag_id}")
        return {run["logical_date"][:10]: run["state"] for run in self.api.dag_runs(dag_id)}


@pytest.fixture(scope="module", name="examples")
def _examples(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Examples]:
    home = tmp_path_factory.mktemp("examples")
    (home / "logs").mkdir()
    with Services(home / "logs", environment(home) | IN_A_HURRY) as services:
        emulator = Emulator(services, 0, *EMULATOR_OPTIONS)
        emulator.start()
        airflow = Airflow(services, home, ROOT / "dags", free_port())
        with closing(airflow.api):
            airflow.prepare()
        emulator.wait_until_ready(*BUCKETS, INTAKE)
        airflow.connect(aws_default=emulator.connection)
        yield Examples(services, emulator, home)


@pytest.fixture(name="slow_examples")
def _slow_examples(examples: Examples, tmp_path: Path) -> Iterator[Examples]:
    """Give the examples a service that is slow."""
    with Services(tmp_path, examples.environment) as services:
        emulator = Emulator(services, 0, *SLOW_OPTIONS)
        emulator.start()
        emulator.wait_until_ready(*BUCKETS)
        services.environment["AIRFLOW_CONN_AWS_DEFAULT"] = emulator.connection
        yield Examples(services, emulator, Path(services.environment["AIRFLOW_HOME"]))


@pytest.fixture(scope="module", name="scheduled")
def _scheduled(tmp_path_factory: pytest.TempPathFactory, examples: Examples) -> Iterator[Scheduled]:
    """Give the examples a scheduler, beside the same emulator."""
    home = tmp_path_factory.mktemp("scheduled")
    (home / "logs").mkdir()
    with ExitStack() as stack:
        database = stack.enter_context(fresh_database())
        services = stack.enter_context(Services(home / "logs", environment(home) | IN_A_HURRY))
        options = {"DATABASE__SQL_ALCHEMY_CONN": database.url} if database else {}
        airflow = Airflow(services, home, ROOT / "dags", free_port(), **options)
        stack.enter_context(closing(airflow.api))
        airflow.connect(aws_default=examples.emulator.connection)
        airflow.prepare()
        airflow.start()
        scheduled = Scheduled(services, airflow, database, home / "logs" / "tasks")
        for dag_id in ("example_omics_backfill", "example_omics_nightly"):
            scheduled.wait_for(partial(airflow.api.has_dag, dag_id), dag_id)
        yield scheduled


def test_what_may_succeed_is_sent_again_and_the_rest_is_read_though_the_batch_has_failed(
    examples: Examples,
) -> None:
    with pytest.raises(DeploymentError) as failure:
        examples.run("example_omics_failed")
    assert failure.value.log
    assert failure.value.log.read_text().endswith("DagRun failed\n")

    first, again = sorted(examples.batches("s3://example-omics-outputs/failed/"), key=itemgetter("id"))
    [summary] = examples.returned("example_omics_failed", "call_variants")
    [sheet] = examples.staged("failed/")
    rows = list(csv.DictReader(sheet.splitlines(), delimiter="\t"))
    assert again["totalRuns"] > 0
    assert summary["runs"]["completed"] == SAMPLES - len(rows) < SAMPLES
    assert all(row["cram_path"] and row["reason"] for row in rows)
    assert {first["status"], again["status"]} == {"RUNS_DELETED"}


def test_a_cohort_is_run_in_parts(examples: Examples) -> None:
    examples.run("example_omics_split")

    batches = examples.batches("s3://example-omics-outputs/split/")
    ids = {batch["id"] for batch in batches}
    assert len(batches) == 4
    assert max(batch["totalRuns"] for batch in batches) <= 1000
    lines = [
        json.loads(line) for manifest in examples.staged("run-batches/") for line in manifest.splitlines()
    ]
    counted = Counter(line["run_setting_id"] for line in lines if line["batch_id"] in ids)
    assert len(counted) == SAMPLES
    assert set(counted.values()) == {1}


def test_a_release_is_submitted_once_and_each_part_has_a_sensor(examples: Examples) -> None:
    examples.run("example_omics_detached")
    examples.run("example_omics_detached")

    batches = examples.batches("s3://example-omics-outputs/detached/")
    assert len(batches) == 4
    assert sum(map(total_runs, batches)) == SAMPLES
    assert {batch["status"] for batch in batches} == {"PROCESSED"}


def test_a_functions_runs_are_a_batch_and_it_is_called_again_for_those_that_failed(
    examples: Examples,
) -> None:
    """Those that fail by chance may have got through already: other examples have the same samples."""
    with examples.emulator.failing("SERVICE_ERROR", run_setting_id="HG00733"):
        examples.run("example_omics_taskflow")

    second, first = sorted(examples.batches("s3://example-omics-outputs/trios/"), key=total_runs)
    assert first["name"] == second["name"] == "trios"
    assert first["totalRuns"] == 602
    assert 0 < second["totalRuns"] < 602


def test_each_of_several_cohorts_has_a_batch_of_its_name(examples: Examples) -> None:
    examples.run("example_omics_mapped")

    batches = examples.batches("s3://example-omics-outputs/mapped/")
    assert sorted(batch["name"] for batch in batches) == ["AFR", "AMR", "EAS", "EUR", "SAS"]
    assert sum(map(total_runs, batches)) == SAMPLES
    outputs = {uri for uris in examples.returned("example_omics_mapped", "list_outputs") for uri in uris}
    assert len(outputs) == sum(batch["runSummary"]["completedRunCount"] for batch in batches)
    assert outputs > examples.first_outputs(*batches)


def total_runs(batch: dict[str, Any]) -> int:
    return int(batch["totalRuns"])


def test_the_hook_tells_of_a_batch_that_something_else_has_submitted(examples: Examples) -> None:
    output_uri = "s3://example-omics-outputs/hook/"
    with examples.emulator.failing("SERVICE_ERROR", run_setting_id="NA12891"):
        batch_id = examples.submit(output_uri, "NA12878", "NA12891", "NA12892")

    examples.run("example_omics_hook", "--conf", json.dumps({"batch_id": batch_id}))

    [failures] = examples.returned("example_omics_hook", "failures")
    failed = [run for run in examples.first_runs(batch_id) if run["status"] == "FAILED"]
    assert [failure["run_id"] for failure in failures] == [run["id"] for run in failed]
    assert [failure["reason"] for failure in failures] == ["SERVICE_ERROR"]
    assert failures[0]["failed_tasks"]
    for failure, run in zip(failures, failed, strict=True):
        assert run["logLocation"]["runLogStream"].endswith(f":log-stream:{failure['run_log_stream']}")
        assert run["logLocation"]["engineLogStream"].endswith(f":log-stream:{failure['engine_log_stream']}")
    assert examples.returned("example_omics_hook", "submissions") == [{"SUCCESS": 3}]


def test_the_outputs_of_a_batch_are_the_input_of_the_next(examples: Examples) -> None:
    examples.run("example_omics_pipeline")

    [calls] = examples.batches("s3://example-omics-outputs/pipeline/calls/")
    [genotypes] = examples.batches("s3://example-omics-outputs/pipeline/genotypes/")
    lists = examples.staged("calls/")
    assert len(lists) == genotypes["totalRuns"] == len(SUPERPOPULATIONS)
    outputs = {uri for text in lists for uri in text.splitlines()}
    assert len(outputs) == calls["runSummary"]["completedRunCount"] < SAMPLES
    assert outputs > examples.first_outputs(calls)


def test_nothing_is_made_of_a_population_that_lost_too_many_samples(examples: Examples) -> None:
    before = len(examples.batches("s3://example-omics-outputs/pipeline/genotypes/"))

    with pytest.raises(DeploymentError) as failure:
        examples.run("example_omics_pipeline", "--conf", '{"max_lost": 0}')

    assert failure.value.log
    assert "Too many samples went wrong" in failure.value.log.read_text()
    assert len(examples.batches("s3://example-omics-outputs/pipeline/genotypes/")) == before


def test_a_batch_that_has_ended_is_left_to_its_teardown_and_then_deleted(examples: Examples) -> None:
    before = examples.emulator.calls("DeleteRunBatch")

    examples.run("example_omics_teardown")

    assert examples.batches("s3://example-omics-outputs/teardown/") == []
    assert examples.emulator.calls("DeleteRunBatch") == before + 1
    assert examples.emulator.calls("DeleteBatch") == 1


def test_a_batch_is_cancelled_by_its_teardown_when_a_check_fails(slow_examples: Examples) -> None:
    with pytest.raises(DeploymentError) as failure:
        slow_examples.run("example_omics_teardown", "--conf", '{"max_refused": 0}')

    assert failure.value.log
    assert "runs were refused" in failure.value.log.read_text()
    [batch] = slow_examples.batches("s3://example-omics-outputs/teardown/")
    assert batch["status"] == "CANCELLED"
    assert batch["runSummary"]["cancelledRunCount"] > 0
    assert batch["runSummary"]["completedRunCount"] == 0


def test_nights_are_run_one_after_the_other_and_skipped_if_nothing_arrived(
    examples: Examples, scheduled: Scheduled
) -> None:
    dag_id = "example_omics_nightly"
    first, fourth = examples.deliver("2026-01-01.tsv", "GBR"), examples.deliver("2026-01-04.tsv", "FIN")
    examples.deliver("2026-01-02.tsv", "nobody")

    nights = ["2026-01-01", "2026-01-02", "2026-01-03", "2026-01-04"]
    with examples.emulator.failing("SERVICE_ERROR", run_setting_id="HG00171"):
        scheduled.api.pause(dag_id, paused=False)
        scheduled.wait_for(
            lambda: all(scheduled.states(dag_id).get(night) == "success" for night in nights),
            "four nights",
        )
        scheduled.api.pause(dag_id)

    batches = examples.batches("s3://example-omics-outputs/nightly/")
    batch, again, other = sorted(batches, key=itemgetter("name", "totalRuns"))
    assert (batch["name"], batch["totalRuns"]) == ("night of 2026-01-01", first)
    assert (other["name"], other["totalRuns"]) == ("night of 2026-01-04", fourth)
    assert again["name"] == other["name"]
    assert 0 < again["totalRuns"] < fourth
    runs = scheduled.api.dag_runs(dag_id)[: len(nights)]
    states = [scheduled.api.task_states(dag_id, run["dag_run_id"])["call_variants"] for run in runs]
    assert states == [["success"], ["skipped"], ["skipped"], ["success"]]


def test_a_backfill_submits_each_day_once_however_often_it_is_repeated(
    examples: Examples, scheduled: Scheduled
) -> None:
    if scheduled.database is None:
        pytest.skip(
            f"On SQLite a scheduler and a backfill lock out each other; give {VARIABLE}=postgresql://…"
        )
    dag_id = "example_omics_backfill"
    samples = {
        "sequenced on 2019-01-07": examples.deliver("archive/2019-01-07.tsv", "GBR"),
        "sequenced on 2019-01-08": examples.deliver("archive/2019-01-08.tsv", "TSI"),
        "sequenced on 2019-01-10": examples.deliver("archive/2019-01-10.tsv", "IBS"),
    }

    scheduled.backfill(dag_id, "2019-01-07", "2019-01-09")
    with pytest.raises(DeploymentError) as refusal:
        scheduled.backfill(dag_id, "2019-01-07", "2019-01-09")
    assert refusal.value.log
    assert "Another backfill is running" in refusal.value.log.read_text()
    scheduled.wait_for_backfills(dag_id)
    scheduled.backfill(dag_id, "2019-01-07", "2019-01-10")
    scheduled.wait_for_backfills(dag_id)

    days = ["2019-01-07", "2019-01-08", "2019-01-09", "2019-01-10"]
    assert scheduled.states(dag_id) == dict.fromkeys(days, "success")
    batches = examples.batches("s3://example-omics-outputs/backfill/")
    assert {batch["name"]: batch["totalRuns"] for batch in batches} == samples
    assert len(batches) == len(samples)

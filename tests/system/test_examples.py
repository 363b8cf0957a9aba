"""The examples that the demo does not run, each once as ``airflow dags test`` runs it."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from tests.system.demo import BUCKETS, IN_A_HURRY
from tests.system.deployment import Airflow, Emulator, environment, free_port
from tests.system.options import ROOT
from tests.system.processes import DeploymentError, Services

SAMPLES = 3202
PATIENCE = 300

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
    """

    def __init__(self, services: Services, emulator: Emulator) -> None:
        self._services = services
        self._emulator = emulator

    def run(self, dag_id: str) -> None:
        """
        Run a Dag to its end.

        :raises DeploymentError: It failed.
        """
        self._services.run(dag_id, ["airflow", "dags", "test", dag_id], PATIENCE)

    def batches(self, output_uri: str) -> list[dict[str, Any]]:
        """Return the batches whose runs put their outputs there."""
        with closing(self._emulator.client("omics")) as omics:
            found = [omics.get_batch(batchId=batch["id"]) for batch in omics.list_batch()["items"]]
        return [batch for batch in found if batch["defaultRunSetting"]["outputUri"] == output_uri]

    def staged(self, prefix: str) -> list[str]:
        """Return the objects below a prefix of the staging place."""
        with closing(self._emulator.client("s3")) as s3:
            listed = s3.list_objects_v2(Bucket=BUCKETS[1], Prefix=f"airflow/{prefix}").get("Contents", [])
            answers = [s3.get_object(Bucket=BUCKETS[1], Key=item["Key"]) for item in listed]
            return [answer["Body"].read().decode() for answer in answers]


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
        emulator.wait_until_ready(*BUCKETS)
        airflow.connect(aws_default=emulator.connection)
        yield Examples(services, emulator)


def test_only_what_went_wrong_is_read_though_the_batch_has_failed(examples: Examples) -> None:
    with pytest.raises(DeploymentError) as failure:
        examples.run("example_omics_failed")
    assert failure.value.log
    assert failure.value.log.read_text().endswith("DagRun failed\n")

    [batch] = examples.batches("s3://example-omics-outputs/failed/")
    failed = batch["submissionSummary"]["failedStartSubmissionCount"] + batch["runSummary"]["failedRunCount"]
    [sheet] = examples.staged("failed/")
    rows = list(csv.DictReader(sheet.splitlines(), delimiter="\t"))
    assert len(rows) == failed > 0
    assert all(row["cram_path"] and row["reason"] for row in rows)


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

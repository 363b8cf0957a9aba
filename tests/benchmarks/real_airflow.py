"""A real Airflow beside an emulator, for benchmarks that need the whole of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tests.benchmarks.laboratory import HOME
from tests.system.dag_run import DagRun
from tests.system.deployed import BUCKET, Deployment
from tests.system.deployment import Airflow, Emulator, environment, free_port
from tests.system.options import ROOT
from tests.system.postgres import fresh_database
from tests.system.processes import DeploymentError, Services

DAGS = Path(__file__).parent / "dags"

#: Seconds; how long to wait for anything. All of it ends long before.
PATIENCE = 600


@contextmanager
def real_airflow(
    name: str, dag_ids: tuple[str, ...], emulator_options: tuple[str, ...], **options: str
) -> Iterator[Deployment]:
    """
    Start Airflow and an emulator, with a bucket in it, and end them afterwards.

    Airflow is on PostgreSQL where there is one, and else on SQLite, which may refuse work when busy.

    :param name: Of the benchmark; the logs of all processes stay in its folder below ``.bench``.
    :param dag_ids: The Dags to wait for.
    :param emulator_options: More of the emulator's command line.
    :param options: More of Airflow's configuration, as in ``OMICS_BATCH__REQUESTS_PER_SECOND``.
    """
    home = HOME / name
    shutil.rmtree(home, ignore_errors=True)
    (home / "logs").mkdir(parents=True)
    # The triggerer imports the alternative's trigger from here.
    variables = environment(home) | {"PYTHONPATH": str(ROOT)}
    with fresh_database() as database, Services(home / "logs", variables) as services:
        if database:
            options = {"DATABASE__SQL_ALCHEMY_CONN": database.url, **options}
        emulator = Emulator(services, 0, *emulator_options)
        emulator.start()
        airflow = Airflow(services, home, DAGS, free_port(), **options)
        deployment = Deployment(
            services, airflow, {"aws_default": emulator}, home / "logs" / "tasks", database, patience=PATIENCE
        )
        with closing(airflow.api):
            airflow.prepare()
            emulator.wait_until_ready(BUCKET)
            airflow.connect(aws_default=emulator.connection)
            airflow.start()
            _wait_for_dags(deployment, dag_ids)
            yield deployment


def _wait_for_dags(deployment: Deployment, dag_ids: tuple[str, ...]) -> None:
    api = deployment.airflow.api
    deployment.wait_for(
        lambda: all(map(api.has_dag, dag_ids)) or bool(api.import_errors()), " and ".join(dag_ids)
    )
    if errors := api.import_errors():
        raise DeploymentError("\n".join(f"{file}: {error}" for file, error in errors.items()))


def wait_for_success(dag_run: DagRun) -> None:
    """
    Wait until a Dag run has ended well.

    :raises DeploymentError: It has not.
    """
    if (state := dag_run.wait_for_end()) != "success":
        logs = dag_run.deployment.logs
        raise DeploymentError(
            f"A run of {dag_run.dag_id} ended as {state}; the tasks' logs in {logs} tell why"
        )

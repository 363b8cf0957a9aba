"""One deployment for all tests that do not start their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.system.deployed import BUCKET, COMPONENTS_BUT_TRIGGERERS, OPTIONS, SERVICES, Deployment
from tests.system.deployment import Airflow, Emulator, environment, free_port
from tests.system.postgres import DEFAULT, VARIABLE, Database, fresh_database
from tests.system.processes import Services

pytest.register_assert_rewrite("tests.system.checks")

DAGS = Path(__file__).parent / "dags"
ONE_OF_EACH_FILE = (
    "brief",
    "brief_secretive_deferred",
    "failing_in_rounds",
    "given_up",
    "in_rounds",
    "linked",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put those that need the deployment last, so that it does not slow down the others."""
    items.sort(key=lambda item: "deployment" in getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session", name="session_deployment")
def _session_deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Start Airflow on PostgreSQL with two triggerers; without PostgreSQL, on SQLite with one."""
    home = tmp_path_factory.mktemp("airflow")
    (home / "logs").mkdir()
    with ExitStack() as stack:
        database = stack.enter_context(fresh_database())
        services = stack.enter_context(Services(home / "logs", environment(home)))
        deployment = _deploy(services, home, database)
        stack.enter_context(closing(deployment.airflow.api))
        yield deployment


def _deploy(services: Services, home: Path, database: Database | None) -> Deployment:
    emulators = {name: Emulator(services, 0, *options, name=name) for name, options in SERVICES.items()}
    for emulator in emulators.values():
        emulator.start()
    options = OPTIONS | {"DATABASE__SQL_ALCHEMY_CONN": database.url} if database else {}
    airflow = Airflow(services, home, DAGS, free_port(), **options)
    airflow.prepare()
    for emulator in emulators.values():
        emulator.wait_until_ready(BUCKET)
    airflow.connect(**{name: emulator.connection for name, emulator in emulators.items()})
    services.environment |= emulators["aws_brief"].variables
    deployment = Deployment(services, airflow, emulators, home / "logs" / "tasks", database)
    if database:
        for component in COMPONENTS_BUT_TRIGGERERS:
            airflow.launch(component)
        deployment.two_triggerers()
        airflow.wait_until_healthy()
    else:
        airflow.start()
    deployment.wait_for(
        lambda: all(airflow.api.has_dag(dag) for dag in ONE_OF_EACH_FILE),
        "the Dags",
    )
    return deployment


@pytest.fixture(name="deployment")
def _deployment(session_deployment: Deployment) -> Iterator[Deployment]:
    """Lend the deployment, and put it in order afterwards."""
    yield session_deployment
    session_deployment.tidy()


@pytest.fixture(name="postgres")
def _postgres(deployment: Deployment) -> Database:
    """Skip a test where Airflow has no PostgreSQL."""
    if deployment.database is None:
        pytest.skip(
            f"No PostgreSQL at {DEFAULT}; give one that may make databases: "
            f"{VARIABLE}=postgresql://user:password@host:5432/postgres"
        )
    return deployment.database

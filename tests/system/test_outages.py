"""What else happens to a deployment while a batch is under way."""

from __future__ import annotations

import pytest

from tests.system.checks import check_the_end
from tests.system.dag_run import FIRED, UNDER_WAY
from tests.system.deployed import Deployment
from tests.system.postgres import Database

CUTS = 4


@pytest.mark.usefixtures("postgres")
@pytest.mark.parametrize(
    ("dag_id", "state"), [("brief_but_longer", "deferred"), ("brief_on_the_worker", "running")]
)
def test_a_restart_of_the_api_server_disturbs_no_wait(
    deployment: Deployment, dag_id: str, state: str
) -> None:
    """A task that is deferred or that waits on its worker ends as if nothing had been, with the one batch."""
    run = deployment.start(dag_id)
    known = run.wait_until_submitted()
    run.wait_for_task(state)

    # It is the wait that is disturbed, however long it takes to start an API server.
    with run.emulator.standing_still():
        deployment.kill("api-server")
        deployment.launch("api-server")

    assert run.wait_for_end() == "success"
    check_the_end(run, known)


@pytest.mark.usefixtures("postgres")
def test_an_outage_for_which_a_task_is_given_up_leaves_the_next_try_its_batch(deployment: Deployment) -> None:
    """
    A task on a worker that could not reach the API server for too long is ended, and its batch is not.

    Airflow starts the next try meanwhile, which waits for the same batch.
    """
    run = deployment.start("on_the_worker")
    [batch_id] = run.wait_until_watched()
    first = run.process()

    deployment.kill("api-server")
    run.let_airflow_miss_it()
    deployment.wait_for(lambda: run.state_in_database() != "running", "Airflow to give the task up")
    deployment.launch("api-server")
    deployment.wait_for(lambda: not first.is_running(), "the end of the first try")

    assert run.status(batch_id) in UNDER_WAY
    deployment.wait_for(lambda: run.tries() > 1 and run.task_states() == ["running"], "another try")
    assert run.batch_ids() == [batch_id]


@pytest.mark.usefixtures("postgres")
def test_a_worker_that_is_asked_to_end_cancels_nothing(deployment: Deployment) -> None:
    """When a worker gets SIGTERM, as in a new release, nobody has killed the task that waits there."""
    run = deployment.start("brief_on_the_worker")
    known = run.wait_until_watched()

    run.worker().terminate()

    assert run.wait_for_end() == "success"
    check_the_end(run, known)


def test_cut_connections_to_the_database_disturb_no_wait(deployment: Deployment, postgres: Database) -> None:
    """
    When all of Airflow's connections break, again and again, the wait goes on with the one batch.

    A component that was in the midst of a statement may end; then it is started again.
    """
    run = deployment.start("brief_but_longer")
    known = run.wait_until_watched()

    cut: set[int] = set()

    def cut_new_connections() -> bool:
        new = postgres.cut_connections() - cut
        cut.update(new)
        return bool(new)

    with deployment.restarting():
        for _ in range(CUTS):
            deployment.wait_for(cut_new_connections, "connections to cut", every=0.5)
        assert run.wait_for_end() == "success"

    check_the_end(run, known)


def test_a_paused_dags_batch_goes_on_and_is_waited_for(deployment: Deployment) -> None:
    """Pausing cancels nothing; the wait comes to its end, and the task to its own once the Dag goes on."""
    run = deployment.start("brief")
    known = run.wait_until_watched()

    deployment.airflow.api.pause(run.dag_id)
    try:
        deployment.wait_for(lambda: any(line.text == FIRED for line in run.log()), "the event")
    finally:
        deployment.airflow.api.pause(run.dag_id, paused=False)

    assert run.wait_for_end() == "success"
    check_the_end(run, known)

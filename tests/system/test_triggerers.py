"""Triggerers that are killed, stopped and restarted while they wait for a batch."""

from __future__ import annotations

import signal
import time
from contextlib import closing

import pytest

from tests.system.checks import check_the_end
from tests.system.dag_run import CANCELLED, FIRED, UNDER_WAY, DagRun
from tests.system.deployed import BUCKET, Deployment

#: Seconds.
AIRFLOWS_OWN = 10
LEEWAY = 3

pytestmark = pytest.mark.usefixtures("postgres")


def owner_of(run: DagRun) -> int:
    owner = run.owner()
    assert owner is not None
    return owner


def wait_until_taken_over(deployment: Deployment, run: DagRun, former: int) -> int:
    """Wait until the other triggerer has the run's trigger and runs it, and return its job's id."""
    [other] = deployment.alive_triggerers() - {former}
    deployment.wait_for(lambda: run.owner() == other, "the other triggerer to be given the trigger")
    deployment.wait_for(lambda: run.is_watched_by(other), "the other triggerer to watch the batch")
    return other


def test_a_killed_triggerers_waits_are_taken_over_by_the_other(deployment: Deployment) -> None:
    """After a kill -9 the other triggerer watches the batch, and the task ends as if nothing had been."""
    run = deployment.start("brief_but_longer")
    known = run.wait_until_watched()
    killed = owner_of(run)

    deployment.kill_triggerer(killed)

    assert wait_until_taken_over(deployment, run, killed) != killed
    assert run.wait_for_end() == "success"
    check_the_end(run, known)


def test_a_triggerer_that_was_stopped_and_comes_back_cancels_nothing(deployment: Deployment) -> None:
    """
    A triggerer that had stalled finds its trigger with another one, and leaves the batch alone.

    Airflow calls ``on_kill`` then, though nobody has killed the task. A person who does cancels the batch.
    """
    run = deployment.start("plain")
    [batch_id] = run.wait_until_watched()
    stopped = owner_of(run)

    deployment.signal_triggerer(stopped, signal.SIGSTOP)
    other = wait_until_taken_over(deployment, run, stopped)
    deployment.signal_triggerer(stopped, signal.SIGCONT)

    deployment.wait_for(
        lambda: run.told(stopped, f"Another triggerer watches run batch {batch_id}"),
        "on_kill in the one that comes back",
    )
    assert run.owner() == other
    assert run.status(batch_id) in UNDER_WAY

    run.mark("failed")
    run.wait_for_status(batch_id, CANCELLED)
    assert run.batch_ids() == [batch_id]


def test_two_triggerers_that_run_the_same_trigger_end_like_one(deployment: Deployment) -> None:
    """
    Both see the batch's end and write its manifest; the task resumes once.

    Of one triggerer only the process is stopped that talks to Airflow's database; its triggers run on.
    """
    with closing(deployment.emulators["aws_brief"].client("s3")) as s3:
        s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    run = deployment.start("brief_without_connection")
    known = run.wait_until_watched()
    first = owner_of(run)

    deployment.triggerers[first].process.send_signal(signal.SIGSTOP)
    second = wait_until_taken_over(deployment, run, first)
    deployment.wait_for(lambda: len(manifests(run)) == 2, "two manifests")
    deployment.triggerers[first].process.send_signal(signal.SIGCONT)

    assert run.wait_for_end() == "success"
    deployment.wait_for(lambda: run.told(first, FIRED), "the event of the one that comes back")
    assert run.told(second, FIRED)
    assert len(set(manifests(run))) == 1
    assert run.tries() == 1
    check_the_end(run, known)


def manifests(run: DagRun) -> list[str]:
    """Return the hashes of all versions of the manifest."""
    uuid = run.xcom("batch_uuid")
    with closing(run.emulator.client("s3")) as s3:
        versions = s3.list_object_versions(Bucket=BUCKET).get("Versions", [])
    return [version["ETag"] for version in versions if uuid in version["Key"]]


def test_a_triggerer_that_is_asked_to_end_is_not_held_up_and_cancels_nothing(deployment: Deployment) -> None:
    """
    The wait is over as soon as the triggerer is told to end, and its successor waits on.

    The process may need ten seconds more, whatever it waits for: Airflow's runner misses its first signal.
    """
    run = deployment.start("plain")
    [batch_id] = run.wait_until_watched()
    busy = owner_of(run)
    [idle] = deployment.alive_triggerers() - {busy}
    idle_seconds = deployment.end_triggerer(idle)

    asked = time.time()
    busy_seconds = deployment.end_triggerer(busy)

    completed = run.told_at(busy, "trigger completed")
    assert completed is not None
    assert completed - asked < idle_seconds + LEEWAY
    assert busy_seconds < idle_seconds + AIRFLOWS_OWN + LEEWAY
    successor = deployment.start_triggerer()
    deployment.wait_for(lambda: run.is_watched_by(successor), "the successor to watch the batch")
    assert run.status(batch_id) in UNDER_WAY
    run.mark("failed")
    run.wait_for_status(batch_id, CANCELLED)
    assert run.batch_ids() == [batch_id]

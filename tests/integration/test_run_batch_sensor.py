from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowRescheduleException, AirflowSensorTimeout, AirflowSkipException
from botocore.exceptions import ClientError
from structlog.testing import capture_logs

from airflow_provider_omics_batch.emulator import Fault, ManualClock, Settings
from airflow_provider_omics_batch.exceptions import (
    RunBatchError,
    RunBatchFailedError,
    RunBatchTimeoutError,
    RunSettingsError,
)
from airflow_provider_omics_batch.operators.omics import StartRunBatchOperator
from airflow_provider_omics_batch.run_batch import read_run_manifest
from airflow_provider_omics_batch.sensors.omics import RunBatchSensor
from tests.integration.conftest import BUCKET, DEFAULT, Emulator
from tests.integration.tasks import TaskInstance, lines

STAGING = f"s3://{BUCKET}/airflow/"

WAYS: dict[str, dict[str, Any]] = {
    "deferred": {"deferrable": True},
    "poke": {"deferrable": False},
    "reschedule": {"deferrable": False, "mode": "reschedule"},
}


@pytest.fixture(name="sensor", params=list(WAYS))
def _sensor(request: pytest.FixtureRequest) -> Callable[..., RunBatchSensor]:
    """Make a sensor that waits in one way or another."""

    def sensor(batch_id: Any, **arguments: Any) -> RunBatchSensor:
        arguments = {"poke_interval": 0.05, **WAYS[request.param], **arguments}
        return RunBatchSensor(task_id="wait", batch_id=batch_id, **arguments)

    return sensor


Sensor = Callable[..., RunBatchSensor]


def run(sensor: RunBatchSensor, ti: TaskInstance | None = None) -> Any:
    """Run a sensor to its end, also one that Airflow runs again for each poke."""
    ti = ti or TaskInstance(task_id="wait")
    while True:
        try:
            return ti.run(sensor)
        except AirflowRescheduleException:
            ti.first_rescheduled_at = ti.first_rescheduled_at or ti.start_date


def cancels(emulator: Emulator) -> list[str]:
    return [operation for operation in emulator.calls if "Cancel" in operation]


def test_a_sensor_returns_and_publishes_what_the_operator_does(sensor: Sensor, emulator: Emulator) -> None:
    theirs, ours = TaskInstance(), TaskInstance(task_id="wait")
    theirs.run(
        StartRunBatchOperator(
            task_id="call_variants",
            default_run_setting=DEFAULT,
            batch_run_settings=[{"runSettingId": f"S{number}"} for number in range(3)],
            poll_interval=0.05,
            staging_uri=STAGING,
        )
    )

    summary = run(sensor(theirs.xcom["batch_id"], staging_uri=STAGING), ours)

    assert summary == theirs.xcom["return_value"]
    for key in ("batch_id", "batch_arn", "batch_uuid", "batch_ids", "run_ids", "manifest_uri"):
        assert ours.xcom[key] == theirs.xcom[key]


def test_a_sensor_waits_until_a_batch_has_ended(sensor: Sensor, emulator: Emulator) -> None:
    ti = TaskInstance(task_id="wait")

    summary = run(sensor(emulator.start_batch()), ti)

    assert summary["status"] == "PROCESSED"
    assert summary["runs"]["completed"] == 3
    assert list(ti.xcom["run_ids"]) == ["S0", "S1", "S2"]
    assert ti.xcom["manifest_uri"] is None


def test_a_sensor_can_wait_for_the_run_ids_alone(sensor: Sensor, emulator: Emulator) -> None:
    emulator.configure(speed=100, run_seconds=1_000_000)
    ti = TaskInstance(task_id="wait")

    summary = run(sensor(emulator.start_batch(), wait_until="submitted", staging_uri=STAGING), ti)

    assert summary["status"] in {"SUBMITTING", "INPROGRESS"}
    assert list(ti.xcom["run_ids"]) == ["S0", "S1", "S2"]
    records = list(read_run_manifest(summary["manifest_uri"]))
    assert {record["run_setting_id"]: record["run_id"] for record in records} == ti.xcom["run_ids"]
    assert {record["run_status"] for record in records} <= {"PENDING", "STARTING", "RUNNING"}


def test_a_sensor_judges_as_the_operator_does(sensor: Sensor, emulator: Emulator) -> None:
    emulator.configure(fail_runs=1.0)
    batch_id = emulator.start_batch()
    ti = TaskInstance(task_id="wait")

    with pytest.raises(RunBatchFailedError, match="of its 3 runs, 3 failed; max_failed_runs=0 allows 0"):
        run(sensor(batch_id), ti)

    assert list(ti.xcom["run_ids"]) == ["S0", "S1", "S2"]
    assert run(sensor(batch_id, max_failed_runs=3))["runs"]["failed"] == 3


@pytest.mark.parametrize("soft", ["soft_fail", "never_fail"])
def test_a_sensor_that_may_fail_is_skipped_whatever_way_it_waits(
    sensor: Sensor, emulator: Emulator, soft: str
) -> None:
    emulator.configure(fail_runs=1.0)
    ti = TaskInstance(task_id="wait")
    waiting = sensor(emulator.start_batch(), **{soft: True})

    with pytest.raises(AirflowSkipException, match=r"^Skipped, not failed: Run batch"):
        run(waiting, ti)


def test_a_timeout_leaves_the_batch_alone_and_is_not_tried_again(sensor: Sensor, emulator: Emulator) -> None:
    emulator.configure(speed=100, run_seconds=1_000_000)
    batch_id, ti = emulator.start_batch(), TaskInstance(task_id="wait")

    with pytest.raises(RunBatchTimeoutError, match=r"had not ended within timeout \(0:00:02\)") as caught:
        run(sensor(batch_id, timeout=2), ti)

    # This is what Airflow goes by.
    assert isinstance(caught.value, AirflowSensorTimeout)
    assert caught.value.summary == ti.xcom["return_value"]
    assert list(ti.xcom["run_ids"]) == ["S0", "S1", "S2"]
    assert not cancels(emulator)


def test_a_timeout_of_a_sensor_that_may_fail_skips_it(sensor: Sensor, emulator: Emulator) -> None:
    emulator.configure(speed=1, run_seconds=1_000_000)
    ti = TaskInstance(task_id="wait")

    with pytest.raises(AirflowSkipException):
        run(sensor(emulator.start_batch(), timeout=0.5, soft_fail=True), ti)


def test_a_timeout_without_an_answer_is_told_soon(
    sensor: Sensor, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_omics_batch.operators.publishing.LONGEST_LOOK", 1)
    monkeypatch.setattr("airflow_provider_omics_batch.sensors.omics.PAUSE", 0.5)
    emulator.faults.add(Fault(operation="GetBatch", kind="error", error="InternalServerException", times=100))
    batch_id, ti, began = emulator.start_batch(), TaskInstance(task_id="wait"), time.monotonic()

    with pytest.raises(RunBatchTimeoutError):
        run(sensor(batch_id, timeout=2), ti)

    assert time.monotonic() - began < 20
    assert ti.xcom["return_value"]["status"] == "UNKNOWN"


def test_a_timeout_is_counted_from_the_first_poke(emulator: Emulator) -> None:
    emulator.configure(speed=1, run_seconds=1_000_000)
    waiting = RunBatchSensor(
        task_id="wait", batch_id=emulator.start_batch(), timeout=3600, **WAYS["reschedule"]
    )
    ti = TaskInstance(task_id="wait")

    with pytest.raises(AirflowRescheduleException):
        ti.run(waiting)
    ti.first_rescheduled_at = datetime.now(UTC) - timedelta(hours=2)
    with pytest.raises(RunBatchTimeoutError):
        ti.run(waiting)


def test_the_deadline_of_a_deferred_sensor_is_its_timeout(emulator: Emulator) -> None:
    emulator.configure(speed=1)
    ti = TaskInstance(task_id="wait")
    waiting = RunBatchSensor(task_id="wait", batch_id=emulator.start_batch(), timeout=3600)

    deferred = ti.until_deferred(waiting.execute)

    _, arguments = deferred.trigger.serialize()
    assert arguments["deadline"] == ti.start_date.timestamp() + 3600
    assert arguments["cancel_on_kill"] is False


def test_a_poke_is_one_look_and_frees_the_worker(emulator: Emulator) -> None:
    emulator.configure(speed=1)
    waiting = RunBatchSensor(
        task_id="wait", batch_id=emulator.start_batch(), poke_interval=300, **WAYS["reschedule"]
    )
    before = datetime.now(UTC)

    with pytest.raises(AirflowRescheduleException) as rescheduled:
        TaskInstance(task_id="wait").run(waiting)

    assert emulator.calls["GetBatch"] == 1
    assert rescheduled.value.reschedule_date >= before + timedelta(seconds=300)


def test_a_poke_without_an_answer_frees_the_worker_too(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_omics_batch.sensors.omics.POKE_SECONDS", 0.5)
    emulator.faults.add(Fault(operation="GetBatch", kind="dropped", times=None))
    waiting = RunBatchSensor(task_id="wait", batch_id=emulator.start_batch(), **WAYS["reschedule"])

    with pytest.raises(AirflowRescheduleException), capture_logs() as logged:
        TaskInstance(task_id="wait").run(waiting)

    assert any("has not told in time" in line["event"] for line in logged)


def test_a_batch_that_has_ended_is_not_waited_for(emulator: Emulator) -> None:
    clock = ManualClock()
    emulator.backend.configure(Settings(), clock)
    batch_id = emulator.start_batch()
    clock.advance(1_000_000)
    ti = TaskInstance(task_id="wait")

    ti.run(RunBatchSensor(task_id="wait", batch_id=batch_id))

    assert ti.deferred is None
    assert emulator.calls["GetBatch"] == 1


@pytest.mark.parametrize("missing", [None, "", "None"])
def test_a_sensor_without_a_batch_says_so(sensor: Sensor, emulator: Emulator, missing: Any) -> None:
    with pytest.raises(ValueError, match="there is no batch to wait for"):
        run(sensor(missing))

    assert not emulator.calls


def test_an_id_that_was_rendered_as_a_number_is_an_id(sensor: Sensor, emulator: Emulator) -> None:
    """As in a Dag with render_template_as_native_obj."""
    assert run(sensor(int(emulator.start_batch())))["status"] == "PROCESSED"


@pytest.mark.parametrize("several", [["1", "2"], {"batch_id": "1"}, 1.5, True])
def test_what_is_no_id_of_a_batch_is_refused(emulator: Emulator, several: Any) -> None:
    with pytest.raises(ValueError, match="batch_id is the id of one batch, not"):
        run(RunBatchSensor(task_id="wait", batch_id=several))

    assert not emulator.calls


def test_a_place_that_is_not_in_s3_is_refused_before_the_wait(sensor: Sensor, emulator: Emulator) -> None:
    with pytest.raises(RunSettingsError, match="staging_uri"):
        run(sensor("1", staging_uri="gs://bucket/staging/"))

    assert not emulator.calls


def test_an_interval_without_a_pause_is_refused() -> None:
    with pytest.raises(ValueError, match="poke_interval is a number of seconds above 0"):
        RunBatchSensor(task_id="wait", batch_id="1", poke_interval=0)


def test_a_batch_that_nobody_knows_fails_the_sensor_which_says_why_it_waits(
    sensor: Sensor, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_omics_batch.run_batch.look.GRACE_FOR_A_NEW_BATCH", 6)

    with capture_logs() as logged, pytest.raises(ClientError, match="ResourceNotFoundException"):
        run(sensor("404"))

    assert "does not know run batch 404" in "\n".join(lines(logged))


def test_a_batch_whose_record_goes_while_it_is_waited_for_fails_the_sensor_soon(
    sensor: Sensor, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_omics_batch.run_batch.look.GRACE_FOR_A_NEW_BATCH", 0.5)
    emulator.configure(run_seconds=1e8)
    batch_id = emulator.start_batch()
    emulator.faults.add(
        Fault(operation="GetBatch", kind="error", error="ResourceNotFoundException", call=3, times=None)
    )

    with capture_logs() as logged, pytest.raises(ClientError, match="ResourceNotFoundException"):
        run(sensor(batch_id, timeout=60))

    assert "HealthOmics has no record of the batch: it was deleted" in "\n".join(lines(logged))


def test_a_batch_that_nobody_knows_is_waited_for_no_longer_than_the_timeout(
    sensor: Sensor, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_omics_batch.sensors.omics.PAUSE", 30)
    began = time.monotonic()

    with pytest.raises(AirflowSensorTimeout):
        run(sensor("404", timeout=1))

    assert time.monotonic() - began < 30


@pytest.mark.parametrize("way", ["deferred", "poke"])
def test_execution_timeout_ends_a_try_of_a_sensor_as_it_does_of_any_task(
    emulator: Emulator, way: str
) -> None:
    """Airflow does not try a sensor again whose own timeout is over."""
    emulator.configure(speed=0, creating_seconds=0)
    batch_id = emulator.start_batch()
    sensor = RunBatchSensor(
        task_id="wait",
        batch_id=batch_id,
        poke_interval=0.05,
        execution_timeout=timedelta(seconds=1),
        **WAYS[way],
    )

    with pytest.raises(
        RunBatchTimeoutError, match=r"within execution_timeout \(0:00:01\) and was left"
    ) as late:
        run(sensor)

    assert not isinstance(late.value, AirflowSensorTimeout)


def test_a_batch_that_somebody_has_cancelled_fails_the_sensor(sensor: Sensor, emulator: Emulator) -> None:
    emulator.configure(speed=200, creating_seconds=0)
    batch_id = emulator.start_batch()
    emulator.client("omics").cancel_run_batch(batchId=batch_id)

    with pytest.raises(RunBatchFailedError, match=f"Run batch {batch_id} is CANCELLED"):
        run(sensor(batch_id, wait_until="submitted"))


def test_the_retry_of_a_sensor_looks_again_and_ends_the_same(sensor: Sensor, emulator: Emulator) -> None:
    batch_id = emulator.start_batch()
    first = TaskInstance(task_id="wait", max_tries=1)
    second = first.retry()

    for ti in (first, second):
        run(sensor(batch_id, staging_uri=STAGING, retries=1), ti)

    assert first.xcom == second.xcom


def test_a_timeout_of_which_no_trigger_lived_to_tell_is_one_of_the_try(emulator: Emulator) -> None:
    emulator.configure(speed=200, run_seconds=1e8)
    batch_id, ti = emulator.start_batch(), TaskInstance(task_id="wait")
    waiting = RunBatchSensor(task_id="wait", batch_id=batch_id, execution_timeout=timedelta(minutes=10))

    with pytest.raises(RunBatchTimeoutError, match="within execution_timeout") as late:
        waiting.resume_execution("__fail__", {"error": "Trigger timeout"}, ti.context)

    assert not isinstance(late.value, AirflowSensorTimeout)
    assert ti.xcom["return_value"]["batch_id"] == batch_id


def test_a_sensor_that_may_fail_is_not_skipped_for_want_of_credentials(emulator: Emulator) -> None:
    waiting = RunBatchSensor(task_id="wait", batch_id="7", soft_fail=True)
    error = {"Code": "NoCredentialsError", "Message": "Unable to locate credentials"}
    event = {"status": "error", "batch_id": "7", "operation": None, "error": error}

    with pytest.raises(RunBatchError, match="could not be watched"):
        waiting.resume_execution("execute_complete", {"event": event}, TaskInstance(task_id="wait").context)


def test_a_sensor_without_an_answer_frees_the_worker(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_omics_batch.sensors.omics.POKE_SECONDS", 1)
    emulator.faults.add(Fault(operation="GetBatch", kind="error", error="ThrottlingException", times=None))
    waiting = RunBatchSensor(task_id="wait", batch_id=emulator.start_batch())

    deferred = TaskInstance(task_id="wait").until_deferred(waiting.execute)

    assert deferred.method_name == "execute_again"


def test_a_deferred_sensor_keeps_to_execution_timeout_whatever_its_mode(emulator: Emulator) -> None:
    emulator.configure(speed=1)
    ti = TaskInstance(task_id="wait")
    limit = timedelta(minutes=10)
    waiting = RunBatchSensor(
        task_id="wait", batch_id=emulator.start_batch(), mode="reschedule", execution_timeout=limit
    )

    _, arguments = ti.until_deferred(waiting.execute).trigger.serialize()

    assert arguments["deadline"] == ti.start_date.timestamp() + 600 - 30

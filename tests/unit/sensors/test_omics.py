from __future__ import annotations

from datetime import timedelta

import pytest
from airflow.sdk import DAG

from airflow_provider_omics_batch.sensors.omics import RunBatchSensor


def test_batch_and_place_of_the_manifest_can_be_templated() -> None:
    sensor = RunBatchSensor(
        task_id="wait",
        dag=DAG("d", schedule=None),
        batch_id="{{ ds }}",
        staging_uri="s3://bucket/{{ ds }}/",
        aws_conn_id="{{ ds }}",
        region_name="{{ ds }}",
    )

    sensor.render_template_fields({"ds": "2026-11-22"})

    assert "{{" not in str([getattr(sensor, name) for name in sensor.template_fields])


def test_it_takes_the_arguments_of_every_sensor() -> None:
    sensor = RunBatchSensor(
        task_id="wait", batch_id="7", poke_interval=timedelta(minutes=5), timeout=timedelta(hours=1)
    )

    assert (sensor.poll_interval, sensor.timeout) == (300, 3600)
    with pytest.raises(ValueError, match="mutually exclusive"):
        RunBatchSensor(task_id="wait", batch_id="7", soft_fail=True, never_fail=True)


def test_it_can_be_mapped_over_batches() -> None:
    with DAG("d", schedule=None) as dag:
        RunBatchSensor.partial(task_id="wait", wait_until="submitted").expand(batch_id=["7", "8"])

    assert dag.get_task("wait").is_mapped

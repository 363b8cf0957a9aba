from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_omics_batch.exceptions import RunBatchFailedError
from airflow_provider_omics_batch.links.omics import (
    RunBatchLogsLink,
    RunBatchManifestLink,
    RunBatchOutputsLink,
)
from airflow_provider_omics_batch.operators.omics import (
    CancelRunBatchOperator,
    DeleteRunBatchOperator,
    StartRunBatchOperator,
)
from airflow_provider_omics_batch.sensors.omics import RunBatchSensor
from tests.integration.conftest import BUCKET, REGION, Emulator
from tests.integration.tasks import TaskInstance, first_event

pytestmark = pytest.mark.usefixtures("emulator")

CONSOLE = "https://console.aws.amazon.com"
LINKS = (RunBatchLogsLink, RunBatchManifestLink, RunBatchOutputsLink)


def start(**arguments: Any) -> StartRunBatchOperator:
    return StartRunBatchOperator(
        task_id="call_variants",
        default_run_setting={
            "workflowId": "1234567",
            "roleArn": "arn:aws:iam::123456789012:role/omics",
            "outputUri": f"s3://{BUCKET}/out",
        },
        batch_run_settings=[{"runSettingId": "A"}, {"runSettingId": "B"}],
        **{"staging_uri": f"s3://{BUCKET}/airflow/", "poll_interval": 0.05, **arguments},
    )


def links(ti: TaskInstance) -> list[str | None]:
    return [ti.xcom.get(link.key) for link in LINKS]


def s3(page: str, key: str) -> str:
    return f"{CONSOLE}/s3/{page}/{BUCKET}?region={REGION}&prefix={key}"


LOGS = (
    f"{CONSOLE}/cloudwatch/home?region={REGION}"
    "#logsV2:log-groups/log-group/$252Faws$252Fomics$252FWorkflowLog"
)


def under_way(ti: TaskInstance) -> list[str]:
    folder = f"airflow/run-batches/{ti.xcom['batch_uuid']}/"
    return [LOGS, s3("buckets", folder), s3("buckets", "out/")]


def at_the_end(ti: TaskInstance) -> list[str]:
    return [
        LOGS,
        s3("object", ti.xcom["manifest_uri"].removeprefix(f"s3://{BUCKET}/")),
        s3("buckets", "out/"),
    ]


@pytest.mark.parametrize("do_xcom_push", [True, False])
def test_links_are_there_while_the_task_is_deferred(do_xcom_push: bool) -> None:
    ti, operator = TaskInstance(), start(do_xcom_push=do_xcom_push)

    deferred = ti.until_deferred(operator.execute)

    assert links(ti) == under_way(ti)
    operator.execute_complete(ti.context, asyncio.run(first_event(deferred)))
    assert links(ti) == at_the_end(ti)


@pytest.mark.parametrize("do_xcom_push", [True, False])
def test_links_are_there_while_the_task_waits_on_the_worker(emulator: Emulator, do_xcom_push: bool) -> None:
    ti = TaskInstance()
    seen: list[list[str | None]] = []

    def look(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        seen.append(links(ti))
        return emulator.application(environ, start_response)

    emulator.answers["GetBatch"].append(look)
    ti.run(start(deferrable=False, do_xcom_push=do_xcom_push))

    assert seen == [under_way(ti)]
    assert links(ti) == at_the_end(ti)


def test_after_several_rounds_the_link_leads_to_the_manifest_of_all(emulator: Emulator) -> None:
    emulator.configure(fail_runs=1)
    ti = TaskInstance()

    ti.run(start(retry_failed="all", retry_failed_rounds=1, retry_delay=timedelta(0), max_failed_runs=2))

    assert len(ti.xcom["batch_ids"]) == 2
    assert "/all-rounds/" in ti.xcom["manifest_uri"]
    assert links(ti) == at_the_end(ti)


def test_a_batch_that_fails_its_task_keeps_its_links(emulator: Emulator) -> None:
    emulator.configure(fail_runs=1)
    ti = TaskInstance()

    with pytest.raises(RunBatchFailedError):
        ti.run(start())

    assert links(ti) == at_the_end(ti)


def test_a_manifest_that_will_never_be_has_no_link() -> None:
    without_place, without_end = TaskInstance(), TaskInstance(task_id="another")

    without_place.until_deferred(start(staging_uri=None).execute)
    without_end.run(start(wait_for_completion=False))

    assert links(without_place) == links(without_end) == [LOGS, "", s3("buckets", "out/")]


def test_a_manifest_that_could_not_be_written_has_no_link_in_the_end() -> None:
    ti = TaskInstance()

    ti.run(start(staging_uri="s3://no-such-bucket/airflow/"))

    assert ti.xcom["manifest_uri"] is None
    assert links(ti) == [LOGS, "", s3("buckets", "out/")]


def test_a_sensor_has_the_same_links_though_it_has_only_an_id(emulator: Emulator) -> None:
    theirs, ours = TaskInstance(), TaskInstance(task_id="wait")
    theirs.run(start(wait_for_completion=False))
    sensor = RunBatchSensor(
        task_id="wait",
        batch_id=theirs.xcom["batch_id"],
        staging_uri=f"s3://{BUCKET}/airflow/",
        poke_interval=0.05,
    )

    deferred = ours.until_deferred(sensor.execute)

    assert links(ours) == under_way(ours)
    sensor.execute_complete(ours.context, asyncio.run(first_event(deferred)))
    assert links(ours) == at_the_end(ours)


@pytest.mark.parametrize("operator", [CancelRunBatchOperator, DeleteRunBatchOperator])
def test_who_ends_a_batch_links_to_the_logs_of_its_runs(operator: type[Any]) -> None:
    theirs, ours = TaskInstance(), TaskInstance(task_id="end")
    theirs.run(start())

    ours.run(operator(task_id="end", batch_id=theirs.xcom["batch_id"]))

    assert ours.xcom[RunBatchLogsLink.key] == LOGS
    assert [link.key for link in operator.operator_extra_links] == [RunBatchLogsLink.key]


def test_a_task_whose_links_cannot_be_stored_goes_on() -> None:
    class Forgetful(TaskInstance):
        def xcom_push(self, key: str, value: Any) -> None:
            if key in {link.key for link in LINKS}:
                raise RuntimeError("the API server is busy")
            super().xcom_push(key, value)

    ti = Forgetful()

    summary = ti.run(start())

    assert summary["status"] == "PROCESSED"
    assert links(ti) == [None, None, None]

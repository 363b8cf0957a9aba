from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, serde
from airflow.serialization.helpers import serialize_template_field
from airflow.serialization.serialized_objects import DagSerialization
from structlog.testing import capture_logs

from airflow_provider_omics_batch.operators.omics import StartRunBatchOperator
from airflow_provider_omics_batch.run_batch import SampleSheet

DEFAULT = {"workflowId": "1234567", "roleArn": "arn:aws:iam::123456789012:role/omics"}


def test_everything_that_is_sent_can_be_templated() -> None:
    operator = StartRunBatchOperator(
        task_id="t",
        dag=DAG("d", schedule=None),
        default_run_setting={**DEFAULT, "name": "{{ ds }}"},
        batch_run_settings=[{"runSettingId": "{{ ds }}"}],
        batch_name="{{ ds }}",
        tags={"day": "{{ ds }}"},
        request_id="{{ ds }}",
        staging_uri="s3://bucket/{{ ds }}/",
        aws_conn_id="{{ ds }}",
        region_name="{{ ds }}",
    )

    operator.render_template_fields({"ds": "2026-11-22"})

    rendered: dict[str, Any] = {name: getattr(operator, name) for name in operator.template_fields}
    assert "{{" not in str(rendered)
    assert rendered["default_run_setting"]["name"] == "2026-11-22"
    assert rendered["batch_run_settings"] == [{"runSettingId": "2026-11-22"}]


def test_a_sample_sheet_is_templated_whole_and_keeps_its_columns() -> None:
    operator = StartRunBatchOperator(
        task_id="t",
        dag=DAG("d", schedule=None),
        default_run_setting=DEFAULT,
        batch_run_settings=SampleSheet(
            "s3://bucket/{{ ds }}.tsv",
            run_setting_id="{sample}",
            parameters={"reads": "s3://{{ ds }}/{cram}"},
            part=1,
            parts=2,
        ),
    )

    given = operator.batch_run_settings

    operator.render_template_fields({"ds": "2026-11-22", "task": operator})

    assert given == SampleSheet(
        "s3://bucket/{{ ds }}.tsv",
        run_setting_id="{sample}",
        parameters={"reads": "s3://{{ ds }}/{cram}"},
        part=1,
        parts=2,
    )
    assert operator.batch_run_settings == SampleSheet(
        "s3://bucket/2026-11-22.tsv",
        run_setting_id="{sample}",
        parameters={"reads": "s3://2026-11-22/{cram}"},
        part=1,
        parts=2,
    )


def test_a_limit_that_makes_no_sense_is_refused_when_the_dag_is_parsed() -> None:
    with pytest.raises(ValueError, match="max_failed_runs is a number of runs"):
        StartRunBatchOperator(
            task_id="t", default_run_setting=DEFAULT, batch_run_settings=[], max_failed_runs=1.5
        )


def test_a_poll_interval_that_makes_no_sense_is_refused_when_the_dag_is_parsed() -> None:
    for poll_interval in (0, -1, "30", None):
        with pytest.raises(ValueError, match="poll_interval is a number of seconds above 0"):
            StartRunBatchOperator(
                task_id="t", default_run_setting=DEFAULT, batch_run_settings=[], poll_interval=poll_interval
            )


def test_what_cannot_be_waited_for_is_refused_when_the_dag_is_parsed() -> None:
    with pytest.raises(ValueError, match="wait_until is 'processed' or 'submitted', not 'running'"):
        StartRunBatchOperator(
            task_id="t", default_run_setting=DEFAULT, batch_run_settings=[], wait_until="running"
        )


@pytest.mark.parametrize("arguments", [{"fail_fast": True}, {"retry_failed_rounds": 1}])
def test_what_looks_at_failed_runs_needs_a_task_that_waits_for_them(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="retry_failed_rounds and fail_fast take wait_for_completion=True"):
        StartRunBatchOperator(
            task_id="t",
            default_run_setting=DEFAULT,
            batch_run_settings=[],
            wait_for_completion=False,
            **arguments,
        )


def test_rounds_need_a_batch_that_is_waited_for_to_its_end() -> None:
    with pytest.raises(ValueError, match="retry_failed_rounds takes wait_until='processed'"):
        StartRunBatchOperator(
            task_id="t",
            default_run_setting=DEFAULT,
            batch_run_settings=[],
            wait_until="submitted",
            retry_failed_rounds=1,
        )


def stored(settings: Any) -> dict[str, Any]:
    with DAG("d", schedule=None) as dag:
        StartRunBatchOperator(task_id="t", default_run_setting=DEFAULT, batch_run_settings=settings)
    return DagSerialization.to_dict(dag)["dag"]["tasks"][0]["__var"]


@pytest.mark.parametrize(
    "make",
    [
        lambda: SampleSheet("s3://bucket/cohort.tsv", run_setting_id="{sample}"),
        lambda: [{"runSettingId": "A"}],
        lambda: ({"runSettingId": name} for name in "AB"),
    ],
)
def test_two_parses_of_a_dag_store_the_same(make: Any) -> None:
    """Otherwise Airflow would make a new version of the Dag at each parse."""
    assert stored(make()) == stored(make())


def test_a_sample_sheet_is_shown_with_its_arguments() -> None:
    sheet = SampleSheet("s3://bucket/cohort.tsv", run_setting_id="{sample}", parameters={"reads": "{cram}"})

    assert serialize_template_field(sheet, "batch_run_settings") == {
        "uri": "s3://bucket/cohort.tsv",
        "run_setting_id": "{sample}",
        "parameters": {"reads": "{cram}"},
    }


@pytest.mark.skipif(not hasattr(serde, "allow_class"), reason="new in Airflow 3.3")
def test_a_sample_sheet_goes_through_xcom() -> None:
    sheet = SampleSheet("s3://bucket/cohort.tsv", run_setting_id="{sample}", parameters={"reads": "{cram}"})
    parts = [replace(sheet, part=part, parts=2) for part in range(2)]

    assert serde.deserialize(serde.serialize(sheet)) == sheet
    assert serde.deserialize(serde.serialize(parts)) == parts


@pytest.mark.parametrize(
    "settings",
    [
        SampleSheet("s3://bucket/cohort.tsv", run_setting_id="{sample}"),
        [{"runSettingId": "A"}],
    ],
)
def test_a_dag_with_a_batch_can_be_copied(settings: Any) -> None:
    with DAG("d", schedule=None) as dag:
        StartRunBatchOperator(task_id="t", default_run_setting=DEFAULT, batch_run_settings=settings)

    assert dag.partial_subset("t").task_ids == ["t"]


def test_a_dry_run_renders_what_it_is_given_a_context_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    (tmp_path / "2026-11-22.csv").write_text("sample\nNA12878\n")
    operator = StartRunBatchOperator(
        task_id="t",
        dag=DAG("d", schedule=None),
        default_run_setting={**DEFAULT, "parameters": {"day": "{{ ds }}"}},
        batch_run_settings=SampleSheet(f"{tmp_path}/{{{{ ds }}}}.csv", run_setting_id="{sample}"),
        aws_conn_id=None,
    )

    with capture_logs() as logged:
        operator.dry_run({"ds": "2026-11-22"})

    assert "'parameters': {'day': '2026-11-22'}, 'runSettingId': 'NA12878'" in str(logged[-1])
    assert "{{ ds }}" in operator.batch_run_settings.uri

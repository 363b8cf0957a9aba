from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG

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
        ),
    )

    operator.render_template_fields({"ds": "2026-11-22"})

    assert operator.batch_run_settings == SampleSheet(
        "s3://bucket/2026-11-22.tsv",
        run_setting_id="{sample}",
        parameters={"reads": "s3://2026-11-22/{cram}"},
    )


def test_a_limit_that_makes_no_sense_is_refused_when_the_dag_is_parsed() -> None:
    with pytest.raises(ValueError, match="max_failed_runs is a number of runs"):
        StartRunBatchOperator(
            task_id="t", default_run_setting=DEFAULT, batch_run_settings=[], max_failed_runs=1.5
        )

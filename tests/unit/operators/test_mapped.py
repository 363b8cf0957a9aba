"""The operator mapped over cohorts, as Airflow renders it for one of them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization

from airflow_provider_omics_batch.operators.omics import StartRunBatchOperator
from airflow_provider_omics_batch.run_batch import SampleSheet

DEFAULT = {"workflowId": "1234567", "roleArn": "arn:aws:iam::123456789012:role/omics"}


def sheets(**arguments: Any) -> list[SampleSheet]:
    return [
        SampleSheet(f"s3://bucket/{{{{ ds }}}}/{cohort}.tsv", run_setting_id="{sample}", **arguments)
        for cohort in ("GBR", "FIN")
    ]


def over_sheets(name: str) -> DAG:
    with DAG("d", schedule=None) as dag:
        StartRunBatchOperator.partial(
            task_id="t",
            default_run_setting=DEFAULT,
            batch_name=name,
            map_index_template="{{ task.batch_name }}",
        ).expand(batch_run_settings=sheets(part=2, parts=3))
    return dag


def over_arguments() -> DAG:
    with DAG("d", schedule=None) as dag:
        StartRunBatchOperator.partial(
            task_id="t", default_run_setting=DEFAULT, map_index_template="{{ task.batch_name }}"
        ).expand_kwargs(
            [
                {"batch_name": name, "batch_run_settings": sheet}
                for name, sheet in zip(("British of {{ ds }}", "Finns of {{ ds }}"), sheets(), strict=True)
            ]
        )
    return dag


def rendered(dag: DAG, map_index: int) -> tuple[str, SampleSheet]:
    """Return what Airflow shows as an instance's name before it starts it, and its sheet."""
    mapped, env = dag.get_task("t"), dag.get_template_env()
    context: Any = {
        "ti": SimpleNamespace(map_index=map_index),
        "dag": dag,
        "dag_run": SimpleNamespace(conf={}),
        "task": mapped,
        "ds": "2026-11-22",
    }
    mapped.render_template_fields(context, env)
    name = env.from_string(str(mapped.map_index_template)).render(context)
    return name, context["task"].batch_run_settings


@pytest.mark.parametrize("map_index", [0, 1])
def test_a_cohort_brings_its_own_name(map_index: int) -> None:
    name, sheet = rendered(over_arguments(), map_index)

    assert name == ("British of 2026-11-22", "Finns of 2026-11-22")[map_index]
    assert sheet.uri == f"s3://bucket/2026-11-22/{('GBR', 'FIN')[map_index]}.tsv"


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("{{ task.batch_run_settings.uri }}", "s3://bucket/2026-11-22/FIN.tsv"),
        ("part {{ task.batch_run_settings.part + 1 }}", "part 3"),
    ],
)
def test_a_name_is_made_of_the_sheet(template: str, name: str) -> None:
    assert rendered(over_sheets(template), 1) == (
        name,
        SampleSheet("s3://bucket/2026-11-22/FIN.tsv", run_setting_id="{sample}", part=2, parts=3),
    )


@pytest.mark.parametrize("make", [over_arguments, lambda: over_sheets("night")])
def test_two_parses_of_a_mapped_dag_store_the_same(make: Any) -> None:
    first, second = (DagSerialization.to_dict(make())["dag"]["tasks"] for _ in range(2))

    assert first == second

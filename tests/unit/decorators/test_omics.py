"""``@task.start_run_batch`` as a Dag is parsed and its task is rendered."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, task
from airflow.serialization.serialized_objects import DagSerialization
from structlog.testing import capture_logs

from airflow_provider_omics_batch.decorators.omics import start_run_batch_task
from airflow_provider_omics_batch.run_batch import SampleSheet

DEFAULT = {"workflowId": "1234567", "roleArn": "arn:aws:iam::123456789012:role/omics"}


def call_variants(cohort: str, ds: str | None = None) -> Iterator[dict[str, str]]:
    yield {"runSettingId": f"{cohort}-{ds}"}


@pytest.fixture(name="dag")
def _dag() -> Iterator[DAG]:
    with DAG("d", schedule=None) as dag:
        yield dag


def decorated(function: Any = call_variants, **arguments: Any) -> Any:
    return task.start_run_batch(**{"default_run_setting": DEFAULT, **arguments})(function)


def rendered(operator: Any, **context: Any) -> Any:
    operator.render_template_fields({"task": operator, **context})
    return operator


def test_airflow_finds_the_decorator_by_its_name() -> None:
    assert task.start_run_batch is start_run_batch_task


@pytest.mark.usefixtures("dag")
def test_the_decorator_takes_the_operators_arguments() -> None:
    operator = decorated(batch_name="night", retry_failed_rounds=2)("GBR").operator

    assert operator.task_id == "call_variants"
    assert operator.operator_name == "@task.start_run_batch"
    assert operator.default_run_setting == DEFAULT
    assert (operator.batch_name, operator.retry_failed_rounds) == ("night", 2)


@pytest.mark.usefixtures("dag")
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"default_run_setting": DEFAULT, "batch_run_settings": []}, "batch_run_settings"),
        ({"default_run_setting": DEFAULT, "multiple_outputs": True}, "takes no multiple_outputs"),
        ({}, "default_run_setting"),
    ],
)
def test_an_argument_too_many_or_too_few_is_refused_when_the_dag_is_parsed(
    arguments: dict[str, Any], told: str
) -> None:
    with pytest.raises(TypeError, match=told):
        task.start_run_batch(**arguments)(call_variants)("GBR")


async def awaited() -> None: ...


async def awaited_one_by_one() -> AsyncIterator[dict[str, str]]:
    yield {"runSettingId": "NA12878"}


@pytest.mark.usefixtures("dag")
@pytest.mark.parametrize("function", [awaited, awaited_one_by_one])
def test_a_function_that_is_async_is_refused_when_the_dag_is_parsed(function: Any) -> None:
    with pytest.raises(TypeError, match="takes a function without async"):
        decorated(function)()


def test_the_dags_default_arguments_are_enough() -> None:
    with DAG("d", schedule=None, default_args={"default_run_setting": DEFAULT}):
        bare = task.start_run_batch(call_variants)
        operators = [bare("GBR").operator, bare.expand(cohort=["GBR"]).operator]

    unmapped = operators[1].unmap({"op_kwargs": {"cohort": "GBR"}})
    assert operators[0].default_run_setting == unmapped.default_run_setting == DEFAULT


@pytest.mark.usefixtures("dag")
def test_arguments_are_rendered_before_what_names_them() -> None:
    operator = decorated(batch_name="{{ task.op_kwargs.cohort }}")(cohort="GBR-{{ ds }}").operator

    assert rendered(operator, ds="2026-11-22").batch_name == "GBR-2026-11-22"


@pytest.mark.usefixtures("dag")
def test_the_function_gets_its_arguments_and_what_it_wants_of_the_context() -> None:
    operator = rendered(decorated()("GBR").operator)

    given = operator.run_settings({"ds": "2026-11-22", "run_id": "night"})

    assert list(given) == [{"runSettingId": "GBR-2026-11-22"}]


@pytest.mark.usefixtures("dag")
def test_each_call_of_the_function_begins_anew() -> None:
    operator = decorated()("GBR").operator

    assert list(operator.run_settings({})) == list(operator.run_settings({}))


@pytest.mark.usefixtures("dag")
def test_jinja_is_rendered_in_a_sheet_that_is_returned_and_not_in_data() -> None:
    def a_sheet() -> SampleSheet:
        return SampleSheet("{{ ds }}.csv", run_setting_id="{sample}")

    def data() -> list[dict[str, str]]:
        return [{"runSettingId": "{{ ds }}"}]

    sheet, settings = (
        operator.run_settings({"task": operator, "ds": "2026-11-22"})
        for operator in (decorated(function)().operator for function in (a_sheet, data))
    )

    assert sheet.uri == "2026-11-22.csv"
    assert settings == [{"runSettingId": "{{ ds }}"}]


@pytest.mark.usefixtures("dag")
def test_the_tasks_result_is_one_whatever_the_function_is_annotated_with() -> None:
    def union() -> dict[str, str]:
        return {"s3UriSettings": "s3://bucket/settings.json"}

    assert decorated(union)().operator.multiple_outputs is False


@pytest.mark.usefixtures("dag")
def test_what_is_overridden_changes_a_copy() -> None:
    plain = decorated(batch_name="night")
    other = plain.override(task_id="other", batch_name="day")("GBR").operator

    assert (other.task_id, other.batch_name) == ("other", "day")
    assert plain("GBR").operator.batch_name == "night"


@pytest.mark.usefixtures("dag")
def test_one_argument_is_fixed_and_others_are_mapped_over() -> None:
    def settings(cohort: str, reference: str) -> list[dict[str, Any]]:
        return [{"runSettingId": cohort, "parameters": {"reference": reference}}]

    mapped = decorated(settings, map_index_template="{{ task.op_kwargs.cohort }}")
    operator = mapped.partial(reference="GRCh38").expand(cohort=["GBR", "FIN"]).operator

    second = operator.unmap({"op_kwargs": {"cohort": "FIN"}})
    assert second.run_settings({}) == settings("FIN", "GRCh38")
    assert second.default_run_setting == DEFAULT
    assert operator.map_index_template == "{{ task.op_kwargs.cohort }}"


@pytest.mark.usefixtures("dag")
def test_the_names_of_mapped_tasks_may_be_their_arguments() -> None:
    operator, context = decorated()(cohort="GBR", ds="another").operator, {"ds": "2026-11-22"}

    operator.pre_execute(context)

    assert context == {"ds": "2026-11-22", "cohort": "GBR"}


@pytest.mark.usefixtures("dag")
def test_an_argument_may_be_what_another_task_returns() -> None:
    @task
    def cohort() -> str:
        return "GBR"

    given = cohort()
    [single, mapped] = (decorated()(given).operator, decorated().expand(cohort=given).operator)

    assert single.upstream_task_ids == mapped.upstream_task_ids == {"cohort"}


def test_two_parses_of_a_dag_store_the_same() -> None:
    def stored() -> Any:
        with DAG("d", schedule=None) as dag:
            decorated()("GBR")
            decorated().expand(cohort=["GBR"])
        return DagSerialization.to_dict(dag)["dag"]["tasks"]

    assert stored() == stored()


def test_a_dag_with_a_function_can_be_copied(dag: DAG) -> None:
    decorated()("GBR")

    assert dag.partial_subset("call_variants").task_ids == ["call_variants"]


@pytest.mark.usefixtures("dag")
def test_a_dry_run_calls_the_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    operator = decorated(aws_conn_id=None)("{{ params.cohort }}").operator

    with capture_logs() as logged:
        operator.dry_run({"ds": "2026-11-22", "params": {"cohort": "GBR"}})

    assert "'runSettingId': 'GBR-2026-11-22'" in str(logged[-1])
    assert operator.op_args == ("{{ params.cohort }}",)

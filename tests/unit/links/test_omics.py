from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers_manager import ProvidersManager
from airflow.sdk import DAG
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import XComResult
from airflow.serialization.serialized_objects import DagSerialization
from structlog.testing import capture_logs

from airflow_provider_omics_batch.links.omics import (
    RunBatchLogsLink,
    RunBatchManifestLink,
    RunBatchOutputsLink,
)
from airflow_provider_omics_batch.operators.omics import StartRunBatchOperator

DEFAULT = {"workflowId": "1234567", "roleArn": "arn:aws:iam::123456789012:role/omics"}
ARN = "arn:aws-cn:omics:cn-north-1:123456789012:runBatch/7"
LINKS = (RunBatchLogsLink, RunBatchManifestLink, RunBatchOutputsLink)


class TaskInstance:
    """Holds the XCom that is pushed."""

    task_id, map_index = "t", -1

    def __init__(self, **xcom: Any) -> None:
        self.xcom = xcom

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcom[key] = value

    def xcom_pull(self, task_ids: str, key: str, map_indexes: int) -> Any:
        return self.xcom.get(key)


def persisted(link: Any, *, region: str = "eu-west-1", partition: str = "aws", **values: Any) -> str:
    ti = TaskInstance()
    link.persist({"ti": ti}, SimpleNamespace(do_xcom_push=False), region, partition, **values)
    [url] = ti.xcom.values()
    return str(url)


def operator(**arguments: Any) -> StartRunBatchOperator:
    return StartRunBatchOperator(
        task_id="t",
        default_run_setting=DEFAULT,
        batch_run_settings=[{"runSettingId": "A"}],
        aws_conn_id=None,
        **arguments,
    )


@pytest.mark.parametrize(
    ("partition", "region", "console"),
    [
        ("aws", "eu-west-1", "https://console.aws.amazon.com"),
        ("aws-cn", "cn-north-1", "https://console.amazonaws.cn"),
        ("aws-us-gov", "us-gov-west-1", "https://console.amazonaws-us-gov.com"),
    ],
)
def test_links_lead_to_the_console_of_their_partition(partition: str, region: str, console: str) -> None:
    assert persisted(RunBatchLogsLink, region=region, partition=partition) == (
        f"{console}/cloudwatch/home?region={region}"
        "#logsV2:log-groups/log-group/$252Faws$252Fomics$252FWorkflowLog"
    )
    assert persisted(
        RunBatchOutputsLink,
        region=region,
        partition=partition,
        output_uri="s3://bucket/out/",
    ) == (f"{console}/s3/buckets/bucket?region={region}&prefix=out/")


def test_a_partition_without_a_known_console_has_no_links() -> None:
    assert persisted(RunBatchLogsLink, region="us-iso-east-1", partition="aws-iso") == ""


@pytest.mark.parametrize(
    ("values", "path"),
    [
        ({"uri": "s3://b/run-batches/u/runs.jsonl"}, "object/b?{}&prefix=run-batches/u/runs.jsonl"),
        (
            {"uri": "s3://b/run-batches/u/runs.jsonl", "written": False},
            "buckets/b?{}&prefix=run-batches/u/",
        ),
        ({"uri": "s3://b/a b&c=ü+%/runs.jsonl"}, "object/b?{}&prefix=a%20b%26c%3D%C3%BC%2B%25/runs.jsonl"),
    ],
)
def test_a_manifest_is_an_object_once_it_is_written_and_a_place_before(
    values: dict[str, Any], path: str
) -> None:
    expected = f"https://console.aws.amazon.com/s3/{path.format('region=eu-west-1')}"

    assert persisted(RunBatchManifestLink, **values) == expected


@pytest.mark.parametrize(
    ("output_uri", "prefix"),
    [("s3://b/out", "out/"), ("s3://b/out/", "out/"), ("s3://b", ""), ("s3://b/", "")],
)
def test_outputs_are_listed_below_their_prefix(output_uri: str, prefix: str) -> None:
    link = persisted(RunBatchOutputsLink, output_uri=output_uri)

    assert link == f"https://console.aws.amazon.com/s3/buckets/b?region=eu-west-1&prefix={prefix}"


@pytest.mark.parametrize(
    ("link", "values"),
    [
        (RunBatchManifestLink, {}),
        (RunBatchManifestLink, {"uri": None, "written": False}),
        (RunBatchOutputsLink, {}),
        (RunBatchOutputsLink, {"output_uri": None}),
        (RunBatchOutputsLink, {"output_uri": ""}),
    ],
)
def test_a_link_without_a_value_is_empty(link: Any, values: dict[str, Any]) -> None:
    assert persisted(link, **values) == ""


@pytest.mark.parametrize("link", LINKS)
def test_airflow_finds_at_the_end_of_a_task_what_was_persisted(
    link: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def send(message: Any) -> Any:
        asked.append(message)
        return XComResult(key=message.key, value=answers.pop(0))

    answers: list[str | None] = ["https://console.aws.amazon.com/…", None]
    supervisor = SimpleNamespace(send=send)
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", supervisor, raising=False)
    ti: Any = SimpleNamespace(dag_id="d", task_id="t", run_id="r", map_index=3)

    found = [link().get_link(operator(), ti_key=ti) for _ in range(2)]

    assert found == ["https://console.aws.amazon.com/…", ""]
    assert {message.key for message in asked} == {link().xcom_key}
    assert {message.map_index for message in asked} == {3}


@pytest.mark.parametrize(("batch_arn", "domain"), [(ARN, "amazonaws.cn"), (None, "amazonaws-us-gov.com")])
def test_where_a_batch_is_tells_its_arn_or_else_the_connection(batch_arn: str | None, domain: str) -> None:
    ti = TaskInstance(batch_arn=batch_arn)

    RunBatchLogsLink.show({"ti": ti}, operator(region_name="us-gov-west-1"))

    assert ti.xcom[RunBatchLogsLink.key].startswith(f"https://console.{domain}/cloudwatch/")


def test_a_link_that_cannot_be_made_is_only_logged() -> None:
    class Refusing(TaskInstance):
        def xcom_push(self, key: str, value: Any) -> None:
            raise RuntimeError("no API server")

    refusing, odd, good = Refusing(batch_arn=ARN), TaskInstance(batch_arn="?"), TaskInstance(batch_arn=ARN)
    with capture_logs() as logged:
        RunBatchLogsLink.show({"ti": refusing}, operator())
        RunBatchLogsLink.show({"ti": odd}, operator())
        RunBatchOutputsLink.show({"ti": good}, operator(), output_uri=["none"])
        RunBatchManifestLink.show({"ti": good}, operator(), uri="gs://b/runs.jsonl")

    warnings = [entry["event"] for entry in logged if entry["log_level"] == "warning"]
    assert len(warnings) == 4
    assert "'CloudWatch Logs of Runs': no API server" in warnings[0]
    assert "'gs://b/runs.jsonl' is not of the form" in warnings[3]


def test_a_dag_that_airflow_has_stored_knows_where_its_links_are() -> None:
    with DAG("d", schedule=None) as dag:
        operator()
        StartRunBatchOperator.partial(task_id="mapped", default_run_setting=DEFAULT).expand(
            batch_run_settings=[[{"runSettingId": "A"}]]
        )
    stored = DagSerialization.from_dict(DagSerialization.to_dict(dag))

    expected = {link.name: link.key for link in LINKS}
    for task in stored.tasks:
        assert {link.name: link.xcom_key for link in task.operator_extra_links} == expected


def test_the_provider_lists_its_links() -> None:
    paths = {f"{link.__module__}.{link.__name__}" for link in LINKS}

    assert paths <= set(ProvidersManager().extra_links_class_names)

"""What a task's page links to, as Airflow's API tells the page."""

from __future__ import annotations

import pytest

from tests.system.dag_run import DagRun
from tests.system.deployed import BUCKET, Deployment
from tests.system.deployment import REGION

CONSOLE = "https://console.aws.amazon.com"
ALWAYS_THERE = {
    "CloudWatch Logs of Runs": f"{CONSOLE}/cloudwatch/home?region={REGION}"
    "#logsV2:log-groups/log-group/$252Faws$252Fomics$252FWorkflowLog",
    "Run Outputs in S3": f"{CONSOLE}/s3/buckets/bucket?region={REGION}&prefix=out/",
}


def links_while_under_way(run: DagRun, batch_id: str) -> dict[str, str | None]:
    uuid = run.emulator.client("omics").get_batch(batchId=batch_id)["uuid"]
    folder = f"{CONSOLE}/s3/buckets/{BUCKET}?region={REGION}&prefix=airflow/run-batches/{uuid}/"
    return {**ALWAYS_THERE, "Run Manifest in S3": folder}


@pytest.mark.parametrize("dag_id", ["linked", "linked_on_the_worker"])
def test_links_are_there_as_long_as_the_batch_is_under_way(deployment: Deployment, dag_id: str) -> None:
    run = deployment.start(dag_id)

    [batch_id] = run.wait_until_watched()

    assert run.task_states() == ["running" if dag_id.endswith("worker") else "deferred"]
    assert run.links() == links_while_under_way(run, batch_id)


def test_each_mapped_task_has_links_to_its_own_batch(deployment: Deployment) -> None:
    run = deployment.start("linked_and_mapped")
    run.wait_until_watched(2)

    for index in range(2):
        batch_id = run.xcom("batch_id", index)
        assert run.links(index) == links_while_under_way(run, batch_id)


def test_at_the_end_the_manifest_itself_has_a_link(deployment: Deployment) -> None:
    run = deployment.start("brief_and_linked")
    assert run.wait_for_end() == "success"

    key = run.xcom("manifest_uri").removeprefix(f"s3://{BUCKET}/")

    assert run.links() == {
        **ALWAYS_THERE,
        "Run Manifest in S3": f"{CONSOLE}/s3/object/{BUCKET}?region={REGION}&prefix={key}",
    }

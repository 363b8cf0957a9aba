"""An account in which each operation finds something to act on, made through the API."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from moto.core.utils import camelcase_to_underscores

from airflow_provider_omics_batch.emulator import FailureRule
from tests.unit.emulator.conformance import MODEL, OPERATIONS, Known, least

ACCOUNT = "123456789012"

#: What the account needs to be told before, for one of its runs to fail.
FAILING = FailureRule(reason="OUT_OF_MEMORY_ERROR", run_setting_id="fails")

TAGS = {"team": "variants"}
DEFINITION = {
    "definitionZip": b"zip",
    "description": "calls variants",
    "engine": "WDL",
    "main": "main.wdl",
    "parameterTemplate": {"a": {"description": "the reads", "optional": True}},
    "storageCapacity": 1200,
    "storageType": "STATIC",
    "accelerators": "GPU",
    "tags": TAGS,
    "containerRegistryMap": {"imageMappings": [{"sourceImage": "bwa", "destinationImage": "ecr/bwa"}]},
    "readmeMarkdown": "# Variants",
    "readmePath": "README.md",
    "workflowBucketOwnerId": ACCOUNT,
}
REPOSITORY = {
    "connectionArn": f"arn:aws:codeconnections:us-east-1:{ACCOUNT}:connection/a",
    "fullRepositoryId": "owner/variants",
    "sourceReference": {"type": "TAG", "value": "v1"},
}
GROUP = {"maxCpus": 400, "maxRuns": 100, "maxDuration": 600, "maxGpus": 8, "tags": TAGS}
CACHE = {"description": "variants", "cacheBucketOwnerId": ACCOUNT, "tags": TAGS}

#: One that is submitted and completes, one that fails, and one that is refused.
RUNS = [
    {"runSettingId": "good", "name": "one", "priority": 1, "parameters": {"a": 1}},
    {"runSettingId": FAILING.run_setting_id},
    {"runSettingId": "refused", "outputUri": "nowhere"},
]

#: All members of StartRun but ``runId`` and those that refer to something.
RUN = {
    "workflowType": "PRIVATE",
    "name": "alone",
    "cacheBehavior": "CACHE_ALWAYS",
    "priority": 1,
    "parameters": {"a": 1},
    "storageCapacity": 1200,
    "storageType": "STATIC",
    "logLevel": "ALL",
    "tags": TAGS,
    "retentionMode": "RETAIN",
    "networkingMode": "RESTRICTED",
    "configurationName": "egress",
    "scratchStorageMode": "SHARED",
    "sessionPolicy": "{}",
    "engineSettings": {"a": 1},
}
REFERENCES = (
    "roleArn",
    "outputUri",
    "workflowId",
    "workflowVersionName",
    "workflowOwnerId",
    "runGroupId",
    "cacheId",
)


class Furnished(NamedTuple):
    """
    What requests may refer to.

    :param common: values of members by their names.
    :param own: those of single operations.
    """

    common: dict[str, Any]
    own: dict[str, dict[str, Any]]

    def of(self, operation: str) -> Known:
        return {**self.common, **self.own.get(operation, {})}


def furnish(omics: Any, s3: Any, bucket: str, advance: Callable[[float], object]) -> Furnished:
    """
    Furnish an empty account, which has been told of :data:`FAILING`.

    :param omics: a client of it, for which time stands still.
    :param bucket: an empty one.
    :param advance: lets seconds pass.
    """
    own = {**_workflows(omics), **_run_groups(omics), **_run_caches(omics, bucket)}
    advance(10)
    common = {
        "roleArn": f"arn:aws:iam::{ACCOUNT}:role/omics",
        "outputUri": f"s3://{bucket}/out/",
        "workflowId": own["GetWorkflow"]["id"],
        "workflowVersionName": "v1",
        "versionName": "v1",
        "workflowOwnerId": ACCOUNT,
        "runGroupId": own["GetRunGroup"]["id"],
        "cacheId": own["GetRunCache"]["id"],
        "s3UriSettings": _settings_file(s3, bucket),
    }
    found = Furnished(common, {**own, **_batches(omics, common, advance)})
    found.own.update(_tokens(omics, found))
    return found


def _settings_file(s3: Any, bucket: str) -> str:
    s3.put_object(Bucket=bucket, Key="settings.json", Body=json.dumps(RUNS).encode())
    return f"s3://{bucket}/settings.json"


def _workflows(omics: Any) -> dict[str, Any]:
    """Make a workflow with versions, and one to delete."""
    workflow, old = (omics.create_workflow(name=name, **DEFINITION) for name in ("variants", "old"))
    for name in ("v1", "old"):
        omics.create_workflow_version(workflowId=workflow["id"], versionName=name, **DEFINITION)
    omics.create_workflow(name="repository", definitionRepository=REPOSITORY)
    omics.create_workflow_version(
        workflowId=workflow["id"], versionName="repository", definitionRepository=REPOSITORY
    )
    return {
        "GetWorkflow": {"id": workflow["id"]},
        "UpdateWorkflow": {"id": workflow["id"]},
        "DeleteWorkflow": {"id": old["id"]},
        "DeleteWorkflowVersion": {"versionName": "old"},
        "CreateWorkflowVersion": {"versionName": "v2"},
        "ListTagsForResource": {"resourceArn": workflow["arn"]},
        "UntagResource": {"resourceArn": workflow["arn"]},
    }


def _run_groups(omics: Any) -> dict[str, Any]:
    """Make a run group to use, one to delete, and one without tags."""
    group, old = (omics.create_run_group(name=name, **GROUP)["id"] for name in ("night", "old"))
    return {
        "GetRunGroup": {"id": group},
        "UpdateRunGroup": {"id": group},
        "DeleteRunGroup": {"id": old},
        "TagResource": {"resourceArn": omics.create_run_group()["arn"]},
    }


def _run_caches(omics: Any, bucket: str) -> dict[str, Any]:
    """Make a run cache to use and one to delete."""
    place = f"s3://{bucket}/cache"
    cache, old = (
        omics.create_run_cache(name=name, cacheS3Location=place, **CACHE)["id"] for name in ("night", "old")
    )
    return {
        "GetRunCache": {"id": cache},
        "UpdateRunCache": {"id": cache},
        "DeleteRunCache": {"id": old},
    }


def _batches(omics: Any, known: dict[str, Any], advance: Callable[[float], object]) -> dict[str, Any]:
    """Make batches and runs that are over, and at last some to cancel."""
    batch, old = (_start_batch(omics, known, name, RUNS) for name in ("night", "old"))
    failed = _start_batch(omics, known, "failed", [RUNS[0], RUNS[0]])
    run = omics.start_run(**_whole_run(known))["id"]
    again = omics.start_run(runId=run, roleArn=known["roleArn"], outputUri=known["outputUri"])["id"]
    advance(3600)
    task = omics.list_run_tasks(id=run)["items"][0]["taskId"]
    current = _start_batch(omics, known, "current", RUNS)
    advance(6)
    return {
        "GetBatch": {"batchId": batch},
        "ListRunsInBatch": {"batchId": batch, "runId": omics.list_runs(batchId=batch)["items"][0]["id"]},
        "ListRuns": {"batchId": batch},
        "DeleteRunBatch": {"batchId": old},
        "DeleteBatch": {"batchId": failed},
        "CancelRunBatch": {"batchId": current},
        "GetRun": {"id": run},
        "ListRunTasks": {"id": run},
        "GetRunTask": {"id": run, "taskId": task},
        "StartRun": {"runId": run},
        "DeleteRun": {"id": again},
        "CancelRun": {"id": omics.start_run(**_whole_run(known))["id"]},
    }


def _start_batch(omics: Any, known: dict[str, Any], name: str, runs: list[dict[str, Any]]) -> str:
    members = ("roleArn", "outputUri", "workflowId", "workflowVersionName")
    batch = omics.start_run_batch(
        batchName=name,
        defaultRunSetting={member: known[member] for member in members},
        batchRunSettings={"inlineSettings": runs},
        tags=TAGS,
    )
    batch_id: str = batch["id"]
    return batch_id


def _whole_run(known: dict[str, Any]) -> dict[str, Any]:
    """Give all members of StartRun but ``runId``."""
    return {**RUN, **{name: known[name] for name in REFERENCES}}


def _tokens(omics: Any, found: Furnished) -> dict[str, Any]:
    """Take the tokens of second pages."""
    own = {}
    for operation in OPERATIONS:
        shape: Any = MODEL.operation_model(operation).input_shape
        if "startingToken" in shape.members:
            size = "maxItems" if "maxItems" in shape.members else "maxResults"
            request = {**least(shape, found.of(operation)), size: 1}
            answer = getattr(omics, camelcase_to_underscores(operation))(**request)
            own[operation] = {**found.own.get(operation, {}), "startingToken": answer["nextToken"]}
    return own

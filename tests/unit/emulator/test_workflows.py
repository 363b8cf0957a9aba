"""Workflows, their versions and their parameter templates."""

from __future__ import annotations

from io import BytesIO

import pytest
from botocore.exceptions import ClientError

from airflow_provider_omics_batch.emulator.server.state import take

TEMPLATE = {"cram": {"description": "the reads"}, "ref": {"optional": False}, "threads": {"optional": True}}


@pytest.fixture(name="workflow")
def _workflow(omics, clock):
    """Create a workflow, and wait until it is active."""

    def workflow(**more):
        answer = omics.create_workflow(
            **{"name": "variants", "definitionZip": b"zip", "parameterTemplate": TEMPLATE, **more}
        )
        clock.advance(10)
        return answer["id"]

    return workflow


def test_a_workflow_becomes_active(omics, clock):
    created = omics.create_workflow(name="variants", definitionZip=b"zip", tags={"team": "a"})
    assert created["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert created["status"] == "CREATING"
    assert created["arn"] == f"arn:aws:omics:eu-west-1:123456789012:workflow/{created['id']}"

    clock.advance(10)
    found = omics.get_workflow(id=created["id"])

    assert (found["status"], found["type"], found["name"]) == ("ACTIVE", "PRIVATE", "variants")
    assert found["tags"] == {"team": "a"}
    assert len(found["digest"]) == 64
    assert found["creationTime"].timestamp() == clock.now - 10


@pytest.mark.parametrize("other", [{"type": "READY2RUN"}, {"workflowOwnerId": "999999999999"}])
def test_there_are_no_workflows_of_others(omics, workflow, other):
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        omics.get_workflow(id=workflow(), **other)


def test_a_workflow_keeps_its_parameter_template(omics, workflow):
    assert omics.get_workflow(id=workflow())["parameterTemplate"] == TEMPLATE


def test_workflows_are_listed_in_pages_and_by_name(omics, workflow):
    ids = [workflow(name=f"w{i}") for i in range(3)]
    pages = list(omics.get_paginator("list_workflows").paginate(PaginationConfig={"PageSize": 2}))

    assert [item["id"] for page in pages for item in page["items"]] == ids
    assert [item["id"] for item in omics.list_workflows(name="w1")["items"]] == [ids[1]]
    assert omics.list_workflows(type="READY2RUN")["items"] == []


@pytest.mark.parametrize("sources", [{}, {"definitionZip": b"zip", "definitionUri": "s3://b/w.zip"}])
def test_a_workflow_has_exactly_one_source(omics, sources):
    with pytest.raises(omics.exceptions.ValidationException, match="Exactly one of"):
        omics.create_workflow(name="variants", **sources)


def test_a_workflow_of_a_repository_tells_which(omics):
    repository = {
        "connectionArn": "arn:aws:codeconnections:eu-west-1:123456789012:connection/a",
        "fullRepositoryId": "owner/variants",
        "sourceReference": {"type": "TAG", "value": "v1"},
    }
    given = {**repository, "excludeFilePatterns": ["*.md"]}
    created = omics.create_workflow(definitionRepository=given)

    assert omics.get_workflow(id=created["id"])["definitionRepositoryDetails"] == repository


def test_a_workflow_can_be_changed_and_deleted(omics, workflow):
    workflow_id = workflow()
    omics.update_workflow(id=workflow_id, name="renamed")
    assert omics.get_workflow(id=workflow_id)["name"] == "renamed"

    omics.delete_workflow(id=workflow_id)

    assert omics.list_workflows()["items"] == []
    with pytest.raises(omics.exceptions.ResourceNotFoundException):
        omics.get_workflow(id=workflow_id)


def test_the_same_request_gives_the_same_workflow(omics, workflow):
    assert workflow(requestId="one") == workflow(requestId="one")
    with pytest.raises(omics.exceptions.ConflictException):
        workflow(requestId="one", name="other")


def test_no_more_workflows_than_the_quota(configure, workflow):
    configure(max_workflows=1)
    workflow()
    with pytest.raises(ClientError) as caught:
        workflow()

    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 402


def test_a_workflow_has_versions(omics, workflow, clock):
    workflow_id = workflow()
    created = omics.create_workflow_version(workflowId=workflow_id, versionName="1.1", definitionZip=b"new")
    clock.advance(10)
    found = omics.get_workflow_version(workflowId=workflow_id, versionName="1.1")

    assert created["arn"] == f"arn:aws:omics:eu-west-1:123456789012:workflow/{workflow_id}/version/1.1"
    assert (created["workflowId"], created["versionName"]) == (workflow_id, "1.1")
    assert (found["status"], found["arn"]) == ("ACTIVE", created["arn"])
    [item] = omics.list_workflow_versions(workflowId=workflow_id)["items"]
    assert (item["workflowId"], item["versionName"]) == (workflow_id, "1.1")
    with pytest.raises(omics.exceptions.ConflictException):
        omics.create_workflow_version(workflowId=workflow_id, versionName="1.1", definitionZip=b"new")
    omics.update_workflow_version(workflowId=workflow_id, versionName="1.1", description="better")
    assert omics.list_workflow_versions(workflowId=workflow_id)["items"][0]["description"] == "better"
    omics.delete_workflow_version(workflowId=workflow_id, versionName="1.1")
    assert omics.list_workflow_versions(workflowId=workflow_id)["items"] == []


def test_runs_whose_parameters_do_not_fit_the_template_are_refused_alone(start, runs, workflow, clock):
    batch = start(
        [
            {"runSettingId": "good", "parameters": {"cram": "s3://c/1"}},
            {"runSettingId": "missing"},
            {"runSettingId": "unknown", "parameters": {"cram": "s3://c/1", "cramm": 1}},
        ],
        default={"workflowId": workflow(), "parameters": {"ref": "s3://r/ref.fa"}},
    )
    clock.advance(100)
    good, missing, unknown = runs(batch)

    assert good["submissionStatus"] == "SUCCESS"
    assert missing["submissionFailureReason"] == unknown["submissionFailureReason"] == "ValidationException"
    assert missing["submissionFailureMessage"].endswith("are missing: cram")
    assert unknown["submissionFailureMessage"].endswith("does not have: cramm")


def test_a_version_has_a_template_of_its_own(start, omics, runs, workflow, clock):
    workflow_id = workflow()
    omics.create_workflow_version(
        workflowId=workflow_id, versionName="2", definitionZip=b"2", parameterTemplate={"bam": {}}
    )
    clock.advance(10)
    batch = start(
        [{"runSettingId": "a", "parameters": {"bam": "s3://b/a"}}],
        default={"workflowId": workflow_id, "workflowVersionName": "2"},
    )
    clock.advance(100)

    assert runs(batch)[0]["submissionStatus"] == "SUCCESS"
    item = omics.list_runs()["items"][0]
    assert (item["workflowName"], item["workflowVersionName"]) == ("variants", "2")


def test_a_workflow_or_version_that_is_not_there_is_refused_at_once(start, omics, workflow):
    with pytest.raises(omics.exceptions.ResourceNotFoundException, match="no version 9"):
        start(default={"workflowId": workflow(), "workflowVersionName": "9"})
    inactive = omics.create_workflow(definitionZip=b"zip")["id"]
    with pytest.raises(omics.exceptions.ResourceNotFoundException, match="not active"):
        start(default={"workflowId": inactive})


def test_ids_of_other_workflows_are_taken_for_good_unless_told_otherwise(start, omics, configure):
    start(default={"workflowId": "7777777"})
    configure(strict_ids=True)
    with pytest.raises(omics.exceptions.ResourceNotFoundException):
        start(default={"workflowId": "7777777"})


def test_run_groups_and_caches_that_are_not_there_fail_the_runs(start, runs, workflow, clock, configure):
    configure(strict_ids=True)
    workflow_id = workflow(parameterTemplate={"x": {"optional": True}})
    batches = [
        start(1, default={"workflowId": workflow_id, name: "99"}) for name in ("runGroupId", "cacheId")
    ]
    clock.advance(100)

    for batch in batches:
        assert runs(batch)[0]["submissionFailureReason"] == "ResourceNotFoundException"


def test_a_deleted_workflow_is_refused(omics, start, workflow):
    """Its id is not one of those that were never created here, and its template is not forgotten for good."""
    workflow_id = workflow(parameterTemplate={"cram": {}})
    omics.delete_workflow(id=workflow_id)

    with pytest.raises(omics.exceptions.ResourceNotFoundException, match=f"{workflow_id} does not exist"):
        start(default={"workflowId": workflow_id})
    start(default={"workflowId": workflow_id, "workflowOwnerId": "999999999999"})


def test_runs_of_a_deleted_run_group_are_refused(omics, start, runs, clock):
    group_id = omics.create_run_group(maxRuns=1)["id"]
    omics.delete_run_group(id=group_id)
    batch = start(1, default={"runGroupId": group_id})
    clock.advance(100)

    assert runs(batch)[0]["submissionFailureReason"] == "ResourceNotFoundException"


def test_a_definition_is_told_from_another_without_being_kept(omics):
    definition = bytes(1_000_000)
    first = omics.create_workflow(definitionZip=definition, requestId="one")
    version = {"workflowId": first["id"], "versionName": "1", "requestId": "two"}
    omics.create_workflow_version(**version, definitionZip=definition)

    state = BytesIO()
    take(state)
    assert len(state.getvalue()) < 100_000
    assert omics.create_workflow(definitionZip=definition, requestId="one")["id"] == first["id"]
    with pytest.raises(omics.exceptions.ConflictException):
        omics.create_workflow(definitionZip=definition[1:], requestId="one")

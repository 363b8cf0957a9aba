"""Lists, pages and single runs."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError


def test_batches_come_newest_first(start, omics):
    batches = [start(batchName=f"b{i}") for i in range(5)]
    pages = list(omics.get_paginator("list_batch").paginate(PaginationConfig={"PageSize": 2}))
    items = [item for page in pages for item in page["items"]]

    assert [len(page["items"]) for page in pages] == [2, 2, 1]
    assert [item["id"] for item in items] == batches[::-1]
    assert items[0].keys() == {"id", "name", "status", "createdAt", "totalRuns", "workflowId"}


def test_a_new_batch_does_not_disturb_the_pages(start, omics):
    batches = [start() for _ in range(4)]
    first = omics.list_batch(maxItems=2)
    start()
    second = omics.list_batch(maxItems=2, startingToken=first["nextToken"])

    assert [item["id"] for item in first["items"] + second["items"]] == batches[::-1]


@pytest.mark.parametrize("filters", [{"name": "x"}, {"runGroupId": "77"}, {"status": "CREATING"}])
def test_batches_can_be_filtered(start, omics, clock, filters):
    start(batchName="y")
    clock.advance(500)
    wanted = start(batchName="x", default={"runGroupId": "77"})

    assert [item["id"] for item in omics.list_batch(**filters)["items"]] == [wanted]


def test_runs_appear_with_their_submission(start, runs, clock):
    batch = start(5)
    assert runs(batch) == []
    clock.advance(12)

    assert [run["runSettingId"] for run in runs(batch)] == ["run-0", "run-1"]


def test_all_runs_of_a_batch_are_listed_in_pages(start_from_s3, omics, clock, configure):
    configure(start_run_tps=1000)
    batch = start_from_s3([{"runSettingId": f"run-{i}"} for i in range(250)])
    clock.advance(100)
    pages = list(omics.get_paginator("list_runs_in_batch").paginate(batchId=batch))
    listed = [run for page in pages for run in page["runs"]]

    assert [len(page["runs"]) for page in pages] == [100, 100, 50]
    assert [run["runSettingId"] for run in listed] == [f"run-{i}" for i in range(250)]
    assert len({run["runId"] for run in listed}) == 250
    assert len({run["runInternalUuid"] for run in listed}) == 250
    assert listed[0]["runArn"] == f"arn:aws:omics:eu-west-1:123456789012:run/{listed[0]['runId']}"


def test_runs_of_a_batch_can_be_filtered(start, runs, clock, configure):
    configure(fail_submissions=0.5, start_run_tps=100)
    batch = start(30)
    clock.advance(100)
    everything = runs(batch)
    failures = [run for run in everything if run["submissionStatus"] == "FAILED"]
    success = next(run for run in everything if run["submissionStatus"] == "SUCCESS")

    assert failures
    assert runs(batch, submissionStatus="FAILED") == failures
    assert runs(batch, runSettingId="run-7") == [everything[7]]
    assert runs(batch, runId=success["runId"]) == [success]
    assert runs(batch, runId="1") == []


@pytest.mark.parametrize("run_id", ["abc", "²", "1.5", "9" * 5_000])
def test_no_run_has_an_id_that_is_no_number(start, unchecked, clock, run_id):
    batch = start(3)
    clock.advance(100)

    assert unchecked.list_runs_in_batch(batchId=batch, runId=run_id)["runs"] == []


def test_a_token_belongs_to_its_question(start, omics):
    for _ in range(3):
        start()
    token = omics.list_batch(maxItems=1)["nextToken"]
    with pytest.raises(ClientError, match="startingToken is not valid"):
        omics.list_batch(maxItems=1, startingToken=token, status="CREATING")


@pytest.mark.parametrize("more", ["=", "==", "A"])
def test_a_token_is_taken_as_it_was_given_only(start, omics, more):
    for _ in range(3):
        start()
    token = omics.list_batch(maxItems=1)["nextToken"]

    with pytest.raises(ClientError, match="startingToken is not valid"):
        omics.list_batch(maxItems=1, startingToken=token + more)


@pytest.mark.parametrize("filters", [{"name": "other"}, {"runGroupId": "77"}, {"batchId": "1000002"}])
def test_runs_can_be_filtered(start, omics, clock, filters):
    start(2)
    second = start(2, default={"name": "other", "runGroupId": "77"})
    assert second == "1000002"
    clock.advance(500)
    found = omics.list_runs(**filters, status="COMPLETED")["items"]

    assert [run["batchId"] for run in found] == [second] * 2
    assert omics.list_runs(**filters, status="FAILED")["items"] == []


def test_runs_of_all_batches_are_listed_in_pages(start, omics, clock):
    for _ in range(3):
        start(3)
    clock.advance(500)
    pages = list(omics.get_paginator("list_runs").paginate(PaginationConfig={"PageSize": 4}))
    ids = [int(run["id"]) for page in pages for run in page["items"]]

    assert [len(page["items"]) for page in pages] == [4, 4, 1]
    assert ids == sorted(set(ids))


def test_a_listed_run_has_its_own_name_and_priority(start, omics, clock):
    start([{"runSettingId": "a", "name": "mine", "priority": 0}], default={"name": "all", "priority": 5})
    clock.advance(500)
    run = omics.list_runs()["items"][0]

    assert (run["name"], run["priority"], run["workflowId"]) == ("mine", 0, "1234567")
    assert run["creationTime"] < run["startTime"] < run["stopTime"]


def test_settings_of_a_run_merge_over_those_of_the_batch(start, omics, clock):
    """Parameters and run tags merge by key, the rest is replaced; tags of the batch stay with the batch."""
    start(
        [
            {
                "runSettingId": "a",
                "parameters": {"cram": "s3://c/a.cram", "nested": {"x": 1}},
                "runTags": {"sample": "a", "team": "mine"},
                "outputUri": "s3://other/out",
                "engineSettings": {"engineVersion": "25.10.0"},
            }
        ],
        default={
            "parameters": {"ref": "s3://r/ref.fa", "nested": {"y": 2}},
            "runTags": {"team": "all", "cost": "7"},
            "engineSettings": {"profile": "fast"},
            "storageType": "DYNAMIC",
            "cacheId": "55",
            "cacheBehavior": "CACHE_ON_FAILURE",
        },
        tags={"batch": "only"},
    )
    clock.advance(500)
    run = omics.get_run(id=omics.list_runs()["items"][0]["id"])

    assert run["parameters"] == {"ref": "s3://r/ref.fa", "cram": "s3://c/a.cram", "nested": {"x": 1}}
    assert run["tags"] == {"team": "mine", "cost": "7", "sample": "a"}
    assert run["engineSettings"] == {"engineVersion": "25.10.0"}
    assert run["outputUri"] == "s3://other/out"
    assert run["runOutputUri"] == f"s3://other/out/{run['id']}/{run['uuid']}"
    assert (run["storageType"], run["cacheId"], run["cacheBehavior"]) == ("DYNAMIC", "55", "CACHE_ON_FAILURE")
    assert run["logLocation"]["runLogStream"].endswith(f"/aws/omics/WorkflowLog:log-stream:run/{run['id']}")


def test_lists_and_get_run_agree(start, omics, runs, clock):
    batch = start(1)
    clock.advance(500)
    mapping = runs(batch)[0]
    run = omics.get_run(id=mapping["runId"])

    assert (run["uuid"], run["arn"], run["batchId"]) == (mapping["runInternalUuid"], mapping["runArn"], batch)


@pytest.mark.parametrize("run", ["1", "5000002", "9999999"])
def test_an_unknown_run_is_not_found(start, omics, clock, run):
    start(1)
    clock.advance(500)
    with pytest.raises(omics.exceptions.ResourceNotFoundException):
        omics.get_run(id=run)


def test_a_run_that_is_not_submitted_yet_is_not_found(start, omics, clock):
    start(2)
    clock.advance(11)
    omics.get_run(id="5000001")
    with pytest.raises(omics.exceptions.ResourceNotFoundException):
        omics.get_run(id="5000002")

"""Tags of everything that has an ARN."""

from __future__ import annotations

import pytest

ARN = "arn:aws:omics:eu-west-1:123456789012:"


@pytest.fixture(name="arn_of")
def _arn_of(start, omics, clock, default):
    """Make a resource of a kind with one tag, and give its ARN."""

    def arn_of(kind):
        tags = {"team": "a"}
        if kind == "runBatch":
            return ARN + f"runBatch/{start(tags=tags)}"
        if kind == "run of a batch":
            start([{"runSettingId": "a", "runTags": tags}])
            clock.advance(100)
            return omics.list_runs()["items"][0]["arn"]
        if kind == "run":
            return omics.start_run(**default, tags=tags)["arn"]
        if kind == "runGroup":
            return omics.create_run_group(tags=tags)["arn"]
        if kind == "runCache":
            return omics.create_run_cache(cacheS3Location="s3://bucket", tags=tags)["arn"]
        workflow = omics.create_workflow(definitionZip=b"zip", tags=tags)
        if kind == "workflow":
            return workflow["arn"]
        return omics.create_workflow_version(
            workflowId=workflow["id"], versionName="1.1", definitionZip=b"zip", tags=tags
        )["arn"]

    return arn_of


@pytest.mark.parametrize(
    "kind", ["runBatch", "run", "run of a batch", "runGroup", "runCache", "workflow", "version"]
)
def test_tags_are_added_replaced_and_removed(omics, arn_of, kind):
    arn = arn_of(kind)
    answer = omics.tag_resource(resourceArn=arn, tags={"team": "b", "cost": "7"})
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert omics.list_tags_for_resource(resourceArn=arn)["tags"] == {"team": "b", "cost": "7"}

    answer = omics.untag_resource(resourceArn=arn, tagKeys=["team", "unknown"])

    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert omics.list_tags_for_resource(resourceArn=arn)["tags"] == {"cost": "7"}


def test_changed_tags_are_shown_by_the_resource(start, omics, clock):
    batch = start(2, tags={"team": "a"}, requestId="one")
    clock.advance(100)
    first, second = omics.list_runs()["items"]
    omics.tag_resource(resourceArn=ARN + f"runBatch/{batch}", tags={"team": "b"})
    omics.tag_resource(resourceArn=first["arn"], tags={"sample": "7"})

    assert omics.get_batch(batchId=batch)["tags"] == {"team": "b"}
    assert omics.get_run(id=first["id"])["tags"] == {"sample": "7"}
    assert omics.get_run(id=second["id"])["tags"] == {}
    assert start(2, tags={"team": "a"}, requestId="one") == batch


@pytest.mark.parametrize(
    "arn",
    [
        ARN + "runBatch/1",
        ARN + "run/1",
        ARN + "runGroup/1",
        ARN + "workflow/1",
        ARN + "sequenceStore/1",
        "arn:aws:omics:us-east-1:123456789012:runBatch/1000001",
        "arn:aws:s3:::bucket",
    ],
)
def test_what_is_not_there_has_no_tags(omics, start, arn):
    start()
    with pytest.raises(omics.exceptions.ResourceNotFoundException):
        omics.list_tags_for_resource(resourceArn=arn)


@pytest.mark.parametrize("number", [26, 51])
def test_a_resource_has_up_to_50_tags(omics, arn_of, number):
    arn = arn_of("runGroup")
    omics.tag_resource(resourceArn=arn, tags={f"a{n}": "" for n in range(24)})
    with pytest.raises(omics.exceptions.ValidationException):
        omics.tag_resource(resourceArn=arn, tags={f"b{n}": "" for n in range(number)})


def test_nothing_is_made_with_more_than_50_tags(omics, start):
    tags = {"tags": {str(n): "" for n in range(51)}}
    run_tags = {"runTags": tags["tags"]}
    for make in (
        lambda: start(**tags),
        lambda: start(default=run_tags),
        lambda: omics.create_run_group(**tags),
        lambda: omics.create_workflow(definitionZip=b"zip", **tags),
        lambda: omics.create_run_cache(cacheS3Location="s3://bucket", **tags),
    ):
        with pytest.raises(omics.exceptions.ValidationException, match="up to 50 tags"):
            make()


def test_a_run_with_more_than_50_tags_is_refused_alone(start, runs, clock):
    own = {f"own-{n}": "" for n in range(26)}
    batch = start(
        [{"runSettingId": "a"}, {"runSettingId": "b", "runTags": own}],
        default={"runTags": {f"all-{n}": "" for n in range(25)}},
    )
    clock.advance(100)
    good, bad = runs(batch)

    assert good["submissionStatus"] == "SUCCESS"
    assert bad["submissionFailureReason"] == "ValidationException"

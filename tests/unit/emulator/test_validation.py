"""What StartRunBatch and the lists refuse, beyond what botocore checks before it sends."""

from __future__ import annotations

import json

import boto3
import pytest
from botocore.exceptions import ClientError

from airflow_provider_omics_batch.emulator.requests.validation import WrongTypeError, check_request
from tests.unit.emulator.conftest import DEFAULT

TXT = r"[\p{L}||\p{M}||\p{Z}||\p{S}||\p{N}||\p{P}]+"


def refused(caught):
    error = caught.value.response["Error"]
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert error["Code"] == "ValidationException"
    return error["Message"]


@pytest.mark.parametrize(
    ("changes", "place", "constraint"),
    [
        ({"roleArn": "role"}, "roleArn", "satisfy regular expression pattern: arn:.+"),
        ({"roleArn": "arn:" + "x" * 125}, "roleArn", "have length less than or equal to 128"),
        ({"workflowId": "abc"}, "workflowId", "satisfy regular expression pattern: [0-9]+"),
        ({"workflowId": "1" * 19}, "workflowId", "have length less than or equal to 18"),
        ({"workflowType": "OPEN"}, "workflowType", "satisfy enum value set: [PRIVATE, READY2RUN]"),
        ({"priority": 100_001}, "priority", "have value less than or equal to 100000"),
        ({"storageCapacity": 100_001}, "storageCapacity", "have value less than or equal to 100000"),
        ({"name": "a\tb"}, "name", f"satisfy regular expression pattern: {TXT}"),
        ({"outputUri": "s3://" + "x" * 746}, "outputUri", "have length less than or equal to 750"),
        ({"logLevel": "DEBUG"}, "logLevel", "satisfy enum value set: [OFF, FATAL, ERROR, ALL]"),
        ({"retentionMode": "KEEP"}, "retentionMode", "satisfy enum value set: [RETAIN, REMOVE]"),
        ({"storageType": "NVME"}, "storageType", "satisfy enum value set: [STATIC, DYNAMIC]"),
        ({"workflowOwnerId": "1"}, "workflowOwnerId", "satisfy regular expression pattern: [0-9]{12}"),
        ({"outputBucketOwnerId": "1" * 13}, "outputBucketOwnerId", "have length less than or equal to 12"),
        ({"runTags": {"k" * 129: "v"}}, "runTags.key", "have length less than or equal to 128"),
        ({"runTags": {"k": "v" * 257}}, "runTags.k", "have length less than or equal to 256"),
    ],
)
def test_the_default_setting_keeps_to_the_model(start, changes, place, constraint):
    with pytest.raises(ClientError) as caught:
        start(default=changes)

    message = refused(caught)
    assert message.startswith("1 validation error detected: Value '")
    assert f"at 'defaultRunSetting.{place}' failed to satisfy constraint: Member must {constraint}" in message


@pytest.mark.parametrize(
    ("more", "place"),
    [
        ({"batchName": "x" * 65}, "batchName"),
        ({"batchName": "a\nb"}, "batchName"),
        ({"requestId": "x" * 129}, "requestId"),
        ({"tags": {"k": "v" * 257}}, "tags.k"),
    ],
)
def test_the_request_keeps_to_the_model(start, more, place):
    with pytest.raises(ClientError) as caught:
        start(**more)

    assert f"at '{place}' failed" in refused(caught)


def test_everything_wrong_is_told_at_once(start):
    with pytest.raises(ClientError) as caught:
        start(batchName="x" * 65, default={"roleArn": "role"})

    assert refused(caught).startswith("2 validation errors detected: ")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"workflowType": "READY2RUN"}, "READY2RUN"),
        ({"cacheBehavior": "CACHE_ALWAYS"}, "cacheId"),
        ({"outputUri": "https://bucket/out"}, "s3://"),
        ({"parameters": "reference"}, "parameters must be a JSON object"),
    ],
)
def test_the_default_setting_keeps_to_the_documentation(start, omics, changes, text):
    with pytest.raises(ClientError) as caught:
        start(default=changes)

    assert text in refused(caught)
    assert omics.list_batch()["items"] == []


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [{"deep": float("-inf")}]])
@pytest.mark.parametrize("name", ["parameters", "engineSettings"])
def test_what_json_has_no_number_for_is_refused(start, omics, value, name):
    """Python writes and reads it all the same, so that boto3 sends it."""
    document = {name: {"x": value}}
    with pytest.raises(ClientError) as of_default:
        start(default=document)
    with pytest.raises(ClientError) as of_setting:
        start([{"runSettingId": "a", **document}])
    with pytest.raises(ClientError) as of_run:
        omics.start_run(**DEFAULT, **document)

    assert f"at 'defaultRunSetting.{name}'" in refused(of_default)
    assert f"at 'batchRunSettings.inlineSettings.1.member.{name}'" in refused(of_setting)
    assert f"at '{name}'" in refused(of_run)


def test_more_than_100_inline_settings_are_refused(start):
    start(100)
    with pytest.raises(ClientError) as caught:
        start(101)

    assert "at 'batchRunSettings.inlineSettings'" in refused(caught)
    assert "less than or equal to 100" in refused(caught)


def test_an_inline_setting_keeps_to_the_model(start):
    with pytest.raises(ClientError) as caught:
        start([{"runSettingId": "a"}, {"runSettingId": "b", "priority": 100_001}])

    assert "at 'batchRunSettings.inlineSettings.2.member.priority'" in refused(caught)


@pytest.mark.parametrize(
    "uri",
    [
        "s3://cohort-bucket/none.json",
        "s3://no-such-bucket/x.json",
        "s3://cohort-bucket",
        "s3://cohort-bucket/",
        "s3:///key",
        "https://cohort-bucket/x.json",
        "s3://[a/b",
        "s3://a]b/c",
        "s3://bu\u2100cket/key",
    ],
)
def test_a_settings_file_must_be_within_reach(omics, s3, default, uri):
    with pytest.raises(ClientError) as caught:
        omics.start_run_batch(defaultRunSetting=default, batchRunSettings={"s3UriSettings": uri})

    assert uri in refused(caught)
    assert omics.list_batch()["items"] == []


@pytest.mark.parametrize(
    ("operation", "filters"),
    [
        ("list_batch", {"status": "PROCESSED", "name": "a"}),
        ("list_batch", {"runGroupId": "1", "name": "a"}),
        ("list_runs_in_batch", {"submissionStatus": "SUCCESS", "runId": "1"}),
    ],
)
def test_a_list_takes_one_filter(omics, start, operation, filters):
    batch = {"batchId": start()} if operation == "list_runs_in_batch" else {}
    with pytest.raises(ClientError) as caught:
        getattr(omics, operation)(**filters, **batch)

    assert "Only one filter" in refused(caught)


@pytest.mark.parametrize(
    ("operation", "params"),
    [
        ("list_batch", {"maxItems": 101}),
        ("list_batch", {"status": "DONE"}),
        ("list_batch", {"startingToken": "nonsense"}),
        ("list_batch", {"startingToken": "WzEsIDJd"}),
        ("list_runs", {"maxResults": 101}),
        ("list_runs", {"status": "DONE"}),
        ("list_runs", {"startingToken": "é"}),
        ("get_batch", {"batchId": "abc"}),
        ("get_batch", {"batchId": "1" * 19}),
        ("get_run", {"id": "abc"}),
        ("cancel_run_batch", {"batchId": "abc"}),
    ],
)
def test_other_operations_keep_to_the_model(omics, operation, params):
    with pytest.raises(ClientError) as caught:
        getattr(omics, operation)(**params)

    refused(caught)


@pytest.mark.parametrize("operation", ["get_batch", "list_runs_in_batch", "cancel_run_batch", "delete_batch"])
def test_an_unknown_batch_is_not_found(omics, operation):
    with pytest.raises(omics.exceptions.ResourceNotFoundException) as caught:
        getattr(omics, operation)(batchId="7654321")

    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
    assert "7654321" in caught.value.response["Error"]["Message"]


def test_a_region_without_the_service_is_refused():
    client = boto3.client(
        "omics", region_name="af-south-1", endpoint_url="https://omics.af-south-1.amazonaws.com"
    )
    with pytest.raises(ClientError) as caught:
        client.list_batch()
    client.close()

    assert "af-south-1" in refused(caught)


def test_a_message_repeats_only_so_much_of_a_value(start):
    with pytest.raises(ClientError) as caught:
        start(batchName="x" * 10_000)

    assert len(refused(caught)) < 500


def test_an_operation_that_is_not_there_says_so(omics):
    with pytest.raises(ClientError) as caught:
        omics.list_reference_stores()

    assert caught.value.response["Error"]["Code"] == "NotImplementedException"
    assert "ListReferenceStores" in caught.value.response["Error"]["Message"]
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501


@pytest.mark.parametrize("text", ["cohort 7", "Größe № ½ – «x» 🧬", "a|b", "x\u3000y\u2028z"])
def test_a_name_may_hold_any_text_without_controls(start, omics, text):
    assert omics.get_batch(batchId=start(batchName=text))["name"] == text


@pytest.mark.parametrize("text", ["a\tb", "a\x00", "a\u200eb", "\ue000", "a\x7f"])
def test_a_name_may_not_hold_controls(start, text):
    with pytest.raises(ClientError):
        start(batchName=text)


def test_a_session_policy_may_hold_line_breaks(start):
    assert start(default={"sessionPolicy": json.dumps({"Version": "2012-10-17"}, indent=1)})


def test_a_value_of_the_wrong_type_is_told_apart():
    with pytest.raises(WrongTypeError, match=r"batchId must be of type string"):
        check_request("GetBatch", {"batchId": 5})


def test_a_missing_member_is_told_apart():
    with pytest.raises(
        Exception, match="Value null at 'batchId' failed to satisfy constraint: Member must not be null"
    ):
        check_request("GetBatch", {})


def test_both_members_of_the_union_are_refused(default):
    both = {"inlineSettings": [{"runSettingId": "a"}], "s3UriSettings": "s3://a/b"}
    request = {"requestId": "1", "defaultRunSetting": default, "batchRunSettings": both}
    with pytest.raises(Exception, match="have exactly one of inlineSettings, s3UriSettings"):
        check_request("StartRunBatch", request)

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_omics_batch.exceptions import RunSettingsError
from airflow_provider_omics_batch.run_batch.model import json_bytes
from airflow_provider_omics_batch.run_batch.settings import (
    RequestChecker,
    merged,
    run_settings_of,
    staged_by_author,
)
from tests.unit.fake_omics import SERVICE_MODEL

DEFAULT = {"workflowId": "1234567", "roleArn": "arn:aws:iam::123456789012:role/omics"}

checker = RequestChecker(SERVICE_MODEL)


def checked(settings: Any, default_parameters: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    given = run_settings_of(settings)
    return [setting for setting, _ in checker.checked(given, default_parameters or {})]


def problems(settings: Any, default_parameters: dict[str, Any] | None = None) -> str:
    with pytest.raises(RunSettingsError) as caught:
        checked(settings, default_parameters)
    return str(caught.value)


def request_problems(**members: Any) -> str:
    with pytest.raises(RunSettingsError) as caught:
        checker.check_request({"default_run_setting": DEFAULT, **members})
    return str(caught.value)


def test_every_member_of_the_model_is_let_through() -> None:
    setting = {
        "runSettingId": "NA12878",
        "name": "Utah, mother",
        "outputUri": "s3://bucket/out/",
        "priority": 7,
        "parameters": {"cram": "s3://bucket/NA12878.cram", "depth": 30.1, "pairs": [1, None, True]},
        "outputBucketOwnerId": "123456789012",
        "runTags": {"population": "CEU"},
        "engineSettings": {"engineVersion": "25.10.0"},
    }
    default = {
        **DEFAULT,
        "workflowType": "PRIVATE",
        "name": "cohort",
        "cacheId": "1",
        "cacheBehavior": "CACHE_ON_FAILURE",
        "runGroupId": "2",
        "priority": 1,
        "parameters": {},
        "storageCapacity": 1200,
        "outputUri": "s3://bucket/out/",
        "logLevel": "ALL",
        "runTags": {},
        "retentionMode": "REMOVE",
        "storageType": "DYNAMIC",
        "workflowOwnerId": "123456789012",
        "outputBucketOwnerId": "123456789012",
        "workflowVersionName": "v1.0",
        "networkingMode": "VPC",
        "configurationName": "vpc",
        "sessionPolicy": '{\n\t"Version": "2012-10-17"}',
        "engineSettings": {},
        "scratchStorageMode": "LOCAL",
    }

    default = {name: default[name] for name in SERVICE_MODEL.shape_for("DefaultRunSetting").members}
    setting = {name: setting[name] for name in SERVICE_MODEL.shape_for("InlineSetting").members}

    checker.check_request(
        {"default_run_setting": default, "batch_name": "n", "tags": {"a": ""}, "request_id": "r"}
    )

    assert checked([setting]) == [setting]


@pytest.mark.parametrize(
    ("default", "told"),
    [
        ({"roleArn": "arn:x"}, "default_run_setting: workflowId is missing"),
        ({"workflowId": "1"}, "default_run_setting: roleArn is missing"),
        (
            {**DEFAULT, "workflow_id": "1"},
            "workflow_id is not known to botocore 1.* did you mean 'workflowId'?",
        ),
        ({**DEFAULT, "engineTweaks": {}}, r"engineTweaks is not known to botocore 1\S+; there are \w+, "),
        ({**DEFAULT, "outputURI": "s3://b"}, "outputURI is not known .* did you mean 'outputUri'?"),
        ({**DEFAULT, "workflowId": 12}, "workflowId must be a string, not int 12"),
        ({**DEFAULT, "workflowId": "wf-1"}, "workflowId is 'wf-1', which does not match"),
        ({**DEFAULT, "workflowId": "1" * 19}, "workflowId has 19 characters, allowed are 1 to 18"),
        ({**DEFAULT, "roleArn": "omics"}, "roleArn is 'omics', which does not match arn:"),
        ({**DEFAULT, "roleArn": ""}, "roleArn is empty"),
        (
            {**DEFAULT, "outputUri": "gs://bucket"},
            "outputUri must be of the form s3://bucket/prefix/, not 'gs://bucket'",
        ),
        ({**DEFAULT, "priority": 100_001}, "priority is 100001, allowed are 0 to 100000"),
        ({**DEFAULT, "priority": True}, "priority must be a whole number, not bool True"),
        ({**DEFAULT, "logLevel": "INFO"}, "logLevel is 'INFO', which is none of OFF, FATAL, ERROR, ALL"),
        ({**DEFAULT, "workflowType": "READY2RUN"}, "READY2RUN, which HealthOmics does not run in batches"),
        ({**DEFAULT, "cacheBehavior": "CACHE_ALWAYS"}, "cacheBehavior needs a cacheId"),
        ({**DEFAULT, "parameters": "x"}, "parameters must be an object, not str"),
        (
            {**DEFAULT, "parameters": {"day": datetime(2026, 1, 1, tzinfo=UTC)}},
            "parameters cannot be written as JSON",
        ),
        ({**DEFAULT, "parameters": {"depth": float("nan")}}, "parameters cannot be written as JSON"),
        ({**DEFAULT, "name": "a\tb"}, "name is 'a.tb', which does not match"),
        ({**DEFAULT, "runTags": {"k": 1}}, "runTags.'k' must be a string"),
        (None, r"default_run_setting: must be an object, not null \(None\)"),
    ],
)
def test_a_bad_default_run_setting_is_named_with_its_field(default: Any, told: str) -> None:
    assert re.search(told, request_problems(default_run_setting=default))


def test_all_that_is_wrong_with_a_request_is_told_at_once() -> None:
    told = request_problems(default_run_setting={"workflowId": ""}, batch_name="b" * 65, request_id="")

    assert "roleArn is missing" in told
    assert "workflowId is empty" in told
    assert "batch_name: has 65 characters" in told
    assert "request_id: is empty" in told


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ({}, "run setting 2: runSettingId is missing"),
        ({"runSettingId": ""}, "run setting 2: runSettingId is empty"),
        ({"runSettingId": "x" * 129}, "run setting 2: runSettingId has 129 characters, allowed are 1 to 128"),
        ({"runSettingId": 7}, "run setting 2: runSettingId must be a string, not int 7"),
        ({"runSettingId": "b", "paramters": {}}, "run setting 2: paramters is not known"),
        (
            {"runSettingId": "b", "outputUri": "/out"},
            "run setting 2: outputUri must be of the form s3://bucket/prefix/, not '/out'",
        ),
        ({"runSettingId": "a"}, "run setting 2: runSettingId 'a' is already that of run setting 1"),
        ("b", "run setting 2: must be an object, not str"),
        (
            {"runSettingId": "b", "parameters": {"depth": float("nan")}, "engineSettings": {"x": {1}}},
            "run setting 2: parameters cannot be written as JSON: Out of range float values are not JSON",
        ),
        (
            {"runSettingId": "b", "parameters": {"x": "\ud800"}},
            "run setting 2: parameters cannot be written as JSON: 'utf-8' codec can't encode",
        ),
    ],
)
def test_a_bad_run_setting_is_named_with_its_place(setting: Any, told: str) -> None:
    assert told in problems([{"runSettingId": "a"}, setting])


def test_a_good_run_setting_comes_with_the_json_that_healthomics_gets() -> None:
    setting = {"runSettingId": "a", "parameters": {"city": "Köln", "depth": 30.0}}

    given = run_settings_of([setting])

    assert list(checker.checked(given, {})) == [
        (setting, '{"runSettingId":"a","parameters":{"city":"Köln","depth":30.0}}'.encode())
    ]


def test_merged_parameters_are_held_to_256_000_bytes() -> None:
    default = {"reference": "r" * 128_000, "same": "x" * 100}
    fits = {"runSettingId": "a", "parameters": {"same": "x" * 100, "reads": "é" * 63_900}}
    too_large = {"runSettingId": "b", "parameters": {"reads": "é" * 64_000}}

    assert checked([fits], default) == [fits]
    assert "run setting 1: parameters have over 256,000 bytes with the default ones" in problems(
        [too_large], default
    )


def test_more_than_100_000_runs_are_refused() -> None:
    settings = ({"runSettingId": str(number)} for number in range(100_001))

    assert "run setting 100001: a batch has at most 100,000 runs" in problems(settings)


def test_no_runs_at_all_are_refused() -> None:
    assert "batch_run_settings is empty" in problems([])


def test_twenty_problems_are_told_at_once_and_no_more_are_looked_for() -> None:
    looked_at = []

    def settings() -> Iterable[dict[str, Any]]:
        for number in range(1000):
            looked_at.append(number)
            yield {"runSettingId": str(number), "outputUri": "nowhere"}

    told = problems(settings())

    assert told.count("outputUri must be of the form") == 20
    assert told.startswith("20 problems, nothing was submitted:")
    assert told.endswith("What comes after run setting 20 has not been looked at")
    assert len(looked_at) == 20


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            {"inlineSettings": [], "s3UriSettings": "s3://b/k"},
            "exactly one of inlineSettings and s3UriSettings",
        ),
        ({}, "exactly one of inlineSettings and s3UriSettings"),
        ({"s3UriSetting": "s3://b/k"}, "s3UriSetting is not known; did you mean 's3UriSettings'?"),
        ({"s3UriSettings": "x.json"}, "s3UriSettings must be s3://bucket/key, not 'x.json'"),
        ({"s3UriSettings": None}, "s3UriSettings must be s3://bucket/key, not None"),
        ({"s3UriSettings": "s3://"}, "s3UriSettings must be s3://bucket/key, not 's3://'"),
        ({"runSettingId": "a"}, "is a single run setting; put it into a list"),
    ],
)
def test_a_union_that_the_api_does_not_have_is_refused(given: Any, told: str) -> None:
    with pytest.raises(RunSettingsError, match=told.replace("?", r"\?")):
        staged_by_author(given)


@pytest.mark.parametrize("given", ["s3://bucket/cohort.tsv", None, 7])
def test_what_is_no_run_settings_at_all_is_refused(given: Any) -> None:
    with pytest.raises(RunSettingsError, match="must be a SampleSheet"):
        run_settings_of(given)


def test_parameters_and_tags_are_merged_key_by_key_and_all_else_is_replaced() -> None:
    default = {
        "name": "all",
        "parameters": {"a": 1, "b": 1},
        "runTags": {"t": "1"},
        "engineSettings": {"x": 1},
    }
    own = {"name": "one", "parameters": {"b": 2}, "runTags": {"u": "2"}, "engineSettings": {"y": 2}}

    assert merged(default, own) == {
        "name": "one",
        "parameters": {"a": 1, "b": 2},
        "runTags": {"t": "1", "u": "2"},
        "engineSettings": {"y": 2},
    }


@pytest.mark.parametrize(
    "value",
    [
        {"text": 'é"\\\n\x7f\u2028</script>', "none": None, "flags": [True, False]},
        {"numbers": (0, -1, 2**70, 0.1, 1e16, 1e-7, -0.0)},
        {1: "a key that is a number"},
        {"text of a class of its own": type("Text", (str,), {})("x")},
    ],
)
def test_json_has_the_values_that_were_given(value: Any) -> None:
    assert json.loads(json_bytes(value)) == json.loads(json.dumps(value))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), datetime.now(UTC), {1}, b"x", "\ud800"])
@pytest.mark.parametrize("place", [lambda value: value, lambda value: {"a": [{"b": (value,)}]}])
def test_what_json_has_no_form_for_is_not_turned_into_something_else(value: Any, place: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        json_bytes(place(value))

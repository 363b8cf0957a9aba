"""Every option of the AWS CLI's ``start-run-batch`` page, with the AWS CLI itself."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from airflow_provider_omics_batch import emulator
from tests.integration.emulator.conftest import AWSCLI, run

#: One process installs the AWS CLI for all.
pytestmark = pytest.mark.xdist_group("awscli")

README = Path(emulator.__file__).with_name("README.md").read_text()

ROLE = "arn:aws:iam::123456789012:role/omics"
DEFAULT = {"workflowId": "1234567", "roleArn": ROLE, "outputUri": "s3://cohort-bucket/out/"}
SHORT_DEFAULT = ",".join(f"{name}={value}" for name, value in DEFAULT.items())
REQUIRED = (
    "--default-run-setting",
    SHORT_DEFAULT,
    "--batch-run-settings",
    "inlineSettings=[{runSettingId=a}]",
)


@pytest.fixture(name="start")
def _start(aws):
    """Call ``aws omics start-run-batch`` with what it needs and something more; it must succeed."""

    def start(*arguments, **environment):
        done = aws("omics", "start-run-batch", *REQUIRED, *arguments, **environment)
        assert done.returncode == 0, done.stderr
        return done

    return start


def answer(done):
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_name_request_id_and_tags_arrive(start, omics):
    options = ("--batch-name", "cohort 7", "--request-id", "cli-1", "--tags", "team=a,cost=7")
    first, again = answer(start(*options)), answer(start(*options))
    batch = omics.get_batch(batchId=first["id"])

    assert first["status"] == "CREATING"
    assert first.keys() == {"id", "arn", "uuid", "status", "tags"}
    assert again["id"] == first["id"]
    assert (batch["name"], batch["tags"]) == ("cohort 7", {"team": "a", "cost": "7"})


def test_tags_may_be_json(start):
    assert answer(start("--tags", '{"team": "a b"}'))["tags"] == {"team": "a b"}


def test_settings_may_be_shorthand(aws, omics):
    """All members of the page that shorthand can take: the documents it cannot."""
    default = {
        "workflowId": "1",
        "workflowType": "PRIVATE",
        "roleArn": ROLE,
        "name": "n",
        "cacheId": "2",
        "cacheBehavior": "CACHE_ALWAYS",
        "runGroupId": "3",
        "priority": 4,
        "storageCapacity": 1200,
        "outputUri": "s3://b/o",
        "logLevel": "ALL",
        "retentionMode": "REMOVE",
        "storageType": "STATIC",
        "workflowOwnerId": "123456789012",
        "outputBucketOwnerId": "123456789012",
        "workflowVersionName": "v1",
        "runTags": {"a": "b", "c": "d"},
    }
    short = ",".join(f"{name}={value}" for name, value in default.items() if name != "runTags")
    inline = "inlineSettings=[{runSettingId=a,name=n,priority=1,runTags={x=y}},{runSettingId=b}]"
    options = ("--default-run-setting", f"{short},runTags={{a=b,c=d}}", "--batch-run-settings", inline)
    batch = omics.get_batch(batchId=answer(aws("omics", "start-run-batch", *options))["id"])

    assert batch["defaultRunSetting"] == default
    assert batch["totalRuns"] == 2


def test_settings_may_be_json(aws, omics):
    default = {**DEFAULT, "parameters": {"ref": "s3://r/ref.fa", "deep": [1, {"x": None}]}}
    inline = {"inlineSettings": [{"runSettingId": "a", "parameters": {"cram": "s3://c/a.cram"}}]}
    options = ("--default-run-setting", json.dumps(default), "--batch-run-settings", json.dumps(inline))
    batch = omics.get_batch(batchId=answer(aws("omics", "start-run-batch", *options))["id"])

    assert batch["defaultRunSetting"] == default


@pytest.mark.parametrize("settings", ["s3UriSettings={}", '{{"s3UriSettings": "{}"}}'], ids=["short", "JSON"])
def test_settings_may_be_in_s3(aws, omics, client, bucket, settings):
    runs = [{"runSettingId": f"run-{i}"} for i in range(150)]
    client("s3").put_object(Bucket=bucket, Key="cli.json", Body=json.dumps(runs))
    options = ("--default-run-setting", SHORT_DEFAULT, "--batch-run-settings")
    done = aws("omics", "start-run-batch", *options, settings.format(f"s3://{bucket}/cli.json"))

    assert omics.get_batch(batchId=answer(done)["id"])["totalRuns"] == 150


def test_the_skeleton_is_an_input(aws, omics, tmp_path):
    """What ``--generate-cli-skeleton`` prints can be filled in and given to ``--cli-input-json``."""
    skeleton = answer(aws("omics", "start-run-batch", "--generate-cli-skeleton"))
    explicit = answer(aws("omics", "start-run-batch", "--generate-cli-skeleton", "input"))
    assert explicit.keys() == skeleton.keys()
    assert skeleton.keys() == {"batchName", "requestId", "tags", "defaultRunSetting", "batchRunSettings"}

    filled = {
        **skeleton,
        "batchName": "from file",
        "requestId": "cli-2",
        "defaultRunSetting": DEFAULT,
        "batchRunSettings": {"inlineSettings": [{"runSettingId": "a"}]},
    }
    file = tmp_path / "input.json"
    file.write_text(json.dumps(filled))
    done = aws("omics", "start-run-batch", "--cli-input-json", f"file://{file}", "--batch-name", "mine")

    assert omics.get_batch(batchId=answer(done)["id"])["name"] == "mine"


def test_the_output_skeleton_starts_nothing(start, omics):
    before = [item["id"] for item in omics.list_batch()["items"]]
    skeleton = answer(start("--generate-cli-skeleton", "output"))

    assert skeleton.keys() == {"id", "arn", "uuid", "status", "tags"}
    assert [item["id"] for item in omics.list_batch()["items"]] == before


@pytest.mark.parametrize(
    ("form", "pattern"),
    [
        ("json", r'"status": "CREATING"'),
        ("text", r"^arn:aws:omics:\S+\t\d+\tCREATING\t\S+$"),
        ("table", r"\|  status\s*\|  CREATING\s*\|"),
    ],
)
def test_the_output_has_the_asked_form(start, form, pattern):
    done = start("--output", form, "--no-paginate", "--no-verify-ssl", "--color", "off")

    assert re.search(pattern, done.stdout, re.MULTILINE)


def test_color_marks_a_table(start):
    assert "\x1b[" in start("--output", "table", "--color", "on").stdout


def test_a_query_picks_from_the_answer(start):
    options = (
        "--query",
        "status",
        "--output",
        "text",
        "--cli-read-timeout",
        "20",
        "--cli-connect-timeout",
        "5",
    )
    assert start(*options).stdout == "CREATING\n"


def test_endpoint_and_region_may_be_options(start, url):
    options = ("--endpoint-url", url, "--region", "eu-west-1")
    elsewhere = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_DEFAULT_REGION": "us-west-2"}

    assert ":eu-west-1:" in answer(start(*options, **elsewhere))["arn"]


def test_a_profile_may_hold_it_all(executable, url, tmp_path):
    config = tmp_path / "config"
    config.write_text(
        f"[profile emulator]\naws_access_key_id = any\naws_secret_access_key = any\nregion = eu-west-1\n"
        f"endpoint_url = {url}\ndisable_host_prefix_injection = true\n"
    )
    command = ("omics", "start-run-batch", *REQUIRED, "--profile", "emulator")

    assert ":eu-west-1:" in answer(run(executable, *command, AWS_CONFIG_FILE=str(config)))["arn"]


def test_no_credentials_are_needed_without_a_signature(executable, url):
    command = ("omics", "start-run-batch", *REQUIRED, "--no-sign-request")
    environment = {"AWS_ENDPOINT_URL": url, "AWS_DISABLE_HOST_PREFIX_INJECTION": "true"}
    done = run(executable, *command, "--region", "us-east-1", **environment)

    assert answer(done)["status"] == "CREATING"


def test_debug_tells_what_is_sent(start, tmp_path):
    bundle = tmp_path / "ca.pem"
    bundle.touch()
    done = start("--debug", "--v2-debug", "--ca-bundle", str(bundle))

    assert answer(done)["status"] == "CREATING"
    assert "POST /runBatch HTTP/1.1" in done.stderr


def test_the_version_knows_the_operation(executable):
    assert run(executable, "--version").stdout.startswith(f"aws-cli/{AWSCLI} ")
    assert run(executable, "omics", "start-run-batch", "--version").stdout.startswith("aws-cli/")


def test_an_error_is_shown_with_its_name(aws):
    bad = SHORT_DEFAULT.replace("arn:", "role:")
    done = aws("omics", "start-run-batch", "--default-run-setting", bad, *REQUIRED[2:])

    assert done.returncode in (254, 255)
    assert "An error occurred (ValidationException) when calling the StartRunBatch operation" in done.stderr
    assert "at 'defaultRunSetting.roleArn'" in done.stderr


def test_the_other_batch_commands_work(aws, start):
    batch = answer(start())["id"]

    assert answer(aws("omics", "get-batch", "--batch-id", batch))["totalRuns"] == 1
    assert answer(aws("omics", "list-batch", "--max-items", "1"))["items"][0]["id"] == batch
    assert "runs" in answer(aws("omics", "list-runs-in-batch", "--batch-id", batch))
    assert "items" in answer(aws("omics", "list-runs", "--batch-id", batch))


def test_the_commands_of_the_readme_work(executable, url):
    blocks = re.findall(r"^```shell\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    script = "".join(block for block in blocks if "aws " in block).replace("http://127.0.0.1:5000", url)
    done = run("/bin/bash", "-ec", script, PATH=f"{executable.parent}{os.pathsep}{os.environ['PATH']}")

    assert (done.returncode, done.stderr) == (0, "")
    assert '"items"' in done.stdout
    assert '"RuleArn"' in done.stdout

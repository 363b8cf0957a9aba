from __future__ import annotations

from inspect import signature
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.stub import Stubber
from structlog.testing import capture_logs

from airflow_provider_omics_batch.hooks.omics import OmicsHook
from tests.unit.fake_omics import OPERATIONS


@pytest.fixture(name="hook")
def _hook(monkeypatch: pytest.MonkeyPatch) -> OmicsHook:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    return OmicsHook(aws_conn_id=None, region_name="eu-west-1")


BATCH = {"id": "7", "status": "CREATING"}
DEFAULT = {"workflowId": "1", "roleArn": "arn:aws:iam::123456789012:role/omics"}
SETTINGS = {"inlineSettings": [{"runSettingId": "A"}]}


@pytest.mark.parametrize(
    ("operation", "call", "sent", "answer"),
    [
        (
            "start_run_batch",
            lambda hook: hook.start_run_batch(
                default_run_setting=DEFAULT,
                batch_run_settings=SETTINGS,
                request_id="r",
                batch_name="n",
                tags={"a": "b"},
            ),
            {
                "defaultRunSetting": DEFAULT,
                "batchRunSettings": SETTINGS,
                "requestId": "r",
                "batchName": "n",
                "tags": {"a": "b"},
            },
            BATCH,
        ),
        (
            "start_run_batch",
            lambda hook: hook.start_run_batch(
                default_run_setting=DEFAULT, batch_run_settings=SETTINGS, request_id="r"
            ),
            {"defaultRunSetting": DEFAULT, "batchRunSettings": SETTINGS, "requestId": "r"},
            BATCH,
        ),
        ("get_batch", lambda hook: hook.get_batch("7"), {"batchId": "7"}, BATCH),
        (
            "list_batch",
            lambda hook: list(hook.list_batch(name="n")),
            {"name": "n", "maxItems": 100},
            {"items": [BATCH]},
        ),
        (
            "list_runs_in_batch",
            lambda hook: list(hook.list_runs_in_batch("7", submission_status="FAILED")),
            {"batchId": "7", "submissionStatus": "FAILED", "maxItems": 100},
            {"runs": [{"runSettingId": "A"}]},
        ),
        (
            "list_runs",
            lambda hook: list(hook.list_runs("7", status="FAILED")),
            {"batchId": "7", "status": "FAILED", "maxResults": 100},
            {"items": [{"id": "1"}]},
        ),
        ("cancel_run_batch", lambda hook: hook.cancel_run_batch("7"), {"batchId": "7"}, {}),
        ("delete_run_batch", lambda hook: hook.delete_run_batch("7"), {"batchId": "7"}, {}),
        ("delete_batch", lambda hook: hook.delete_batch("7"), {"batchId": "7"}, {}),
    ],
)
def test_each_operation_is_called_as_the_service_model_has_it(
    hook: OmicsHook, operation: str, call: Any, sent: dict[str, Any], answer: dict[str, Any]
) -> None:
    with Stubber(hook.conn) as stub:
        stub.add_response(operation, answer, sent)

        result = call(hook)

        stub.assert_no_pending_responses()
    if operation.startswith("list"):
        assert result == next(iter(answer.values()))


@pytest.mark.parametrize(
    ("operation", "name", "sent_as"),
    [
        ("list_batch", "status", "status"),
        ("list_batch", "run_group_id", "runGroupId"),
        ("list_runs_in_batch", "run_setting_id", "runSettingId"),
        ("list_runs_in_batch", "run_id", "runId"),
        ("list_runs", "name", "name"),
        ("list_runs", "run_group_id", "runGroupId"),
    ],
)
def test_each_filter_is_sent_by_its_name_in_the_service_model(
    hook: OmicsHook, operation: str, name: str, sent_as: str
) -> None:
    batch = {} if operation == "list_batch" else {"batchId": "7"}
    page = {"maxResults" if operation == "list_runs" else "maxItems": 100}
    with Stubber(hook.conn) as stub:
        stub.add_response(operation, {}, {**batch, **page, sent_as: "1"})

        assert list(getattr(hook, operation)(*batch.values(), **{name: "1"})) == []


@pytest.mark.parametrize("operation", ["list_batch", "list_runs_in_batch", "list_runs"])
def test_lists_take_the_same_filters_in_an_event_loop(operation: str) -> None:
    def filters(method: str) -> list[str]:
        return [name for name in signature(getattr(OmicsHook, method)).parameters if name != "client"]

    assert filters(f"{operation}_async") == filters(operation)


def test_the_hook_covers_every_batch_operation_of_the_service() -> None:
    batch_operations = {name for name in OPERATIONS if "batch" in name and "read_set" not in name}

    assert {name for name in batch_operations if not hasattr(OmicsHook, name)} == set()


def test_lists_are_read_to_their_last_page_in_the_longest_pages_there_are(hook: OmicsHook) -> None:
    with Stubber(hook.conn) as stub:
        stub.add_response("list_batch", {"items": [{"id": "1"}], "nextToken": "t"}, {"maxItems": 100})
        stub.add_response("list_batch", {"items": [{"id": "2"}]}, {"startingToken": "t", "maxItems": 100})

        assert [batch["id"] for batch in hook.list_batch()] == ["1", "2"]


def test_an_answer_without_a_list_is_one_with_an_empty_list(hook: OmicsHook) -> None:
    with Stubber(hook.conn) as stub:
        stub.add_response("list_runs_in_batch", {}, {"batchId": "7", "maxItems": 100})

        assert hook.get_run_batch_mapping("7") == {}


def test_a_failed_run_is_told_by_two_operations(hook: OmicsHook) -> None:
    tasks = {"items": [{"taskId": "8", "status": "FAILED"}]}
    with Stubber(hook.conn) as stub:
        stub.add_response("get_run", {"id": "1", "status": "FAILED"}, {"id": "1"})
        stub.add_response("list_run_tasks", tasks, {"id": "1", "status": "FAILED", "maxResults": 100})

        failure = hook.get_run_failure("1")

    assert (failure["reason"], failure["message"]) == (None, None)
    assert failure["failed_tasks"] == [{"task_id": "8", "name": None, "log_stream": "run/1/task/8"}]


def test_a_refused_submission_is_logged_with_the_permissions_it_needs(hook: OmicsHook) -> None:
    with Stubber(hook.conn) as stub, capture_logs() as logged:
        stub.add_client_error("start_run_batch", "AccessDeniedException", "no", 403)

        with pytest.raises(hook.conn.exceptions.AccessDeniedException):
            hook.start_run_batch(default_run_setting=DEFAULT, batch_run_settings=SETTINGS, request_id="r")

    for action in ("omics:StartRunBatch", "omics:StartRun", "iam:PassRole", "omics:TagResource"):
        assert action in logged[-1]["event"]


def test_a_botocore_older_than_the_api_is_told_with_the_version_to_install(
    hook: OmicsHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OmicsHook, "conn", SimpleNamespace(start_run=None))

    with pytest.raises(RuntimeError, match=r"does not know StartRunBatch; install botocore>=1\.42\.74"):
        hook.get_batch("7")

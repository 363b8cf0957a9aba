from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk._shared.module_loading import import_string
from airflow.sdk.exceptions import TaskDeferred

from airflow_provider_omics_batch.operators.omics import StartRunBatchOperator
from airflow_provider_omics_batch.run_batch.events import read_event, refused
from airflow_provider_omics_batch.run_batch.submitted import SubmittedBatch
from airflow_provider_omics_batch.triggers.omics import RunBatchTrigger
from tests.unit.fake_omics import error

ARGUMENTS: dict[str, Any] = {
    "batch_id": "7",
    "manifest_uri": "s3://bucket/runs.jsonl",
    "poll_interval": 5.0,
    "wait_until": "submitted",
    "submitted": 3,
    "deadline": 1_800_000_000.0,
    "cancel_on_kill": False,
    "earlier_batch_ids": ["5", "6"],
    "fail_fast_beyond": 0.1,
    "retry_failed": "all",
    "every_reason": True,
    "aws_conn_id": "lab",
    "region_name": "eu-west-1",
    "verify": "ca.pem",
    "botocore_config": {"read_timeout": 5},
}


def test_a_trigger_is_the_same_after_it_was_stored() -> None:
    path, arguments = RunBatchTrigger(**ARGUMENTS).serialize()

    assert arguments == ARGUMENTS
    assert import_string(path)(**json.loads(json.dumps(arguments))).serialize() == (path, ARGUMENTS)


def test_operator_and_trigger_talk_to_aws_in_the_same_way() -> None:
    connection = {
        name: ARGUMENTS[name] for name in ("aws_conn_id", "region_name", "verify", "botocore_config")
    }
    operator = StartRunBatchOperator(task_id="t", default_run_setting={}, batch_run_settings=[], **connection)

    with pytest.raises(TaskDeferred) as deferred:
        operator.wait({}, SubmittedBatch(batch_id="7"))

    assert deferred.value.trigger.hook_params == operator.hook_params


@pytest.mark.parametrize(
    "event",
    [
        None,
        {},
        "x",
        {"status": "success"},
        {"status": "error"},
        {"status": "PROCESSED", "batch_id": "7"},
        {"status": "PROCESSED", "batch_id": "7", "total": 1, "submissions": None, "runs": {}},
    ],
)
def test_an_event_that_is_none_of_ours_is_refused(event: Any) -> None:
    with pytest.raises(ValueError, match="The trigger sent no"):
        read_event(event)


def test_what_aws_answered_to_the_trigger_is_raised_in_the_task() -> None:
    answered = error("AccessDeniedException", 403, message="not authorized")
    event = json.loads(json.dumps(refused("7", answered)))

    with pytest.raises(type(answered)) as caught:
        read_event(event)

    assert str(caught.value) == str(answered)
    assert event["batch_id"] == "7"

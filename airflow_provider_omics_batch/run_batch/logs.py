"""Where the logs of runs are in CloudWatch, and which of them tell why a run failed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypedDict

#: Of all runs of an account in a Region.
#: https://docs.aws.amazon.com/omics/latest/dev/monitoring-cloudwatch-logs.html
LOG_GROUP = "/aws/omics/WorkflowLog"


class FailedTask(TypedDict):
    """A task of a run, and its log stream."""

    task_id: str
    name: str | None
    log_stream: str


class RunFailure(TypedDict):
    """Why a run failed, and the log streams that tell more."""

    run_id: str
    status: str
    reason: str | None
    message: str | None
    log_group: str
    engine_log_stream: str
    run_log_stream: str
    failed_tasks: list[FailedTask]


def stream_name(arn: str | None) -> str | None:
    """Return the name of a log stream, of which GetRun tells the ARN."""
    return arn.rpartition(":log-stream:")[2] if arn else None


def run_failure(run: Mapping[str, Any], failed_tasks: Iterable[Mapping[str, Any]]) -> RunFailure:
    """
    Return why a run failed, in the service's own words.

    :param run: An answer of ``GetRun``.
    :param failed_tasks: Items of ``ListRunTasks``.
    """
    stream, logs = f"run/{run['id']}", run.get("logLocation") or {}
    return RunFailure(
        run_id=run["id"],
        status=run["status"],
        reason=run.get("failureReason"),
        message=run.get("statusMessage"),
        log_group=LOG_GROUP,
        engine_log_stream=stream_name(logs.get("engineLogStream")) or f"{stream}/engine",
        run_log_stream=stream_name(logs.get("runLogStream")) or stream,
        failed_tasks=[
            FailedTask(
                task_id=task["taskId"], name=task.get("name"), log_stream=f"{stream}/task/{task['taskId']}"
            )
            for task in failed_tasks
        ],
    )

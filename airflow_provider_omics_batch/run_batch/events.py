"""
What a trigger tells the task that it wakes.

An event is stored twice and logged in full, so it holds counts and the first failures, never the mapping.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from airflow_provider_omics_batch.run_batch.mapping import Outcome
from airflow_provider_omics_batch.run_batch.states import BatchState, Runs, Submissions


def ended(outcome: Outcome, manifest_uri: str | None = None) -> dict[str, Any]:
    """Return the event of a batch that has ended."""
    return outcome.summary(manifest_uri)


def refused(batch_id: str, error: ClientError) -> dict[str, Any]:
    """Return the event of a batch about which AWS does not tell."""
    return {
        "status": "error",
        "batch_id": batch_id,
        "operation": error.operation_name,
        "error": {key: str(value) for key, value in error.response.get("Error", {}).items()},
    }


def timed_out(batch_id: str) -> dict[str, Any]:
    """Return the event of a batch that had not ended at the deadline."""
    return {"status": "timeout", "batch_id": batch_id}


def read_event(event: Mapping[str, Any] | None) -> tuple[Outcome, str | None]:
    """
    Return the outcome that an event tells of, and the manifest's place.

    :raises botocore.exceptions.ClientError: What AWS answered to the trigger.
    :raises ValueError: It is no event of ours.
    """
    if event and event.get("status") == "error":
        raise ClientError({"Error": event["error"]}, event["operation"])
    if not event or not {"batch_id", "status", "total", "submissions", "runs"} <= event.keys():
        raise ValueError(f"The trigger sent no usable event: {event!r:.200}")
    state = BatchState(
        batch_id=event["batch_id"],
        status=event["status"],
        total=event["total"],
        submissions=Submissions(**event["submissions"]),
        runs=Runs(**event["runs"]),
        failure_reason=event.get("failure_reason"),
    )
    return Outcome(state, list(event.get("failures") or [])), event.get("manifest_uri")

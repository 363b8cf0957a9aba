"""
What a trigger tells the task that it wakes.

An event is stored twice and logged in full, so it holds counts and the first failures, never the mapping.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from airflow_provider_omics_batch.exceptions import RunBatchError
from airflow_provider_omics_batch.run_batch.records import Outcome
from airflow_provider_omics_batch.run_batch.states import Attempts, BatchState, Runs, Submissions, plain


def ended(outcome: Outcome, manifest_uri: str | None = None) -> dict[str, Any]:
    """Return the event of a batch that has come to what it was waited for."""
    return outcome.summary(manifest_uri)


def refused(batch_id: str, error: Exception) -> dict[str, Any]:
    """Return the event of a batch about which AWS does not tell."""
    response = error.response.get("Error", {}) if isinstance(error, ClientError) else {}
    return {
        "status": "error",
        "batch_id": batch_id,
        "operation": error.operation_name if isinstance(error, ClientError) else None,
        "error": {
            "Code": response.get("Code", type(error).__name__),
            "Message": plain(response.get("Message", str(error))),
        },
    }


def timed_out(batch_id: str) -> dict[str, Any]:
    """Return the event of a batch that had not ended at the deadline."""
    return {"status": "timeout", "batch_id": batch_id}


def timed_out_batch(event: Any) -> str | None:
    """Return the batch that an event says had not ended at the deadline, if it says so."""
    if isinstance(event, Mapping) and event.get("status") == "timeout":
        return event.get("batch_id")
    return None


def read_event(event: Mapping[str, Any] | None) -> tuple[Outcome, str | None]:
    """
    Return the outcome that an event tells of, and the manifest's place.

    :raises botocore.exceptions.ClientError: What AWS answered to the trigger.
    :raises RunBatchError: Why the trigger got no answer.
    :raises ValueError: It is no event of ours.
    """
    try:
        if event and event["status"] == "error":
            raise _error_of(event)
        if event:
            return _outcome_of(event), event.get("manifest_uri")
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"The trigger sent no usable event: {event!r:.200}") from error
    raise ValueError("The trigger sent no event")


def _error_of(event: Mapping[str, Any]) -> Exception:
    code, message = event["error"]["Code"], event["error"]["Message"]
    if event["operation"]:
        return ClientError({"Error": {"Code": code, "Message": message}}, event["operation"])
    batch_id = event["batch_id"]
    return RunBatchError(f"Run batch {batch_id} could not be watched: {code}: {message}", batch_id, {})


def _outcome_of(event: Mapping[str, Any]) -> Outcome:
    state = BatchState(
        batch_id=event["batch_id"],
        status=event["status"],
        total=event["total"],
        submissions=Submissions(**_known(event["submissions"], Submissions)),
        runs=Runs(**_known(event["runs"], Runs)),
        failure_reason=event.get("failure_reason"),
        cancellations=Attempts(**_known(event.get("cancellations") or {}, Attempts)),
        deletions=Attempts(**_known(event.get("deletions") or {}, Attempts)),
    )
    return Outcome(state, list(event.get("failures") or []))


def _known(counts: Mapping[str, int], kind: type) -> dict[str, int]:
    """Return the counts that this version knows, should the trigger be of another one."""
    return {name: counts[name] for name in kind.__annotations__ if name in counts}

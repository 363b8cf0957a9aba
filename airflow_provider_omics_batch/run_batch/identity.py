"""The name under which a batch is submitted once and found again, and what was submitted under it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any


def derive_request_id(
    *,
    dag_id: str,
    run_id: str,
    task_id: str,
    map_index: int,
    max_tries: int,
    dag_run_start: datetime | None,
    round_number: int = 0,
) -> str:
    """
    Return the ``requestId`` by which HealthOmics knows a submission that it has seen before.

    What is submitted is not part of it: a retry that finds a changed sample sheet must find the
    batch of the first try, not pay for a second one.

    :param max_tries: Of the task instance: a clear raises it, a retry does not, and neither does another
        ``retries`` in the Dag's file.
    :param dag_run_start: Keeps two deployments apart that run the same Dag in one AWS account.
    :param round_number: Counts the batches of one task, where failed runs are sent again.
    """
    start = dag_run_start.astimezone(UTC).isoformat() if dag_run_start else None
    return _name(dag_id, run_id, task_id, map_index, max_tries, start, round_number)


def request_id_of_round(request_id: str, round_number: int) -> str:
    """Return the ``requestId`` of a batch in which failed runs are sent again, after one that was given."""
    return _name(request_id, round_number) if round_number else request_id


def digest_of(members: Mapping[str, Any], content: str) -> str:
    """
    Return by what two requests can be compared.

    :param members: The request's members but the run settings.
    :param content: The run settings' own digest.
    """
    return hashlib.sha256(json.dumps([members, content], sort_keys=True).encode()).hexdigest()


def _name(*parts: str | int | None) -> str:
    return f"airflow-{hashlib.sha256(json.dumps(parts).encode()).hexdigest()}"

"""The name under which a batch is submitted once, and found again."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime


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
    parts = [dag_id, run_id, task_id, map_index, max_tries, start, round_number]
    return f"airflow-{hashlib.sha256(json.dumps(parts).encode()).hexdigest()}"

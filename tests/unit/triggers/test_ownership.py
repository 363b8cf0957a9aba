"""What a trigger that is cancelled makes of what Airflow says of its task."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_omics_batch.triggers import ownership

OURS, NEW = "1000001", "1000002"


@pytest.mark.parametrize(
    ("told", "still"),
    [
        ([("deferred", OURS)], True),
        ([("up_for_retry", OURS)], True),
        ([("failed", OURS)], False),
        ([("success", OURS)], False),
        ([(None, OURS)], False),
        ([("deferred", NEW)], False),
        # It has resumed for the batch, and ends for it.
        ([("running", OURS), ("success", OURS)], True),
        # It was cleared: the next try has the batch of the one before at first, then none, then its own.
        ([("running", OURS), ("running", None), ("running", NEW)], False),
        ([("running", OURS), ("deferred", NEW)], False),
        ([("running", None), ("failed", None)], False),
        # It is tried again, and finds its batch.
        ([("running", OURS), ("running", None), ("running", None), ("deferred", OURS)], True),
    ],
)
async def test_a_batch_is_a_tasks_own_until_a_person_ends_the_task(
    told: list[tuple[str | None, str | None]], still: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    states, batch_ids = iter([state for state, _ in told]), iter([batch_id for _, batch_id in told])
    monkeypatch.setattr(ownership, "_state_of", lambda task_instance: next(states))
    monkeypatch.setattr(ownership, "_batch_id_of", lambda task_instance: next(batch_ids))
    monkeypatch.setattr(ownership, "PAUSES", (0,) * len(told))

    assert await ownership.is_still_deferred_on(OURS, Any) is still


async def test_a_task_that_says_nothing_more_keeps_its_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ownership, "_state_of", lambda task_instance: "running")
    monkeypatch.setattr(ownership, "_batch_id_of", lambda task_instance: OURS)
    monkeypatch.setattr(ownership, "PAUSES", (0, 0))

    assert await ownership.is_still_deferred_on(OURS, Any)

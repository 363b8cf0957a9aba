from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_provider_omics_batch.run_batch.identity import derive_request_id

SUBMISSION: dict[str, Any] = {
    "dag_id": "cohort",
    "run_id": "scheduled__2026-11-22",
    "task_id": "call_variants",
    "map_index": -1,
    "max_tries": 1,
    "dag_run_start": datetime(2026, 11, 22, 3, tzinfo=UTC),
    "round_number": 0,
}


@pytest.mark.parametrize(
    "other",
    [
        {"dag_id": "cohort2"},
        {"run_id": "manual__2026-11-22"},
        {"task_id": "joint_calling"},
        {"map_index": 0},
        {"max_tries": 3},
        {"dag_run_start": datetime(2026, 11, 22, 4, tzinfo=UTC)},
        {"round_number": 1},
    ],
)
def test_each_part_of_a_submissions_identity_makes_another_request_id(other: dict[str, Any]) -> None:
    assert derive_request_id(**SUBMISSION) != derive_request_id(**{**SUBMISSION, **other})


def test_parts_do_not_run_into_each_other() -> None:
    one = derive_request_id(**{**SUBMISSION, "dag_id": "a", "run_id": "b,c"})

    assert one != derive_request_id(**{**SUBMISSION, "dag_id": "a,b", "run_id": "c"})


def test_the_same_moment_in_another_time_zone_is_the_same_submission() -> None:
    elsewhere = SUBMISSION["dag_run_start"].astimezone(timezone(timedelta(hours=2)))

    assert derive_request_id(**SUBMISSION) == derive_request_id(**{**SUBMISSION, "dag_run_start": elsewhere})


def test_a_request_id_is_what_the_service_takes_for_one_whatever_the_names() -> None:
    request_id = derive_request_id(**{**SUBMISSION, "dag_id": "ä" * 250, "run_id": "\n" * 250})

    assert len(request_id) <= 128
    assert request_id.isascii()
    assert request_id.isprintable()


def test_request_ids_stay_the_same_over_releases() -> None:
    """A retry that runs after an upgrade must find the batch of the try before it."""
    assert derive_request_id(**SUBMISSION) == (
        "airflow-3e9bf9f185afeb1e384761130d6f3e0436d7a3ac80d720aeb59cbf10942800ad"
    )

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_omics_batch.run_batch.states import BatchState, Runs, Submissions


def test_counts_that_are_missing_are_zero() -> None:
    state = BatchState.from_response("1", {"status": "CREATING"})

    assert state == BatchState("1", "CREATING", 0, Submissions(), Runs())


def test_total_is_the_sum_of_submissions_where_the_service_has_not_counted() -> None:
    state = BatchState.from_response(
        "1",
        {
            "status": "SUBMITTING",
            "submissionSummary": {"successfulStartSubmissionCount": 2, "pendingStartSubmissionCount": 3},
        },
    )

    assert state.total == 5


@pytest.mark.parametrize(
    ("status", "ended"),
    [
        ("CREATING", False),
        ("PENDING", False),
        ("SUBMITTING", False),
        ("INPROGRESS", False),
        ("STOPPING", False),
        ("A_STATUS_OF_NEXT_YEAR", False),
        ("PROCESSED", True),
        ("FAILED", True),
        ("CANCELLED", True),
        ("RUNS_DELETING", True),
        ("RUNS_DELETED", True),
        ("RUNS_DELETE_FAILED", True),
    ],
)
def test_only_known_final_statuses_end_a_batch(status: str, ended: bool) -> None:
    assert BatchState("1", status).ended is ended


def test_runs_of_which_the_counts_say_nothing_are_unaccounted_for() -> None:
    state = BatchState("1", "PROCESSED", 10, Submissions(successful=9, failed=1), Runs(completed=6, failed=1))

    assert state.unaccounted == 2


@pytest.mark.parametrize(
    "told", [{}, {"totalRuns": 9}, {"submissionSummary": {"successfulStartSubmissionCount": 9}}]
)
def test_a_batch_has_as_many_runs_as_were_submitted_whatever_is_counted_by_now(told: dict[str, Any]) -> None:
    assert BatchState.from_response("7", {"status": "SUBMITTING", **told}, submitted=10).total == 10

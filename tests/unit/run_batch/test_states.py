from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_omics_batch.run_batch.states import Attempts, BatchState, Runs, Submissions


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


def test_what_became_of_a_cancellation_and_a_deletion_is_counted() -> None:
    counts = {"failedCancelSubmissionCount": 1, "successfulDeleteSubmissionCount": 2}
    state = BatchState.from_response("7", {"status": "RUNS_DELETED", "submissionSummary": counts})

    assert state.cancellations == Attempts(failed=1)
    assert state.deletions == Attempts(successful=2)


@pytest.mark.parametrize(
    ("state", "all_submitted"),
    [
        (BatchState("7", "INPROGRESS", 3, Submissions(2, 1)), True),
        (BatchState("7", "SUBMITTING", 3, Submissions(2, 1)), True),
        (BatchState("7", "INPROGRESS", 3, Submissions(2)), False),
        (BatchState("7", "SUBMITTING", 3, Submissions(2, 1, 1)), False),
        (BatchState("7", "PENDING"), False),
        (BatchState("7", "STOPPING", 3, Submissions(3)), False),
        (BatchState("7", "CANCELLED", 3, Submissions(3)), False),
    ],
)
def test_all_runs_are_submitted_once_every_submission_has_been_tried_for_good(
    state: BatchState, all_submitted: bool
) -> None:
    assert state.all_submitted is all_submitted

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_omics_batch.run_batch.policy import check_max_failed_runs, objection
from airflow_provider_omics_batch.run_batch.states import BatchState, Runs, Submissions


def processed(total: int = 100, **counts: int) -> BatchState:
    not_submitted = counts.pop("not_submitted", 0)
    runs = Runs(completed=total - not_submitted - sum(counts.values()), **counts)
    return BatchState("7", "PROCESSED", total, Submissions(total - not_submitted, not_submitted), runs)


@pytest.mark.parametrize(
    ("state", "max_failed_runs", "fine"),
    [
        (processed(), 0, True),
        (processed(failed=1), 0, False),
        (processed(cancelled=1), 0, False),
        (processed(not_submitted=1), 0, False),
        (processed(deleted=1), 0, False),
        (processed(failed=1, cancelled=1, not_submitted=1), 3, True),
        (processed(failed=2, cancelled=1, not_submitted=1), 3, False),
        (processed(failed=7), 0.07, True),
        (processed(failed=8), 0.07, False),
        (processed(failed=29), 0.29, True),
        (processed(total=10, failed=1), 0.19, True),
        (processed(total=10, failed=2), 0.19, False),
        (processed(failed=100), 1.0, True),
        (processed(failed=1), 1, True),
        (BatchState("7", "PROCESSED", 3, Submissions(3), Runs(completed=2)), 0, False),
    ],
)
def test_what_goes_wrong_is_borne_up_to_the_limit(
    state: BatchState, max_failed_runs: float, fine: bool
) -> None:
    assert (objection(state, max_failed_runs) is None) is fine


@pytest.mark.parametrize(
    "status", ["FAILED", "CANCELLED", "RUNS_DELETING", "RUNS_DELETED", "RUNS_DELETE_FAILED"]
)
def test_a_batch_that_was_not_processed_is_never_fine(status: str) -> None:
    assert objection(BatchState("7", status, 3, Submissions(3), Runs(completed=3)), 1.0) is not None


def submitted(status: str = "INPROGRESS", *, successful: int = 90, failed: int = 10) -> BatchState:
    return BatchState("7", status, 100, Submissions(successful, failed), Runs(running=50, failed=40))


@pytest.mark.parametrize(
    ("state", "max_failed_runs", "fine"),
    [
        (submitted(), 10, True),
        (submitted(), 9, False),
        (submitted("SUBMITTING"), 10, True),
        # Its runs have ended by then, which is not the task's matter.
        (submitted("PROCESSED"), 10, True),
        (submitted("PROCESSED", successful=80), 10, False),
        (submitted("SUBMITTING", successful=80), 100, False),
        (submitted("STOPPING"), 100, False),
        (submitted("CANCELLED"), 100, False),
        (submitted("RUNS_DELETED"), 100, False),
    ],
)
def test_of_a_batch_that_only_had_to_be_submitted_failed_submissions_count_alone(
    state: BatchState, max_failed_runs: float, fine: bool
) -> None:
    assert (objection(state, max_failed_runs, target="submitted") is None) is fine


def test_failed_submissions_are_told_as_such() -> None:
    assert objection(submitted(), target="submitted") == (
        "Run batch 7 was submitted, but of its 100 runs, 10 could not be submitted; "
        "max_failed_runs=0 allows 0"
    )


def test_a_batch_of_which_nothing_is_known_is_not_fine() -> None:
    assert "does not tell what became of its runs" in str(objection(BatchState("7", "PROCESSED"), 1.0))


def test_the_reason_of_a_failed_batch_is_told() -> None:
    state = BatchState("7", "FAILED", failure_reason="Invalid JSON format in run configurations")

    assert objection(state) == "Run batch 7 is FAILED: Invalid JSON format in run configurations"


def test_each_kind_of_loss_is_counted_apart() -> None:
    found = objection(processed(failed=3, cancelled=2, not_submitted=1), 0.05)

    assert found == (
        "Run batch 7 was processed, but of its 100 runs, 1 could not be submitted, 3 failed, "
        "2 were cancelled; max_failed_runs=0.05 allows 5"
    )


@pytest.mark.parametrize("valid", [0, 1, 500, 0.0, 0.01, 1.0])
def test_a_number_or_a_fraction_is_a_limit(valid: float) -> None:
    check_max_failed_runs(valid)


@pytest.mark.parametrize("invalid", [-1, -0.1, 1.5, "0.1", None, True])
def test_anything_else_is_refused_with_what_would_be_valid(invalid: Any) -> None:
    with pytest.raises(ValueError, match="max_failed_runs is a number of runs"):
        check_max_failed_runs(invalid)

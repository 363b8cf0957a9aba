from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_omics_batch.run_batch.records import RunRecord
from airflow_provider_omics_batch.run_batch.results import last_records
from airflow_provider_omics_batch.run_batch.rounds import (
    Remainder,
    RetryFailed,
    check_retry_failed,
    is_worth_a_round,
    is_worth_another_run,
)
from airflow_provider_omics_batch.run_batch.states import BatchState, Submissions


def record(name: str = "A", **members: Any) -> RunRecord:
    found = {
        "run_setting_id": name,
        "run_id": "1",
        "run_arn": None,
        "run_uuid": None,
        "batch_id": "7",
        "submission_status": "SUCCESS",
        "submission_failure_reason": None,
        "submission_failure_message": None,
        "run_status": "COMPLETED",
        "failure_reason": None,
    }
    return RunRecord(**{**found, **members})  # type: ignore[typeddict-item]


def refused(reason: str | None, name: str = "A") -> RunRecord:
    return record(
        name, run_id=None, submission_status="FAILED", submission_failure_reason=reason, run_status=None
    )


def failed(reason: str | None, name: str = "A") -> RunRecord:
    return record(name, run_status="FAILED", failure_reason=reason)


@pytest.mark.parametrize(
    ("reason", "worth"),
    [
        ("ThrottlingException", True),
        ("RequestTimeoutException", True),
        ("InternalServerException", True),
        ("ConflictException", True),
        ("ServiceQuotaExceededException", True),
        ("ValidationException", False),
        ("AccessDeniedException", False),
        ("ResourceNotFoundException", False),
        ("SomethingNew", False),
        (None, False),
    ],
)
def test_a_submission_is_tried_again_where_its_reason_passes_by_itself(
    reason: str | None, worth: bool
) -> None:
    assert is_worth_another_run(refused(reason), "retriable") is worth
    assert is_worth_another_run(refused(reason), "all")


@pytest.mark.parametrize(
    ("reason", "worth"),
    [
        ("SERVICE_ERROR", True),
        ("INSTANCE_RESERVATION_FAILED", True),
        ("MODIFIED_INPUT_RESOURCE", True),
        ("OUT_OF_MEMORY_ERROR", False),
        ("RUN_TASK_FAILED", False),
        ("INPUT_URI_NOT_FOUND", False),
        ("RUN_TIMED_OUT", False),
        (None, False),
    ],
)
def test_a_run_is_tried_again_where_its_reason_passes_by_itself(reason: str | None, worth: bool) -> None:
    assert is_worth_another_run(failed(reason), "retriable") is worth
    assert is_worth_another_run(failed(reason), "all")


@pytest.mark.parametrize("which", ["retriable", "all"])
@pytest.mark.parametrize(
    "left_alone",
    [
        record(),
        record(run_status="RUNNING"),
        record(run_status="PENDING"),
        record(run_status=None),
        record(run_status="CANCELLED"),
        record(run_status="DELETED", submission_status="DELETE_SUCCESS"),
        record(run_status="COMPLETED", submission_status="CANCEL_FAILED"),
        record(run_status="COMPLETED", submission_status="CANCEL_SUCCESS"),
        record(run_status="STOPPING", submission_status="CANCEL_SUCCESS"),
        record(run_status=None, submission_status="CANCEL_SUCCESS"),
    ],
    ids=lambda found: f"{found['submission_status']}-{found['run_status']}",
)
def test_what_completed_may_be_running_or_was_ended_by_somebody_is_left_alone(
    left_alone: RunRecord, which: RetryFailed
) -> None:
    assert not is_worth_another_run(left_alone, which)


def test_runs_that_were_cancelled_with_their_batch_are_tried_again() -> None:
    assert is_worth_another_run(
        record(run_status="CANCELLED", submission_status="CANCEL_SUCCESS"), "retriable"
    )
    assert is_worth_another_run(record(run_status="CANCELLED"), "retriable", batch_cancelled=True)


@pytest.mark.parametrize(
    ("status", "reason", "worth"),
    [
        ("PROCESSED", None, True),
        ("FAILED", "There was a transient error in the service. Retry the batch.", True),
        ("FAILED", "Invalid JSON format in run configurations", False),
        ("FAILED", None, False),
        ("CANCELLED", None, False),
        ("RUNS_DELETED", None, False),
        ("GONE", None, False),
    ],
)
def test_the_same_try_goes_on_after_what_nobody_wanted_and_nobody_has_to_change(
    status: str, reason: str | None, worth: bool
) -> None:
    assert is_worth_a_round(BatchState("7", status, 3, failure_reason=reason)) is worth


@pytest.mark.parametrize(
    ("status", "left"), [("PROCESSED", False), ("FAILED", True), ("CANCELLED", True), ("GONE", True)]
)
def test_what_a_broken_off_batch_never_came_to_is_left(status: str, left: bool) -> None:
    remainder = Remainder("retriable", BatchState("7", status, 3))
    remainder.note(record("A"))
    remainder.note(failed("SERVICE_ERROR", "B"))

    assert [remainder.has(name) for name in "ABC"] == [False, True, left]
    assert remainder.size(3) == 1 + left


@pytest.mark.parametrize("status", ["FAILED", "CANCELLED"])
def test_what_a_list_lacks_that_is_cut_short_may_be_running(status: str) -> None:
    remainder = Remainder("retriable", BatchState("7", status, 3, Submissions(successful=2)))
    remainder.note(record("A"))

    assert not remainder.has("B")
    assert remainder.size(3) == 0


def test_a_list_that_lacks_the_last_batch_is_not_made_whole_by_an_earlier_one() -> None:
    remainder = Remainder("retriable", BatchState("7", "FAILED", 3, Submissions(successful=1)))
    remainder.note(record("A", batch_id="6"))

    assert not remainder.has("B")

    remainder.note(record("B", batch_id="7"))

    assert remainder.has("C")


def test_what_was_cancelled_alone_in_an_earlier_batch_is_left_alone_when_the_last_one_is_cancelled() -> None:
    remainder = Remainder("retriable", BatchState("7", "CANCELLED", 2))
    remainder.note(record("A", batch_id="6", run_status="CANCELLED"))
    remainder.note(record("B", batch_id="7", run_status="CANCELLED"))

    assert remainder.again == {"B"}


def test_nothing_is_sent_again_where_it_is_not_known_what_became_of_runs() -> None:
    remainder = Remainder("retriable", BatchState("7", "PROCESSED", 2))
    remainder.note(record("A", run_status=None))
    remainder.note(refused("ThrottlingException", "B"))

    assert remainder.objection(2, None) == "what became of 1 runs is not known"


def test_a_batch_of_which_nothing_is_known_has_left_something() -> None:
    assert Remainder("retriable", BatchState("7", "GONE")).objection(0, None) is None
    assert Remainder("retriable", BatchState("7", "FAILED")).objection(0, None) is None


@pytest.mark.parametrize(
    ("reason", "pause"),
    [
        ("ThrottlingException", True),
        ("ServiceQuotaExceededException", True),
        ("INSTANCE_RESERVATION_FAILED", True),
        ("SERVICE_ERROR", False),
        ("ConflictException", False),
    ],
)
def test_want_of_rate_quota_or_capacity_calls_for_a_pause(reason: str, pause: bool) -> None:
    remainder = Remainder("retriable", BatchState("7", "PROCESSED", 1))
    remainder.note(failed(reason))

    assert remainder.needs_a_pause is pause


@pytest.mark.parametrize(
    ("records", "bearable", "told"),
    [
        ([], None, "none failed"),
        ([failed("OUT_OF_MEMORY_ERROR")], None, "what has gone wrong does not pass by itself"),
        ([failed(None)], None, "what has gone wrong does not pass by itself; of 1 the reason is not known"),
        (
            [failed("SERVICE_ERROR"), failed("OUT_OF_MEMORY_ERROR", "B")],
            0,
            "1 have failed for good, and 0 may",
        ),
        ([failed("SERVICE_ERROR"), failed("OUT_OF_MEMORY_ERROR", "B")], 1, None),
        ([failed("SERVICE_ERROR"), failed("OUT_OF_MEMORY_ERROR", "B")], None, None),
    ],
)
def test_there_is_no_other_batch_without_a_point_to_it(
    records: list[RunRecord], bearable: int | None, told: str | None
) -> None:
    remainder = Remainder("retriable", BatchState("7", "PROCESSED", 2))
    for found in records:
        remainder.note(found)

    assert remainder.objection(2, bearable) == told


@pytest.mark.parametrize(
    "bad", [(-1, "retriable"), (1.0, "retriable"), (True, "retriable"), ("2", "all"), (1, "some"), (1, None)]
)
def test_rounds_that_make_no_sense_are_refused(bad: tuple[Any, Any]) -> None:
    with pytest.raises(ValueError, match="retry_failed"):
        check_retry_failed(*bad)


def test_of_several_batches_the_last_record_of_each_run_setting_counts() -> None:
    first = [record("A"), failed("SERVICE_ERROR", "B"), refused("ThrottlingException", "C")]
    second = [failed("SERVICE_ERROR", "B"), record("D")]
    third = [record("B")]

    merged = list(last_records([first, second, third]))

    assert merged == [record("A"), record("B"), refused("ThrottlingException", "C"), record("D")]

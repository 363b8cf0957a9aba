"""The switches for what AWS does not document."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from airflow_provider_omics_batch.emulator import Settings


def code(caught):
    return caught.value.response["Error"]["Code"]


def test_a_switch_has_a_few_positions():
    with pytest.raises(ValueError, match="illegal_transition must be one of ConflictException, Valid"):
        Settings(illegal_transition="AccessDeniedException")


def test_a_repeated_request_may_be_a_conflict(start, configure):
    configure(repeated_request="ConflictException")
    start(requestId="one")
    with pytest.raises(ClientError) as caught:
        start(requestId="one")

    assert code(caught) == "ConflictException"


def test_a_changed_request_may_give_the_stored_batch(start, configure):
    configure(changed_request="same")

    assert start(1, requestId="one") == start(2, requestId="one")


def test_a_failed_batch_may_free_its_request(start, clock, configure):
    configure(failed_batch_frees_request=True)
    same_id = [{"runSettingId": "a"}, {"runSettingId": "a"}]
    first = start(same_id, requestId="one")
    assert start(same_id, requestId="one") == first
    clock.advance(100)

    second = start(same_id, requestId="one")
    assert second != first
    assert start(same_id, requestId="one") == second


@pytest.mark.parametrize("repeated", ["same", "ConflictException"])
def test_a_freed_request_may_be_sent_as_it_was_or_corrected(start, omics, clock, configure, repeated):
    configure(failed_batch_frees_request=True, repeated_request=repeated)
    wrong, right = [{"runSettingId": "a"}] * 2, [{"runSettingId": "a"}]
    batches = [start(wrong, requestId="one")]
    for settings in (wrong, right):
        clock.advance(100)
        batches.append(start(settings, requestId="one"))

    assert len(set(batches)) == 3
    clock.advance(100)
    with pytest.raises(omics.exceptions.ConflictException):
        start(wrong, requestId="one")


def test_an_illegal_transition_may_be_invalid(start, omics, configure):
    configure(illegal_transition="ValidationException")
    batch = start()
    for operation in ("cancel_run_batch", "delete_run_batch", "delete_batch"):
        with pytest.raises(omics.exceptions.ValidationException):
            getattr(omics, operation)(batchId=batch)


def test_several_filters_may_all_hold(start, omics, configure):
    configure(several_filters="all")
    start(batchName="x")

    assert len(omics.list_batch(name="x", status="CREATING")["items"]) == 1
    assert omics.list_batch(name="x", status="PENDING")["items"] == []


def test_a_name_filter_may_match_the_beginning(start, omics, clock, configure):
    configure(name_filter="beginning")
    start(1, batchName="cohort-7", default={"name": "sample-1"})
    start(1)
    clock.advance(100)

    assert len(omics.list_batch(name="cohort")["items"]) == 1
    assert len(omics.list_runs(name="sample")["items"]) == 1


def test_duplicates_inline_may_be_refused_at_once(start, omics, configure):
    configure(duplicate_inline_ids="request")
    with pytest.raises(omics.exceptions.ValidationException, match="Expected 2 unique runSettingIds"):
        start([{"runSettingId": "a"}, {"runSettingId": "a"}])


def test_a_batch_may_fail_when_all_submissions_do(start, omics, clock, configure):
    configure(all_submissions_failed="FAILED", fail_submissions=1.0)
    batch = omics.get_batch(batchId=start())
    assert batch["status"] == "CREATING"
    clock.advance(100)
    batch = omics.get_batch(batchId=batch["id"])

    assert (batch["status"], batch["failureReason"]) == ("FAILED", "All run submissions failed.")
    assert "failedTime" in batch
    assert "processedTime" not in batch


def test_a_cancelled_batch_may_list_the_runs_that_it_did_not_submit(start, omics, runs, clock, configure):
    configure(unsubmitted_after_cancel="CANCEL_SUCCESS", run_seconds=1000)
    batch = start(4)
    clock.advance(12.5)
    omics.cancel_run_batch(batchId=batch)
    clock.advance(100)
    listed = runs(batch)

    assert {run["submissionStatus"] for run in listed} == {"CANCEL_SUCCESS"}
    assert ["runId" in run for run in listed] == [True, True, False, False]


def test_counts_may_lag_until_the_batch_is_processed(start, omics, counts, clock, configure):
    configure(count_lag_seconds=5)
    batch = start(4)
    clock.advance(14.5)
    assert counts(batch) == {"successfulStartSubmission": 4}
    clock.advance(2)
    assert sum(omics.get_batch(batchId=batch)["runSummary"].values()) == 1
    clock.advance(100)

    assert counts(batch) == {"successfulStartSubmission": 4, "completedRun": 4}


def test_some_runs_cannot_be_deleted(start, omics, runs, counts, status, clock, configure):
    configure(fail_deletions=0.5)
    batch = start(8)
    clock.advance(100)
    omics.delete_run_batch(batchId=batch)
    clock.advance(100)
    seen = counts(batch)

    assert status(batch) == "RUNS_DELETE_FAILED"
    assert seen["successfulDeleteSubmission"] + seen["failedDeleteSubmission"] == 8
    assert seen["deletedRun"] == seen["successfulDeleteSubmission"]
    failed = [run for run in runs(batch) if run["submissionStatus"] == "DELETE_FAILED"]
    assert 0 < len(failed) == seen["failedDeleteSubmission"]
    assert len(omics.list_runs()["items"]) == len(failed)
    omics.delete_batch(batchId=batch)

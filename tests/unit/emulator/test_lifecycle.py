"""A batch and its runs, followed through time with a clock that the test moves."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest


def seconds(moment):
    return datetime.fromtimestamp(moment, UTC)


def test_a_batch_goes_through_its_states(start, status, clock):
    batch = start(3)
    seen = []
    for moment in (0, 4.9, 5, 9.9, 10, 12.9, 13, 200):
        clock.now = 1_800_000_000 + moment
        seen.append(status(batch))

    assert seen == [
        *("CREATING", "CREATING", "PENDING", "PENDING"),
        *("SUBMITTING", "SUBMITTING", "INPROGRESS", "PROCESSED"),
    ]


def test_start_answers_with_creating(omics, default):
    answer = omics.start_run_batch(
        batchName="cohort",
        tags={"team": "a"},
        defaultRunSetting=default,
        batchRunSettings={"inlineSettings": [{"runSettingId": "1"}]},
    )

    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert answer["status"] == "CREATING"
    assert answer["tags"] == {"team": "a"}
    assert answer["id"].isdigit()
    assert len(answer["id"]) >= 7
    assert answer["arn"] == f"arn:aws:omics:eu-west-1:123456789012:runBatch/{answer['id']}"
    assert len(answer["uuid"]) == 36


def test_times_appear_as_they_come(start, omics, clock):
    batch = start(2)
    begin = clock.now

    assert "submittedTime" not in omics.get_batch(batchId=batch)
    clock.advance(500)
    answer = omics.get_batch(batchId=batch)

    assert answer["creationTime"] == seconds(begin)
    assert answer["submittedTime"] == seconds(begin + 12)
    assert seconds(begin + 12) < answer["processedTime"] < seconds(begin + 60)
    assert "failedTime" not in answer
    assert "failureReason" not in answer


def test_the_request_comes_back(start, omics):
    batch = start(
        2, batchName="cohort", tags={"a": "b"}, default={"parameters": {"x": [1, None, {"y": 0.5}]}}
    )
    answer = omics.get_batch(batchId=batch)

    assert answer["name"] == "cohort"
    assert answer["tags"] == {"a": "b"}
    assert answer["totalRuns"] == 2
    assert answer["defaultRunSetting"]["parameters"] == {"x": [1, None, {"y": 0.5}]}


def test_counts_follow_the_runs(start, counts, clock, configure):
    configure(run_seconds=0)
    batch = start(4)
    assert counts(batch) == {"pendingStartSubmission": 4}
    clock.advance(11.5)
    assert counts(batch) == {"successfulStartSubmission": 1, "pendingStartSubmission": 3, "startingRun": 1}
    clock.advance(1)
    assert counts(batch) == {
        "successfulStartSubmission": 2,
        "pendingStartSubmission": 2,
        "startingRun": 1,
        "stoppingRun": 1,
    }
    clock.advance(100)
    assert counts(batch) == {"successfulStartSubmission": 4, "completedRun": 4}


def test_runs_above_the_limit_wait_in_pending(start, omics, counts, clock, configure):
    configure(concurrent_runs=2, start_run_tps=100)
    batch = start(6)
    clock.advance(11)

    assert counts(batch)["pendingRun"] == 4
    for _ in range(60):
        clock.advance(1)
        found = omics.get_batch(batchId=batch)["runSummary"]
        assert found["startingRunCount"] + found["runningRunCount"] + found["stoppingRunCount"] <= 2
    assert counts(batch)["completedRun"] == 6


def test_a_run_goes_through_its_states(start, omics, runs, clock):
    batch = start(1)
    clock.advance(11)
    run = runs(batch)[0]["runId"]
    seen = []
    while not seen or seen[-1] != "COMPLETED":
        state = omics.get_run(id=run)["status"]
        if state not in seen:
            seen.append(state)
        clock.advance(0.5)

    assert seen == ["STARTING", "RUNNING", "STOPPING", "COMPLETED"]


def test_batches_share_the_start_run_rate_in_turns(start, counts, clock):
    first, second = start(50), start(50)
    clock.advance(31)

    assert counts(first)["successfulStartSubmission"] == 11
    assert counts(second)["successfulStartSubmission"] == 10


def test_a_later_batch_changes_nothing_in_the_past(start, omics, counts, clock):
    first = start(50)
    clock.advance(30)
    before = counts(first)
    item = omics.list_runs()["items"]

    start(50)

    assert counts(first) == before
    assert omics.list_runs()["items"] == item


def test_batches_share_the_limit_on_runs_at_work(start, omics, clock, configure):
    configure(concurrent_runs=3, start_run_tps=100)
    batches = [start(5) for _ in range(3)]
    clock.advance(12)
    summaries = [omics.get_batch(batchId=batch)["runSummary"] for batch in batches]

    assert sum(s["pendingRunCount"] for s in summaries) == 12


def test_looking_changes_nothing(start, omics, clock):
    """A batch that was polled all the time and one that was not end alike."""
    polled = start(5)
    for _ in range(100):
        clock.advance(1)
        omics.get_batch(batchId=polled)
        omics.list_runs_in_batch(batchId=polled)
    answer = omics.get_batch(batchId=polled)
    begin = answer["creationTime"]
    clock.now = 1_900_000_000
    unpolled = start(5)
    clock.advance(100)
    other = omics.get_batch(batchId=unpolled)

    assert answer["submittedTime"] - begin == other["submittedTime"] - other["creationTime"]
    assert answer["processedTime"] - begin == other["processedTime"] - other["creationTime"]


@pytest.mark.parametrize("wait", [6, 12, 30], ids=["PENDING", "SUBMITTING", "INPROGRESS"])
def test_cancel_leaves_nothing_at_work(start, omics, status, counts, clock, configure, wait):
    configure(run_seconds=1000)
    batch = start(5)
    clock.advance(wait)
    submitted = counts(batch).get("successfulStartSubmission", 0)

    answer = omics.cancel_run_batch(batchId=batch)

    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert status(batch) == "STOPPING"
    clock.advance(60)
    assert status(batch) == "CANCELLED"
    expected = {
        "successfulStartSubmission": submitted,
        "successfulCancelSubmission": submitted,
        "cancelledRun": submitted,
    }
    assert counts(batch) == {name: number for name, number in expected.items() if number}


def test_runs_cancelled_before_they_came_to_running_have_no_start_time(start, omics, clock, configure):
    """The order to stop reaches the first of them in STARTING, and the others in RUNNING."""
    configure(start_run_tps=100, cancel_run_tps=0.1, starting_seconds=15, run_seconds=1000)
    batch = start(3)
    clock.advance(11)
    omics.cancel_run_batch(batchId=batch)
    clock.advance(16)
    assert ["startTime" in run for run in omics.list_runs()["items"]] == [False, True, True]
    clock.advance(100)

    found = omics.list_runs(status="CANCELLED")["items"]
    assert ["startTime" in run for run in found] == [False, True, True]


def test_runs_that_ended_before_the_cancellation_stay(start, omics, counts, runs, clock, configure):
    configure(start_run_tps=0.05)
    batch = start(5)
    clock.advance(75)
    ended = counts(batch)["completedRun"]

    omics.cancel_run_batch(batchId=batch)
    clock.advance(60)

    assert ended >= 2
    assert counts(batch)["completedRun"] == ended
    assert [run["submissionStatus"] for run in runs(batch)][:ended] == ["SUCCESS"] * ended


def test_a_run_that_is_stopping_cannot_be_cancelled_any_more(start, omics, counts, runs, clock, configure):
    configure(run_seconds=0, stopping_seconds=100)
    batch = start(1)
    clock.advance(20)
    assert counts(batch)["stoppingRun"] == 1

    omics.cancel_run_batch(batchId=batch)
    clock.advance(1000)

    assert runs(batch)[0]["submissionStatus"] == "CANCEL_FAILED"
    assert counts(batch) == {
        "successfulStartSubmission": 1,
        "failedCancelSubmission": 1,
        "completedRun": 1,
    }


def test_a_cancellation_makes_room_for_others(start, omics, status, clock, configure):
    configure(concurrent_runs=1, run_seconds=100_000)
    first = start(3)
    clock.advance(20)
    configure(concurrent_runs=1, run_seconds=10)
    second = start(1)
    clock.advance(1000)
    assert status(second) == "INPROGRESS"

    omics.cancel_run_batch(batchId=first)
    clock.advance(100)

    assert status(second) == "PROCESSED"


@pytest.mark.parametrize(
    ("operation", "allowed"),
    [
        ("cancel_run_batch", {"PENDING", "SUBMITTING", "INPROGRESS"}),
        ("delete_run_batch", {"PROCESSED", "CANCELLED"}),
        ("delete_batch", {"PROCESSED", "CANCELLED", "FAILED", "RUNS_DELETED"}),
    ],
)
@pytest.mark.parametrize(
    "state",
    [
        *("CREATING", "PENDING", "SUBMITTING", "INPROGRESS", "PROCESSED", "FAILED"),
        *("STOPPING", "CANCELLED", "RUNS_DELETING", "RUNS_DELETED"),
    ],
)
def test_each_status_allows_what_is_documented(batch_in, omics, status, operation, allowed, state):
    batch = batch_in(state)
    assert status(batch) == state
    change = getattr(omics, operation)

    if state in allowed:
        assert change(batchId=batch)["ResponseMetadata"]["HTTPStatusCode"] == 202
    else:
        with pytest.raises(omics.exceptions.ConflictException) as caught:
            change(batchId=batch)
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 409
        assert status(batch) == state


@pytest.fixture(name="batch_in")
def _batch_in(start, omics, clock):
    """Bring a batch into a state."""

    def batch_in(state: str) -> str:
        same_id = [{"runSettingId": "a"}, {"runSettingId": "a"}]
        batch = start(same_id if state == "FAILED" else 3)
        waits = {
            "CREATING": 0,
            "PENDING": 6,
            "SUBMITTING": 11,
            "INPROGRESS": 14,
            "STOPPING": 14,
            "CANCELLED": 14,
        }
        clock.advance(waits.get(state, 500))
        if state in ("STOPPING", "CANCELLED"):
            omics.cancel_run_batch(batchId=batch)
        if state in ("RUNS_DELETING", "RUNS_DELETED"):
            omics.delete_run_batch(batchId=batch)
        clock.advance(500 if state in ("CANCELLED", "RUNS_DELETED") else 0)
        return batch

    return batch_in


def test_orders_share_the_rate_first_come_first_served(start, omics, status, counts, clock, configure):
    configure(start_run_tps=100, cancel_run_tps=1, delete_run_tps=1, run_seconds=1000)
    batches = start(5), start(5)
    clock.advance(100)
    for batch in batches:
        omics.cancel_run_batch(batchId=batch)
    clock.advance(7)
    assert [counts(batch)["successfulCancelSubmission"] for batch in batches] == [5, 2]
    assert [status(batch) for batch in batches] == ["CANCELLED", "STOPPING"]
    clock.advance(5)
    assert [status(batch) for batch in batches] == ["CANCELLED", "CANCELLED"]

    for batch in batches:
        omics.delete_run_batch(batchId=batch)
    clock.advance(7)
    assert [counts(batch)["deletedRun"] for batch in batches] == [5, 2]
    assert [status(batch) for batch in batches] == ["RUNS_DELETED", "RUNS_DELETING"]
    clock.advance(4)
    assert [status(batch) for batch in batches] == ["RUNS_DELETED", "RUNS_DELETED"]


def test_an_order_with_nothing_to_do_waits_for_no_other(start, omics, status, clock, configure):
    configure(start_run_tps=100, cancel_run_tps=1, run_seconds=1000)
    busy = start(50)
    clock.advance(20)
    empty = start(5)
    clock.advance(6)
    for batch in (busy, empty):
        omics.cancel_run_batch(batchId=batch)
    clock.advance(5)

    assert (status(busy), status(empty)) == ("STOPPING", "CANCELLED")


def test_deleting_runs_leaves_the_batch(batch_in, omics, runs, counts):
    batch = batch_in("RUNS_DELETED")

    assert counts(batch) == {
        "successfulStartSubmission": 3,
        "successfulDeleteSubmission": 3,
        "deletedRun": 3,
    }
    assert {run["submissionStatus"] for run in runs(batch)} == {"DELETE_SUCCESS"}
    assert omics.list_runs()["items"] == []
    with pytest.raises(omics.exceptions.ResourceNotFoundException):
        omics.get_run(id=runs(batch)[0]["runId"])


def test_deleting_a_batch_leaves_the_runs(batch_in, omics):
    batch = batch_in("PROCESSED")

    omics.delete_batch(batchId=batch)

    assert omics.list_batch()["items"] == []
    with pytest.raises(omics.exceptions.ResourceNotFoundException):
        omics.get_batch(batchId=batch)
    assert [run["batchId"] for run in omics.list_runs()["items"]] == [batch] * 3
    assert omics.get_run(id=omics.list_runs()["items"][0]["id"])["status"] == "COMPLETED"

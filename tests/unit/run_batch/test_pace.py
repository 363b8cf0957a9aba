from __future__ import annotations

import pytest

from airflow_provider_omics_batch.run_batch.pace import Pace
from airflow_provider_omics_batch.run_batch.progress import duration, progress_line
from airflow_provider_omics_batch.run_batch.states import Attempts, BatchState, Runs, Submissions


def submitting(done: int, total: int) -> BatchState:
    return BatchState("7", "SUBMITTING", total, Submissions(done, 0, total - done), Runs(pending=done))


def test_a_batch_is_looked_at_after_the_poll_interval_until_its_speed_is_known() -> None:
    pace = Pace(30)
    pace.note(submitting(0, 100_000), now=0)

    assert pace.seconds_to_next_look() == 30


def test_the_next_look_waits_for_a_part_of_the_time_that_is_left() -> None:
    pace = Pace(30)
    pace.note(submitting(0, 10_000), now=0)
    pace.note(submitting(1_000, 10_000), now=100)

    assert pace.seconds_left == 900
    assert 0.8 * 0.15 * 900 <= pace.seconds_to_next_look() <= 0.15 * 900


def test_a_look_is_never_further_off_than_five_minutes() -> None:
    pace = Pace(30)
    pace.note(submitting(0, 100_000), now=0)
    pace.note(submitting(10, 100_000), now=3600)

    assert 0.8 * 300 <= pace.seconds_to_next_look() <= 300


def test_a_look_is_never_much_further_off_than_the_one_before() -> None:
    pace = Pace(30)
    pace.note(submitting(0, 100_000), now=0)
    pace.note(submitting(10, 100_000), now=40)

    assert 0.8 * 80 <= pace.seconds_to_next_look() <= 80


def test_a_batch_that_shows_no_progress_is_looked_at_once_a_minute_in_the_end() -> None:
    """Its runs may all end in the next moment."""
    pace = Pace(10)
    waits = []
    for now in (0, 600, 6000, 100_000):
        pace.note(BatchState("7", "INPROGRESS", 9, Submissions(9), Runs(running=9)), now)
        waits.append(pace.seconds_to_next_look())

    assert waits[:2] == [10, 10]
    assert 0.8 * 30 <= waits[2] <= 30
    assert 0.8 * 60 <= waits[3] <= 60


def test_a_long_poll_interval_is_respected() -> None:
    pace = Pace(3600)
    pace.note(submitting(10, 100_000), now=0)
    pace.note(submitting(20, 100_000), now=30)

    assert pace.seconds_to_next_look() == 3600


def test_a_line_of_progress_tells_status_share_counts_rate_and_time_left() -> None:
    pace = Pace(30)
    state = BatchState(
        "7", "INPROGRESS", 1000, Submissions(998, 2), Runs(running=600, completed=395, failed=3)
    )
    pace.note(BatchState("7", "INPROGRESS", 1000, Submissions(998, 2), Runs(running=998)), now=0)
    pace.note(state, now=100)

    assert progress_line(state, pace) == (
        "Run batch 7 INPROGRESS [########------------]  40% of 1,000 runs: 395 completed, 3 failed, "
        "600 running, 2 could not be submitted; 3.98 a second, about 3 min left"
    )


def test_who_waits_for_the_submissions_is_told_of_them_alone() -> None:
    pace = Pace(30, target="submitted")
    pace.note(submitting(0, 1000), now=0)
    pace.note(state := submitting(400, 1000), now=100)

    assert progress_line(state, pace) == (
        "Run batch 7 SUBMITTING [########------------]  40% of 1,000 runs: 400 submitted, 400 pending; "
        "4 a second, about 2 min left"
    )


def test_who_waits_for_a_deletion_is_told_of_it_alone() -> None:
    pace = Pace(30, target="runs_deleted")
    runs = Runs(completed=600, deleted=400)
    state = BatchState("7", "RUNS_DELETING", 1000, Submissions(1000), runs, deletions=Attempts(390, 10))

    pace.note(state, now=0)

    assert progress_line(state, pace) == (
        "Run batch 7 RUNS_DELETING [########------------]  40% of 1,000 runs: 600 completed, 400 deleted"
    )


def test_a_batch_that_is_not_counted_yet_shows_its_status() -> None:
    assert progress_line(BatchState("7", "CREATING"), Pace(30)) == "Run batch 7 CREATING"


def test_what_a_cancelled_batch_has_not_submitted_never_will_be() -> None:
    state = BatchState("7", "CANCELLED", 6, Submissions(2), Runs(cancelled=2))

    assert progress_line(state, Pace(30)).endswith("of 6 runs: 2 cancelled, 4 never submitted")


def test_a_batch_that_has_ended_has_no_time_left() -> None:
    state = BatchState("7", "PROCESSED", 2, Submissions(2), Runs(completed=2))

    assert (
        progress_line(state, Pace(30))
        == "Run batch 7 PROCESSED [####################] 100% of 2 runs: 2 completed"
    )


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0, "0 s"), (89, "89 s"), (720, "12 min"), (19_980, "5 h 33 min"), (90_000, "25 h 0 min")],
)
def test_a_duration_reads_as_people_say_it(seconds: float, told: str) -> None:
    assert duration(seconds) == told

from __future__ import annotations

import logging
from typing import Any

import pytest

from airflow_provider_omics_batch.run_batch.client import PatientClient
from airflow_provider_omics_batch.run_batch.mapping import collect_runs
from airflow_provider_omics_batch.run_batch.records import Outcome, RunIds, RunRecord
from airflow_provider_omics_batch.run_batch.states import BatchState, Runs, Submissions
from tests.unit.fake_omics import ScriptedClient, error


def item(name: str, run_id: str | None = None, **more: str) -> dict[str, str]:
    if run_id is None:
        return {"runSettingId": name, "submissionStatus": "FAILED", **more}
    arn = f"arn:aws:omics:eu-west-1:123456789012:run/{run_id}"
    return {
        "runSettingId": name,
        "runId": run_id,
        "runArn": arn,
        "runInternalUuid": f"u{run_id}",
        "submissionStatus": "SUCCESS",
    }


def runs(*found: tuple[str, str], batch_id: str = "7") -> dict[str, Any]:
    return {"items": [{"id": run_id, "status": status, "batchId": batch_id} for run_id, status in found]}


async def collect(
    client: ScriptedClient, state: BatchState, log: logging.Logger
) -> tuple[Outcome, list[RunRecord]]:
    records: list[RunRecord] = []
    return await collect_runs(PatientClient(client, log), state, records.append, log), records


def statuses(records: list[RunRecord]) -> dict[str, str | None]:
    return {record["run_setting_id"]: record["run_status"] for record in records}


async def test_nothing_but_the_mapping_is_asked_for_where_every_run_completed(log: logging.Logger) -> None:
    state = BatchState("7", "PROCESSED", 3, Submissions(3), Runs(completed=3))
    client = ScriptedClient(
        list_runs_in_batch=[
            {"runs": [item("A", "1"), item("B", "2")], "nextToken": "t"},
            {"runs": [item("C", "3")]},
        ]
    )

    outcome, records = await collect(client, state, log)

    assert outcome == Outcome(state)
    assert statuses(records) == {"A": "COMPLETED", "B": "COMPLETED", "C": "COMPLETED"}
    assert client.calls == [
        ("list_runs_in_batch", {"batchId": "7", "maxItems": 100}),
        ("list_runs_in_batch", {"batchId": "7", "maxItems": 100, "startingToken": "t"}),
    ]


async def test_a_record_holds_all_that_identifies_a_run(log: logging.Logger) -> None:
    state = BatchState("7", "PROCESSED", 1, Submissions(1), Runs(completed=1))

    _, records = await collect(ScriptedClient(list_runs_in_batch={"runs": [item("A", "1")]}), state, log)

    assert records == [
        {
            "run_setting_id": "A",
            "run_id": "1",
            "run_arn": "arn:aws:omics:eu-west-1:123456789012:run/1",
            "run_uuid": "u1",
            "batch_id": "7",
            "submission_status": "SUCCESS",
            "submission_failure_reason": None,
            "submission_failure_message": None,
            "run_status": "COMPLETED",
            "failure_reason": None,
        }
    ]


async def test_runs_that_went_wrong_are_told_with_reason_and_message(log: logging.Logger) -> None:
    state = BatchState("7", "PROCESSED", 4, Submissions(3, 1), Runs(completed=1, failed=1, cancelled=1))
    client = ScriptedClient(
        list_runs_in_batch={
            "runs": [
                item("A", "1"),
                item("B", "2"),
                item("C", "3"),
                item(
                    "D", submissionFailureReason="AccessDeniedException", submissionFailureMessage="no role"
                ),
            ]
        },
        list_runs=lambda **filters: runs(("2" if filters["status"] == "FAILED" else "3", filters["status"])),
        get_run={"status": "FAILED", "failureReason": "RUN_TASK_FAILED", "statusMessage": "exit code 1"},
    )

    outcome, records = await collect(client, state, log)

    assert statuses(records) == {"A": "COMPLETED", "B": "FAILED", "C": "CANCELLED", "D": None}
    assert [record["failure_reason"] for record in records] == [None, "RUN_TASK_FAILED", None, None]
    assert [(f["run_setting_id"], f["run_id"], f["reason"], f["message"]) for f in outcome.failures] == [
        ("B", "2", "RUN_TASK_FAILED", "exit code 1"),
        ("D", None, "AccessDeniedException", "no role"),
        ("C", "3", None, None),
    ]
    assert client.count == {"list_runs_in_batch": 1, "list_runs": 2, "get_run": 1}


async def test_a_failed_submission_may_have_an_empty_run_id(log: logging.Logger) -> None:
    state = BatchState("7", "PROCESSED", 1, Submissions(0, 1))
    failed = {**item("A"), "runId": ""}

    _, records = await collect(ScriptedClient(list_runs_in_batch={"runs": [failed]}), state, log)

    assert records[0]["run_id"] is None


@pytest.mark.parametrize("refusal", [error("ValidationException", 400, "ListRuns"), runs(("1", "COMPLETED"))])
async def test_all_runs_are_listed_where_two_filters_at_a_time_do_not_work(
    log: logging.Logger, refusal: object
) -> None:
    state = BatchState("7", "PROCESSED", 2, Submissions(2), Runs(completed=1, failed=1))
    client = ScriptedClient(
        list_runs_in_batch={"runs": [item("A", "1"), item("B", "2")]},
        list_runs=[refusal, runs(("1", "COMPLETED"), ("2", "FAILED"))],
        get_run={"status": "FAILED", "failureReason": "SERVICE_ERROR"},
    )

    outcome, records = await collect(client, state, log)

    assert statuses(records) == {"A": "COMPLETED", "B": "FAILED"}
    assert outcome.state == state


async def test_runs_of_other_batches_are_not_taken_for_ours(log: logging.Logger) -> None:
    """A service that ignores a filter would answer with the runs of the whole account."""
    state = BatchState("7", "PROCESSED", 1, Submissions(1), Runs(failed=1))
    others = runs(("8", "FAILED"), ("9", "FAILED"), batch_id="6")
    client = ScriptedClient(
        list_runs_in_batch={"runs": [item("A", "1")]},
        list_runs={"items": others["items"] + runs(("1", "FAILED"))["items"]},
        get_run={"status": "FAILED"},
    )

    outcome, records = await collect(client, state, log)

    assert statuses(records) == {"A": "FAILED"}
    assert outcome.state.runs == Runs(failed=1)


async def test_runs_that_are_listed_without_their_batch_are_taken_for_ours(
    log: logging.Logger, naps: list[float]
) -> None:
    state = BatchState("7", "PROCESSED", 2, Submissions(2), Runs(completed=1, failed=1))
    client = ScriptedClient(
        list_runs_in_batch={"runs": [item("A", "1"), item("B", "2")]},
        list_runs={"items": [{"id": "2", "status": "FAILED"}]},
        get_run={"status": "FAILED"},
    )

    _, records = await collect(client, state, log)

    assert statuses(records) == {"A": "COMPLETED", "B": "FAILED"}


async def test_runs_that_were_deleted_are_not_taken_for_completed(log: logging.Logger) -> None:
    state = BatchState("7", "PROCESSED", 2, Submissions(2), Runs(completed=1, deleted=1))
    client = ScriptedClient(
        list_runs_in_batch={"runs": [item("A", "1"), item("B", "2")]},
        list_runs=runs(("1", "COMPLETED")),
    )

    outcome, records = await collect(client, state, log)

    assert statuses(records) == {"A": "COMPLETED", "B": None}
    assert outcome.state.runs == Runs(completed=1, deleted=1)


@pytest.mark.parametrize(
    "state",
    [
        BatchState("7", "PROCESSED"),
        BatchState("7", "PROCESSED", 3, Submissions(2, 1), Runs(completed=1)),
        BatchState("7", "CANCELLED", 3, Submissions(2, 1), Runs(stopping=2)),
    ],
)
async def test_runs_are_counted_one_by_one_where_the_counts_do_not_add_up(
    log: logging.Logger, state: BatchState
) -> None:
    client = ScriptedClient(
        list_runs_in_batch={"runs": [item("A", "1"), item("B", "2"), item("C")]},
        list_runs=runs(("1", "COMPLETED"), ("2", "CANCELLED")),
    )

    outcome, records = await collect(client, state, log)

    assert statuses(records) == {"A": "COMPLETED", "B": "CANCELLED", "C": None}
    assert outcome.state.total == 3
    assert outcome.state.submissions == Submissions(2, 1)
    assert outcome.state.runs == Runs(completed=1, cancelled=1)


async def test_a_run_listed_twice_is_recorded_once(log: logging.Logger) -> None:
    state = BatchState("7", "PROCESSED", 2, Submissions(2), Runs(completed=2))
    client = ScriptedClient(
        list_runs_in_batch=[
            {"runs": [item("A", "1")], "nextToken": "t"},
            {"runs": [], "nextToken": "u"},
            {"runs": [item("A", "1"), item("B", "2")]},
        ]
    )

    _, records = await collect(client, state, log)

    assert list(statuses(records)) == ["A", "B"]


async def test_a_list_that_lacks_runs_is_read_again(log: logging.Logger, naps: list[float]) -> None:
    """A mapping with holes would lose samples without a word."""
    state = BatchState("7", "PROCESSED", 3, Submissions(3), Runs(completed=3))
    complete = {"runs": [item("A", "1"), item("B", "2"), item("C", "3")]}
    client = ScriptedClient(list_runs_in_batch=[{}, {"runs": [item("B", "2")]}, complete])

    outcome, records = await collect(client, state, log)

    assert sorted(statuses(records)) == ["A", "B", "C"]
    assert outcome == Outcome(state)


async def test_runs_that_no_list_ever_has_are_not_accounted_for(
    log: logging.Logger, naps: list[float]
) -> None:
    state = BatchState("7", "PROCESSED", 2, Submissions(2), Runs(completed=2))

    outcome, _ = await collect(ScriptedClient(list_runs_in_batch={"runs": [item("A", "1")]}), state, log)

    assert outcome.state.unaccounted == 1


async def test_runs_that_the_service_has_not_counted_are_not_taken_for_completed(log: logging.Logger) -> None:
    state = BatchState("7", "PROCESSED", 1, Submissions(1), Runs(completed=1))
    client = ScriptedClient(list_runs_in_batch={"runs": [item("A", "1"), item("B", "2"), item("C", "3")]})

    outcome, _ = await collect(client, state, log)

    assert outcome.state.unaccounted == 2


async def test_counts_that_add_up_stay_where_the_list_of_runs_lags_behind(
    log: logging.Logger, naps: list[float]
) -> None:
    state = BatchState("7", "PROCESSED", 3, Submissions(3), Runs(completed=2, failed=1))
    client = ScriptedClient(
        list_runs_in_batch={"runs": [item("A", "1"), item("B", "2"), item("C", "3")]}, list_runs={}
    )

    outcome, records = await collect(client, state, log)

    assert outcome.state == state
    assert set(statuses(records).values()) == {None}


async def test_a_list_of_failed_runs_that_lags_is_read_again(log: logging.Logger, naps: list[float]) -> None:
    state = BatchState("7", "PROCESSED", 2, Submissions(2), Runs(completed=1, failed=1))
    client = ScriptedClient(
        list_runs_in_batch={"runs": [item("A", "1"), item("B", "2")]},
        list_runs=[{}, runs(("2", "FAILED"))],
        get_run={"status": "FAILED"},
    )

    _, records = await collect(client, state, log)

    assert statuses(records) == {"A": "COMPLETED", "B": "FAILED"}


async def test_a_list_whose_page_token_has_expired_is_read_again(
    log: logging.Logger, naps: list[float]
) -> None:
    state = BatchState("7", "PROCESSED", 2, Submissions(2), Runs(completed=2))
    client = ScriptedClient(
        list_runs_in_batch=[
            {"runs": [item("A", "1")], "nextToken": "t"},
            error("ValidationException", 400, "ListRunsInBatch"),
            {"runs": [item("A", "1"), item("B", "2")]},
        ]
    )

    _, records = await collect(client, state, log)

    assert list(statuses(records)) == ["A", "B"]


async def test_an_answer_without_a_list_is_an_empty_list(log: logging.Logger) -> None:
    """The service model promises no member of an answer."""
    state = BatchState("7", "FAILED", 2)

    outcome, records = await collect(ScriptedClient(list_runs_in_batch={}, list_runs={}), state, log)

    assert records == []
    assert outcome.state.status == "FAILED"


async def test_a_missing_permission_costs_the_details_and_not_the_mapping(
    log: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    state = BatchState("7", "PROCESSED", 2, Submissions(2), Runs(completed=1, failed=1))
    client = ScriptedClient(
        list_runs_in_batch={"runs": [item("A", "1"), item("B", "2")]},
        list_runs=error("AccessDeniedException", 403, "ListRuns"),
    )

    outcome, records = await collect(client, state, log)

    assert statuses(records) == {"A": None, "B": None}
    assert outcome.state == state
    assert "The caller needs omics:ListRuns" in caplog.text


@pytest.mark.parametrize(
    "fault", [error("InternalServerException", 500, "ListRuns"), error("NotImplemented", 501, "ListRuns")]
)
async def test_a_service_that_cannot_tell_the_outcome_of_runs_does_not_hold_up_the_task(
    log: logging.Logger, monkeypatch: pytest.MonkeyPatch, fault: object
) -> None:
    monkeypatch.setattr("airflow_provider_omics_batch.run_batch.mapping.PATIENCE_FOR_DETAILS", 0)
    state = BatchState("7", "PROCESSED", 2, Submissions(2), Runs(completed=1, failed=1))
    client = ScriptedClient(list_runs_in_batch={"runs": [item("A", "1"), item("B", "2")]}, list_runs=fault)

    outcome, records = await collect(client, state, log)

    assert statuses(records) == {"A": None, "B": None}
    assert outcome.state == state


async def test_a_run_that_was_not_submitted_never_counts_as_completed(log: logging.Logger) -> None:
    state = BatchState("7", "PROCESSED", 2, Submissions(1, 1), Runs(completed=1))
    client = ScriptedClient(
        list_runs_in_batch={"runs": [item("A", "1"), {**item("B", "2"), "submissionStatus": "FAILED"}]}
    )

    outcome, records = await collect(client, state, log)

    assert statuses(records) == {"A": "COMPLETED", "B": None}
    assert [failure["run_setting_id"] for failure in outcome.failures] == ["B"]


async def test_pages_that_go_round_in_a_circle_come_to_an_end(log: logging.Logger) -> None:
    state = BatchState("7", "PROCESSED", 2, Submissions(2), Runs(completed=2))
    client = ScriptedClient(
        list_runs_in_batch=lambda **page: {
            "runs": [item(page.get("startingToken", "first"), "1")],
            "nextToken": "b" if page.get("startingToken") == "a" else "a",
        }
    )

    _, records = await collect(client, state, log)

    assert list(statuses(records)) == ["first", "a", "b"]


async def test_no_more_reasons_are_asked_for_once_that_is_refused(
    log: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    state = BatchState("7", "PROCESSED", 2, Submissions(2), Runs(failed=2))
    client = ScriptedClient(
        list_runs_in_batch={"runs": [item("A", "1"), item("B", "2")]},
        list_runs=runs(("1", "FAILED"), ("2", "FAILED")),
        get_run=error("AccessDeniedException", 403, "GetRun"),
    )

    outcome, _ = await collect(client, state, log)

    assert client.count["get_run"] == 1
    assert [failure["run_setting_id"] for failure in outcome.failures] == ["A", "B"]
    assert "The caller needs omics:GetRun" in caplog.text


async def test_the_reasons_of_others_are_asked_for_where_a_failed_run_was_deleted_meanwhile(
    log: logging.Logger,
) -> None:
    state = BatchState("7", "PROCESSED", 2, Submissions(2), Runs(failed=2))
    client = ScriptedClient(
        list_runs_in_batch={"runs": [item("A", "1"), item("B", "2")]},
        list_runs=runs(("1", "FAILED"), ("2", "FAILED")),
        get_run=[
            error("ResourceNotFoundException", 404, "GetRun"),
            {"status": "FAILED", "failureReason": "SERVICE_ERROR"},
        ],
    )

    _, records = await collect(client, state, log)

    assert [record["failure_reason"] for record in records] == [None, "SERVICE_ERROR"]


async def test_a_page_that_fails_is_asked_for_again_and_not_those_before_it(
    log: logging.Logger, naps: list[float]
) -> None:
    state = BatchState("7", "PROCESSED", 2, Submissions(2), Runs(completed=2))
    client = ScriptedClient(
        list_runs_in_batch=[
            {"runs": [item("A", "1")], "nextToken": "t"},
            error("ThrottlingException", 429),
            {"runs": [item("B", "2")]},
        ]
    )

    _, records = await collect(client, state, log)

    assert list(statuses(records)) == ["A", "B"]
    assert [parameters.get("startingToken") for _, parameters in client.calls] == [None, "t", "t"]


async def test_texts_of_the_service_are_made_fit_for_logs_and_xcom(log: logging.Logger) -> None:
    state = BatchState("7", "PROCESSED", 1, Submissions(0, 1))
    texts = {"submissionFailureReason": "R" * 500_000, "submissionFailureMessage": "\x1b[31mred\nline"}

    outcome, _ = await collect(ScriptedClient(list_runs_in_batch={"runs": [item("A", **texts)]}), state, log)

    assert len(outcome.failures[0]["reason"]) == 300
    assert outcome.failures[0]["message"] == " [31mred line"


async def test_the_summary_is_small_at_any_size(log: logging.Logger) -> None:
    total = 5_000
    state = BatchState("7", "PROCESSED", total, Submissions(0, total))
    long = {"submissionFailureReason": "ValidationException", "submissionFailureMessage": "x" * 5_000}
    client = ScriptedClient(
        list_runs_in_batch={"runs": [item(f"S{number}", **long) for number in range(total)]}
    )

    outcome, _ = await collect(client, state, log)

    assert len(repr(outcome.summary("s3://bucket/runs.jsonl"))) < 6_000


def record(name: str, run_id: str | None) -> RunRecord:
    status = "SUCCESS" if run_id else "FAILED"
    return RunRecord(run_setting_id=name, run_id=run_id, submission_status=status)  # type: ignore[typeddict-item]


def test_run_ids_are_those_of_submitted_runs() -> None:
    run_ids = RunIds(1_000)
    for name, run_id in (("A", "1"), ("B", None), ("C", "3")):
        run_ids.add(record(name, run_id))

    assert run_ids.value == {"A": "1", "C": "3"}


def test_run_ids_too_many_for_xcom_are_none() -> None:
    run_ids = RunIds(1_000)
    for number in range(100):
        run_ids.add(record(f"S{number}", str(number)))

    assert run_ids.value is None


@pytest.mark.parametrize("status", ["CANCELLED", "FAILED"])
async def test_a_list_of_a_broken_off_batch_that_is_cut_short_is_read_again(
    status: str, log: logging.Logger, naps: list[float]
) -> None:
    state = BatchState("7", status, 5, Submissions(3))
    client = ScriptedClient(
        list_runs_in_batch=[
            {"runs": [item("A", "1")], "nextToken": "t"},
            error("ValidationException", 400, "ListRunsInBatch"),
            {},
            {"runs": [item("A", "1"), item("B", "2"), item("C", "3")]},
        ],
        list_runs=runs(("1", "CANCELLED"), ("2", "CANCELLED"), ("3", "CANCELLED")),
    )

    _, records = await collect(client, state, log)

    assert list(statuses(records)) == ["A", "B", "C"]
    assert naps


async def test_a_run_that_has_no_id_yet_is_asked_for_again(log: logging.Logger, naps: list[float]) -> None:
    state = BatchState("7", "PROCESSED", 1, Submissions(1), Runs(completed=1))
    without = {"runSettingId": "A", "submissionStatus": "SUCCESS", "runId": ""}
    client = ScriptedClient(list_runs_in_batch=[{"runs": [without]}, {"runs": [item("A", "1")]}])

    outcome, records = await collect(client, state, log)

    assert [record["run_id"] for record in records] == ["1"]
    assert outcome.state == state


async def test_a_run_that_never_has_an_id_is_not_accounted_for(
    log: logging.Logger, naps: list[float]
) -> None:
    state = BatchState("7", "PROCESSED", 1, Submissions(1), Runs(completed=1))
    client = ScriptedClient(
        list_runs_in_batch={"runs": [{"runSettingId": "A", "submissionStatus": "SUCCESS"}]}
    )

    outcome, _ = await collect(client, state, log)

    assert outcome.state.unaccounted == 1

from __future__ import annotations

import logging
from typing import Any

import pytest
from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError, NoCredentialsError

from airflow_provider_omics_batch.run_batch.client import PatientClient
from airflow_provider_omics_batch.run_batch.fail_fast import FailFast
from airflow_provider_omics_batch.run_batch.states import BatchState, Submissions
from airflow_provider_omics_batch.run_batch.watch import watch_run_batch
from tests.unit.fake_omics import ScriptedClient, error

PROCESSED = {
    "status": "PROCESSED",
    "totalRuns": 1,
    "submissionSummary": {"successfulStartSubmissionCount": 1},
    "runSummary": {"completedRunCount": 1},
}


async def watch(client: ScriptedClient, log: logging.Logger, **how: Any) -> BatchState:
    return await watch_run_batch(PatientClient(client, log), "7", poll_interval=30, log=log, **how)


@pytest.mark.parametrize("status", ["PROCESSED", "FAILED", "CANCELLED", "RUNS_DELETED", "RUNS_DELETE_FAILED"])
async def test_a_wait_ends_with_the_batch_however_that_ends(
    naps: list[float], log: logging.Logger, status: str
) -> None:
    client = ScriptedClient(
        get_batch=[
            {"status": earlier} for earlier in ("CREATING", "PENDING", "SUBMITTING", "INPROGRESS", status)
        ]
    )

    assert (await watch(client, log)).status == status
    assert naps == [30, 30, 30, 30]


def submitting(successful: int, failed: int = 0, *, status: str = "SUBMITTING", pending: int = 0) -> Any:
    counts = {
        "successfulStartSubmissionCount": successful,
        "failedStartSubmissionCount": failed,
        "pendingStartSubmissionCount": pending,
    }
    return {"status": status, "totalRuns": 3, "submissionSummary": counts}


async def test_a_wait_for_the_submissions_ends_when_all_have_been_tried(
    naps: list[float], log: logging.Logger
) -> None:
    looks = [
        {"status": "PENDING"},
        {"status": "SUBMITTING"},
        submitting(2),
        submitting(2, pending=1),
        submitting(2, 1),
    ]
    client = ScriptedClient(get_batch=[*looks, PROCESSED], list_runs_in_batch={"runs": []})

    assert (await watch(client, log, target="submitted")).submissions == Submissions(2, 1)
    assert client.count["get_batch"] == len(looks)


async def test_a_wait_for_the_submissions_goes_on_while_they_are_undone(
    naps: list[float], log: logging.Logger
) -> None:
    client = ScriptedClient(get_batch=[submitting(3, status="STOPPING"), {"status": "CANCELLED"}])

    assert (await watch(client, log, target="submitted")).status == "CANCELLED"


@pytest.mark.parametrize("status", ["RUNS_DELETED", "RUNS_DELETE_FAILED", "FAILED"])
async def test_a_wait_for_a_deletion_ends_with_it(
    naps: list[float], log: logging.Logger, status: str
) -> None:
    """The first look may be of before it."""
    client = ScriptedClient(get_batch=[PROCESSED, {"status": "RUNS_DELETING"}, {"status": status}])

    assert (await watch(client, log, target="runs_deleted")).status == status


async def test_too_many_failed_submissions_cancel_a_batch_that_is_waited_for_to_be_submitted(
    naps: list[float], log: logging.Logger
) -> None:
    """Also those that are seen with the last submission; what becomes of runs does not count."""
    client = ScriptedClient(
        get_batch=[
            {**submitting(2), "runSummary": {"failedRunCount": 2}},
            submitting(1, 2),
            submitting(1, 2, status="STOPPING"),
            submitting(1, 2, status="CANCELLED"),
        ],
        list_runs_in_batch={"runs": []},
        cancel_run_batch={},
    )

    state = await watch(client, log, target="submitted", fail_fast=FailFast(1, target="submitted"))

    assert state.status == "CANCELLED"
    assert client.count["cancel_run_batch"] == 1


async def test_an_unknown_status_is_told_and_waited_for(
    naps: list[float], log: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    client = ScriptedClient(get_batch=[{"status": "ARCHIVING"}, PROCESSED])

    assert (await watch(client, log)).status == "PROCESSED"
    assert "ARCHIVING is a status that this version does not know" in caplog.text


@pytest.mark.parametrize(
    "fault",
    [
        error("ThrottlingException", 429),
        error("InternalServerException", 500),
        error("ServiceUnavailable", 503),
        error("RequestTimeoutException", 408),
        error("ExpiredTokenException", 403),
        EndpointConnectionError(endpoint_url="http://x"),
        ConnectTimeoutError(endpoint_url="http://x"),
        NoCredentialsError(),
        ConnectionResetError(),
        {},
        {"status": None},
    ],
)
async def test_a_fault_that_passes_by_itself_never_ends_a_wait(
    naps: list[float], log: logging.Logger, caplog: pytest.LogCaptureFixture, fault: object
) -> None:
    client = ScriptedClient(get_batch=[{"status": "SUBMITTING"}, *[fault] * 50, PROCESSED])

    assert (await watch(client, log)).status == "PROCESSED"
    assert caplog.text.count("trying again in") == 50
    assert max(naps) <= 60


@pytest.mark.parametrize(
    "refusal",
    [
        error("AccessDeniedException", 403),
        error("ValidationException", 400),
        error("ResourceNotFoundException", 404),
        error("ServiceQuotaExceededException", 402),
        FileNotFoundError("ca.pem"),
    ],
)
async def test_a_refusal_ends_a_wait_at_once(
    naps: list[float], log: logging.Logger, refusal: Exception
) -> None:
    client = ScriptedClient(get_batch=[{"status": "SUBMITTING"}, refusal])

    with pytest.raises(type(refusal)) as caught:
        await watch(client, log)

    assert caught.value is refusal
    assert client.count["get_batch"] == 2


async def test_a_batch_just_made_may_be_unknown_for_a_moment(naps: list[float], log: logging.Logger) -> None:
    unknown = error("ResourceNotFoundException", 404)
    client = ScriptedClient(get_batch=[unknown, unknown, PROCESSED])

    assert (await watch(client, log)).status == "PROCESSED"


@pytest.mark.parametrize("fault", [NoCredentialsError(), error("UnrecognizedClientException", 403)])
async def test_credentials_that_do_not_come_back_end_a_wait(
    naps: list[float], log: logging.Logger, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    monkeypatch.setattr("airflow_provider_omics_batch.run_batch.client.PATIENCE_FOR_CREDENTIALS", 0)
    client = ScriptedClient(get_batch=[{"status": "SUBMITTING"}, fault])

    with pytest.raises(type(fault)):
        await watch(client, log)


async def test_a_line_is_logged_when_the_counts_have_changed_and_no_other_time(
    naps: list[float], log: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    client = ScriptedClient(get_batch=[*[{"status": "SUBMITTING", "totalRuns": 1}] * 40, PROCESSED])

    await watch(client, log)

    assert [record.message.split(" [")[0] for record in caplog.records] == [
        "Run batch 7 SUBMITTING",
        "Run batch 7 PROCESSED",
    ]


async def test_failed_submissions_are_told_with_their_reason_as_they_appear(
    naps: list[float], log: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    failed = {"status": "SUBMITTING", "totalRuns": 9, "submissionSummary": {"failedStartSubmissionCount": 1}}
    client = ScriptedClient(
        get_batch=[failed, failed, PROCESSED],
        list_runs_in_batch={
            "runs": [
                {
                    "runSettingId": "NA12878",
                    "submissionStatus": "FAILED",
                    "submissionFailureReason": "ValidationException",
                    "submissionFailureMessage": "no such file",
                }
            ]
        },
    )

    await watch(client, log)

    told = [line.message for line in caplog.records if line.levelno == logging.WARNING]
    assert told == ["NA12878 could not be submitted: ValidationException: no such file"]
    assert client.count["list_runs_in_batch"] == 1

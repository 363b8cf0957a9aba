from __future__ import annotations

import logging

import pytest
from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError, NoCredentialsError

from airflow_provider_omics_batch.run_batch.client import PatientClient
from airflow_provider_omics_batch.run_batch.states import BatchState
from airflow_provider_omics_batch.run_batch.watch import watch_run_batch
from tests.unit.fake_omics import ScriptedClient, error

PROCESSED = {
    "status": "PROCESSED",
    "totalRuns": 1,
    "submissionSummary": {"successfulStartSubmissionCount": 1},
    "runSummary": {"completedRunCount": 1},
}


async def watch(client: ScriptedClient, log: logging.Logger) -> BatchState:
    return await watch_run_batch(PatientClient(client, log), "7", poll_interval=30, log=log)


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

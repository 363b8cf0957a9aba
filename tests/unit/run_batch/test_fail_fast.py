from __future__ import annotations

import logging
from typing import Any

import pytest

from airflow_provider_omics_batch.run_batch.client import PatientClient
from airflow_provider_omics_batch.run_batch.fail_fast import FailFast
from airflow_provider_omics_batch.run_batch.states import BatchState, Runs, Submissions
from tests.unit.fake_omics import ScriptedClient, error


def state(failed: int = 0, *, refused: int = 0, total: int = 100, **ended: int) -> BatchState:
    return BatchState("7", "INPROGRESS", total, Submissions(failed=refused), Runs(failed=failed, **ended))


def runs(*ids: str) -> dict[str, Any]:
    return {"items": [{"id": run_id, "status": "FAILED", "batchId": "7"} for run_id in ids]}


@pytest.mark.parametrize(
    ("limit", "seen", "told"),
    [
        (0, state(), None),
        (0, state(1), "1 of 100 runs went wrong, and 0 may"),
        (2, state(1, refused=1), None),
        (2, state(1, refused=1, cancelled=1), "3 of 100 runs went wrong, and 2 may"),
        (0.02, state(2), None),
        (0.02, state(3), "3 of 100 runs went wrong, and 2 may"),
        (0.02, state(3, total=0), None),
    ],
)
async def test_a_batch_cannot_end_well_where_more_went_wrong_than_may(
    limit: float, seen: BatchState, told: str | None, log: logging.Logger
) -> None:
    client = ScriptedClient()

    assert await FailFast(limit).verdict(PatientClient(client, log), seen, log) == told
    assert not client.calls


@pytest.mark.parametrize(("reason", "hopeless"), [("SERVICE_ERROR", False), ("RUN_TASK_FAILED", True)])
async def test_failures_that_another_round_may_mend_are_borne(
    reason: str, hopeless: bool, log: logging.Logger
) -> None:
    client = ScriptedClient(
        list_runs_in_batch={
            "runs": [{"runSettingId": "A", "submissionFailureReason": "ThrottlingException"}]
        },
        list_runs=runs("1"),
        get_run={"status": "FAILED", "failureReason": reason},
    )
    fail_fast = FailFast(0, retry_failed="retriable")

    for _ in range(2):
        verdict = await fail_fast.verdict(PatientClient(client, log), state(1, refused=1), log)
        assert (verdict is not None) is hopeless
    assert client.count["get_run"] == 1
    assert client.count["list_runs"] == (2 if hopeless else 1)


@pytest.mark.parametrize("ended", ["cancelled", "deleted"])
async def test_a_round_for_all_bears_all_but_what_somebody_has_ended(log: logging.Logger, ended: str) -> None:
    fail_fast, client = FailFast(0, retry_failed="all"), PatientClient(ScriptedClient(), log)

    assert await fail_fast.verdict(client, state(5), log) is None
    assert await fail_fast.verdict(client, state(5, **{ended: 1}), log)


async def test_no_more_is_asked_than_it_takes_to_know(log: logging.Logger) -> None:
    client = ScriptedClient(
        list_runs_in_batch={"runs": []},
        list_runs=runs(*map(str, range(50))),
        get_run={"status": "FAILED", "failureReason": "RUN_TASK_FAILED"},
    )

    assert await FailFast(2, retry_failed="retriable").verdict(PatientClient(client, log), state(50), log)
    assert client.count["get_run"] == 3


async def test_of_many_failed_runs_more_is_asked_with_every_look(log: logging.Logger) -> None:
    client = ScriptedClient(
        list_runs_in_batch={"runs": []},
        list_runs=runs(*map(str, range(250))),
        get_run=lambda **run: {
            "status": "FAILED",
            "failureReason": "RUN_TASK_FAILED" if run["id"] == "149" else "SERVICE_ERROR",
        },
    )
    fail_fast, seen = FailFast(0, retry_failed="retriable"), state(250, total=1_000)

    assert await fail_fast.verdict(PatientClient(client, log), seen, log) is None
    assert client.count["get_run"] == 100
    assert await fail_fast.verdict(PatientClient(client, log), seen, log)
    assert client.count["get_run"] == 150


async def test_a_batch_is_not_given_up_for_what_is_not_known(
    log: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    client = ScriptedClient(
        list_runs_in_batch={"runs": []}, list_runs=error("AccessDeniedException", 403, "ListRuns")
    )

    verdict = await FailFast(0, retry_failed="retriable").verdict(PatientClient(client, log), state(1), log)

    assert verdict is None
    assert "is not known" in caplog.text

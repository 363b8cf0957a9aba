from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_omics_batch.run_batch import (
    RunRecord,
    chunk_run_ids,
    chunk_run_manifest,
    read_run_manifest,
)


def record(name: str, run_id: str | None, submission_status: str = "SUCCESS") -> RunRecord:
    return RunRecord(
        run_setting_id=name,
        run_id=run_id,
        run_arn=None,
        run_uuid=None,
        batch_id="7",
        submission_status=submission_status,
        submission_failure_reason=None,
        submission_failure_message=None,
        run_status=None,
        failure_reason=None,
    )


RECORDS = [record("A", "1"), record("B", None, "FAILED"), record("C", "3")]


@pytest.mark.parametrize(
    ("run_ids", "pieces"),
    [
        ({"A": "1", "B": "2", "C": "3"}, [{"A": "1", "B": "2"}, {"C": "3"}]),
        (["1", "2", "3"], [["1", "2"], ["3"]]),
        ((run_id for run_id in "123"), [["1", "2"], ["3"]]),
        (iter(RECORDS), [{"A": "1", "C": "3"}]),
        ({}, []),
        ([], []),
        (iter([record("B", None)]), []),
    ],
)
def test_run_ids_come_in_pieces_of_the_same_kind(run_ids: Any, pieces: list[Any]) -> None:
    assert chunk_run_ids(run_ids, size=2) == pieces


@pytest.mark.parametrize("total", [300, 301, 599])
def test_there_are_never_more_pieces_than_airflow_maps_over(
    total: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__MAX_MAP_LENGTH", "3")
    run_ids = [str(number) for number in range(total)]

    pieces = chunk_run_ids(run_ids, size=100)

    assert len(pieces) == 3
    assert [run_id for piece in pieces for run_id in piece] == run_ids


def test_there_are_up_to_1024_pieces_where_airflow_is_not_told_otherwise() -> None:
    assert len(chunk_run_ids(map(str, range(2000)), size=1)) == 1000
    assert len(chunk_run_ids(map(str, range(1024)), size=1)) == 1024


def test_a_piece_has_at_least_one_run_id() -> None:
    with pytest.raises(ValueError, match="A chunk has at least 1 run, not 0"):
        chunk_run_ids(["1"], size=0)


def test_run_ids_that_were_too_many_for_xcom_are_looked_for_in_the_manifest() -> None:
    with pytest.raises(ValueError, match="Use chunk_run_manifest"):
        chunk_run_ids(None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        ({"run_status": "DONE"}, "run_status: there is no 'DONE'; there are PENDING, STARTING,"),
        ({"run_status": ["FAILED", "failed"]}, "run_status: there is no 'failed'; there are"),
        (
            {"submission_status": "COMPLETED"},
            "submission_status: there is no 'COMPLETED'; there are SUCCESS,",
        ),
    ],
)
def test_an_unknown_status_is_refused_at_once_with_the_known_ones(chosen: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        read_run_manifest("s3://bucket/runs.jsonl", **chosen)


@pytest.mark.parametrize("uri", ["/data/runs.jsonl", None])
@pytest.mark.parametrize("read", [read_run_manifest, chunk_run_manifest])
def test_what_is_no_uri_of_s3_is_refused_at_once(read: Callable[[Any], Any], uri: Any) -> None:
    with pytest.raises(ValueError, match=f"{uri!r} is not of the form s3://bucket/key"):
        read(uri)


def test_the_statuses_are_those_of_the_api() -> None:
    from botocore.session import get_session

    from airflow_provider_omics_batch.run_batch.reading import RUN_STATUSES, SUBMISSION_STATUSES

    model = get_session().get_service_model("omics")

    assert set(RUN_STATUSES) >= set(model.shape_for("RunStatus").enum)
    assert set(SUBMISSION_STATUSES) >= set(model.shape_for("SubmissionStatus").enum)

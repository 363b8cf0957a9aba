"""The manifest as the tasks behind a batch read it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from airflow_provider_omics_batch.run_batch import (
    RunRecord,
    chunk_run_ids,
    chunk_run_manifest,
    read_run_manifest,
    went_wrong,
)
from airflow_provider_omics_batch.run_batch.model import json_bytes
from tests.integration.conftest import BUCKET, Emulator

URI = f"s3://{BUCKET}/airflow/run-batches/4bbbd6bc/runs.jsonl"


def record(number: int, submission_status: str, run_status: str | None) -> RunRecord:
    run_id = str(5_000_000 + number) if run_status else None
    return RunRecord(
        run_setting_id=f"S{number}",
        run_id=run_id,
        run_arn=f"arn:aws:omics:eu-west-1:123456789012:run/{run_id}" if run_id else None,
        run_uuid="4bbbd6bc-2b0a-4b3e-9a43-3c2e6b1f2f0c" if run_id else None,
        batch_id="1000001",
        submission_status=submission_status,
        submission_failure_reason=None if run_id else "AccessDeniedException",
        submission_failure_message=None,
        run_status=run_status,
        failure_reason="OUT_OF_MEMORY_ERROR" if run_status == "FAILED" else None,
    )


SMALL = [
    record(0, "SUCCESS", "COMPLETED"),
    record(1, "SUCCESS", "FAILED"),
    record(2, "FAILED", None),
    record(3, "CANCEL_SUCCESS", "CANCELLED"),
    record(4, "SUCCESS", "COMPLETED"),
]


def write(emulator: Emulator, records: Iterator[RunRecord] | list[RunRecord], uri: str = URI) -> None:
    body = b"".join(json_bytes(record) + b"\n" for record in records)
    emulator.client("s3").put_object(Bucket=BUCKET, Key=uri.removeprefix(f"s3://{BUCKET}/"), Body=body)


def names(**chosen: Any) -> list[str]:
    return [record["run_setting_id"] for record in read_run_manifest(URI, **chosen)]


@pytest.mark.parametrize(
    ("chosen", "found"),
    [
        ({}, ["S0", "S1", "S2", "S3", "S4"]),
        ({"run_status": "FAILED"}, ["S1"]),
        ({"run_status": {"FAILED", "CANCELLED"}}, ["S1", "S3"]),
        ({"submission_status": "FAILED"}, ["S2"]),
        ({"submission_status": ["SUCCESS"], "run_status": iter(["COMPLETED", "CANCELLED"])}, ["S0", "S4"]),
        ({"run_status": []}, []),
    ],
)
def test_a_manifest_is_read_by_status(emulator: Emulator, chosen: dict[str, Any], found: list[str]) -> None:
    write(emulator, SMALL)

    assert names(**chosen) == found


def test_all_that_went_wrong_is_one_filter(emulator: Emulator) -> None:
    write(emulator, SMALL)

    assert list(filter(went_wrong, read_run_manifest(URI))) == SMALL[1:4]


def test_a_slow_reader_holds_no_connection(emulator: Emulator) -> None:
    """S3 ends connections on which nothing moves, and a task may take hours with the first record."""
    write(emulator, SMALL)
    records = read_run_manifest(URI)
    first = next(records)

    emulator.reset()

    assert [first, *records] == SMALL


def test_a_manifest_that_is_not_there_is_told_as_s3_does(emulator: Emulator) -> None:
    with pytest.raises(ClientError, match="NoSuchKey"):
        names()


MEASURE = """
import resource, sys
from airflow_provider_omics_batch.run_batch import chunk_run_manifest, read_run_manifest

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

small, large = sys.argv[1:]
for _ in range(5):
    list(read_run_manifest(small))
before = peak()
pieces = chunk_run_manifest(large)
count = sum(1 for _ in read_run_manifest(large))
print(count, sum(1 for _ in read_run_manifest(pieces[-1])), peak() - before)
"""


def test_a_large_manifest_takes_no_memory(emulator: Emulator) -> None:
    """In a process of its own, since the emulator in this one holds the whole object."""
    write(emulator, SMALL, f"{URI}.small")
    write(emulator, (record(number, "SUCCESS", "COMPLETED") for number in range(50_000)))

    command = [sys.executable, "-c", MEASURE, f"{URI}.small", URI]
    measured = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603

    count, count_of_piece, kilobytes = map(int, measured.stdout.splitlines()[-1].split())
    assert count == 50_000
    assert count_of_piece == 100
    # The manifest has 16 MB.
    assert kilobytes < 4_000


@pytest.mark.parametrize("size", [1, 2, 5, 6])
def test_the_pieces_of_a_manifest_are_the_manifest(emulator: Emulator, size: int) -> None:
    write(emulator, SMALL)

    pieces = chunk_run_manifest(URI, size)

    assert [list(read_run_manifest(piece)) for piece in pieces] == [
        SMALL[first : first + size] for first in range(0, 5, size)
    ]


def test_a_piece_is_read_by_status_too(emulator: Emulator) -> None:
    write(emulator, SMALL)

    [piece] = chunk_run_manifest(URI)

    assert [found["run_setting_id"] for found in read_run_manifest(piece, run_status="FAILED")] == ["S1"]


def test_there_are_as_many_pieces_of_a_large_manifest_as_airflow_maps_over(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__MAX_MAP_LENGTH", "5")
    write(emulator, (record(number, "SUCCESS", "COMPLETED") for number in range(601)))

    pieces = chunk_run_manifest(URI)

    assert [sum(1 for _ in read_run_manifest(piece)) for piece in pieces] == [121, 121, 121, 121, 117]
    assert len(json.dumps(pieces)) < 600


def test_an_empty_manifest_has_no_pieces(emulator: Emulator) -> None:
    write(emulator, [])

    assert chunk_run_manifest(URI) == []


def test_the_failed_runs_of_a_manifest_come_in_pieces(emulator: Emulator) -> None:
    write(emulator, SMALL)

    assert chunk_run_ids(read_run_manifest(URI, run_status={"FAILED", "CANCELLED"})) == [
        {"S1": "5000001", "S3": "5000003"}
    ]


def test_a_piece_of_a_manifest_that_was_written_again_is_refused(emulator: Emulator) -> None:
    """A trigger may run twice, and AWS tell less the second time; the lines of a piece are elsewhere then."""
    write(emulator, SMALL)
    piece, *_ = chunk_run_manifest(URI, 2)
    write(emulator, SMALL)
    assert len(list(read_run_manifest(piece))) == 2
    write(emulator, SMALL[1:])

    with pytest.raises(ValueError, match="has been written again since it was cut into pieces"):
        list(read_run_manifest(piece))

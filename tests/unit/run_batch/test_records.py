from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_omics_batch.run_batch.records import FirstFailures, RunRecord


def record(number: int, run_status: str = "FAILED") -> RunRecord:
    return RunRecord(
        run_setting_id=f"S{number}",
        run_id=str(number),
        run_arn=None,
        run_uuid=None,
        batch_id="7",
        submission_status="SUCCESS",
        submission_failure_reason=None,
        submission_failure_message=None,
        run_status=run_status,
        failure_reason=None,
    )


def shown(messages: list[str]) -> list[dict[str, Any]]:
    failures = FirstFailures()
    for number, message in enumerate(messages):
        if failures.wants(record(number)):
            failures.add(record(number), {"run_setting_id": f"S{number}", "message": message})
    return failures.value


def test_the_first_ten_failures_are_shown() -> None:
    assert [failure["run_setting_id"] for failure in shown(["short"] * 20)] == [f"S{n}" for n in range(10)]


def test_no_failures_are_shown_where_there_are_none() -> None:
    assert shown([]) == []


@pytest.mark.parametrize("text", ["x" * 300, "\N{GREEK SMALL LETTER ALPHA}" * 300])
def test_of_failures_with_long_texts_fewer_are_shown(text: str) -> None:
    found = shown([text] * 10)

    assert len(found) < 10
    assert 1_000 < len(json.dumps(found)) < 2_100


def test_one_failure_is_shown_however_long_its_text() -> None:
    assert len(shown(["x" * 3_000] * 10)) == 1


def test_failures_come_before_what_was_cancelled_with_them() -> None:
    failures = FirstFailures()
    for number, status in enumerate(["CANCELLED", "FAILED"]):
        failures.add(record(number, status), {"run_status": status})

    assert [failure["run_status"] for failure in failures.value] == ["FAILED", "CANCELLED"]

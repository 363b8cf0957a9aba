"""What the tests of the deployment have in common."""

from __future__ import annotations

import json
from contextlib import closing
from typing import Any

from tests.system.dag_run import DagRun
from tests.system.deployed import BUCKET


def check_the_end(run: DagRun, known: list[str]) -> None:
    """Check that there is one batch, and that the task has published all of it."""
    batches = run.batches()
    assert len(batches) == 1
    [batch] = batches
    assert set(known) <= {batch["id"]}
    assert batch["status"] == "PROCESSED"
    runs = {item["runSettingId"]: item["runId"] for item in runs_of(run, batch["id"])}
    assert run.xcom("batch_id") == batch["id"]
    assert run.xcom("batch_ids") == [batch["id"]]
    assert run.xcom("run_ids") == runs
    assert {line["run_setting_id"]: line["run_id"] for line in manifest(run)} == runs
    summary = run.xcom()
    assert (summary["batch_id"], summary["status"]) == (batch["id"], "PROCESSED")
    assert summary["total"] == summary["runs"]["completed"] == len(runs)
    assert summary["manifest_uri"] == run.xcom("manifest_uri")


def runs_of(run: DagRun, batch_id: str) -> list[dict[str, Any]]:
    pages = run.emulator.client("omics").get_paginator("list_runs_in_batch").paginate(batchId=batch_id)
    return [item for page in pages for item in page["runs"]]


def manifest(run: DagRun) -> list[dict[str, Any]]:
    key = run.xcom("manifest_uri").removeprefix(f"s3://{BUCKET}/")
    with closing(run.emulator.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"]) as body:
        return [json.loads(line) for line in body.iter_lines()]

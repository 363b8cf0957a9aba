"""A task of one's own: everything in memory, and the whole mapping as one XCom."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
from airflow.providers.amazon.aws.hooks.s3 import S3Hook


def stage(bucket: str, sheet: str, key: str) -> None:
    """Make run settings of a sample sheet, and put them where HealthOmics reads them."""
    hook = S3Hook()
    rows = list(csv.DictReader(io.StringIO(hook.read_key(sheet, bucket)), delimiter="\t"))
    settings = [
        {
            "runSettingId": row["sample_id"],
            "name": row["sample_id"],
            "parameters": {"sample": row["sample_id"], "cram": f"s3://example/{row['cram_path']}"},
            "runTags": {"population": row["population"]},
        }
        for row in rows
    ]
    hook.conn.put_object(Bucket=bucket, Key=key, Body=json.dumps(settings))


def run_ids(batch_id: str) -> dict[str, str]:
    """Return the run of every run setting, for XCom."""
    client: Any = AwsBaseHook(client_type="omics").conn
    pages = client.get_paginator("list_runs_in_batch").paginate(batchId=batch_id)
    return {run["runSettingId"]: run["runId"] for page in pages for run in page["runs"] if run.get("runId")}


def runs(batch_id: str) -> list[dict[str, Any]]:
    """Return all that HealthOmics tells of every run, for XCom."""
    client: Any = AwsBaseHook(client_type="omics").conn
    pages = client.get_paginator("list_runs_in_batch").paginate(batchId=batch_id)
    return [run for page in pages for run in page["runs"]]

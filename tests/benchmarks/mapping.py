"""
From 100,000 runs of a batch that has ended to what the next task needs.

Ours is the trigger with its manifest in S3, and what the task publishes as XCom. Our rate limit is raised, so
that a thousand pages do not take minutes. The alternative is boto3's paginator into a dict, as one XCom.
"""

from __future__ import annotations

import json

from tests.benchmarks.figures import Figure
from tests.benchmarks.laboratory import BUCKET, Laboratory, laboratory

RUNS = 100_000

OPTIONS = ("--speed", "1e6", "--start-run-tps", "1000", "--concurrent-runs", "100000", "--fail-runs", "0.001")

FAST = {"OMICS_BATCH__REQUESTS_PER_SECOND": "1000"}


def run() -> list[Figure]:
    with laboratory("mapping", *OPTIONS) as lab:
        settings_uri = _stage(lab)
        xcom = lab.measure(
            "mapping:xcom",
            configuration=FAST,
            settings_uri=settings_uri,
            staging_uri=f"s3://{BUCKET}/airflow/",
        )
        [batch] = lab.emulator.client("omics").list_batch()["items"]
        ours = lab.measure(
            "mapping:ours",
            configuration=FAST,
            batch_id=batch["id"],
            manifest_uri=f"s3://{BUCKET}/runs.jsonl",
        )
        rival = lab.measure("mapping:rival", batch_id=batch["id"], what="run_ids")
        rival_runs = lab.measure("mapping:rival", batch_id=batch["id"], what="runs")
    return [
        Figure(
            what=f"most memory for {RUNS:,} runs, above that of before",
            unit="MB",
            ours=ours["peak"],
            rival=rival["peak"],
            at_most=60,
        ),
        Figure(what=f"CPU for {RUNS:,} runs", unit="s", ours=ours["cpu"], rival=rival["cpu"], at_most=5),
        # The alternative blocks a worker, and not an event loop.
        Figure(what="event loop blocked at the worst", unit="ms", ours=1000 * ours["stall"], at_most=50),
        Figure(
            what="XCom in all, beside run ids only",
            unit="KB",
            ours=sum(xcom.values()) / 1000,
            rival=rival["xcom_bytes"] / 1000,
            at_most=4,
        ),
        Figure(
            what="XCom in all, beside runs as listed",
            unit="KB",
            ours=sum(xcom.values()) / 1000,
            rival=rival_runs["xcom_bytes"] / 1000,
        ),
    ]


def _stage(lab: Laboratory) -> str:
    settings = [{"runSettingId": f"HG{number:05d}-{number}"} for number in range(RUNS)]
    lab.emulator.client("s3").put_object(Bucket=BUCKET, Key="settings.json", Body=json.dumps(settings))
    return f"s3://{BUCKET}/settings.json"

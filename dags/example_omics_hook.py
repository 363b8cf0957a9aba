"""
Look at a batch that something else has submitted: the hook alone, in tasks of one's own.

- `failures` returns why the first runs failed, in which of their tasks, and the log streams that tell more.
- `submissions` counts the runs by the outcome of their submission, page after page, in an event loop.
"""

from __future__ import annotations

from collections import Counter
from itertools import islice

from airflow.sdk import Param, dag, task

from airflow_provider_omics_batch.hooks.omics import OmicsHook
from airflow_provider_omics_batch.run_batch import RunFailure


# [START hook_alone]
@task
def failures(batch_id: str) -> list[RunFailure]:
    hook = OmicsHook()
    failed = hook.list_runs(batch_id, status="FAILED")
    return [hook.get_run_failure(run["id"]) for run in islice(failed, 10)]


@task(multiple_outputs=False)
async def submissions(batch_id: str) -> Counter[str]:
    hook = OmicsHook()
    async with await hook.get_async_conn() as client:
        runs = hook.list_runs_in_batch_async(client, batch_id)
        return Counter([run["submissionStatus"] async for run in runs])


# [END hook_alone]


@dag(
    schedule=None,
    params={"batch_id": Param("1000001", type="string", title="Batch id")},
    tags=["example", "omics"],
    doc_md=__doc__,
)
def example_omics_hook() -> None:
    failures("{{ params.batch_id }}")
    submissions("{{ params.batch_id }}")


example_omics_hook()

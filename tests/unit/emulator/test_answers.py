"""What the model has in answers is answered, or the README says that it is not."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_omics_batch import emulator
from tests.unit.emulator.answers import answered, members
from tests.unit.emulator.conformance import OPERATIONS

README = Path(emulator.__file__).with_name("README.md").read_text()


@pytest.fixture(name="told")
def _told(omics: Any) -> Iterator[defaultdict[str, set[str]]]:
    """Note the members of all answers, by operation."""
    told: defaultdict[str, set[str]] = defaultdict(set)

    def note(http_response: Any, model: Any, **_: Any) -> None:
        told[model.name].update(answered(json.loads(http_response.content or "{}")))

    omics.meta.events.register("after-call.omics", note)
    yield told
    omics.meta.events.unregister("after-call.omics", note)


def look_around(omics: Any) -> None:
    """Get all that there is in an account."""
    for batch in omics.list_batch()["items"]:
        omics.get_batch(batchId=batch["id"])
        omics.list_runs_in_batch(batchId=batch["id"])
    for run in omics.list_runs()["items"]:
        omics.get_run(id=run["id"])
        for task in omics.list_run_tasks(id=run["id"])["items"]:
            omics.get_run_task(id=run["id"], taskId=task["taskId"])
    for workflow in omics.list_workflows()["items"]:
        omics.get_workflow(id=workflow["id"])
        omics.list_tags_for_resource(resourceArn=workflow["arn"])
        for version in omics.list_workflow_versions(workflowId=workflow["id"])["items"]:
            omics.get_workflow_version(workflowId=workflow["id"], versionName=version["versionName"])
    for group in omics.list_run_groups()["items"]:
        omics.get_run_group(id=group["id"])
    for cache in omics.list_run_caches()["items"]:
        omics.get_run_cache(id=cache["id"])


def never_answered() -> dict[str, set[str]]:
    """Read the README's list: the members by operation."""
    section = README.partition("\n## What it does not do\n")[2]
    rows = re.findall(r"^\| ([^|]*) \| ([^|]*) \|$", section, re.MULTILINE)
    return {
        operation: set(re.findall(r"`(\w+)`", names))
        for operations, names in rows
        for operation in re.findall(r"`(\w+)`", operations)
    }


def test_every_member_is_answered_or_listed(
    told: defaultdict[str, set[str]], omics: Any, furnished: Any
) -> None:
    look_around(omics)

    missing = {operation: {*members(operation)} - told[operation] for operation in OPERATIONS}
    assert {operation: names for operation, names in missing.items() if names} == never_answered()

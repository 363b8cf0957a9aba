"""Tags, on everything that has an ARN."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from airflow_provider_omics_batch.emulator.exceptions import ResourceNotFoundException, ValidationException
from airflow_provider_omics_batch.emulator.requests.validation import check_request
from airflow_provider_omics_batch.emulator.resources.run_operations import RunOperations
from airflow_provider_omics_batch.emulator.resources.run_settings import MAX_TAGS, TOO_MANY_TAGS

if TYPE_CHECKING:
    from airflow_provider_omics_batch.emulator.resources.account import Params
    from airflow_provider_omics_batch.emulator.resources.batch import Batch

Tags = dict[str, str]

_ARN = re.compile(r"(?P<kind>[A-Za-z]+)/(?P<id>\d{1,18})(/version/(?P<version>[^/]+))?")


class TagOperations(RunOperations):
    """The operations on the tags of batches, runs, workflows, their versions, run groups and run caches."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self._by_id: dict[str, Batch] = {}

    def list_tags_for_resource(self, params: Params) -> Params:
        check_request("ListTagsForResource", params)
        with self._lock:
            return {"tags": self._tags(params["resourceArn"])}

    def tag_resource(self, params: Params) -> None:
        check_request("TagResource", params)
        with self._lock:
            tags = self._tags(params["resourceArn"])
            if len({**tags, **params["tags"]}) > MAX_TAGS:
                raise ValidationException(TOO_MANY_TAGS)
            tags.update(params["tags"])

    def untag_resource(self, params: Params) -> None:
        """Remove tags; those that are not there do not matter."""
        check_request("UntagResource", params)
        with self._lock:
            tags = self._tags(params["resourceArn"])
            for key in params["tagKeys"]:
                tags.pop(key, None)

    def _tags(self, arn: str) -> Tags:
        """Find the tags of a resource, such that they can be changed."""
        found = _ARN.fullmatch(arn.removeprefix(self.arn("")))
        if found is None:
            raise ResourceNotFoundException(f"There is no {arn} in this account and Region")
        kind, resource_id, version = found["kind"], found["id"], found["version"]
        if kind == "run":
            return self._run_tags(resource_id)
        if kind == "runBatch" and resource_id in self._by_id:
            return self._by_id[resource_id].tags
        if kind == "workflow":
            workflow = self._workflows.get(resource_id)
            return workflow.version(version).tags if version else workflow.tags
        if kind == "runGroup":
            return self._run_groups.get(resource_id).tags
        if kind == "runCache":
            return self._run_caches.get(resource_id).tags
        raise ResourceNotFoundException(f"There is no {arn}")

    def _run_tags(self, run_id: str) -> Tags:
        run = self._existing(run_id, self._observe())
        return run.batch.run_tags.setdefault(run.place, run.tags)

"""Workflows and their versions, as far as runs refer to them; of a definition only the digest is kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, ClassVar

from airflow_provider_omics_batch.emulator.exceptions import (
    ConflictException,
    ResourceNotFoundException,
    ValidationException,
)
from airflow_provider_omics_batch.emulator.requests.idempotency import RequestLog
from airflow_provider_omics_batch.emulator.requests.paging import first_place, page
from airflow_provider_omics_batch.emulator.requests.validation import check_request
from airflow_provider_omics_batch.emulator.resources.created import Resource, Shelf, new_facts
from airflow_provider_omics_batch.emulator.resources.engine import Engine
from airflow_provider_omics_batch.emulator.resources.templates import ParameterTemplate

if TYPE_CHECKING:
    from airflow_provider_omics_batch.emulator.resources.account import Page, Params

_SOURCES = ("definitionZip", "definitionUri", "definitionRepository")
_UNSHOWN = (*_SOURCES, "containerRegistryMapUri", "readmeMarkdown", "readmeUri", "parameterTemplatePath")


@dataclass(eq=False, kw_only=True)
class Definition(Resource):
    """A workflow or a version of one: something that runs can be made of."""

    kind: ClassVar[str] = "workflow"
    title: ClassVar[str] = "workflow"
    listed: ClassVar[tuple[str, ...]] = ("status", "type", "digest", "metadata")

    digest: str
    active_at: float

    @property
    def template(self) -> ParameterTemplate | None:
        return self.request.get("parameterTemplate")

    def is_active(self, now: float) -> bool:
        return self.active_at <= now

    def created(self, now: float) -> Params:
        status = "ACTIVE" if self.is_active(now) else "CREATING"
        return {**super().created(now), "status": status}

    def describe(self, now: float) -> Params:
        shown: Params = {"type": "PRIVATE", "digest": self.digest, "metadata": {}}
        if readme := self.request.get("readmeMarkdown"):
            shown["readme"] = readme
        if repository := self.request.get("definitionRepository"):
            names = ("connectionArn", "fullRepositoryId", "sourceReference")
            shown["definitionRepositoryDetails"] = {
                name: repository[name] for name in names if name in repository
            }
        described = {**super().describe(now), **shown}
        return {name: value for name, value in described.items() if name not in _UNSHOWN}


@dataclass(eq=False, kw_only=True)
class WorkflowVersion(Definition):
    """A version of a workflow."""

    title: ClassVar[str] = "workflow version"
    listed: ClassVar[tuple[str, ...]] = (*Definition.listed, "workflowId", "versionName", "description")


@dataclass(eq=False, kw_only=True)
class Workflow(Definition):
    """A workflow; its runs are of its own definition unless they name a version."""

    versions: dict[str, WorkflowVersion] = field(default_factory=dict)
    requests: RequestLog[WorkflowVersion] = field(default_factory=RequestLog)

    def version(self, name: str) -> WorkflowVersion:
        if name not in self.versions:
            raise ResourceNotFoundException(f"The workflow {self.id} has no version {name}")
        return self.versions[name]


class WorkflowOperations(Engine):
    """The operations on workflows and their versions."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self._workflows = Shelf(Workflow, 4_000_001)

    def create_workflow(self, params: Params) -> Params:
        check_request("CreateWorkflow", params)
        with self._lock:
            now = self._observe()
            if known := self._workflows.requests.find(params, self.settings):
                return known.created(now)
            facts = self._facts(params, now)
            workflow = self._workflows.create(params, facts, self.arn, self.settings.max_workflows)
            return workflow.created(now)

    def _facts(self, params: Params, now: float) -> Params:
        digest, facts = _digest(params), new_facts(params, now)
        facts["request"]["definitionZip"] = None
        return {**facts, "digest": digest, "active_at": now + self.settings.creating_seconds}

    def get_workflow(self, params: Params) -> Params:
        check_request("GetWorkflow", params)
        with self._lock:
            now = self._observe()
            return self._workflow(params["id"], params).describe(now)

    def _workflow(self, workflow_id: str, params: Params) -> Workflow:
        """
        Find a workflow that a request names, among those of this account.

        :raises ResourceNotFoundException: it is none of them.
        """
        if params.get("type") == "READY2RUN" or not self._is_own(params):
            raise ResourceNotFoundException(f"There is no workflow {workflow_id} but private ones here")
        return self._workflows.get(workflow_id)

    def _is_own(self, params: Params) -> bool:
        return params.get("workflowOwnerId") in (None, self.account_id)

    def list_workflows(self, params: Params) -> Page:
        check_request("ListWorkflows", params)
        with self._lock:
            return self._workflows.list(params, self.settings, self._observe())

    def update_workflow(self, params: Params) -> None:
        check_request("UpdateWorkflow", params)
        with self._lock:
            workflow = self._workflows.get(params["id"])
            workflow.request.update({name: value for name, value in params.items() if name != "id"})

    def delete_workflow(self, params: Params) -> None:
        check_request("DeleteWorkflow", params)
        with self._lock:
            if self._workflows.get(params["id"]).versions:
                raise ConflictException(f"The workflow {params['id']} has versions; delete them first")
            self._workflows.delete(params["id"])

    def create_workflow_version(self, params: Params) -> Params:
        check_request("CreateWorkflowVersion", params)
        with self._lock:
            now = self._observe()
            workflow = self._workflows.get(params["workflowId"])
            if known := workflow.requests.find(params, self.settings):
                return _as_version(known.created(now), known)
            name, facts = params["versionName"], self._facts(params, now)
            if name in workflow.versions:
                raise ConflictException(f"The workflow {workflow.id} has a version {name} already")
            version = WorkflowVersion(id=workflow.id, arn=f"{workflow.arn}/version/{name}", **facts)
            workflow.versions[name] = version
            workflow.requests.note(params, version)
            return _as_version(version.created(now), version)

    def get_workflow_version(self, params: Params) -> Params:
        check_request("GetWorkflowVersion", params)
        with self._lock:
            version = self._workflow(params["workflowId"], params).version(params["versionName"])
            return version.describe(self._observe())

    def list_workflow_versions(self, params: Params) -> Page:
        check_request("ListWorkflowVersions", params)
        with self._lock:
            now = self._observe()
            versions = list(self._workflow(params["workflowId"], params).versions.values())
            start = first_place(params.get("startingToken"), params["workflowId"])
            shown = ((place, versions[place].item(now)) for place in range(start, len(versions)))
            return page(shown, params.get("maxResults"), params["workflowId"])

    def update_workflow_version(self, params: Params) -> None:
        check_request("UpdateWorkflowVersion", params)
        with self._lock:
            version = self._workflows.get(params["workflowId"]).version(params["versionName"])
            version.request.update(params)

    def delete_workflow_version(self, params: Params) -> None:
        check_request("DeleteWorkflowVersion", params)
        with self._lock:
            workflow = self._workflows.get(params["workflowId"])
            workflow.requests.forget(workflow.version(params["versionName"]))
            del workflow.versions[params["versionName"]]

    def _definition(self, default: Params, now: float) -> Definition | None:
        """
        Find what runs are made of; ``None`` if the workflow is not one of ours and any is taken for good.

        :raises ResourceNotFoundException: it has no such version, is not active or deleted, or must be ours.
        """
        if default.get("workflowType") == "READY2RUN":
            return None
        own = self._is_own(default)
        workflow = self._workflows.find(default.get("workflowId")) if own else None
        if workflow is None:
            if self.settings.strict_ids or (own and self._workflows.is_deleted(default.get("workflowId"))):
                raise ResourceNotFoundException(f"The workflow {default['workflowId']} does not exist")
            return None
        name = default.get("workflowVersionName")
        definition = workflow.version(name) if name else workflow
        if not definition.is_active(now):
            raise ResourceNotFoundException(f"The {definition.title} {definition.arn} is not active")
        return definition


def _as_version(created: Params, version: WorkflowVersion) -> Params:
    return {**created, "workflowId": version.id, "versionName": version.request["versionName"]}


def _digest(params: Params) -> str:
    """Read what defines a workflow."""
    given = [name for name in _SOURCES if params.get(name)]
    if len(given) != 1:
        raise ValidationException(
            f"Exactly one of {', '.join(_SOURCES)} is needed, but {len(given)} were given"
        )
    source = params[given[0]]
    return sha256(source if isinstance(source, bytes) else str(source).encode()).hexdigest()

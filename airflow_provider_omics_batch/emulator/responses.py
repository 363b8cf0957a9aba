"""HTTP in and out; parameters and answers follow botocore's service model."""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from moto.core.responses import ActionResult, BaseResponse, EmptyResult
from moto.core.utils import camelcase_to_underscores

from airflow_provider_omics_batch.emulator.exceptions import ThrottlingException, ValidationException
from airflow_provider_omics_batch.emulator.models import OmicsBackend, omics_backends
from airflow_provider_omics_batch.emulator.requests.validation import WrongTypeError

if TYPE_CHECKING:
    from moto.core.request import Request

    from airflow_provider_omics_batch.emulator.resources.account import Page

log = logging.getLogger(__name__)

#: Where the fault list tells how many runs a batch submits before it fails.
FAILS_AFTER = "omics.fails_after"

Answer = tuple[int, dict[str, str], str]

#: The answer of an operation for which the service model has no output.
ACCEPTED: Answer = (202, {"status": "202", "Content-Type": "application/json"}, "")


class OmicsResponse(BaseResponse):
    """One request to HealthOmics."""

    # A body that is not UTF-8 is our error to answer.
    use_raw_body = True

    def __init__(self) -> None:
        super().__init__(service_name="omics")
        self.automated_parameter_parsing = True
        self._operation: str | None = None
        self._unreadable: str | None = None

    @property
    def backend(self) -> OmicsBackend:
        try:
            return omics_backends[self.current_account][self.region]
        except KeyError as error:
            raise ValidationException(f"There is no HealthOmics in the Region {self.region}") from error

    def start_run_batch(self) -> ActionResult:
        fails_after = self.normalized_request.environ.get(FAILS_AFTER)
        return ActionResult(self.backend.start_run_batch(self.params, fails_after))

    def get_batch(self) -> ActionResult:
        return ActionResult(self.backend.get_batch(self.params))

    def list_batch(self) -> ActionResult:
        return _items(self.backend.list_batch(self.params))

    def list_runs_in_batch(self) -> ActionResult:
        return _items(self.backend.list_runs_in_batch(self.params), "runs")

    def cancel_run_batch(self) -> ActionResult:
        self.backend.cancel_run_batch(self.params)
        return EmptyResult()

    def delete_run_batch(self) -> ActionResult:
        self.backend.delete_run_batch(self.params)
        return EmptyResult()

    def delete_batch(self) -> Answer:
        self.backend.delete_batch(self.params)
        return ACCEPTED

    def start_run(self) -> ActionResult:
        return ActionResult(self.backend.start_run(self.params))

    def get_run(self) -> ActionResult:
        return ActionResult(self.backend.get_run(self.params))

    def list_runs(self) -> ActionResult:
        return _items(self.backend.list_runs(self.params))

    def cancel_run(self) -> Answer:
        self.backend.cancel_run(self.params)
        return ACCEPTED

    def delete_run(self) -> Answer:
        self.backend.delete_run(self.params)
        return ACCEPTED

    def list_run_tasks(self) -> ActionResult:
        return _items(self.backend.list_run_tasks(self.params))

    def get_run_task(self) -> ActionResult:
        return ActionResult(self.backend.get_run_task(self.params))

    def create_workflow(self) -> ActionResult:
        return ActionResult(self.backend.create_workflow(self.params))

    def get_workflow(self) -> ActionResult:
        return ActionResult(self.backend.get_workflow(self.params))

    def list_workflows(self) -> ActionResult:
        return _items(self.backend.list_workflows(self.params))

    def update_workflow(self) -> Answer:
        self.backend.update_workflow(self.params)
        return ACCEPTED

    def delete_workflow(self) -> Answer:
        self.backend.delete_workflow(self.params)
        return ACCEPTED

    def create_workflow_version(self) -> ActionResult:
        return ActionResult(self.backend.create_workflow_version(self.params))

    def get_workflow_version(self) -> ActionResult:
        return ActionResult(self.backend.get_workflow_version(self.params))

    def list_workflow_versions(self) -> ActionResult:
        return _items(self.backend.list_workflow_versions(self.params))

    def update_workflow_version(self) -> Answer:
        self.backend.update_workflow_version(self.params)
        return ACCEPTED

    def delete_workflow_version(self) -> Answer:
        self.backend.delete_workflow_version(self.params)
        return ACCEPTED

    def create_run_group(self) -> ActionResult:
        return ActionResult(self.backend.create_run_group(self.params))

    def get_run_group(self) -> ActionResult:
        return ActionResult(self.backend.get_run_group(self.params))

    def list_run_groups(self) -> ActionResult:
        return _items(self.backend.list_run_groups(self.params))

    def update_run_group(self) -> Answer:
        self.backend.update_run_group(self.params)
        return ACCEPTED

    def delete_run_group(self) -> Answer:
        self.backend.delete_run_group(self.params)
        return ACCEPTED

    def create_run_cache(self) -> ActionResult:
        return ActionResult(self.backend.create_run_cache(self.params))

    def get_run_cache(self) -> ActionResult:
        return ActionResult(self.backend.get_run_cache(self.params))

    def list_run_caches(self) -> ActionResult:
        return _items(self.backend.list_run_caches(self.params))

    def update_run_cache(self) -> Answer:
        self.backend.update_run_cache(self.params)
        return ACCEPTED

    def delete_run_cache(self) -> Answer:
        self.backend.delete_run_cache(self.params)
        return ACCEPTED

    def list_tags_for_resource(self) -> ActionResult:
        return ActionResult(self.backend.list_tags_for_resource(self.params))

    def tag_resource(self) -> ActionResult:
        self.backend.tag_resource(self.params)
        return EmptyResult()

    def untag_resource(self) -> ActionResult:
        self.backend.untag_resource(self.params)
        return EmptyResult()

    def call_action(self) -> Any:
        """Answer with JSON whatever happens, as the service does."""
        operation = self._get_action()
        if not operation:
            return self._error(404, "UnknownOperationException", "There is no such operation")
        if camelcase_to_underscores(operation) not in vars(OmicsResponse):
            return self._error(501, "NotImplementedException", f"The emulator has no {operation}")
        if self._unreadable:
            return self._error(400, "SerializationException", self._unreadable)
        try:
            with suppress(ValidationException):  # of a Region that is not there, which the operation answers
                self.backend.check_rate(operation)
            return super().call_action()
        except ThrottlingException as error:
            return self._error(429, error.code, error.message)
        except WrongTypeError as error:
            return self._error(400, "SerializationException", str(error))
        except Exception as error:
            log.exception("%s failed", operation)
            return self._error(500, "InternalServerException", f"A fault of the emulator: {error!r}")

    def parse_parameters(self, request: Request) -> None:
        """Parse by the service model; a body that cannot be read is answered in :meth:`call_action`."""
        self.params: dict[str, Any] = {}
        try:
            if request.data and not isinstance(json.loads(request.data), dict):
                raise ValueError("the body must be a JSON object")
            super().parse_parameters(request)
        except (AttributeError, TypeError, ValueError, RecursionError) as error:
            self._unreadable = f"The request cannot be read: {error}"

    def _get_action(self) -> str:
        """Name the operation by method and path alone; moto would also look for ``Action=`` in the body."""
        if self._operation is None:
            request = self.normalized_request
            self._operation = self._get_action_from_method_and_request_uri(request) or ""
        return self._operation

    def _error(self, status: int, code: str, message: str) -> Answer:
        headers = {
            **self.response_headers,
            "status": str(status),
            "Content-Type": "application/json",
            "x-amzn-ErrorType": code,
        }
        return status, headers, json.dumps({"message": message})


def _items(found: Page, name: str = "items") -> ActionResult:
    items, token = found
    return ActionResult({name: items, "nextToken": token})

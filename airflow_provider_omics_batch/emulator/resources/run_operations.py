"""The operations on single runs, whether a batch or StartRun has made them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from moto.moto_api._internal import mock_random

from airflow_provider_omics_batch.emulator.exceptions import (
    ERRORS,
    ResourceNotFoundException,
    ServiceQuotaExceededException,
    ValidationException,
)
from airflow_provider_omics_batch.emulator.plan.course import cancel_run, delete_run
from airflow_provider_omics_batch.emulator.plan.retention import OVER_QUOTA
from airflow_provider_omics_batch.emulator.plan.schedule import is_room_for_all, take_stock
from airflow_provider_omics_batch.emulator.requests.filters import given_filters
from airflow_provider_omics_batch.emulator.requests.idempotency import RequestLog, without_id
from airflow_provider_omics_batch.emulator.requests.paging import first_place, page
from airflow_provider_omics_batch.emulator.requests.validation import check_request
from airflow_provider_omics_batch.emulator.resources.intake import decide
from airflow_provider_omics_batch.emulator.resources.launch import Launch
from airflow_provider_omics_batch.emulator.resources.run import Run, SingleRun, batch_runs
from airflow_provider_omics_batch.emulator.resources.run_settings import RunSettings, check_settings
from airflow_provider_omics_batch.emulator.resources.tasks import NAMES, Task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_omics_batch.emulator.plan.chance import Fate
    from airflow_provider_omics_batch.emulator.resources.account import Page, Params
    from airflow_provider_omics_batch.emulator.resources.run_settings import RunSetting

CAN_CANCEL = ("PENDING", "STARTING", "RUNNING", "STOPPING")
CAN_DELETE = ("COMPLETED", "FAILED", "CANCELLED")


class RunOperations(Launch):
    """The operations on runs and their tasks."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self._run_requests: RequestLog[SingleRun] = RequestLog()
        self._single_runs = 0

    def start_run(self, params: Params) -> Params:
        """Start a run of its own; it is submitted at once."""
        check_request("StartRun", params)
        with self._lock:
            now = self._observe()
            if known := self._run_requests.find(params, self.settings):
                return Run(known, 0).started(now)
            setting = self._setting(params, now)
            run = self._create_run(setting, self._fate(setting, now), now)
            self._make_room(run, now)
            self._add(run)
            self._single_runs += 1
            run.course.submitted[0] = now
            self._plan(now)
            self._run_requests.note(params, run)
            # A place that is free is taken in the same moment, but not before the answer.
            return {**Run(run, 0).started(now), "status": "PENDING"}

    def _setting(self, params: Params, now: float) -> RunSetting:
        """Give the settings of a new run, put over those of the run that it repeats."""
        given = {name: value for name, value in without_id(params).items() if name != "tags"}
        given["runTags"] = params.get("tags") or {}
        if run_id := params.get("runId"):
            given = {**self._existing(run_id, now).settings(), **given}
        if not given.get("workflowId"):
            raise ValidationException("workflowId is required, or runId to repeat a run")
        check_settings(given)
        return given

    def _fate(self, setting: RunSetting, now: float) -> Fate:
        """Decide the fate of a new run, which follows from how many StartRun has made before it."""
        entries = RunSettings([{"runSettingId": f"StartRun/{self._single_runs}"}])
        rules = tuple(rule for rule in self.settings.failures if not rule.failure.of_submission)
        settings = replace(self.settings, fail_submissions=0.0, failures=rules)
        [fate] = decide(setting, entries, settings, {}, self._premises(setting, now))
        if fate.refusal:
            error = {"ResourceNotFoundException": ResourceNotFoundException}.get(fate.refusal.reason)
            raise (error or ValidationException)(fate.refusal.message)
        return fate

    def _create_run(self, setting: RunSetting, fate: Fate, now: float) -> SingleRun:
        first_run_id = self._take_run_ids(1, now)
        return SingleRun(
            id="",
            arn=self.arn("run"),
            uuid=str(mock_random.uuid4()),
            first_run_id=first_run_id,
            request={"defaultRunSetting": setting},
            run_settings=RunSettings([{"runSettingId": str(first_run_id)}]),
            created_at=now,
            settings=self.settings,
            course=self._course(setting, RunSettings(), [fate], now),
            workflow=self._workflow_facts(setting, now),
        )

    def _make_room(self, run: SingleRun, now: float) -> None:
        courses = [*(batch.course for batch in self._batches), run.course]
        retention = take_stock(courses, self.settings, now)
        if retention and not retention.admit(run.course, now):
            raise ServiceQuotaExceededException(OVER_QUOTA.message)

    def get_run(self, params: Params) -> Params:
        check_request("GetRun", params)
        with self._lock:
            now = self._observe()
            return self._existing(params["id"], now).describe(now)

    def _existing(self, run_id: str, now: float) -> Run:
        run = self._run(run_id)
        if run is None or run.status(now) in (None, "DELETED"):
            raise ResourceNotFoundException(f"The run {run_id} does not exist")
        return run

    def list_runs(self, params: Params) -> Page:
        """List the runs of all batches that exist, in the order of their ids."""
        check_request("ListRuns", params)
        filters = given_filters(params, "name", "runGroupId", "batchId", "status")
        with self._lock:
            now = self._observe()
            start = first_place(params.get("startingToken"), filters)
            wanted = filters.get("batchId")
            batches = (batch for batch in self._run_ids if wanted in (None, batch.batch_id))
            runs = (run for batch in batches for run in batch_runs(batch, start, now))
            found = ((int(run.id), run.item(now)) for run in runs if run.matches(filters, now))
            return page(found, params.get("maxResults"), filters)

    def cancel_run(self, params: Params) -> None:
        check_request("CancelRun", params)
        with self._lock:
            run, now = self._run_in_status("cancel", params["id"], CAN_CANCEL)
            cancel_run(run.batch.course, run.place, now)
            self._plan(now)

    def delete_run(self, params: Params) -> None:
        check_request("DeleteRun", params)
        with self._lock:
            run, now = self._run_in_status("delete", params["id"], CAN_DELETE)
            delete_run(run.batch.course, run.place, now)
            # A plan takes its time in large batches, and nobody waits for this room otherwise.
            if not is_room_for_all((batch.course for batch in self._batches), self.settings):
                self._plan(now)
            if isinstance(run.batch, SingleRun):
                self._run_requests.forget(run.batch)

    def _run_in_status(self, verb: str, run_id: str, allowed: Sequence[str]) -> tuple[Run, float]:
        now = self._observe()
        run = self._existing(run_id, now)
        status = run.status(now)
        if status not in allowed:
            raise ERRORS[self.settings.illegal_transition](
                f"Cannot {verb} the run {run_id} in status {status}; allowed: {', '.join(allowed)}"
            )
        return run, now

    def list_run_tasks(self, params: Params) -> Page:
        """List the tasks that a run has come to."""
        check_request("ListRunTasks", params)
        filters = given_filters(params, "status")
        with self._lock:
            now = self._observe()
            run = self._existing(params["id"], now)
            question = (run.uuid, filters)
            places = range(first_place(params.get("startingToken"), question), len(NAMES))
            tasks = ((place, Task(run, place)) for place in places)
            found = ((place, task.item(now)) for place, task in tasks if task.matches(filters, now))
            return page(found, params.get("maxResults"), question)

    def get_run_task(self, params: Params) -> Params:
        check_request("GetRunTask", params)
        with self._lock:
            now = self._observe()
            run = self._existing(params["id"], now)
            tasks = (Task(run, place) for place in range(len(NAMES)))
            for task in tasks:
                if task.id == params["taskId"] and task.exists(now):
                    return task.describe(now)
            raise ResourceNotFoundException(f"The run {run.id} has no task {params['taskId']}")

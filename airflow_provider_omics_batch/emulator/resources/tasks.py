"""
The tasks of a run: made up, one after the other, each with its share of the time in RUNNING.

They follow from the course of the run; nothing is kept of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

from airflow_provider_omics_batch.emulator.plan.tally import outcome
from airflow_provider_omics_batch.emulator.requests.times import timestamp

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_omics_batch.emulator.plan.course import Course
    from airflow_provider_omics_batch.emulator.resources.run import Run

NAMES = ("Prepare", "Align", "CallVariants", "Report")

#: What a task needs.
CPUS, MEMORY, INSTANCE_TYPE = 4, 16, "omics.m.xlarge"


def _working(course: Course, place: int) -> tuple[float, float]:
    """Tell from when until when the tasks of a run are at work."""
    begin = course.started[place] + course.settings.starting_seconds
    return begin, max(begin, course.ended[place] - course.settings.stopping_seconds)


def _length(course: Course, place: int) -> float:
    """Tell how long each task takes; those from the cache take no time."""
    fate = course.fates[place]
    failing = 1 if fate.failure else 0
    computed = fate.finished - fate.cached + failing
    return fate.seconds / computed if computed else 0.0


def finished_tasks(course: Course, place: int) -> int:
    """Count the tasks that a run finishes, those from the cache included."""
    fate = course.fates[place]
    if outcome(course, place) != "CANCELLED":
        return fate.finished
    begin, end = _working(course, place)
    length = _length(course, place)
    if begin >= end or not length:
        return 0
    return min(fate.finished, fate.cached + int((end - begin) / length))


def _begun_tasks(course: Course, place: int) -> int:
    """Count the tasks that a run comes to."""
    begin, end = _working(course, place)
    if begin == inf or (begin >= end and outcome(course, place) == "CANCELLED"):
        return 0
    finished = finished_tasks(course, place)
    return finished if outcome(course, place) == "COMPLETED" else min(len(NAMES), finished + 1)


@dataclass(frozen=True, slots=True)
class Task:
    """A task of a run; made for one answer, it keeps nothing."""

    run: Run
    number: int

    @property
    def id(self) -> str:
        return f"{self.run.id}{self.number}"

    def _times(self) -> tuple[float, float]:
        """Tell when the task begins and ends."""
        course, place = self.run.batch.course, self.run.place
        begin, end = _working(course, place)
        turns = self.number - course.fates[place].cached
        length = _length(course, place)
        start = begin + max(0, turns) * length
        return start, min(start + length if turns >= 0 else start, end)

    def exists(self, now: float) -> bool:
        course, place = self.run.batch.course, self.run.place
        return self.number < _begun_tasks(course, place) and self._times()[0] <= now

    def status(self, now: float) -> str:
        if now < self._times()[1]:
            return "RUNNING"
        course, place = self.run.batch.course, self.run.place
        return "COMPLETED" if self.number < finished_tasks(course, place) else outcome(course, place)

    def matches(self, filters: Mapping[str, str], now: float) -> bool:
        """Tell whether ListRunTasks is to show this one."""
        return self.exists(now) and filters.items() <= {"status": self.status(now)}.items()

    def item(self, now: float) -> dict[str, Any]:
        """Give what ListRunTasks shows."""
        start, stop = self._times()
        times = {"creationTime": start, "startTime": start, "stopTime": stop}
        return {
            "taskId": self.id,
            "name": NAMES[self.number],
            "status": self.status(now),
            "cpus": CPUS,
            "memory": MEMORY,
            "gpus": 0,
            "instanceType": INSTANCE_TYPE,
            "uuid": str(uuid5(UUID(self.run.uuid), f"task/{self.number}")),
            "cacheHit": self.number < self.run.batch.course.fates[self.run.place].cached,
            **{name: timestamp(time) for name, time in times.items() if time <= now},
        }

    def describe(self, now: float) -> dict[str, Any]:
        """Give what GetRunTask answers."""
        failure = self.run.batch.course.fates[self.run.place].failure
        item = self.item(now)
        if item["status"] == "FAILED" and failure:
            item |= {"failureReason": failure.reason, "statusMessage": failure.message}
        return {**item, "logStream": f"{self.run.log_stream}/task/{self.id}"}

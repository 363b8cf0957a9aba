"""The places for runs at work, and the runs that wait for one."""

from __future__ import annotations

from collections import defaultdict, deque
from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_omics_batch.emulator.plan.course import Course, Line
    from airflow_provider_omics_batch.emulator.settings import Settings

#: When a run was submitted, and which it is.
Waiting = tuple[float, "Course", int]


class Queue:
    """Runs that wait in a line: by rank, and within a rank first come, first served."""

    def __init__(self) -> None:
        self._ranks: list[int] = []
        self._by_rank: dict[int, deque[Waiting]] = {}

    def __bool__(self) -> bool:
        return bool(self._ranks)

    def add(self, rank: int, run: Waiting) -> None:
        if rank not in self._by_rank:
            heappush(self._ranks, rank)
            self._by_rank[rank] = deque()
        self._by_rank[rank].append(run)

    def first(self) -> Waiting:
        return self._by_rank[self._ranks[0]][0]

    def pop(self) -> Waiting:
        rank = self._ranks[0]
        runs = self._by_rank[rank]
        run = runs.popleft()
        if not runs:
            heappop(self._ranks)
            del self._by_rank[rank]
        return run


class Places:
    """
    Hands out places: in each line by rank and then by age, among the lines by the age of their first.

    :param group_limits: how many runs of a group may be at work.
    :param on_end: is told of each run that gives its place back.
    """

    def __init__(
        self,
        settings: Settings,
        group_limits: Mapping[str, int],
        on_end: Callable[[Course, int], None] | None = None,
    ) -> None:
        # Each of these by the kind of storage, dynamic and static.
        self._free = [settings.concurrent_runs, settings.concurrent_static_runs]
        self._waits = [0, 0]
        self._free_in_group = dict(group_limits)
        self._on_end = on_end
        self._queues: defaultdict[Line, Queue] = defaultdict(Queue)
        self._ends: list[tuple[float, int, Course, int]] = []
        self._numbers = count()

    def occupy(self, course: Course, place: int, end: float) -> None:
        """Give a place to a run until its end."""
        self._change(course.line, -1)
        heappush(self._ends, (end, next(self._numbers), course, place))

    def wait(self, run: Waiting) -> None:
        """Let a run wait in its line; those of a rank must come in the order of their age."""
        _, course, place = run
        self._queues[course.line].add(course.rank_of(place), run)
        self._waits[course.line.static] += 1

    def proceed(self, until: float) -> None:
        """Let runs end, and others begin in their places, up to a time."""
        ends = self._ends
        while ends and ends[0][0] <= until:
            now, _, course, place = heappop(ends)
            self._change(course.line, 1)
            if self._on_end:
                self._on_end(course, place)
            self.start(now)

    def start(self, now: float) -> None:
        """Let runs begin as long as there are places for them."""
        free, waits = self._free, self._waits
        while (waits[0] and free[0] > 0) or (waits[1] and free[1] > 0):
            queue = self._next_queue()
            if queue is None:
                return
            _, course, place = queue.pop()
            waits[course.line.static] -= 1
            self.occupy(course, place, course.begin(place, now))

    def _next_queue(self) -> Queue | None:
        found = None
        for line, queue in self._queues.items():
            if queue and (found is None or queue.first()[0] < found.first()[0]) and self._has_room(line):
                found = queue
        return found

    def _has_room(self, line: Line) -> bool:
        return self._free[line.static] > 0 and (
            line.group is None or self._free_in_group.get(line.group, 1) > 0
        )

    def _change(self, line: Line, number: int) -> None:
        self._free[line.static] += number
        if line.group in self._free_in_group:
            self._free_in_group[line.group] += number

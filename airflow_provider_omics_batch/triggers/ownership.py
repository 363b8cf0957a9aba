"""
Whether a task was killed by a person, and time enough to act on it.

Airflow calls ``on_kill`` also where nobody has: of an operator when its worker is asked to end or has not
reached the API server for too long; of a trigger, in 3.3.0 to 3.3.2, when a triggerer that had stalled comes
back and finds its triggers with another one. A trigger's is interrupted after a second, besides.
https://github.com/apache/airflow/pull/73454
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from asgiref.sync import sync_to_async

log = logging.getLogger(__name__)


#: In these a person's act has left a task that was at work; without any state it waits to run again.
_KILLED = frozenset({"failed", "success", "skipped", "removed", "restarting", None})

#: Seconds. Airflow kills a task for good five seconds after it has asked it to end.
SECONDS_TO_ASK = 3


async def was_killed(task_instance: Any) -> bool:
    """
    Return whether a person has ended a task that is at work; ``False`` where that cannot be told.

    :param task_instance: The task's own.
    """
    try:
        async with asyncio.timeout(SECONDS_TO_ASK):
            return await sync_to_async(_state_of)(task_instance) in _KILLED
    except Exception as error:
        log.warning("Whether somebody has killed the task is not known: %s", error)
        return False


#: Seconds that a task which was started anew is given to say which batch it has: more in all than Airflow
#: gives it to read its Dag (30).
PAUSES = (0.5, 1, 2, 4, 8, 16, 32)


async def is_still_deferred_on(batch_id: str, task_instance: Any) -> bool:
    """
    Return whether a task instance waits for this very batch, so that nobody has killed it.

    A task that was cleared may wait again already, for a batch of its next try: hence the look at the
    ``batch_id`` that the operator has pushed before it deferred. While a try starts, that is still the one of
    the try before, and then none, until its worker has read the Dag.

    :param batch_id: The batch that the trigger watches.
    :param task_instance: The trigger's own.
    """
    state, current = await _state_and_batch_id(task_instance)
    if state != "running":
        # A task that is going to be tried again answers for the batch, too.
        return state in ("deferred", "up_for_retry") and bool(current == batch_id)
    for pause in PAUSES:
        if state != "running" or current not in (batch_id, None):
            break
        await asyncio.sleep(pause)
        state, current = await _state_and_batch_id(task_instance)
    return bool(current == batch_id)


async def _state_and_batch_id(task_instance: Any) -> tuple[str | None, Any]:
    state, batch_id = await asyncio.gather(
        sync_to_async(_state_of)(task_instance), sync_to_async(_batch_id_of)(task_instance)
    )
    return state, batch_id


_at_work: set[asyncio.Future[object]] = set()


async def uninterrupted(work: Coroutine[Any, Any, object], seconds: float) -> None:
    """
    Let work go on to its end, however often the caller is cancelled meanwhile.

    :param work: It has to know its own limits; after ``seconds`` it goes on without the caller.
    """
    task = asyncio.ensure_future(work)
    # An event loop keeps no task alive.
    _at_work.add(task)
    task.add_done_callback(_at_work.discard)
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while not task.done() and loop.time() < end:
        try:
            # Unlike wait_for, this does not cancel the task with its caller.
            await asyncio.wait({task}, timeout=end - loop.time())
        except asyncio.CancelledError:
            continue
    if task.done():
        task.result()


def _state_of(task_instance: Any) -> str | None:
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    states = RuntimeTaskInstance.get_task_states(
        dag_id=task_instance.dag_id,
        task_ids=[task_instance.task_id],
        run_ids=[task_instance.run_id],
        map_index=task_instance.map_index,
    ).get(task_instance.run_id, {})
    # A mapped task instance is listed under its task's id and its own index.
    mapped = f"{task_instance.task_id}_{task_instance.map_index}"
    state: str | None = states.get(task_instance.task_id, states.get(mapped))
    return state


def _batch_id_of(task_instance: Any) -> Any:
    from airflow.sdk.execution_time.xcom import XCom

    return XCom.get_one(
        key="batch_id",
        dag_id=task_instance.dag_id,
        task_id=task_instance.task_id,
        run_id=task_instance.run_id,
        map_index=task_instance.map_index,
    )

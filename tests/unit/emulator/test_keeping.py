"""What keeps the state, while the emulator is at work."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from threading import Barrier, Event

import pytest

from airflow_provider_omics_batch.emulator.server.keeping import Gate
from airflow_provider_omics_batch.emulator.server.state import StateError, restore, take

READERS = 8


def test_a_change_is_kept_while_there_are_always_some_who_read():
    gate, kept, end, all_inside = Gate(), Event(), Event(), Barrier(READERS + 1)

    def read():
        with gate.passing():
            all_inside.wait(60)
        while not end.is_set():
            with gate.passing():
                kept.wait(0.01)

    def keep():
        with gate.closed():
            kept.set()

    with ThreadPoolExecutor(READERS + 1) as pool:
        reading = [pool.submit(read) for _ in range(READERS)]
        all_inside.wait(60)
        keeping = pool.submit(keep)
        in_time = kept.wait(3)
        end.set()
        for done in (*reading, keeping):
            done.result(60)

    assert in_time


def test_those_who_had_to_wait_pass_when_the_gate_is_open_again():
    gate, closed, leave, passed = Gate(), Event(), Event(), Event()

    def keep():
        with gate.closed():
            closed.set()
            assert leave.wait(60)

    def read():
        with gate.passing():
            passed.set()

    with ThreadPoolExecutor(2) as pool:
        keeping = pool.submit(keep)
        assert closed.wait(60)
        reading = pool.submit(read)
        assert not passed.wait(0.05)
        leave.set()
        keeping.result(60)
        reading.result(60)

    assert passed.is_set()


def test_what_can_be_counted_again_is_not_kept(start, counts, clock):
    batch = start(3)
    clock.advance(100)
    assert counts(batch)

    state = BytesIO()
    take(state)
    assert b"Tally" not in state.getvalue()


@pytest.mark.parametrize(
    "named",
    [
        "airflow_provider_omics_batch.emulator.server.keeping Thread",
        "airflow_provider_omics_batch.emulator.server.keeping Keeper",
        "airflow_provider_omics_batch.emulator.server.application partial",
        "airflow_provider_omics_batch.emulator.resources.batch Tally",
        "airflow_provider_omics_batch.emulator.resources.account RLock",
        "moto.s3.models MetricDatum",
        "moto.s3.models reload",
    ],
)
def test_a_file_cannot_name_what_no_state_is_made_of(named):
    with pytest.raises(StateError, match=f"{named.replace(' ', '.')} is no part of a state"):
        restore(BytesIO(f"c{named.replace(' ', chr(10))}\n.".encode()))

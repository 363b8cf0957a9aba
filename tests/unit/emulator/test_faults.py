"""Which faults make sense, how they are written down, and when one is due."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from airflow_provider_omics_batch.emulator import Fault, FaultList
from airflow_provider_omics_batch.emulator.__main__ import main
from airflow_provider_omics_batch.emulator.server.notation import parse_fault, read_list, write_list


def throttling(**more):
    return Fault(operation="GetBatch", kind="error", error="ThrottlingException", **more)


def dropped(operation="GetBatch", **more):
    return Fault(operation=operation, kind="dropped", **more)


@pytest.mark.parametrize(
    ("operation", "error", "status"),
    [
        ("GetBatch", "ThrottlingException", 429),
        ("StartRunBatch", "ServiceQuotaExceededException", 402),
        ("ListBatch", "InternalServerException", 500),
        ("GetObject", "NoSuchKey", 404),
    ],
)
def test_the_status_of_an_error_comes_from_the_service_model(operation, error, status):
    assert Fault(operation=operation, kind="error", error=error).status == status


def test_a_given_status_goes_before_that_of_the_model():
    assert throttling(status=400).status == 400


@pytest.mark.parametrize(
    ("members", "complaint"),
    [
        ({"operation": "GetBach"}, "'GetBach' is no operation of HealthOmics or S3"),
        ({"operation": ["GetBatch"]}, "is no operation of HealthOmics or S3"),
        ({"kind": "slow"}, "kind must be one of error, latency, dropped, .*, not 'slow'"),
        ({"kind": ["error"]}, "kind must be one of"),
        ({"call": 0}, "call must be a whole number of 1 or more, not 0"),
        ({"call": True}, "call must be a whole number of 1 or more, not True"),
        ({"call": None}, "call must be a whole number of 1 or more, not None"),
        ({"times": 0}, "times must be a whole number of 1 or more, not 0"),
        ({"times": 1.5}, "times must be a whole number of 1 or more, not 1.5"),
        ({"error": "ThrottlingException"}, "a fault of kind dropped has no error"),
        ({"status": 500}, "a fault of kind dropped has no status"),
        ({"seconds": 1}, "a fault of kind dropped has no seconds"),
        ({"submissions": 1}, "a fault of kind dropped has no submissions"),
        ({"kind": "error"}, "error must be a code such as ThrottlingException, not None"),
        ({"kind": "error", "error": 429}, "error must be a code such as ThrottlingException, not 429"),
        ({"kind": "error", "error": "<Oh>", "status": 500}, "error must be a code"),
        (
            {"kind": "error", "error": "ServiceUnavailable"},
            "ServiceUnavailable needs a status; known for GetBatch: .*ThrottlingException",
        ),
        ({"kind": "error", "error": "ConflictException"}, "ConflictException needs a status"),
        (
            {"kind": "error", "error": "ExpiredTokenException", "status": 200},
            "status must be a whole number between 400 and 599, not 200",
        ),
        ({"kind": "latency"}, "seconds must be a number greater than 0, not 0.0"),
        ({"kind": "late_answer", "seconds": -1}, "seconds must be a number greater than 0, not -1"),
        ({"kind": "latency", "seconds": float("inf")}, "seconds must be a number greater than 0, not inf"),
        ({"kind": "latency", "seconds": float("nan")}, "seconds must be a number greater than 0, not nan"),
        ({"kind": "latency", "seconds": "2"}, "seconds must be a number greater than 0, not '2'"),
        ({"kind": "failed_batch"}, "failed_batch is for StartRunBatch alone"),
        (
            {"operation": "StartRunBatch", "kind": "failed_batch", "submissions": -1},
            "submissions must be a whole number of 0 or more, not -1",
        ),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(members, complaint):
    with pytest.raises(ValueError, match=complaint):
        Fault(**{"operation": "GetBatch", "kind": "dropped", **members})


def test_a_fault_acts_on_its_calls_and_is_gone():
    fault = dropped(call=3, times=2)
    faults = FaultList([fault])

    acted = [faults.next("GetBatch") is not None for _ in range(6)]

    assert acted == [False, False, True, True, False, False]
    assert faults.faults == []


def test_calls_are_counted_from_the_moment_a_fault_is_given():
    faults = FaultList()
    faults.next("GetBatch")
    faults.add(dropped(call=2))

    assert faults.next("GetBatch") is None
    assert faults.next("GetBatch")


def test_calls_of_other_operations_do_not_count():
    faults = FaultList([dropped(call=2)])

    assert [faults.next(name) for name in ("GetBatch", "ListBatch", "ListBatch")] == [None] * 3
    assert faults.next("GetBatch")
    assert faults.calls == {"GetBatch": 2, "ListBatch": 2}


def test_a_fault_may_last_for_ever():
    fault = dropped(times=None)
    faults = FaultList([fault])

    assert all(faults.next("GetBatch") for _ in range(100))
    assert faults.faults == [fault]


def test_of_several_faults_on_one_call_the_others_wait_for_the_next():
    faults = FaultList([throttling(times=2), dropped(), dropped(call=2)])

    kinds = [fault and fault.kind for fault in (faults.next("GetBatch") for _ in range(5))]

    assert kinds == ["error", "error", "dropped", "dropped", None]


def test_what_is_left_is_told_as_one_would_give_it_now():
    faults = FaultList([dropped(call=3), throttling(times=3)])
    faults.next("GetBatch")

    assert faults.faults == [dropped(call=2), throttling(times=2)]


def test_clear_keeps_the_count_of_calls_and_reset_does_not():
    faults = FaultList([dropped(times=None)])
    faults.next("GetBatch")

    faults.clear()
    assert (faults.faults, faults.calls) == ([], {"GetBatch": 1})

    faults.reset()
    assert faults.calls == {}


def test_threads_share_the_faults_and_the_count():
    faults = FaultList([dropped(call=100, times=300)])

    with ThreadPoolExecutor(16) as pool:
        acted = list(pool.map(lambda _: faults.next("GetBatch"), range(1000)))

    assert sum(fault is not None for fault in acted) == 300
    assert faults.calls["GetBatch"] == 1000


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("StartRunBatch:lost_answer", Fault(operation="StartRunBatch", kind="lost_answer")),
        ("GetBatch:error=ThrottlingException:call=3:times=5", throttling(call=3, times=5)),
        ("GetBatch:dropped:times=forever", dropped(times=None)),
        ("ListBatch:latency=0.5", Fault(operation="ListBatch", kind="latency", seconds=0.5)),
        ("PutObject:late_answer=30", Fault(operation="PutObject", kind="late_answer", seconds=30)),
        (
            "GetBatch:error=ServiceUnavailable:status=503",
            Fault(operation="GetBatch", kind="error", error="ServiceUnavailable", status=503),
        ),
        ("StartRunBatch:failed_batch", Fault(operation="StartRunBatch", kind="failed_batch")),
        (
            "StartRunBatch:failed_batch=10:times=2",
            Fault(operation="StartRunBatch", kind="failed_batch", submissions=10, times=2),
        ),
    ],
)
def test_a_fault_is_an_option_of_the_command_line_and_json(text, fault):
    assert parse_fault(text) == fault
    assert read_list(Fault, write_list([fault]).encode()) == [fault]


FORM = "must be OPERATION:KIND[=VALUE][:call=N][:times=N|forever][:status=N]"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", f"{FORM}, not "),
        ("GetBatch", f"{FORM}, not GetBatch"),
        ("GetBatch:dropped:calls=3", f"{FORM}, not GetBatch:dropped:calls=3"),
        ("GetBatch:dropped:", f"{FORM}, not GetBatch:dropped:"),
        ("GetBach:dropped", "'GetBach' is no operation of HealthOmics or S3"),
        (
            "GetBatch:slow",
            "kind must be one of error, latency, dropped, lost_answer, late_answer, failed_batch, not 'slow'",
        ),
        (
            "GetBatch:dropped=3",
            "dropped takes no value; kinds that do: error, latency, late_answer, failed_batch",
        ),
        ("GetBatch:dropped:call=x", "call must be a whole number of 1 or more, not 'x'"),
        ("GetBatch:dropped:times=ever", "times must be a whole number of 1 or more, not 'ever'"),
        ("GetBatch:latency", "seconds must be a number greater than 0, not 0.0"),
        ("GetBatch:latency=long", "seconds must be a number greater than 0, not 'long'"),
        ("GetBatch:error", "error must be a code such as ThrottlingException, not None"),
    ],
)
def test_a_bad_option_is_refused_with_what_would_be_valid(text, complaint, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--fault", text])

    assert caught.value.code == 2
    assert capsys.readouterr().err.endswith(f"error: argument --fault: {complaint}\n")

"""Runs that fail by rule, whatever the chances."""

from __future__ import annotations

import pytest

from airflow_provider_omics_batch.emulator import FailureRule, omics_backends
from airflow_provider_omics_batch.emulator.__main__ import main
from airflow_provider_omics_batch.emulator.server.notation import parse_failure, read_list, write_list


@pytest.fixture(name="fail")
def _fail(configure):
    return lambda *rules, **more: configure(failures=rules, **more)


def test_the_runs_whose_id_matches_fail_for_the_reason(fail, start, runs, omics, clock):
    fail(FailureRule(reason="OUT_OF_MEMORY_ERROR", run_setting_id="run-[02]", message="Too many reads."))
    batch = start(3)
    clock.advance(1000)
    found = [omics.get_run(id=run["runId"]) for run in runs(batch)]

    assert [run.get("failureReason") for run in found] == ["OUT_OF_MEMORY_ERROR", None, "OUT_OF_MEMORY_ERROR"]
    assert found[0]["statusMessage"] == "Too many reads."


def test_the_runs_whose_parameters_match_are_not_submitted(fail, start, runs, clock):
    """The parameters of the batch count like those of the run."""
    rule = {"reason": "AccessDeniedException", "parameters": {"cram": "s3://closed/*", "ploidy": "2"}}
    fail(FailureRule(**rule))
    closed, other = {"cram": "s3://closed/a"}, {"cram": "s3://open/a"}
    settings = [
        {"runSettingId": "closed", "parameters": closed},
        {"runSettingId": "open", "parameters": other},
        {"runSettingId": "haploid", "parameters": {**closed, "ploidy": 1}},
        {"runSettingId": "none"},
    ]
    batch = start(settings, {"parameters": {"ploidy": 2}})
    clock.advance(1000)

    assert [run.get("submissionFailureReason") for run in runs(batch)] == [
        "AccessDeniedException",
        None,
        None,
        None,
    ]


def test_of_the_rules_that_fit_the_first_acts(fail, start, runs, clock):
    fail(
        FailureRule(reason="ConflictException", run_setting_id="run-1"),
        FailureRule(reason="UNSUPPORTED_GPU_INSTANCE_TYPE"),
    )
    batch = start(2)
    clock.advance(1000)

    assert [run.get("submissionFailureReason") for run in runs(batch)] == [None, "ConflictException"]


@pytest.mark.parametrize(
    ("rule", "succeeds"),
    [
        ({"reason": "SERVICE_ERROR"}, True),
        ({"reason": "SERVICE_ERROR", "passing": False}, False),
        ({"reason": "RUN_TASK_FAILED"}, False),
        ({"reason": "RUN_TASK_FAILED", "passing": True}, True),
    ],
    ids=str,
)
def test_a_passing_failure_does_not_come_back(fail, start, counts, clock, rule, succeeds):
    fail(FailureRule(**rule))
    for _ in range(2):
        batch = start(1)
        clock.advance(1000)

    assert counts(batch) == {"successfulStartSubmission": 1, "completedRun" if succeeds else "failedRun": 1}


def cancelled_while_pending(omics, batch, clock):
    clock.advance(6)
    omics.cancel_run_batch(batchId=batch)


def failed_before_it_submits(omics, batch, clock):
    omics_backends["123456789012"]["eu-west-1"].fail_batch(batch)


def cancelled_at_work(omics, batch, clock):
    clock.advance(13)
    omics.cancel_run_batch(batchId=batch)


def not_over_yet(omics, batch, clock):
    clock.advance(13)


@pytest.mark.parametrize(
    "end", [cancelled_while_pending, failed_before_it_submits, cancelled_at_work, not_over_yet]
)
def test_a_passing_failure_that_has_not_happened_is_still_to_come(fail, start, omics, counts, clock, end):
    fail(FailureRule(reason="SERVICE_ERROR", run_setting_id="run-*"), run_seconds=100)
    end(omics, start(1), clock)
    second = start(1)
    clock.advance(1000)
    third = start(1)
    clock.advance(1000)

    assert counts(second) == {"successfulStartSubmission": 1, "failedRun": 1}
    assert counts(third) == {"successfulStartSubmission": 1, "completedRun": 1}


def test_a_refusal_in_a_batch_that_was_cancelled_later_does_not_come_back(fail, start, omics, counts, clock):
    fail(FailureRule(reason="ThrottlingException"))
    first = start(2)
    clock.advance(11)
    omics.cancel_run_batch(batchId=first)
    again = start(2)
    clock.advance(100)

    assert counts(first) == {"failedStartSubmission": 1}
    assert counts(again) == {"successfulStartSubmission": 1, "failedStartSubmission": 1, "completedRun": 1}


def test_a_passing_failure_comes_back_for_another_workflow(fail, start, counts, clock):
    fail(FailureRule(reason="ThrottlingException"))
    for workflow in ("1234567", "7654321"):
        batch = start(1, {"workflowId": workflow})
        clock.advance(100)
        assert counts(batch) == {"failedStartSubmission": 1}


def test_another_rule_acts_on_what_has_failed_before(fail, start, counts, clock):
    """And the first one has still had its effect."""
    first, other = FailureRule(reason="ThrottlingException"), FailureRule(reason="SERVICE_ERROR")
    found = []
    for rules in ([first], [other], [first], [other]):
        fail(*rules)
        batch = start(1)
        clock.advance(100)
        found.append(counts(batch))

    assert found[:2] == [{"failedStartSubmission": 1}, {"successfulStartSubmission": 1, "failedRun": 1}]
    assert found[2:] == [{"successfulStartSubmission": 1, "completedRun": 1}] * 2


def test_a_run_refused_for_want_of_room_has_not_had_its_failure(fail, start, omics, counts, clock):
    fail(FailureRule(reason="SERVICE_ERROR", run_setting_id="run-0"), max_runs=1)
    first = start([{"runSettingId": "other"}])
    refused = start(1)
    clock.advance(100)
    assert counts(refused) == {"failedStartSubmission": 1}
    omics.delete_run_batch(batchId=first)
    clock.advance(100)
    again = start(1)
    clock.advance(100)

    assert counts(again) == {"successfulStartSubmission": 1, "failedRun": 1}


def test_a_setting_that_makes_no_sense_is_refused_before_any_rule(fail, start, runs, clock):
    fail(FailureRule(reason="UNSUPPORTED_GPU_INSTANCE_TYPE", parameters={"cram": "*"}))
    batch = start([{"runSettingId": "a", "parameters": "none"}])
    clock.advance(1000)

    assert [run["submissionFailureReason"] for run in runs(batch)] == ["ValidationException"]


@pytest.mark.parametrize(
    ("members", "complaint"),
    [
        ({"reason": "BAD_LUCK"}, "reason must be one of .*RUN_TASK_FAILED.*, not 'BAD_LUCK'"),
        ({"reason": []}, "reason must be one of"),
        ({"run_setting_id": 7}, "run_setting_id must be a pattern"),
        ({"parameters": {"ploidy": 2}}, "parameters an object of patterns"),
        ({"parameters": "cram"}, "parameters an object of patterns"),
        ({"message": 5}, "message must be a text"),
        ({"passing": "no"}, "passing true or false"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(members, complaint):
    with pytest.raises(ValueError, match=complaint):
        FailureRule(**{"reason": "UNSUPPORTED_GPU_INSTANCE_TYPE", **members})


def test_a_rule_is_read_as_it_is_written():
    rule = FailureRule(
        reason="UNSUPPORTED_GPU_INSTANCE_TYPE", parameters={"cram": "*"}, message="No.", passing=True
    )

    assert read_list(FailureRule, write_list([rule]).encode()) == [rule]


@pytest.mark.parametrize(
    ("text", "members"),
    [
        ("OUT_OF_MEMORY_ERROR:HG002*", {"run_setting_id": "HG002*"}),
        ("OUT_OF_MEMORY_ERROR:cram=s3://old/*", {"parameters": {"cram": "s3://old/*"}}),
        ("OUT_OF_MEMORY_ERROR:flag=", {"parameters": {"flag": ""}}),
    ],
)
def test_an_option_says_which_runs_fail(text, members):
    assert parse_failure(text) == FailureRule(reason="OUT_OF_MEMORY_ERROR", **members)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("OUT_OF_MEMORY_ERROR", "must be REASON:[PARAMETER=]PATTERN, not OUT_OF_MEMORY_ERROR"),
        ("BAD_LUCK:*", "reason must be one of"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(text, complaint, capsys):
    with pytest.raises(SystemExit):
        main(["--failure", text])

    assert complaint in capsys.readouterr().err

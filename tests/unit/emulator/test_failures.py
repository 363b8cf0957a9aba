"""Batches that fail, runs that cannot be submitted, runs that fail."""

from __future__ import annotations

from collections import Counter

import pytest

from airflow_provider_omics_batch.emulator import omics_backends
from airflow_provider_omics_batch.emulator.exceptions import ConflictException

BUCKET = "cohort-bucket"


def entries(count, **more):
    return [{"runSettingId": f"run-{i}", **more} for i in range(count)]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (entries(100_001), "Batch has 100001 runs but 100000 runs is the max."),
        ([*entries(49), {"runSettingId": "run-0"}], "Expected 50 unique runSettingIds but there were 49"),
        (b"[{", "Invalid JSON format in run configurations"),
        (b"\xff\xfe", "Invalid JSON format in run configurations"),
        (b'[{"runSettingId": "a", "priority": NaN}]', "Invalid JSON format in run configurations"),
        (b'[{"runSettingId": "a", "parameters": {"x": 1e999}}]', "Invalid JSON format in run configurations"),
        ({"runSettingId": "a"}, "Invalid JSON format in run configurations"),
        ([{"name": "a"}], "Invalid JSON format in run configurations"),
        ([1], "Invalid JSON format in run configurations"),
        ([], "Batch has 0 runs but at least 1 run is required."),
    ],
    ids=[
        "too many",
        "duplicates",
        "cut off",
        "not text",
        "NaN",
        "too large",
        "object",
        "no id",
        "number",
        "empty",
    ],
)
def test_a_senseless_file_fails_the_batch(start_from_s3, omics, runs, clock, content, reason):
    batch = start_from_s3(content)
    clock.advance(9)
    pending = omics.get_batch(batchId=batch)
    clock.advance(1)
    failed = omics.get_batch(batchId=batch)

    assert pending["status"] == "PENDING"
    assert "failureReason" not in pending
    assert failed["status"] == "FAILED"
    assert failed["failureReason"] == reason
    assert (failed["failedTime"] - failed["creationTime"]).total_seconds() == 10
    assert not {"submittedTime", "processedTime"} & failed.keys()
    assert runs(batch) == []


def test_duplicates_inline_fail_the_batch(start, omics, clock):
    batch = start([{"runSettingId": "a"}, {"runSettingId": "a"}])
    clock.advance(10)

    reason = omics.get_batch(batchId=batch)["failureReason"]
    assert reason == "Expected 2 unique runSettingIds but there were 1"


def test_a_changed_file_fails_the_batch(start_from_s3, omics, s3, runs, clock):
    batch = start_from_s3(entries(3))
    old = s3.head_object(Bucket=BUCKET, Key="settings.json")["ETag"]
    new = s3.put_object(Bucket=BUCKET, Key="settings.json", Body=b"[]")["ETag"]
    clock.advance(100)
    answer = omics.get_batch(batchId=batch)

    assert answer["status"] == "FAILED"
    assert answer["failureReason"] == (
        f"Expected s3UriConfigs etag: {old} but was: {new}. "
        "s3UriConfigs have changed since calling StartRunBatch"
    )
    assert runs(batch) == []
    assert omics.list_runs()["items"] == []


def test_a_file_that_is_gone_fails_the_batch(start_from_s3, omics, s3, clock):
    batch = start_from_s3(entries(3))
    s3.delete_object(Bucket=BUCKET, Key="settings.json")
    clock.advance(10)

    reason = omics.get_batch(batchId=batch)["failureReason"]
    assert reason == f"Unable to access s3UriSettings s3://{BUCKET}/settings.json: no such object"


def test_a_file_may_change_after_the_checks(start_from_s3, s3, status, clock):
    batch = start_from_s3(entries(3))
    clock.advance(10)
    assert status(batch) == "SUBMITTING"
    s3.delete_object(Bucket=BUCKET, Key="settings.json")
    clock.advance(100)

    assert status(batch) == "PROCESSED"


def test_an_entry_overrides_nothing_that_is_the_batchs_alone(start_from_s3, omics, runs, clock):
    own = {"roleArn": "arn:aws:iam::123456789012:role/other", "cacheId": "77", "storageType": "STATIC"}
    batch = start_from_s3([{"runSettingId": "a", "priority": 7, **own}])
    clock.advance(100)
    run = omics.get_run(id=runs(batch)[0]["runId"])

    assert run["priority"] == 7
    assert run["roleArn"] == run["startedBy"] != own["roleArn"]
    assert "cacheId" not in run
    assert run["storageType"] == "DYNAMIC"


def test_the_same_content_again_is_no_change(start_from_s3, status, clock):
    first = start_from_s3(entries(3))
    second = start_from_s3(entries(3))
    clock.advance(100)

    assert (status(first), status(second)) == ("PROCESSED", "PROCESSED")


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        *(
            ({"outputUri": uri}, "outputUri must have the form s3://bucket/prefix")
            for uri in ("gs://elsewhere", "s3://", "s3:///out/", "s3:// ", "s3://_bucket/out/")
        ),
        ({"parameters": {"x": "y" * 256_000}}, "256000 bytes is the max"),
        ({"parameters": [1]}, "parameters must be a JSON object"),
        ({"priority": -1}, "greater than or equal to 0"),
        ({"priority": "high"}, "priority must be of type integer"),
        ({"name": "x" * 129}, "less than or equal to 128"),
        ({"runTags": {"a": 1}}, "runTags.a must be of type string"),
    ],
)
def test_a_senseless_entry_is_refused_alone(start_from_s3, runs, status, counts, clock, setting, text):
    batch = start_from_s3([{"runSettingId": "good"}, {"runSettingId": "bad", **setting}])
    clock.advance(100)
    good, bad = runs(batch)

    assert status(batch) == "PROCESSED"
    assert counts(batch) == {"successfulStartSubmission": 1, "failedStartSubmission": 1, "completedRun": 1}
    assert good["submissionStatus"] == "SUCCESS"
    assert bad["submissionStatus"] == "FAILED"
    assert bad["submissionFailureReason"] == "ValidationException"
    assert text in bad["submissionFailureMessage"]
    assert "runId" not in bad


def test_merged_parameters_count_as_a_whole(start, runs, clock):
    """256,000 bytes: neither half is too long, both are; a key that is overridden counts once."""
    default = {"parameters": {"x": "y" * 200_000}}
    batch = start(
        [
            {"runSettingId": "more", "parameters": {"z": "y" * 100_000}},
            {"runSettingId": "other", "parameters": {"x": "y" * 100_000}},
        ],
        default=default,
    )
    clock.advance(100)

    assert [run["submissionStatus"] for run in runs(batch)] == ["FAILED", "SUCCESS"]


def test_an_output_uri_is_needed_somewhere(omics, default, runs, clock):
    del default["outputUri"]
    batch = omics.start_run_batch(
        defaultRunSetting=default,
        batchRunSettings={
            "inlineSettings": [
                {"runSettingId": "a"},
                {"runSettingId": "b", "outputUri": "s3://cohort-bucket/b"},
            ]
        },
    )["id"]
    clock.advance(100)

    assert [run["submissionStatus"] for run in runs(batch)] == ["FAILED", "SUCCESS"]


def test_all_submissions_may_fail(start, omics, counts, clock, configure):
    configure(fail_submissions=1.0)
    batch = start(5)
    clock.advance(15)
    answer = omics.get_batch(batchId=batch)

    assert answer["status"] == "PROCESSED"
    assert answer["processedTime"] == answer["submittedTime"]
    assert counts(batch) == {"failedStartSubmission": 5}


def test_about_the_asked_share_fails(start_from_s3, omics, runs, counts, clock, configure):
    configure(fail_submissions=0.2, fail_runs=0.1, start_run_tps=1000, concurrent_runs=1000)
    batch = start_from_s3(entries(2000))
    clock.advance(500)
    found = counts(batch)
    reasons = Counter(run.get("submissionFailureReason") for run in runs(batch, submissionStatus="FAILED"))

    assert 340 < found["failedStartSubmission"] < 460
    assert 120 < found["failedRun"] < 200
    assert reasons.keys() == {
        *("ThrottlingException", "ServiceQuotaExceededException"),
        *("ValidationException", "AccessDeniedException"),
    }
    assert min(reasons.values()) > 50


def test_a_failed_run_says_why(start_from_s3, omics, clock, configure):
    configure(fail_runs=1.0, start_run_tps=100)
    batch = start_from_s3(entries(40))
    clock.advance(12)
    early = omics.get_run(id=omics.list_runs(batchId=batch)["items"][0]["id"])
    clock.advance(100)
    answers = [
        omics.get_run(id=run["id"]) for run in omics.list_runs(batchId=batch, status="FAILED")["items"]
    ]

    assert "failureReason" not in early
    assert len(answers) == 40
    assert {"RUN_TASK_FAILED", "OUT_OF_MEMORY_ERROR", "SERVICE_ERROR"} <= {
        a["failureReason"] for a in answers
    }
    assert all(answer["statusMessage"].endswith(".") for answer in answers)


def failed(runs):
    return {run["runSettingId"] for run in runs if run["submissionStatus"] == "FAILED"}


def test_which_runs_fail_does_not_depend_on_their_order(start, runs, clock, configure):
    configure(fail_submissions=0.3, start_run_tps=100, seed=0)
    first = start(entries(60))
    second = start(list(reversed(entries(60))), default={"name": "again"})
    clock.advance(500)

    assert failed(runs(second)) == failed(runs(first)) != set()


def test_another_seed_fails_other_runs(start, runs, clock, configure):
    found = []
    for seed in (1, 2):
        configure(fail_submissions=0.3, start_run_tps=100, seed=seed)
        batch = start(entries(60, name=str(seed)))
        clock.advance(500)
        found.append(failed(runs(batch)))

    assert found[0] != found[1]


def test_what_failed_for_a_passing_reason_gets_through_the_next_time(start, runs, clock, configure):
    """A batch of only the failed settings, as AWS advises, fails for lasting reasons alone."""
    configure(fail_submissions=0.5, start_run_tps=100)
    first = start(60)
    clock.advance(500)
    second = start([{"runSettingId": name} for name in sorted(failed(runs(first)))])
    clock.advance(500)
    again = runs(second)

    assert 0 < len(failed(again)) < len(again)
    assert {run.get("submissionFailureReason") for run in again} == {
        *("ValidationException", "AccessDeniedException", None),
    }


TRANSIENT = "There was a transient error in the service. Retry the batch."


@pytest.fixture(name="fail")
def _fail(configure):
    return omics_backends["123456789012"]["eu-west-1"].fail_batch


def test_a_batch_fails_when_it_is_told_to_and_its_runs_go_on(start, omics, fail, runs, counts, clock):
    batch = start(5)
    clock.advance(12)
    fail(batch, "The service is tired.")
    failed = omics.get_batch(batchId=batch)

    assert (failed["status"], failed["failureReason"]) == ("FAILED", "The service is tired.")
    assert failed["failedTime"].timestamp() == clock()
    assert [run["runSettingId"] for run in runs(batch)] == ["run-0", "run-1"]
    clock.advance(100)
    assert counts(batch) == {"successfulStartSubmission": 2, "completedRun": 2}
    last = omics.get_batch(batchId=batch)
    assert (last["status"], last["totalRuns"]) == ("FAILED", 5)
    assert not {"submittedTime", "processedTime"} & last.keys()


@pytest.mark.parametrize(
    ("seconds", "status_before"), [(0, "CREATING"), (7, "PENDING"), (12, "SUBMITTING"), (14, "INPROGRESS")]
)
def test_a_batch_can_fail_from_any_status_before_its_end(
    start, omics, fail, status, clock, seconds, status_before
):
    batch = start(3)
    clock.advance(seconds)
    assert status(batch) == status_before
    fail(batch)

    assert omics.get_batch(batchId=batch)["failureReason"] == TRANSIENT
    clock.advance(1000)
    assert status(batch) == "FAILED"


def test_a_batch_that_has_ended_fails_no_more(start, fail, status, clock):
    batch = start(3)
    clock.advance(1000)

    with pytest.raises(ConflictException, match="Cannot fail the batch 1000001 in status PROCESSED"):
        fail(batch)
    assert status(batch) == "PROCESSED"


def test_a_failed_batch_can_be_deleted_but_not_cancelled(start, omics, fail, clock):
    batch = start(3)
    clock.advance(12)
    fail(batch)

    for call in (omics.cancel_run_batch, omics.delete_run_batch):
        with pytest.raises(omics.exceptions.ConflictException):
            call(batchId=batch)
    omics.delete_batch(batchId=batch)


def test_a_failed_batch_leaves_its_turns_to_the_others(start, fail, runs, clock):
    failing, other = start(10), start(4)
    clock.advance(12)
    fail(failing)
    clock.advance(3)

    assert len(runs(failing)) + len(runs(other)) == 5
    assert len(runs(other)) == 4


@pytest.mark.parametrize(("submissions", "wait"), [(0, 5), (1, 5), (1, 0), (2, 5), (5, 0), (9, 5)])
def test_a_batch_fails_after_so_many_submissions(configure, omics, default, runs, clock, submissions, wait):
    configure(creating_seconds=wait, pending_seconds=wait)
    backend = omics_backends["123456789012"]["eu-west-1"]
    settings = {"inlineSettings": [{"runSettingId": f"run-{i}"} for i in range(5)]}
    params = {"requestId": "1", "defaultRunSetting": default, "batchRunSettings": settings}
    batch = backend.start_run_batch(params, fails_after=submissions)["id"]
    attempted = min(submissions, 5)
    clock.advance(2 * wait + attempted - 0.5)
    before = omics.get_batch(batchId=batch)
    clock.advance(0.5)
    after = omics.get_batch(batchId=batch)

    assert "failureReason" not in before
    if attempted:
        assert before["status"] == "SUBMITTING"
        assert before["submissionSummary"]["pendingStartSubmissionCount"] == 5 - attempted + 1
    assert (after["status"], after["failureReason"]) == ("FAILED", TRANSIENT)
    assert after["submissionSummary"]["pendingStartSubmissionCount"] == 0
    clock.advance(1000)
    assert len(runs(batch)) == attempted

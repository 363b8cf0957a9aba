"""Single runs: started, cancelled and deleted one by one, and their tasks."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from botocore.exceptions import ClientError

from airflow_provider_omics_batch.emulator import omics_backends

RUN = {
    "workflowId": "1234567",
    "roleArn": "arn:aws:iam::123456789012:role/omics",
    "outputUri": "s3://cohort-bucket/out/",
}


@pytest.fixture(name="start_run")
def _start_run(omics):
    return lambda **more: omics.start_run(**{**RUN, **more})["id"]


@pytest.fixture(name="run_status")
def _run_status(omics):
    return lambda run: omics.get_run(id=run)["status"]


def test_a_single_run_is_submitted_at_once(omics, clock):
    started = omics.start_run(**RUN, name="one", tags={"sample": "a"}, parameters={"cram": "s3://c/a"})
    run = omics.get_run(id=started["id"])

    assert started["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert started["status"] == "PENDING"
    assert started["arn"] == f"arn:aws:omics:eu-west-1:123456789012:run/{started['id']}"
    assert started["tags"] == run["tags"] == {"sample": "a"}
    assert started["runOutputUri"] == run["runOutputUri"]
    assert (started["uuid"], started["networkingMode"]) == (run["uuid"], "RESTRICTED")
    assert (run["name"], run["parameters"]) == ("one", {"cram": "s3://c/a"})
    assert "batchId" not in run
    assert omics.list_batch()["items"] == []
    clock.advance(100)
    assert [(item["id"], item["status"]) for item in omics.list_runs()["items"]] == [
        (started["id"], "COMPLETED")
    ]


def test_the_same_request_gives_the_same_run(start_run, omics):
    assert start_run(requestId="one") == start_run(requestId="one")
    assert start_run(requestId="one") != start_run(requestId="two")
    with pytest.raises(omics.exceptions.ConflictException):
        start_run(requestId="one", name="other")


def test_single_runs_and_batches_share_the_places(start, start_run, run_status, counts, clock, configure):
    configure(concurrent_runs=1, run_seconds=1000)
    run = start_run()
    batch = start(1)
    clock.advance(50)

    assert run_status(run) == "RUNNING"
    assert counts(batch)["pendingRun"] == 1


def test_single_runs_and_batches_share_the_start_run_rate(start, start_run, counts, clock):
    batch = start(10)
    clock.advance(12.5)
    start_run()
    clock.advance(1)

    assert counts(batch)["successfulStartSubmission"] == 3
    clock.advance(0.5)
    assert counts(batch)["successfulStartSubmission"] == 3


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"workflowId": None}, "workflowId is required"),
        ({"outputUri": "https://x"}, "s3://"),
        ({"cacheBehavior": "CACHE_ALWAYS"}, "cacheId"),
        ({"priority": 100_001}, "priority"),
        ({"tags": {str(n): "" for n in range(51)}}, "50 tags"),
        ({"parameters": {"x": "y" * 256_000}}, "256000 bytes is the max"),
    ],
)
def test_a_run_that_makes_no_sense_is_refused(omics, wrong, message):
    request = {name: value for name, value in {**RUN, **wrong}.items() if value is not None}
    with pytest.raises(omics.exceptions.ValidationException, match=message):
        omics.start_run(**request)

    assert omics.list_runs()["items"] == []


def test_a_run_whose_parameters_do_not_fit_the_template_is_refused(omics, start_run, clock):
    workflow = omics.create_workflow(definitionZip=b"zip", parameterTemplate={"cram": {}})["id"]
    clock.advance(10)
    with pytest.raises(omics.exceptions.ValidationException, match="are missing: cram"):
        start_run(workflowId=workflow)
    start_run(workflowId=workflow, parameters={"cram": "s3://c/a"})


def test_a_run_can_be_repeated(start, omics, clock):
    start(
        [{"runSettingId": "a", "name": "mine", "parameters": {"cram": "s3://c/a"}}], default={"priority": 3}
    )
    clock.advance(100)
    source = omics.list_runs()["items"][0]["id"]
    again = omics.start_run(runId=source, roleArn=RUN["roleArn"], outputUri="s3://other/out", name="again")
    run = omics.get_run(id=again["id"])

    assert (run["runId"], run["name"], run["outputUri"]) == (source, "again", "s3://other/out")
    assert (run["workflowId"], run["priority"]) == ("1234567", 3)
    assert run["parameters"] == {"cram": "s3://c/a"}
    with pytest.raises(omics.exceptions.ResourceNotFoundException):
        omics.start_run(runId="1", roleArn=RUN["roleArn"], outputUri="s3://other/out")


def test_batches_beforehand_do_not_change_what_becomes_of_single_runs(
    start, start_run, omics, clock, configure
):
    backend, found = omics_backends["123456789012"]["eu-west-1"], []
    for batches in (0, 2):
        backend.reset()
        configure(fail_runs=0.5)
        for _ in range(batches):
            start(1)
        single = [start_run() for _ in range(8)]
        clock.advance(100)
        runs = [omics.get_run(id=run) for run in single]
        found.append([(run["status"], run["stopTime"] - run["startTime"]) for run in runs])

    assert found[0] == found[1]
    assert {status for status, _ in found[0]} == {"COMPLETED", "FAILED"}


def test_a_run_at_work_can_be_cancelled(start_run, omics, run_status, clock, configure):
    configure(run_seconds=1000)
    run = start_run()
    clock.advance(20)
    answer = omics.cancel_run(id=run)

    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert run_status(run) == "STOPPING"
    clock.advance(1)
    assert run_status(run) == "CANCELLED"


def test_a_run_that_waits_is_cancelled_at_once_and_makes_room(start_run, omics, run_status, clock, configure):
    configure(run_seconds=1000, concurrent_runs=1)
    first, second, third = start_run(), start_run(), start_run()
    omics.cancel_run(id=second)
    omics.cancel_run(id=first)

    assert run_status(second) == "CANCELLED"
    clock.advance(1)
    assert run_status(third) == "STARTING"


@pytest.mark.parametrize(("seconds", "started"), [(10, False), (60, True), (70, True)])
def test_a_run_cancelled_before_it_came_to_running_has_no_start_time(
    start_run, omics, clock, configure, seconds, started
):
    configure(starting_seconds=60, run_seconds=1000)
    run = start_run()
    clock.advance(seconds)
    omics.cancel_run(id=run)
    clock.advance(200)
    found = omics.get_run(id=run)

    assert found["status"] == "CANCELLED"
    assert ("startTime" in found) is started


def test_a_batch_whose_runs_were_cancelled_one_by_one_is_processed(start, omics, runs, counts, status, clock):
    batch = start(2)
    clock.advance(12)
    for run in runs(batch):
        omics.cancel_run(id=run["runId"])
    clock.advance(100)

    assert status(batch) == "PROCESSED"
    assert counts(batch) == {"successfulStartSubmission": 2, "cancelledRun": 2}
    assert {run["submissionStatus"] for run in runs(batch)} == {"SUCCESS"}


@pytest.mark.parametrize(
    ("seconds", "operation"),
    [(0, "delete_run"), (1.5, "delete_run"), (100, "cancel_run")],
    ids=["delete in STARTING", "delete in RUNNING", "cancel in COMPLETED"],
)
def test_the_status_of_a_run_allows_what_is_documented(start_run, omics, clock, seconds, operation):
    run = start_run()
    clock.advance(seconds)
    with pytest.raises(omics.exceptions.ConflictException):
        getattr(omics, operation)(id=run)


def test_a_deleted_run_is_gone(start, omics, runs, counts, clock):
    batch = start(2)
    clock.advance(100)
    first, second = runs(batch)
    omics.delete_run(id=first["runId"])

    assert [item["id"] for item in omics.list_runs()["items"]] == [second["runId"]]
    assert counts(batch) == {"successfulStartSubmission": 2, "completedRun": 1, "deletedRun": 1}
    with pytest.raises(omics.exceptions.ResourceNotFoundException):
        omics.get_run(id=first["runId"])
    omics.delete_run_batch(batchId=batch)
    clock.advance(10)
    assert counts(batch)["successfulDeleteSubmission"] == 1


@pytest.mark.parametrize("reuse", [True, False])
def test_ids_of_deleted_runs_are_given_out_again(start, start_run, omics, runs, clock, configure, reuse):
    configure(reuse_run_ids=reuse)
    batch = start(3)
    clock.advance(100)
    before = runs(batch)
    omics.delete_run_batch(batchId=batch)
    clock.advance(10)
    run = start_run()
    after = start(2)
    clock.advance(100)

    ids = [run["runId"] for run in before]
    assert ([run, *(each["runId"] for each in runs(after))] == ids) is reuse
    assert {each["runInternalUuid"] for each in before}.isdisjoint(
        each["runInternalUuid"] for each in runs(after)
    )
    assert omics.get_run(id=run)["id"] == run
    assert [int(item["id"]) for item in omics.list_runs()["items"]] == sorted(
        int(item["id"]) for item in omics.list_runs()["items"]
    )


def test_a_run_has_tasks_one_after_the_other(start_run, omics, clock, configure):
    configure(run_seconds=100)
    run = start_run()
    assert omics.list_run_tasks(id=run)["items"] == []
    clock.advance(2)
    assert [task["status"] for task in omics.list_run_tasks(id=run)["items"]] == ["RUNNING"]
    clock.advance(500)
    tasks = omics.list_run_tasks(id=run)["items"]

    assert [task["status"] for task in tasks] == ["COMPLETED"] * 4
    assert all(a["stopTime"] == b["startTime"] for a, b in pairwise(tasks))
    task = omics.get_run_task(id=run, taskId=tasks[1]["taskId"])
    assert {name: task[name] for name in tasks[1]} == tasks[1]
    assert task["logStream"].endswith(f"run/{run}/task/{task['taskId']}")
    pages = omics.get_paginator("list_run_tasks").paginate(id=run, PaginationConfig={"PageSize": 3})
    assert [len(page["items"]) for page in pages] == [3, 1]
    with pytest.raises(omics.exceptions.ResourceNotFoundException):
        omics.get_run_task(id=run, taskId="1")


def test_a_run_fails_at_a_task(start_run, omics, clock, configure):
    configure(fail_runs=1.0)
    run = start_run()
    clock.advance(500)
    *others, last = omics.list_run_tasks(id=run)["items"]

    assert {task["status"] for task in others} <= {"COMPLETED"}
    assert last["status"] == "FAILED"
    failure = omics.get_run(id=run)
    assert omics.get_run_task(id=run, taskId=last["taskId"])["failureReason"] == failure["failureReason"]
    assert [task["taskId"] for task in omics.list_run_tasks(id=run, status="FAILED")["items"]] == [
        last["taskId"]
    ]


def test_a_cancelled_run_stops_at_a_task(start_run, omics, clock, configure):
    configure(run_seconds=100)
    run = start_run()
    clock.advance(5)
    omics.cancel_run(id=run)
    clock.advance(100)

    assert [task["status"] for task in omics.list_run_tasks(id=run)["items"]] == ["CANCELLED"]


def test_no_more_runs_than_the_account_keeps(start, start_run, runs, clock, configure):
    configure(max_runs=3)
    start_run()
    batch = start(4)
    clock.advance(100)

    assert [run["submissionStatus"] for run in runs(batch)] == ["SUCCESS", "SUCCESS", "FAILED", "FAILED"]
    assert runs(batch)[3]["submissionFailureReason"] == "ServiceQuotaExceededException"
    with pytest.raises(ClientError) as caught:
        start_run()
    assert caught.value.response["Error"]["Code"] == "ServiceQuotaExceededException"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 402


def test_a_deleted_run_makes_room(start_run, omics, clock, configure):
    configure(max_runs=1)
    run = start_run()
    clock.advance(100)
    omics.delete_run(id=run)

    start_run()


@pytest.mark.parametrize("one_by_one", [False, True], ids=["DeleteRunBatch", "DeleteRun"])
def test_deleted_runs_make_room_for_a_batch_that_is_submitting(
    start, omics, runs, counts, clock, configure, one_by_one
):
    configure(max_runs=10)
    old = start(8)
    clock.advance(100)
    configure(max_runs=10, start_run_tps=0.1)
    batch = start(5)
    clock.advance(21)
    assert counts(batch)["successfulStartSubmission"] == 1
    if one_by_one:
        for run in runs(old):
            omics.delete_run(id=run["runId"])
    else:
        omics.delete_run_batch(batchId=old)
    clock.advance(100)

    assert counts(batch) == {"successfulStartSubmission": 5, "completedRun": 5}


def test_the_oldest_removable_run_makes_room(start, start_run, omics, counts, clock, configure):
    configure(max_runs=3)
    kept, oldest, second = start_run(), start_run(retentionMode="REMOVE"), start_run(retentionMode="REMOVE")
    clock.advance(100)
    batch = start(2, default={"retentionMode": "REMOVE"})
    clock.advance(11)
    assert {item["id"] for item in omics.list_runs()["items"]} >= {kept, second}
    with pytest.raises(omics.exceptions.ResourceNotFoundException):
        omics.get_run(id=oldest)
    clock.advance(100)

    assert counts(batch) == {"successfulStartSubmission": 2, "completedRun": 2}
    assert len(omics.list_runs()["items"]) == 3


def test_runs_that_were_to_be_removed_later_are_deleted_with_their_batch(
    start, omics, status, counts, clock, configure
):
    configure(max_runs=10)
    removed = {"retentionMode": "REMOVE"}
    old = start(8, default=removed)
    clock.advance(100)
    batch = start(8, default=removed)
    clock.advance(11)
    omics.delete_run_batch(batchId=old)
    clock.advance(1)
    group = omics.create_run_group(maxRuns=1)["id"]
    omics.update_run_group(id=group, maxRuns=2)

    assert status(old) == "RUNS_DELETED"
    assert counts(old)["deletedRun"] == 8
    assert {item["batchId"] for item in omics.list_runs()["items"]} == {batch}
    clock.advance(100)
    assert counts(batch) == {"successfulStartSubmission": 8, "completedRun": 8}


def test_simultaneous_calls_do_not_disturb_each_other(start, start_run, omics, counts, clock, configure):
    configure(start_run_tps=1000, concurrent_runs=7, run_seconds=10_000)

    def live(number):
        batch, run = start(5), start_run(requestId=str(number % 8))
        clock.advance(3)
        omics.get_batch(batchId=batch)
        single = start_run()
        omics.cancel_run(id=single)
        clock.advance(30)
        omics.tag_resource(resourceArn=omics.get_run(id=single)["arn"], tags={"number": str(number)})
        omics.delete_run(id=single)
        return batch, run

    with ThreadPoolExecutor(8) as pool:
        batches, runs = zip(*pool.map(live, range(32)), strict=True)
    clock.advance(10_000_000)

    assert len(set(batches)) == 32
    assert len(set(runs)) == 8
    for batch in batches:
        assert counts(batch) == {"successfulStartSubmission": 5, "completedRun": 5}
    pages = omics.get_paginator("list_runs").paginate()
    ids = [item["id"] for page in pages for item in page["items"]]
    assert len(ids) == len(set(ids)) == 32 * 5 + 8

"""Run caches, and runs that begin where an earlier one has failed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_provider_omics_batch.emulator.plan.chance import fate_of

BUCKET = "s3://cohort-bucket/cache/"


@pytest.fixture(name="cache")
def _cache(omics):
    return lambda **more: omics.create_run_cache(cacheS3Location=BUCKET, **more)["id"]


@pytest.fixture(name="taken")
def _taken(start, omics, clock):
    """Run one sample, and tell the result and the seconds that it took."""

    def taken(default, **setting):
        batch = start([{"runSettingId": "a", **setting}], default=default)
        clock.advance(1000)
        run = omics.list_runs(batchId=batch)["items"][0]
        seconds = (run["stopTime"] - run["startTime"]).total_seconds()
        hits = [task["cacheHit"] for task in omics.list_run_tasks(id=run["id"])["items"]]
        return run["status"], seconds, sum(hits)

    return taken


@pytest.fixture(name="failing")
def _failing(configure):
    """Let run ``a`` fail for a reason that stays, and so late that it has finished tasks."""
    settings = configure(fail_runs=1.0, run_seconds=100)
    for seed in range(1000):
        fate = fate_of("a", replace(settings, seed=seed))
        if fate.failure and fate.failure.reason == "OUT_OF_MEMORY_ERROR" and fate.finished:
            return configure(fail_runs=1.0, run_seconds=100, seed=seed)
    raise AssertionError


def test_a_run_cache_comes_back_as_it_was_made(omics, clock):
    created = omics.create_run_cache(cacheS3Location=BUCKET, name="night", tags={"a": "b"})
    found = omics.get_run_cache(id=created["id"])

    assert (created["status"], found["status"]) == ("ACTIVE", "ACTIVE")
    assert (found["cacheS3Uri"], found["cacheBehavior"]) == (BUCKET, "CACHE_ON_FAILURE")
    assert found["cacheBucketOwnerId"] == "123456789012"
    [item] = omics.list_run_caches()["items"]
    assert (item["id"], item["cacheS3Uri"]) == (created["id"], BUCKET)


def test_a_run_cache_can_be_changed_and_deleted(omics, cache):
    cache_id = cache()
    omics.update_run_cache(id=cache_id, cacheBehavior="CACHE_ALWAYS", description="all")
    assert omics.get_run_cache(id=cache_id)["cacheBehavior"] == "CACHE_ALWAYS"
    omics.delete_run_cache(id=cache_id)

    with pytest.raises(omics.exceptions.ResourceNotFoundException):
        omics.get_run_cache(id=cache_id)


@pytest.mark.usefixtures("failing")
def test_a_repeated_run_resumes_where_it_has_failed(taken, cache):
    """It finds the tasks that were finished, and so is quicker than one that finds none."""
    default = {"cacheId": cache(), "cacheBehavior": "CACHE_ON_FAILURE"}
    first = taken(default, parameters={"cram": "a"})
    again = taken(default, parameters={"cram": "a"})
    other = taken(default, parameters={"cram": "b"})

    assert first[0] == "FAILED"
    assert first[2] == 0 < again[2]
    assert again[1] < first[1]
    assert other == first


@pytest.mark.usefixtures("failing")
def test_a_run_that_was_sent_before_the_first_had_ended_finds_nothing(start, omics, cache, clock):
    """Also if it begins after that: what is in the cache is looked up when a run is sent."""
    default = {"cacheId": cache()}
    group = omics.create_run_group(maxRuns=1)["id"]
    batches = [start([{"runSettingId": "a"}], default={**default, "runGroupId": group}) for _ in range(2)]
    clock.advance(1000)
    first, second = (omics.list_runs(batchId=batch)["items"][0] for batch in batches)
    tasks = omics.list_run_tasks(id=second["id"])["items"]

    assert first["stopTime"] < second["startTime"]
    assert not any(task["cacheHit"] for task in tasks)


@pytest.mark.usefixtures("failing")
def test_a_run_without_a_cache_begins_anew(taken):
    assert taken({}) == taken({})


@pytest.mark.parametrize(("behavior", "hits"), [("CACHE_ON_FAILURE", 0), ("CACHE_ALWAYS", 4)])
def test_what_has_completed_is_kept_only_always(taken, cache, behavior, hits):
    default = {"cacheId": cache(cacheBehavior=behavior)}
    taken(default)

    assert taken(default)[2] == hits


def test_another_workflow_or_cache_finds_nothing(taken, cache):
    default = {"cacheId": cache(), "cacheBehavior": "CACHE_ALWAYS"}
    taken(default)

    assert taken({**default, "workflowId": "7654321"})[2] == 0
    assert taken({**default, "cacheId": cache()})[2] == 0


def test_a_deleted_cache_is_empty(omics, taken, cache):
    default = {"cacheId": cache(), "cacheBehavior": "CACHE_ALWAYS"}
    taken(default)
    omics.delete_run_cache(id=default["cacheId"])

    assert taken(default)[2] == 0
    assert taken(default)[2] == 0


def test_a_cache_that_was_never_created_keeps_what_is_left_in_it(taken):
    default = {"cacheId": "7654321", "cacheBehavior": "CACHE_ALWAYS"}
    taken(default)

    assert taken(default)[2] == 4


def test_what_a_cancelled_run_has_finished_is_kept(start, omics, taken, cache, clock, configure):
    configure(run_seconds=100)
    default = {"cacheId": cache()}
    start([{"runSettingId": "a"}], default=default)
    clock.advance(12)
    run = omics.list_runs()["items"][0]["id"]
    while len(omics.list_run_tasks(id=run)["items"]) < 3:
        clock.advance(1)
    omics.cancel_run(id=run)
    clock.advance(10)

    assert taken(default)[2] == 2

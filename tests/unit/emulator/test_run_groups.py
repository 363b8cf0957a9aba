"""Run groups, the lines in which runs wait, and priorities."""

from __future__ import annotations

import pytest


@pytest.fixture(name="group")
def _group(omics):
    return lambda **limits: omics.create_run_group(name="group", **limits)["id"]


@pytest.fixture(name="at_work")
def _at_work(omics):
    def at_work(batch):
        found = omics.get_batch(batchId=batch)["runSummary"]
        return sum(found[f"{state}RunCount"] for state in ("starting", "running", "stopping"))

    return at_work


def test_a_run_group_comes_back_as_it_was_made(omics, clock):
    created = omics.create_run_group(name="night", maxRuns=5, maxCpus=20, maxDuration=600, tags={"a": "b"})
    found = omics.get_run_group(id=created["id"])

    assert created["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert created["arn"].endswith(f":runGroup/{created['id']}")
    assert (found["maxRuns"], found["maxCpus"], found["maxDuration"]) == (5, 20, 600)
    assert found["tags"] == {"a": "b"}
    assert found["creationTime"].timestamp() == clock.now
    [item] = omics.list_run_groups(name="night")["items"]
    assert (item["id"], item["maxRuns"]) == (created["id"], 5)
    assert omics.list_run_groups(name="day")["items"] == []


@pytest.mark.parametrize(("limits", "most"), [({"maxRuns": 2}, 2), ({"maxCpus": 12}, 3), ({"maxCpus": 1}, 1)])
def test_a_run_group_limits_the_runs_at_work(start, group, at_work, clock, configure, limits, most):
    configure(start_run_tps=100, run_seconds=1000)
    grouped, free = start(8, default={"runGroupId": group(**limits)}), start(8)
    clock.advance(20)

    assert (at_work(grouped), at_work(free)) == (most, 8)


def test_a_changed_limit_acts_at_once(start, omics, group, at_work, clock, configure):
    configure(start_run_tps=100, run_seconds=1000)
    group_id = group(maxRuns=2)
    batch = start(8, default={"runGroupId": group_id})
    clock.advance(20)
    omics.update_run_group(id=group_id, maxRuns=5)

    assert at_work(batch) == 5
    assert omics.get_run_group(id=group_id)["name"] == "group"


def test_the_quota_of_the_account_holds_for_groups_too(start, group, at_work, clock, configure):
    configure(start_run_tps=100, run_seconds=1000, concurrent_runs=3)
    batch = start(8, default={"runGroupId": group(maxRuns=5)})
    clock.advance(20)

    assert at_work(batch) == 3


def test_a_run_fails_that_takes_longer_than_its_group_allows(start, omics, group, runs, clock, configure):
    configure(run_seconds=1000)
    batch = start(1, default={"runGroupId": group(maxDuration=1)})
    clock.advance(2000)
    run = omics.get_run(id=runs(batch)[0]["runId"])

    assert (run["status"], run["failureReason"]) == ("FAILED", "RUN_TIMED_OUT")
    # 1 s in STARTING is before, and 1 s in STOPPING after it.
    assert (run["stopTime"] - run["startTime"]).total_seconds() == 61


def test_a_run_group_with_runs_that_are_not_over_stays(start, omics, group, clock):
    group_id = group()
    start(1, default={"runGroupId": group_id})
    for seconds in (5, 7):
        clock.advance(seconds)
        with pytest.raises(omics.exceptions.ConflictException):
            omics.delete_run_group(id=group_id)
    clock.advance(100)
    omics.delete_run_group(id=group_id)

    with pytest.raises(omics.exceptions.ResourceNotFoundException):
        omics.get_run_group(id=group_id)


def test_static_storage_has_a_quota_of_its_own(start, at_work, clock, configure):
    configure(start_run_tps=100, run_seconds=1000, concurrent_runs=4, concurrent_static_runs=2)
    static, dynamic = start(8, default={"storageType": "STATIC"}), start(8)
    clock.advance(20)

    assert (at_work(static), at_work(dynamic)) == (2, 4)


def test_static_storage_has_a_size(start, omics, clock):
    start(1, default={"storageType": "STATIC"})
    clock.advance(100)
    item = omics.list_runs()["items"][0]

    assert (item["storageType"], item["storageCapacity"]) == ("STATIC", 1200)


@pytest.mark.parametrize(("urgent", "order"), [("high", ["b", "c", "a", "d"]), ("low", ["d", "a", "c", "b"])])
def test_priorities_order_the_runs_that_wait(start, omics, clock, configure, urgent, order):
    configure(start_run_tps=100, concurrent_runs=1, urgent_priority=urgent)
    start([{"runSettingId": "first", "name": "first"}])
    clock.advance(10.5)
    priorities = {"a": 5, "b": 100, "c": 7, "d": 0}
    start([{"runSettingId": name, "name": name, "priority": n} for name, n in priorities.items()])
    configure(start_run_tps=100, concurrent_runs=1, run_seconds=100)
    clock.advance(500)
    runs = sorted(omics.list_runs(status="COMPLETED")["items"], key=lambda run: run["startTime"])

    assert [run["name"] for run in runs] == ["first", *order]

"""Tasks that are mapped over cohorts, on a real Airflow."""

from __future__ import annotations

from tests.system.checks import runs_of
from tests.system.deployed import Deployment

NAMES = {0: "healthy", 1: "sick"}


def test_a_deferred_task_bears_the_name_of_its_cohort_and_keeps_it(deployment: Deployment) -> None:
    run = deployment.start("mapped_by_name")
    run.wait_until_watched(2)
    assert run.task_states() == ["deferred", "deferred"]
    assert run.names() == NAMES

    run.fail()

    deployment.wait_for(run.is_at_rest, "the end of the Dag run")
    assert run.names() == NAMES


def test_of_mapped_functions_only_the_one_that_failed_is_retried(deployment: Deployment) -> None:
    run = deployment.start("failing_and_mapped")

    assert run.wait_for_end() == "success"

    assert run.names() == NAMES
    healthy, (first, second) = (run.xcom("batch_ids", map_index) for map_index in NAMES)
    assert sorted(run.batch_ids()) == sorted([*healthy, first, second])
    assert {item["runSettingId"] for item in runs_of(run, healthy[0])} == {"S10", "S11"}
    assert {item["runSettingId"] for item in runs_of(run, second)} == {"S35", "S40"}
    assert [run.xcom("return_value", map_index)["total"] for map_index in NAMES] == [2, 5]
    assert {len(run.log(2, map_index)) > 0 for map_index in NAMES} == {False, True}

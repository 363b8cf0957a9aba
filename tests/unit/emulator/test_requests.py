"""Requests that are sent again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError


def test_the_same_request_gives_the_same_batch(start, omics, status, clock):
    first = start(requestId="one")
    clock.advance(500)
    answer = omics.get_batch(batchId=first)

    assert start(requestId="one") == first
    assert len(omics.list_batch()["items"]) == 1
    assert answer["status"] == "PROCESSED"


def test_a_repeated_request_answers_with_the_status_of_now(omics, default, clock):
    request = {
        "requestId": "one",
        "defaultRunSetting": default,
        "batchRunSettings": {"inlineSettings": [{"runSettingId": "1"}]},
    }
    first = omics.start_run_batch(**request)
    clock.advance(500)
    second = omics.start_run_batch(**request)

    assert second["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert (first["status"], second["status"]) == ("CREATING", "PROCESSED")
    assert (first["id"], first["uuid"]) == (second["id"], second["uuid"])


def test_a_repeated_request_does_not_look_at_the_file(start_from_s3, omics, s3, default):
    batch = start_from_s3([{"runSettingId": "a"}], requestId="one")
    s3.delete_object(Bucket="cohort-bucket", Key="settings.json")
    again = omics.start_run_batch(
        requestId="one",
        defaultRunSetting=default,
        batchRunSettings={"s3UriSettings": "s3://cohort-bucket/settings.json"},
    )

    assert again["id"] == batch


@pytest.mark.parametrize(("before", "now"), [(1, True), (2, 2.0), (0, False)])
def test_values_that_only_python_takes_for_the_same_make_another_request(start, omics, before, now):
    start([{"runSettingId": "a", "parameters": {"x": before}}], requestId="one")

    with pytest.raises(omics.exceptions.ConflictException):
        start([{"runSettingId": "a", "parameters": {"x": now}}], requestId="one")


def test_the_same_id_for_another_request_is_a_conflict(start, omics):
    start(3, requestId="one")
    with pytest.raises(ClientError) as caught:
        start(4, requestId="one")

    assert isinstance(caught.value, omics.exceptions.ConflictException)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 409


def test_another_id_gives_another_batch(start):
    assert start(requestId="one") != start(requestId="two")


def test_the_id_of_a_deleted_batch_is_free_again(start, omics, clock):
    first = start(requestId="one")
    clock.advance(500)
    omics.delete_batch(batchId=first)

    assert start(requestId="one") != first


def test_simultaneous_requests_give_one_batch(start, omics):
    with ThreadPoolExecutor(8) as pool:
        batches = set(pool.map(lambda _: start(20, requestId="one"), range(24)))

    assert len(batches) == 1
    assert len(omics.list_batch()["items"]) == 1

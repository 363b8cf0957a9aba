"""How often each operation may be called."""

from __future__ import annotations

import boto3
import pytest
from botocore.config import Config
from moto.core.utils import get_service_model

from airflow_provider_omics_batch.emulator.requests.throttle import RATES, Throttle


def test_calls_beyond_a_second_are_refused_until_time_has_passed():
    now = [100.0]
    throttle = Throttle(lambda: now[0])
    assert [throttle.takes("GetBatch", 10) for _ in range(12)] == [True] * 10 + [False] * 2

    now[0] += 0.25
    assert [throttle.takes("GetBatch", 10) for _ in range(4)] == [True, True, False, False]
    now[0] += 1000
    assert sum(throttle.takes("GetBatch", 10) for _ in range(50)) == 10


def test_each_operation_is_counted_for_itself():
    throttle = Throttle(lambda: 0.0)

    assert throttle.takes("StartRunBatch", 1)
    assert not throttle.takes("StartRunBatch", 1)
    assert throttle.takes("GetBatch", 10)


def test_a_rate_below_one_a_second_takes_a_call_at_first():
    now = [0.0]
    throttle = Throttle(lambda: now[0])
    assert throttle.takes("StartRun", 0.1)
    now[0] = 9.0
    assert not throttle.takes("StartRun", 0.1)
    now[0] = 11.0
    assert throttle.takes("StartRun", 0.1)


def test_the_rates_are_of_operations_that_there_are():
    assert RATES.keys() <= set(get_service_model("omics").operation_names)


def test_a_call_too_many_is_throttled(configure, default):
    configure(throttle=True, start_run_tps=0.001)
    client = boto3.client("omics", config=Config(retries={"total_max_attempts": 1}))
    client.start_run(**default)
    with pytest.raises(client.exceptions.ThrottlingException) as caught:
        client.start_run(**default)

    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert len(client.list_runs()["items"]) == 1
    client.close()


def test_nothing_is_throttled_unless_told(start, omics):
    batch = start()
    for _ in range(30):
        omics.get_batch(batchId=batch)

from __future__ import annotations

from airflow_provider_omics_batch.run_batch.manifest import manifest_uri, manifest_uri_of_all


def test_the_manifests_of_a_batch_lie_in_places_that_do_not_change() -> None:
    uri = manifest_uri("s3://bucket/airflow/", "7", "4bbb")

    assert uri == "s3://bucket/airflow/run-batches/4bbb/runs.jsonl"
    assert manifest_uri_of_all(uri) == "s3://bucket/airflow/run-batches/4bbb/all-rounds/runs.jsonl"


def test_a_manifest_of_runs_that_go_on_is_not_written_over_by_that_of_their_ends() -> None:
    """Pieces of a manifest are good as long as it does not change."""
    uri = manifest_uri("s3://bucket/airflow/", "7", "4bbb", "submitted")

    assert uri == "s3://bucket/airflow/run-batches/4bbb/submitted/runs.jsonl"

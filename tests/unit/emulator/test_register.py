"""The canary for what we lean on inside moto: when that changes, this fails first and by name."""

from __future__ import annotations

import re

import boto3
import pytest
from moto.backend_index import backend_url_patterns
from moto.backends import get_backend
from moto.core.base_backend import BackendDict
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.test import Client

from airflow_provider_omics_batch.emulator import omics_backends, register


def test_moto_keeps_hosts_in_a_list_of_names_and_patterns():
    assert isinstance(backend_url_patterns, list)
    assert all(isinstance(name, str) and isinstance(host, re.Pattern) for name, host in backend_url_patterns)


def test_moto_finds_our_backend_by_name():
    assert get_backend("omics") is omics_backends
    assert isinstance(omics_backends, BackendDict)


def test_the_server_looks_at_the_same_list_of_hosts():
    assert DomainDispatcherApplication(create_backend_app).backend_url_patterns is backend_url_patterns


def test_registering_twice_does_nothing():
    before = list(backend_url_patterns)

    register()

    assert backend_url_patterns == before
    assert [name for name, _ in backend_url_patterns].count("omics") == 1


def test_boto3_reaches_the_backend(omics):
    with pytest.raises(omics.exceptions.ResourceNotFoundException):
        omics.get_batch(batchId="1")


def test_a_signed_http_request_reaches_the_backend():
    client = Client(DomainDispatcherApplication(create_backend_app))
    scope = "AWS4-HMAC-SHA256 Credential=any/20261122/eu-west-1/omics/aws4_request, SignedHeaders=host"

    answer = client.get("/runBatch/1", headers={"Authorization": scope})

    assert answer.status_code == 404
    assert answer.headers["x-amzn-ErrorType"] == "ResourceNotFoundException"


def test_every_region_has_its_own_batches(start, omics):
    start()
    elsewhere = boto3.client("omics", region_name="us-east-1")

    assert len(omics.list_batch()["items"]) == 1
    assert elsewhere.list_batch()["items"] == []
    elsewhere.close()

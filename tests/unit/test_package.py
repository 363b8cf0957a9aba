from __future__ import annotations

from importlib.metadata import version

from airflow.providers_manager import ProvidersManager

import airflow_provider_omics_batch
from airflow_provider_omics_batch import get_provider_info

NAME = "airflow-provider-omics-batch"


def test_airflow_finds_the_provider_and_accepts_what_it_tells() -> None:
    provider = ProvidersManager().providers[NAME]

    assert get_provider_info().items() <= provider.data.items()
    assert provider.version == version(NAME) == airflow_provider_omics_batch.__version__


def test_every_module_that_the_provider_names_is_there() -> None:
    modules = [
        module
        for kind in ("hooks", "operators", "sensors", "triggers")
        for integration in get_provider_info()[kind]
        for module in integration["python-modules"]
    ]

    assert len(modules) == 4
    for module in modules:
        __import__(module)


def test_no_connection_type_is_invented() -> None:
    assert "connection-types" not in get_provider_info()

"""AWS HealthOmics without an account: a moto backend, and a server around it."""

from __future__ import annotations

import re
import sys

try:
    from moto.backend_index import backend_url_patterns
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "The emulator needs moto: pip install 'airflow-provider-omics-batch[emulator]'", name=error.name
    ) from error

from airflow_provider_omics_batch.emulator.clock import Clock, ManualClock, ScaledClock
from airflow_provider_omics_batch.emulator.models import OmicsBackend, omics_backends
from airflow_provider_omics_batch.emulator.plan.failures import FailureRule
from airflow_provider_omics_batch.emulator.server.control import Control
from airflow_provider_omics_batch.emulator.server.faults import Fault, FaultList
from airflow_provider_omics_batch.emulator.settings import Settings
from airflow_provider_omics_batch.emulator.urls import url_bases

__all__ = [
    "Clock",
    "Control",
    "FailureRule",
    "Fault",
    "FaultList",
    "ManualClock",
    "OmicsBackend",
    "ScaledClock",
    "Settings",
    "omics_backends",
    "register",
]

SERVICE = "omics"


def register() -> None:
    """
    Make HealthOmics known to moto in this process; once is enough, and more does no harm.

    moto imports the module ``moto.<service>`` for a service, and finds a request's service by its host.
    """
    sys.modules[f"moto.{SERVICE}"] = sys.modules[__name__]
    for url_base in url_bases:
        pattern = (SERVICE, re.compile(url_base))
        if pattern not in backend_url_patterns:
            backend_url_patterns.append(pattern)

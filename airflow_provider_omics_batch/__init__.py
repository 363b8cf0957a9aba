"""Apache Airflow provider for batch runs of AWS HealthOmics."""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"


def get_provider_info() -> dict[str, Any]:
    """Return what Airflow's ``ProvidersManager`` wants to know about this package."""
    return {
        "package-name": "airflow-provider-omics-batch",
        "name": "AWS HealthOmics run batches",
        "description": "Run whole sequencing cohorts on AWS HealthOmics, one batch at a time.",
    }

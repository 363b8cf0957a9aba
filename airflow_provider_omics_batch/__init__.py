"""Apache Airflow provider for run batches of AWS HealthOmics."""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"


def get_provider_info() -> dict[str, Any]:
    """Return what Airflow wants to know about this package; called by its ``ProvidersManager``."""
    integration = "AWS HealthOmics"
    return {
        "package-name": "airflow-provider-omics-batch",
        "name": "AWS HealthOmics run batches",
        "description": "Run whole sequencing cohorts on AWS HealthOmics, one batch at a time.",
        "integrations": [
            {
                "integration-name": integration,
                "external-doc-url": "https://docs.aws.amazon.com/omics/latest/dev/workflows-batch.html",
                "tags": ["aws"],
            }
        ],
        **{
            kind: [{"integration-name": integration, "python-modules": [f"{__name__}.{kind}.omics"]}]
            for kind in ("hooks", "operators", "sensors", "triggers")
        },
        "extra-links": [
            f"{__name__}.links.omics.RunBatch{kind}Link" for kind in ("Logs", "Manifest", "Outputs")
        ],
        "task-decorators": [
            {"name": "start_run_batch", "class-name": f"{__name__}.decorators.omics.start_run_batch_task"}
        ],
        "config": {
            "omics_batch": {
                "description": "Run batches of AWS HealthOmics.",
                "options": {
                    "requests_per_second": {
                        "description": "How often a process calls each API operation for one connection "
                        "and Region. HealthOmics allows an account 10 GetBatch calls a second.",
                        "version_added": "0.1.0",
                        "type": "float",
                        "example": None,
                        "default": "5.0",
                    },
                    "run_ids_max_bytes": {
                        "description": "The largest run_ids that a task publishes as XCom, in bytes of JSON. "
                        "Larger ones are in the manifest only.",
                        "version_added": "0.1.0",
                        "type": "integer",
                        "example": None,
                        "default": "1000000",
                    },
                },
            }
        },
    }

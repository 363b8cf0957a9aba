"""What it costs to import the provider, and to parse a Dag that has it, in a fresh interpreter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

DAGS = Path(__file__).parents[2] / "dags"
PROVIDER = "airflow_provider_omics_batch"
HEAVY = {"aiobotocore", "fastapi", "moto", "pandas"}

#: Parses Dags as the Dag processor does, and tells what that has loaded and touched. No client is made
#: without a look into botocore's data, and no connection is read without asking this secrets backend.
PARSE = """
import json, sys
opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
from airflow.dag_processing.dagbag import DagBag
import asked_first
bags = [DagBag(path) for path in sys.argv[1:]]
print(json.dumps({
    "dags": [dag_id for bag in bags for dag_id in bag.dag_ids],
    "errors": [error for bag in bags for error in bag.import_errors.values()],
    "modules": sorted({name.partition(".")[0] for name in sys.modules}),
    "clients": [path for path in opened if "botocore/data/" in path],
    "connections": asked_first.asked,
}))
"""
BACKEND = """
from airflow.sdk.bases.secrets_backend import BaseSecretsBackend

asked = []

class Backend(BaseSecretsBackend):
    def get_connection(self, conn_id, *args, **kwargs):
        asked.append(conn_id)
"""

#: What no Dag should do where it is parsed.
CARELESS_DAG = """
from airflow.sdk import DAG, BaseOperator
from airflow_provider_omics_batch.hooks.omics import OmicsHook
import aiobotocore
OmicsHook("somewhere").conn
DAG("careless", schedule=None)
"""


def fresh(code: str, *arguments: str, **variables: str) -> str:
    """Run code in a fresh interpreter, and return the last line that it prints."""
    done = subprocess.run(  # noqa: S603 - code of our own
        [sys.executable, "-c", code, *arguments],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | variables,
    )
    return done.stdout.splitlines()[-1]


@pytest.fixture(name="parse")
def _parse(tmp_path: Path) -> Any:
    (tmp_path / "asked_first.py").write_text(BACKEND)
    variables = {
        "PYTHONPATH": str(tmp_path),
        "AIRFLOW__SECRETS__BACKEND": "asked_first.Backend",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }

    def parse(*files: Path) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(fresh(PARSE, *map(str, files), **variables))
        return found

    return parse


def test_parsing_the_examples_loads_nothing_heavy_and_asks_nobody(parse: Any) -> None:
    examples = sorted(DAGS.glob("*.py"))
    found = parse(*examples)

    assert found["errors"] == []
    assert sorted(found["dags"]) == [file.stem for file in examples]
    assert not HEAVY.intersection(found["modules"])
    assert found["clients"] == []
    assert found["connections"] == []


def test_a_dag_that_asks_where_it_is_parsed_is_seen(parse: Any, tmp_path: Path) -> None:
    """So that the test above proves something."""
    (tmp_path / "careless.py").write_text(CARELESS_DAG)

    found = parse(tmp_path / "careless.py")

    assert found["errors"] == []
    assert "aiobotocore" in found["modules"]
    assert found["clients"]
    assert found["connections"] == ["somewhere"]


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("airflow.providers.amazon.aws.operators.emr", f"{PROVIDER}.operators.omics"),
        ("airflow.providers.amazon.aws.sensors.emr", f"{PROVIDER}.sensors.omics"),
    ],
)
def test_a_module_of_ours_needs_hardly_more_than_one_of_amazon(theirs: str, ours: str) -> None:
    """Most of what their import costs is Airflow itself and the amazon provider."""
    loaded = "import json, sys, {}; print(json.dumps(sorted(name.partition('.')[0] for name in sys.modules)))"
    before, after = (
        set(json.loads(fresh(loaded.format(module)))) - sys.stdlib_module_names for module in (theirs, ours)
    )

    assert after - before - {PROVIDER} == {"aiolimiter"}

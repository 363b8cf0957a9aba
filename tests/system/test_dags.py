from __future__ import annotations

from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag

DAGS = Path(__file__).parents[2] / "dags"


@pytest.mark.parametrize("file", sorted(DAGS.glob("*.py")), ids=lambda file: file.stem)
def test_an_example_has_one_documented_dag_named_like_its_file(file: Path) -> None:
    """Every example loads without an error, has one Dag, is named like it, and explains itself."""
    dags = DagBag(file)

    assert dags.import_errors == {}
    assert dags.dag_ids == [file.stem]
    assert dags.dags[file.stem].doc_md

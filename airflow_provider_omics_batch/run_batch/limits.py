"""How much HealthOmics and Airflow take at once."""

from __future__ import annotations

from airflow.sdk.configuration import conf

#: https://docs.aws.amazon.com/omics/latest/dev/fixed-quotas.html
MAX_RUNS = 100_000
MAX_INLINE_RUNS = 100
MAX_PARAMETERS_BYTES = 256_000

#: Items of the longest page of a list.
MAX_PAGE_ITEMS = 100


def max_map_length() -> int:
    """Return over how many values Airflow maps; it fails a task that returns more to map over."""
    length: int = conf.getint("core", "max_map_length", fallback=1024)
    return length

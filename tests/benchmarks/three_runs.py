"""What the two Dags of the latency benchmark have in common, and the benchmark has to know."""

from __future__ import annotations

#: Seconds between two looks.
INTERVAL = 5

#: The runs of a batch are called ``<sample>-<name>``.
NAMES = ("child", "mother", "father")

"""Which addresses belong to HealthOmics; moto looks for this module by its name."""

from __future__ import annotations

from airflow_provider_omics_batch.emulator.responses import OmicsResponse

url_bases = [r"https?://([a-z-]+-)?omics\.(.+)\.amazonaws\.com"]

url_paths = {"{0}/.*$": OmicsResponse.dispatch}

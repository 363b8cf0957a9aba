"""From what an author gives to the request that is sent, with everything checked on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from botocore.model import ServiceModel

from airflow_provider_omics_batch.exceptions import RunSettingsError
from airflow_provider_omics_batch.run_batch.settings import (
    MAX_INLINE_RUNS,
    RequestChecker,
    RunSetting,
    merged,
    run_settings_of,
    staged_by_author,
)
from airflow_provider_omics_batch.run_batch.staging import Staged, check_staging_uri, stage_settings


@dataclass(frozen=True)
class Submission:
    """
    What is to be submitted.

    :param service_model: The installed botocore's model of HealthOmics, against which all is checked.
    :param members: The request's members but the run settings, by the names that the hook has for them.
    :param batch_run_settings: The run settings, in any of the forms that authors may give them.
    :param staging_uri: ``s3://bucket/prefix/`` for run settings that do not fit into the request.
    :param aws_conn_id: The connection by which a sample sheet in S3 is read.
    """

    service_model: ServiceModel
    members: Mapping[str, Any]
    batch_run_settings: Any
    staging_uri: str | None
    aws_conn_id: str | None

    def prepare(self, s3_client: Callable[[], Any]) -> tuple[dict[str, Any], int | None]:
        """
        Return the union that the request takes as run settings, and how many these are, where that is known.

        :param s3_client: Makes a client, where settings have to be staged.
        :raises RunSettingsError: Something cannot be submitted as it is; nothing has been sent or staged.
        """
        settings = self._checked()
        if isinstance(settings, str):
            return {"s3UriSettings": settings}, None
        first = list(islice(settings, MAX_INLINE_RUNS + 1))
        if len(first) <= MAX_INLINE_RUNS:
            return {"inlineSettings": first}, len(first)
        staged = self._stage(chain(first, settings), s3_client)
        return {"s3UriSettings": staged.uri}, staged.total

    def preview(self) -> tuple[RunSetting | str, int | None]:
        """
        Return the first run's setting, merged with the default one, and how many runs there are.

        Where the author has staged the run settings, their URI takes the place of the first one.

        :raises RunSettingsError: Something cannot be submitted as it is.
        """
        settings = self._checked()
        if isinstance(settings, str):
            return settings, None
        first = next(settings)
        return merged(self.members["default_run_setting"], first), 1 + sum(1 for _ in settings)

    def _checked(self) -> Iterator[RunSetting] | str:
        """Return the checked run settings, or their URI where the author has staged them."""
        if self.staging_uri:
            check_staging_uri(self.staging_uri)
        checker = RequestChecker(self.service_model)
        checker.check_request(self.members)
        if uri := staged_by_author(self.batch_run_settings):
            return uri
        given = run_settings_of(self.batch_run_settings, self.aws_conn_id)
        return checker.checked(given, self.members["default_run_setting"].get("parameters") or {})

    def _stage(self, settings: Iterator[RunSetting], s3_client: Callable[[], Any]) -> Staged:
        if not self.staging_uri:
            raise RunSettingsError(
                f"More than {MAX_INLINE_RUNS} run settings do not fit into the request; "
                "set staging_uri='s3://bucket/prefix/', where roleArn may read and this task may write"
            )
        return stage_settings(settings, self.staging_uri, s3_client())

"""From what an author gives to the request that is sent, with everything checked on the way."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

from botocore.model import ServiceModel

from airflow_provider_omics_batch.exceptions import RunSettingsError
from airflow_provider_omics_batch.run_batch.identity import digest_of
from airflow_provider_omics_batch.run_batch.limits import MAX_INLINE_RUNS
from airflow_provider_omics_batch.run_batch.s3 import S3ClientMaker
from airflow_provider_omics_batch.run_batch.settings import (
    CheckedSetting,
    GivenSettings,
    RequestChecker,
    RunSetting,
    merged,
    run_settings_of,
    staged_by_author,
)
from airflow_provider_omics_batch.run_batch.staging import (
    Staged,
    check_staging_uri,
    read_json_array,
    stage_settings,
    write_json_array,
)


class Prepared(NamedTuple):
    """
    Run settings that are ready to be sent.

    :param members: What else the request takes, by the names that the hook has for it.
    :param union: What it takes as run settings.
    :param total: How many these are; ``None`` where the author has staged them.
    :param digest: Of the whole request but its id.
    """

    members: Mapping[str, Any]
    union: dict[str, Any]
    total: int | None
    digest: str


@dataclass(frozen=True)
class Submission:
    """
    What is to be submitted.

    :param service_model: The installed botocore's model of HealthOmics, against which all is checked.
    :param members: The request's members but the run settings, by the names that the hook has for them.
    :param batch_run_settings: The run settings, in any of the forms that authors may give them.
    :param staging_uri: ``s3://bucket/prefix/`` for run settings that do not fit into the request.
    :param s3_client: Makes a client, where a sample sheet or settings are in S3 or go there.
    """

    service_model: ServiceModel
    members: Mapping[str, Any]
    batch_run_settings: Any
    staging_uri: str | None
    s3_client: S3ClientMaker

    def prepare(self) -> Prepared:
        """
        Check everything, stage what does not fit into the request, and return what does.

        :raises RunSettingsError: Something cannot be submitted as it is; nothing has been sent or staged.
        """
        settings = self._checked()
        if isinstance(settings, str):
            return Prepared(self.members, {"s3UriSettings": settings}, None, self._digest(settings))
        return self._prepared(settings)

    def prepare_rest(self, is_wanted: Callable[[object], bool]) -> Prepared:
        """
        Do the same for some of the run settings, be it that the author has staged them.

        :param is_wanted: Told a ``runSettingId``, it returns whether this one is wanted.
        :raises RunSettingsError: None is, or something cannot be submitted as it is.
        """
        checker = self._checker()
        if uri := staged_by_author(self.batch_run_settings):
            given: Any = read_json_array(uri, self.s3_client())
        else:
            given = self.batch_run_settings
        noun, numbered = run_settings_of(given, self.s3_client)
        wanted = (
            one for one in numbered if isinstance(one[1], dict) and is_wanted(one[1].get("runSettingId"))
        )
        first = next(wanted, None)
        if first is None:
            raise RunSettingsError(
                "batch_run_settings has changed: it has none of the runs any more that are to be sent again"
            )
        again = GivenSettings(noun, chain([first], wanted))
        return self._prepared(checker.checked(again, self._default_parameters))

    def digest(self) -> str:
        """
        Return the digest of the request that this would be now, without staging anything.

        :raises RunSettingsError: Something cannot be submitted as it is.
        """
        settings = self._checked()
        if isinstance(settings, str):
            return self._digest(settings)
        with Path(os.devnull).open("wb") as nowhere:
            return self._digest(write_json_array(_as_json(settings), nowhere)[0])

    def preview(self) -> tuple[RunSetting | str, int | None]:
        """
        Return the first run's setting, merged with the default one, and how many runs there are.

        Where the author has staged the run settings, their URI takes the place of the first one.

        :raises RunSettingsError: Something cannot be submitted as it is.
        """
        settings = self._checked()
        if isinstance(settings, str):
            return settings, None
        first, _ = next(settings)
        return merged(self.members["default_run_setting"], first), 1 + sum(1 for _ in settings)

    @property
    def _default_parameters(self) -> Mapping[str, Any]:
        return self.members["default_run_setting"].get("parameters") or {}

    def _checker(self) -> RequestChecker:
        """Return what checks run settings, after all else has been checked."""
        if self.staging_uri:
            check_staging_uri(self.staging_uri)
        checker = RequestChecker(self.service_model)
        checker.check_request(self.members)
        return checker

    def _checked(self) -> Iterator[CheckedSetting] | str:
        """Return the checked run settings, or their URI where the author has staged them."""
        checker = self._checker()
        if uri := staged_by_author(self.batch_run_settings):
            return uri
        given = run_settings_of(self.batch_run_settings, self.s3_client)
        return checker.checked(given, self._default_parameters)

    def _prepared(self, settings: Iterator[CheckedSetting]) -> Prepared:
        first = list(islice(settings, MAX_INLINE_RUNS + 1))
        if len(first) > MAX_INLINE_RUNS:
            staged = self._stage(chain(first, settings))
            union = {"s3UriSettings": staged.uri}
            return Prepared(self.members, union, staged.total, self._digest(staged.digest))
        with Path(os.devnull).open("wb") as nowhere:
            content, total = write_json_array(_as_json(first), nowhere)
        inline = [setting for setting, _ in first]
        return Prepared(self.members, {"inlineSettings": inline}, total, self._digest(content))

    def _digest(self, content: str) -> str:
        request = {name: value for name, value in self.members.items() if name != "request_id"}
        return digest_of(request, content)

    def _stage(self, settings: Iterable[CheckedSetting]) -> Staged:
        if not self.staging_uri:
            raise RunSettingsError(
                f"More than {MAX_INLINE_RUNS} run settings do not fit into the request; "
                "set staging_uri='s3://bucket/prefix/', where roleArn may read and this task may write"
            )
        return stage_settings(_as_json(settings), self.staging_uri, self.s3_client())


def _as_json(settings: Iterable[CheckedSetting]) -> Iterator[bytes]:
    return (encoded for _, encoded in settings)

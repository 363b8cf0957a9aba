"""What may be submitted: the request's members and its run settings, checked before anything is sent."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from botocore.model import ServiceModel

from airflow_provider_omics_batch.exceptions import RunSettingsError
from airflow_provider_omics_batch.run_batch.complaints import Complaints
from airflow_provider_omics_batch.run_batch.limits import MAX_PARAMETERS_BYTES, MAX_RUNS
from airflow_provider_omics_batch.run_batch.model import (
    FINE,
    OBJECTS,
    Problem,
    check_json,
    compile_check,
    did_you_mean,
    json_bytes,
    numbers_as_texts,
)
from airflow_provider_omics_batch.run_batch.rows import BadRow
from airflow_provider_omics_batch.run_batch.s3 import S3ClientMaker, s3_client
from airflow_provider_omics_batch.run_batch.sheets import SampleSheet

RunSetting = dict[str, Any]


class Once:
    """
    What can be iterated once, like a generator, as an argument of an operator.

    Airflow stores a new version of a Dag whose representation has changed, and a generator's has its address.
    """

    def __init__(self, items: Iterable[Any]) -> None:
        self._items = items
        self._read = False

    def __iter__(self) -> Iterator[Any]:
        if self._read:
            raise RunSettingsError(
                "batch_run_settings can be read only once, as any generator; "
                "give a list or a SampleSheet, or use @task.start_run_batch, to have failed runs sent again"
            )
        self._read = True
        return iter(self._items)

    def __repr__(self) -> str:
        return f"<{type(self._items).__name__}>"


class GivenSettings(NamedTuple):
    """
    Run settings as they are given.

    :param noun: What one is called in error messages, before its number: "row".
    :param numbered: Each with its number.
    """

    noun: str
    numbered: Iterable[tuple[int, RunSetting | BadRow]]


class CheckedSetting(NamedTuple):
    """A run setting in which nothing is wrong, also as the JSON that HealthOmics gets."""

    setting: RunSetting
    encoded: bytes

    @property
    def run_setting_id(self) -> str:
        return str(self.setting["runSettingId"])


_S3_BUCKET = re.compile(r"s3://[^/]+")
_S3_OBJECT = re.compile(r"s3://[^/]+/.{1,740}$")

_UNION = ("inlineSettings", "s3UriSettings")


def run_settings_of(given: Any, s3_client: S3ClientMaker = s3_client) -> GivenSettings:
    """
    Return the run settings out of whatever an author may give as such.

    :param given: ``{"inlineSettings": […]}``, an iterable of run settings, or a sample sheet.
    :param s3_client: Makes the client by which a sheet in S3 is read.
    :raises RunSettingsError: It is nothing of the kind.
    """
    if isinstance(given, SampleSheet):
        return GivenSettings("row", given.run_settings(s3_client))
    if isinstance(given, Mapping):
        given = given["inlineSettings"]
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise RunSettingsError(
            "batch_run_settings must be a SampleSheet, an iterable of run settings, "
            f'{{"inlineSettings": […]}} or {{"s3UriSettings": "s3://…"}}, not {given!r:.80}'
        )
    return GivenSettings("run setting", enumerate(given, start=1))


def staged_by_author(given: Any) -> str | None:
    """
    Return the S3 URI where the author has put the run settings, or ``None`` where they are given themselves.

    :raises RunSettingsError: It is a mapping, but not the API's union of exactly one member.
    """
    if not isinstance(given, Mapping):
        return None
    if "runSettingId" in given:
        raise RunSettingsError("batch_run_settings is a single run setting; put it into a list")
    for name in given:
        if name not in _UNION:
            raise RunSettingsError(
                f"batch_run_settings: {name} is not known; {did_you_mean(str(name), _UNION)}"
            )
    if len(given) != 1:
        raise RunSettingsError(f"batch_run_settings must have exactly one of {' and '.join(_UNION)}")
    if "inlineSettings" in given:
        return None
    uri = given["s3UriSettings"]
    if not isinstance(uri, str) or not _S3_OBJECT.match(uri):
        raise RunSettingsError(f"batch_run_settings: s3UriSettings must be s3://bucket/key, not {uri!r:.80}")
    return uri


def merged(default: Mapping[str, Any], setting: Mapping[str, Any]) -> RunSetting:
    """
    Return what HealthOmics makes of the default and a run's own setting.

    ``parameters`` and ``runTags`` are merged key by key, every other member is replaced:
    https://docs.aws.amazon.com/omics/latest/dev/workflows-batch.html
    """
    by_key = {
        name: {**(default.get(name) or {}), **setting[name]}
        for name in ("parameters", "runTags")
        if name in setting
    }
    return {**default, **setting, **by_key}


def request_members(service_model: ServiceModel, **given: Any) -> dict[str, Any]:
    """
    Return the members of a request, with texts where a template of native objects has made numbers of ids.

    :param service_model: The model of the installed botocore.
    :param given: By their names in the API, but in snake_case.
    """
    shapes = service_model.shape_for("StartRunBatchRequest").members
    return {name: numbers_as_texts(value, shapes[_camel_case(name)]) for name, value in given.items()}


class RequestChecker:
    """
    Checks a submission against botocore's service model, and what the documentation adds to it.

    :param service_model: The model of the installed botocore.
    """

    def __init__(self, service_model: ServiceModel) -> None:
        self._model = service_model

    def check_request(self, members: Mapping[str, Any]) -> None:
        """
        Check the members of a request, but not its run settings.

        :param members: By their names in the API, but in snake_case; those that are ``None`` are not sent.
        :raises RunSettingsError: With all that is wrong.
        """
        shapes = self._model.shape_for("StartRunBatchRequest").members
        problems = []
        for name, value in members.items():
            if value is not None or name == "default_run_setting":
                check = compile_check(shapes[_camel_case(name)])
                found = [*check(value), *_problems_beyond_model(value)]
                found += check_json(value) if isinstance(value, Mapping) else ()
                problems += [f"{name}: {problem}" for problem in found]
        if problems:
            raise RunSettingsError(*problems)

    def checked(
        self, given: GivenSettings, default_parameters: Mapping[str, Any]
    ) -> Iterator[CheckedSetting]:
        """
        Yield the run settings that are good, and complain at the end about the others.

        :param default_parameters: ``defaultRunSetting.parameters``, which each run's own are merged with.
        :raises RunSettingsError: After the last run setting, or after 20 bad ones, with a sentence for each.
        """
        check, numbered = self._compile_check(default_parameters), iter(given.numbered)
        complaints = Complaints(given.noun)
        for number, setting in islice(numbered, MAX_RUNS):
            checked = check(setting)
            if not isinstance(checked, CheckedSetting):
                complaints.add(number, *(f"{given.noun} {number}: {problem}" for problem in checked))
            elif complaints.is_first(checked.run_setting_id, number):
                yield checked
        too_many = (
            f"{given.noun} {number}: a batch has at most {MAX_RUNS:,} runs; submit the rest as another batch"
            for number, _ in islice(numbered, 1)
        )
        complaints.raise_any(*too_many)
        if complaints.nothing_was_right:
            raise RunSettingsError("There is nothing to run: batch_run_settings is empty")

    def _compile_check(
        self, default_parameters: Mapping[str, Any]
    ) -> Callable[[Any], CheckedSetting | Sequence[Problem | BadRow]]:
        """Return a function that returns a run setting checked, or what is wrong with it."""
        check_shape = compile_check(self._model.shape_for("InlineSetting"))
        default_size = len(json_bytes(default_parameters))

        def check(setting: Any) -> CheckedSetting | Sequence[Problem | BadRow]:
            if isinstance(setting, BadRow):
                return [setting]
            problems, others = check_shape(setting), _problems_beyond_model(setting)
            if problems or others:
                return [*problems, *others]
            try:
                checked = CheckedSetting(setting, json_bytes(setting))
            except (TypeError, ValueError):
                return check_json(setting)
            # Few runs come near the limit, so the exact sum is worth its cost only then.
            if default_size + len(checked.encoded) > MAX_PARAMETERS_BYTES:
                parameters = {**default_parameters, **(setting.get("parameters") or {})}
                return _check_size(parameters) or checked
            return checked

        return check


def _check_size(parameters: Mapping[str, Any]) -> Sequence[Problem]:
    if len(json_bytes(parameters)) > MAX_PARAMETERS_BYTES:
        return [Problem("parameters", f"have over {MAX_PARAMETERS_BYTES:,} bytes with the default ones")]
    return FINE


def _problems_beyond_model(setting: Any) -> Sequence[Problem]:
    """Return what the documentation forbids and the model does not."""
    if not isinstance(setting, OBJECTS):
        return FINE
    problems = []
    output_uri = setting.get("outputUri")
    if isinstance(output_uri, str) and output_uri and not _S3_BUCKET.match(output_uri):
        problems.append(
            Problem("outputUri", f"must be of the form s3://bucket/prefix/, not {output_uri!r:.80}")
        )
    if setting.get("workflowType") == "READY2RUN":
        problems.append(
            Problem("workflowType", "is READY2RUN, which HealthOmics does not run in batches; use StartRun")
        )
    if "cacheBehavior" in setting and "cacheId" not in setting:
        problems.append(Problem("cacheBehavior", "needs a cacheId beside it"))
    return problems


def _camel_case(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))

"""What StartRunBatch takes in: the run settings of a batch, and what will become of each run."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any

from airflow_provider_omics_batch.emulator.exceptions import ValidationException
from airflow_provider_omics_batch.emulator.plan.chance import Failure, Fate, fate_of
from airflow_provider_omics_batch.emulator.plan.failures import ruled
from airflow_provider_omics_batch.emulator.resources.run_settings import (
    FileMark,
    InvalidBatchError,
    RunSetting,
    RunSettings,
    check_batch,
    check_run,
    merge,
    parameter_bytes,
    parse_file,
    read_file,
)
from airflow_provider_omics_batch.emulator.resources.templates import ParameterTemplate, template_problem

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Sequence

    from airflow_provider_omics_batch.emulator.behaviour import Behaviour
    from airflow_provider_omics_batch.emulator.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Premises:
    """
    What the account has of that which runs refer to.

    :param template: the parameters that the workflow has, if they are known.
    :param missing: why no run can be submitted.
    :param cached: how many tasks of a run are in its cache.
    :param limit: the longest time of a run in RUNNING.
    """

    template: ParameterTemplate | None = None
    missing: Failure | None = None
    cached: Callable[[RunSetting], int]
    limit: float = inf


def gather(
    source: dict[str, Any], account_id: str, partition: str, behaviour: Behaviour
) -> tuple[FileMark | None, RunSettings, str | None]:
    """Collect the run settings, and the reason if they fail the batch."""
    settings = RunSettings(source.get("inlineSettings") or ())
    mark = None
    try:
        if uri := source.get("s3UriSettings"):
            mark, content = read_file(uri, account_id, partition)
            settings = parse_file(content)
        check_batch(settings)
    except InvalidBatchError as error:
        if behaviour.duplicate_inline_ids == "request" and not mark:
            raise ValidationException(str(error)) from error
        return mark, settings, str(error)
    return mark, settings, None


def decide(
    default: RunSetting,
    run_settings: RunSettings,
    settings: Settings,
    known: Container[str],
    premises: Premises,
) -> list[Fate]:
    """
    Decide the fate of every run.

    :param known: runSettingIds that failed before for a passing reason.
    """
    default_bytes = parameter_bytes(default.get("parameters") or {})
    fates = []
    for name, setting in zip(run_settings.names, run_settings, strict=True):
        problem = check_run(default, default_bytes, setting) or _unfit(default, setting, premises)
        fates.append(
            Fate(0.0, problem)
            if problem
            else fate_of(
                name,
                settings,
                again=name in known,
                cached=premises.cached(setting),
                limit=premises.limit,
                rule=ruled(settings.failures, default, setting),
            )
        )
    return fates


def _unfit(default: RunSetting, setting: RunSetting, premises: Premises) -> Failure | None:
    """Tell why a run does not fit what the account has."""
    if premises.missing or premises.template is None:
        return premises.missing
    problem = template_problem(premises.template, merge(default, setting)["parameters"])
    return Failure("ValidationException", problem) if problem else None


def excused(run_settings: RunSettings, fates: Sequence[Fate]) -> set[str]:
    """Name the runs that fail for a passing reason; sent again they get through."""
    pairs = zip(run_settings.names, fates, strict=False)
    failing = ((name, fate.refusal or fate.failure) for name, fate in pairs)
    return {name for name, failure in failing if failure and failure.passing}

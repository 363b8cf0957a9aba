"""What StartRunBatch takes in: the run settings of a batch, and what will become of each run."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any

from airflow_provider_omics_batch.emulator.exceptions import ValidationException
from airflow_provider_omics_batch.emulator.plan.chance import Failure, Fate, fate_of
from airflow_provider_omics_batch.emulator.plan.failures import FailureRule, first_rule
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
    from collections.abc import Callable, Sequence

    from airflow_provider_omics_batch.emulator.behaviour import Behaviour
    from airflow_provider_omics_batch.emulator.settings import Settings


#: By the runSettingId, what its runs have failed by: rules, or ``None`` for chance.
FailedBefore = Mapping[str, Collection[FailureRule | None]]


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
    failed: FailedBefore,
    premises: Premises,
) -> list[Fate]:
    """
    Decide the fate of every run.

    :param failed: what runs of the same workflow have failed by, for passing reasons.
    """
    default_bytes = parameter_bytes(default.get("parameters") or {})
    fates = []
    for name, setting in zip(run_settings.names, run_settings, strict=True):
        problem = check_run(default, default_bytes, setting) or _unfit(default, setting, premises)
        before = failed.get(name, ())
        fates.append(
            Fate(0.0, problem)
            if problem
            else fate_of(
                name,
                settings,
                again=bool(before),
                cached=premises.cached(setting),
                limit=premises.limit,
                rule=_ruled(first_rule(settings.failures, default, setting), before),
            )
        )
    return fates


def _ruled(rule: FailureRule | None, before: Collection[FailureRule | None]) -> Failure | None:
    """Tell how a rule lets a run fail; it has no effect twice, if its failure passes."""
    if rule is None or (rule.failure.passing and rule in before):
        return None
    return rule.failure


def _unfit(default: RunSetting, setting: RunSetting, premises: Premises) -> Failure | None:
    """Tell why a run does not fit what the account has."""
    if premises.missing or premises.template is None:
        return premises.missing
    problem = template_problem(premises.template, merge(default, setting)["parameters"])
    return Failure("ValidationException", problem) if problem else None


def passing_failures(
    default: RunSetting,
    run_settings: RunSettings,
    fates: Sequence[Fate],
    rules: Sequence[FailureRule],
) -> dict[int, FailureRule | None]:
    """Find the places of runs that are to fail for a passing reason, each with its rule, if it is by one."""
    failures = ((place, fate.refusal or fate.failure) for place, fate in enumerate(fates))
    places = [place for place, failure in failures if failure and failure.passing]
    return {place: first_rule(rules, default, run_settings[place]) for place in places}

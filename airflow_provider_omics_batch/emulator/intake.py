"""What StartRunBatch takes in: the run settings of a batch, and what will become of each run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_omics_batch.emulator.chance import Fate, fate_of
from airflow_provider_omics_batch.emulator.run_settings import (
    FileMark,
    InvalidBatchError,
    RunSetting,
    check_batch,
    check_run,
    parameter_bytes,
    parse_file,
    read_file,
)

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from airflow_provider_omics_batch.emulator.settings import Settings


def gather(
    source: dict[str, Any], account_id: str, partition: str
) -> tuple[FileMark | None, Sequence[RunSetting], str | None]:
    """Collect the run settings, and the reason if they fail the batch."""
    settings: Sequence[RunSetting] = source.get("inlineSettings") or ()
    mark = None
    try:
        if uri := source.get("s3UriSettings"):
            mark, content = read_file(uri, account_id, partition)
            settings = parse_file(content)
        check_batch(settings)
    except InvalidBatchError as error:
        return mark, settings, str(error)
    return mark, settings, None


def decide(
    default: RunSetting, run_settings: Sequence[RunSetting], settings: Settings, known: Container[str]
) -> list[Fate]:
    """
    Decide the fate of every run.

    :param known: runSettingIds that failed before for a passing reason.
    """
    default_bytes = parameter_bytes(default.get("parameters") or {})
    fates = []
    for setting in run_settings:
        problem = check_run(default, default_bytes, setting)
        name = setting["runSettingId"]
        fates.append(Fate(0.0, problem) if problem else fate_of(name, settings, again=name in known))
    return fates


def excused(run_settings: Sequence[RunSetting], fates: Sequence[Fate]) -> set[str]:
    """Name the runs that fail for a passing reason; sent again they get through."""
    pairs = zip(run_settings, fates, strict=False)
    failing = ((setting["runSettingId"], fate.refusal or fate.failure) for setting, fate in pairs)
    return {name for name, failure in failing if failure and failure.passing}

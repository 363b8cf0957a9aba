"""The filters of lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_omics_batch.emulator.exceptions import ValidationException

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_omics_batch.emulator.behaviour import Behaviour


def given_filters(params: dict[str, Any], *names: str) -> dict[str, Any]:
    """Pick the filters out of the parameters of a list."""
    return {name: params[name] for name in names if params.get(name) is not None}


def only_filter(params: dict[str, Any], behaviour: Behaviour, *names: str) -> dict[str, Any]:
    """Pick the only filter that a list takes."""
    given = given_filters(params, *names)
    if len(given) > 1 and behaviour.several_filters != "all":
        raise ValidationException(
            f"Only one filter is allowed, but there were {len(given)}: {', '.join(given)}"
        )
    return given


def fits(filters: Mapping[str, str], facts: Mapping[str, Any], behaviour: Behaviour) -> bool:
    """Tell whether something is as the filters want it."""
    if behaviour.name_filter == "beginning" and "name" in filters:
        others = {name: value for name, value in filters.items() if name != "name"}
        return (facts["name"] or "").startswith(filters["name"]) and others.items() <= facts.items()
    return filters.items() <= facts.items()

"""How faults and rules are written down: as JSON, and as options of the command line."""

from __future__ import annotations

import json
from dataclasses import MISSING, asdict, fields
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_omics_batch.emulator.plan.failures import FailureRule
from airflow_provider_omics_batch.emulator.server.faults import KINDS, Fault

if TYPE_CHECKING:
    from collections.abc import Iterable

FAULT_SYNTAX = "OPERATION:KIND[=VALUE][:call=N][:times=N|forever][:status=N]"
FAILURE_SYNTAX = "REASON:[PARAMETER=]PATTERN"

#: What lists of each kind are called.
_NAMES: dict[type, str] = {Fault: "fault", FailureRule: "rule"}

T = TypeVar("T", Fault, FailureRule)


def read_json(body: bytes) -> Any:
    """Read a body; ``ValueError`` if it is not JSON."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the body is not JSON: {error}") from error


def read_list(kind: type[T], body: bytes) -> list[T]:
    """Read a JSON list of faults or rules; ``ValueError`` with the place of the first that is wrong."""
    entries, name = read_json(body), _NAMES[kind]
    if not isinstance(entries, list):
        raise ValueError(f"the body must be a list of {name}s")
    return [_read(kind, f"{name} {number}", entry) for number, entry in enumerate(entries, start=1)]


def _read(kind: type[T], title: str, entry: Any) -> T:
    members = [field.name for field in fields(kind)]
    required = [field.name for field in fields(kind) if _is_required(field)]
    try:
        if not isinstance(entry, dict):
            raise ValueError("it must be an object")
        if unknown := [name for name in entry if name not in members]:
            raise ValueError(f"it has no member {unknown[0]!r}; members: {', '.join(members)}")
        if missing := [name for name in required if name not in entry]:
            raise ValueError(f"{missing[0]} is missing")
        return kind(**entry)
    except ValueError as error:
        raise ValueError(f"{title}: {error}") from error


def _is_required(field: Any) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def write_list(items: Iterable[Fault | FailureRule]) -> str:
    """Write faults or rules as :func:`read_list` reads them."""
    return json.dumps([_write(item) for item in items])


def _write(item: Fault | FailureRule) -> dict[str, Any]:
    if isinstance(item, FailureRule):
        return asdict(item)
    members = ("operation", "kind", "call", "times", *KINDS[item.kind])
    return {name: getattr(item, name) for name in members}


def parse_fault(text: str) -> Fault:
    """Parse an option such as ``GetBatch:error=ThrottlingException:call=3:times=5``."""
    operation, *options = text.split(":")
    if not options:
        raise ValueError(f"must be {FAULT_SYNTAX}, not {text}")
    kind, _, value = options.pop(0).partition("=")
    members: dict[str, Any] = {"operation": operation, "kind": kind}
    if value:
        if not KINDS.get(kind):
            with_value = [name for name, members in KINDS.items() if members]
            raise ValueError(f"{kind} takes no value; kinds that do: {', '.join(with_value)}")
        members[KINDS[kind][0]] = _number(value)
    for option in options:
        name, _, value = option.partition("=")
        if name not in ("call", "times", "status"):
            raise ValueError(f"must be {FAULT_SYNTAX}, not {text}")
        members[name] = None if option == "times=forever" else _number(value)
    return Fault(**members)


def parse_failure(text: str) -> FailureRule:
    """Parse an option such as ``OUT_OF_MEMORY_ERROR:HG002*`` or ``INPUT_URI_NOT_FOUND:cram=s3://old/*``."""
    reason, colon, pattern = text.partition(":")
    if not colon or not pattern:
        raise ValueError(f"must be {FAILURE_SYNTAX}, not {text}")
    parameter, equals, value = pattern.partition("=")
    if equals:
        return FailureRule(reason=reason, parameters={parameter: value})
    return FailureRule(reason=reason, run_setting_id=pattern)


def _number(text: str) -> int | float | str:
    """Read a number; any other text stays what it is, for the fault to refuse."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text

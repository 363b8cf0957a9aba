"""How faults are written down: as JSON, and as options of the command line."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

from airflow_provider_omics_batch.emulator.faults import KINDS, Fault

SYNTAX = "OPERATION:KIND[=VALUE][:call=N][:times=N|forever][:status=N]"

_MEMBERS = [field.name for field in fields(Fault)]


def read_faults(body: bytes) -> list[Fault]:
    """Read a JSON list of faults; ``ValueError`` with the place of the first that is wrong."""
    try:
        entries = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the body is not JSON: {error}") from error
    if not isinstance(entries, list):
        raise ValueError("the body must be a list of faults")
    return [_read(number, entry) for number, entry in enumerate(entries, start=1)]


def _read(number: int, entry: Any) -> Fault:
    try:
        if not isinstance(entry, dict):
            raise ValueError("it must be an object")
        if unknown := [name for name in entry if name not in _MEMBERS]:
            raise ValueError(f"it has no member {unknown[0]!r}; members: {', '.join(_MEMBERS)}")
        if missing := [name for name in ("operation", "kind") if name not in entry]:
            raise ValueError(f"{missing[0]} is missing")
        return Fault(**entry)
    except ValueError as error:
        raise ValueError(f"fault {number}: {error}") from error


def write_faults(faults: list[Fault]) -> str:
    """Write faults as :func:`read_faults` reads them."""
    return json.dumps([_write(fault) for fault in faults])


def _write(fault: Fault) -> dict[str, Any]:
    members = ("operation", "kind", "call", "times", *KINDS[fault.kind])
    return {name: getattr(fault, name) for name in members}


def parse_fault(text: str) -> Fault:
    """Parse an option such as ``GetBatch:error=ThrottlingException:call=3:times=5``."""
    operation, *options = text.split(":")
    if not options:
        raise ValueError(f"must be {SYNTAX}, not {text}")
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
            raise ValueError(f"must be {SYNTAX}, not {text}")
        members[name] = None if option == "times=forever" else _number(value)
    return Fault(**members)


def _number(text: str) -> int | float | str:
    """Read a number; any other text stays what it is, for the fault to refuse."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text

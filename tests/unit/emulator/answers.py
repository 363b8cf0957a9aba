"""What botocore's service model says of the answers of HealthOmics."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from tests.unit.emulator.conformance import MODEL

_JSON = {
    "structure": dict,
    "map": dict,
    "list": list,
    "string": str,
    "timestamp": str,
    "blob": str,
    "boolean": bool,
    "integer": int,
    "long": int,
    "float": (int, float),
    "double": (int, float),
}


def members(operation: str) -> Iterator[str]:
    """Name the members of an answer, and those of the items that it lists."""
    shape: Any = MODEL.operation_model(operation).output_shape
    for name, member in shape.members.items() if shape else ():
        yield name
        if member.type_name == "list" and member.member.type_name == "structure":
            yield from member.member.members


def answered(answer: dict[str, Any]) -> Iterator[str]:
    """Name the members that an answer has, as :func:`members` does."""
    for name, member in answer.items():
        yield name
        if isinstance(member, list):
            yield from (inner for item in member if isinstance(item, dict) for inner in item)


def wrong_in_answer(operation: str, answer: dict[str, Any]) -> list[str]:
    """Return what the model does not know in an answer, or knows in another way."""
    shape: Any = MODEL.operation_model(operation).output_shape
    return list(_wrong(shape, answer, operation)) if shape else [f"{operation}: {answer}"] * bool(answer)


def _wrong(shape: Any, value: Any, place: str) -> Iterator[str]:
    if getattr(shape, "is_document_type", False):
        return
    kind = shape.type_name
    if not isinstance(value, _JSON[kind]) or (isinstance(value, bool) and kind != "boolean"):
        yield f"{place} is {value!r:.50}, no {kind}"
    elif kind == "structure":
        yield from (f"{place}.{name} is missing" for name in shape.required_members if name not in value)
        for name, member in value.items():
            if name in shape.members:
                yield from _wrong(shape.members[name], member, f"{place}.{name}")
            else:
                yield f"{place}.{name} is not known"
    elif kind in ("list", "map"):
        items = value.items() if kind == "map" else enumerate(value)
        for name, member in items:
            yield from _wrong(shape.value if kind == "map" else shape.member, member, f"{place}.{name}")
    elif kind == "timestamp":
        datetime.fromisoformat(value)
    else:
        yield from _wrong_scalar(shape, value, place)


def _wrong_scalar(shape: Any, value: Any, place: str) -> Iterator[str]:
    size = len(value) if isinstance(value, str) else value
    if not shape.metadata.get("min", -math.inf) <= size <= shape.metadata.get("max", math.inf):
        yield f"{place} is {value!r:.50}, of another size"
    if getattr(shape, "enum", None) and value not in shape.enum:
        yield f"{place} is {value!r}, none of {shape.enum}"
    pattern = shape.metadata.get("pattern", r"\p{")
    if r"\p{" not in pattern and not re.fullmatch(pattern, value):
        yield f"{place} is {value!r:.50}, not {pattern}"

"""
Checks a value against botocore's service model.

botocore itself checks types, required and unknown members and the least lengths before it sends anything; the
greatest lengths, patterns and enumerations are left to the service.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

from moto.core.utils import get_service_model

from airflow_provider_omics_batch.emulator.exceptions import ValidationException

if TYPE_CHECKING:
    from botocore.model import Shape

Check = Callable[[Any, str], Iterator[str]]


class WrongTypeError(Exception):
    """The value is not even of the JSON type that the model asks for."""


# How much of a value a message repeats.
_SHOWN = 300

_encode = json.JSONEncoder(allow_nan=False).encode

_JSON_TYPES: dict[str, type | tuple[type, ...]] = {
    "structure": dict,
    "map": dict,
    "list": list,
    "string": str,
    "integer": int,
    "boolean": bool,
}


def check_request(operation: str, params: dict[str, Any]) -> None:
    """Raise ``ValidationException`` with everything that the model forbids in a request."""
    problems = list(checker(_input_shape(operation))(params, ""))
    if problems:
        count = f"{len(problems)} validation error{'s' if len(problems) > 1 else ''} detected"
        raise ValidationException(f"{count}: {'; '.join(problems)}")


def check_run_setting(setting: Any) -> list[str]:
    """List what the model forbids in one entry of a settings file."""
    return list(_setting_checker()(setting, ""))


@cache
def run_members() -> frozenset[str]:
    """Name what a run of a batch may have of its own."""
    model: Any = get_service_model("omics")
    return frozenset(model.shape_for("InlineSetting").members)


@cache
def _input_shape(operation: str) -> Any:
    return get_service_model("omics").operation_model(operation).input_shape


@cache
def _setting_checker() -> Check:
    model: Any = get_service_model("omics")
    return checker(model.shape_for("InlineSetting"))


@cache
def checker(shape: Shape) -> Check:
    """Make the check for a shape of the model."""
    kind = shape.type_name
    wanted = _JSON_TYPES.get(kind, object)
    if getattr(shape, "is_document_type", False):
        return _document
    inner = _MAKERS[kind](shape)

    def check(value: Any, path: str) -> Iterator[str]:
        if not isinstance(value, wanted) or (kind == "integer" and isinstance(value, bool)):
            raise WrongTypeError(f"{path or 'the value'} must be of type {kind}")
        return inner(value, path)

    return check


def _document(value: Any, path: str) -> Iterator[str]:
    """Check that the value is JSON; Python reads more than that."""
    try:
        _encode(value)
    except ValueError:
        yield _failed("with NaN or an infinity", path, "be JSON")


def _anything(shape: Any) -> Check:
    return lambda value, path: iter(())


def _structure(shape: Any) -> Check:
    members = {name: checker(member) for name, member in shape.members.items()}
    required = shape.required_members
    union = shape.is_tagged_union

    def check(value: dict[str, Any], path: str) -> Iterator[str]:
        prefix = f"{path}." if path else ""
        for name in required:
            if value.get(name) is None:
                yield _failed("null", prefix + name, "not be null")
        given = [name for name in value if name in members and value[name] is not None]
        if union and len(given) != 1:
            yield _failed(", ".join(given) or "null", path, f"have exactly one of {', '.join(members)}")
        for name in given:
            yield from members[name](value[name], prefix + name)

    return check


def _list(shape: Any) -> Check:
    member = checker(shape.member)

    def check(value: list[Any], path: str) -> Iterator[str]:
        yield from _range(shape, len(value), "a list", path, "have length")
        for number, item in enumerate(value, start=1):
            yield from member(item, f"{path}.{number}.member")

    return check


def _map(shape: Any) -> Check:
    key_check, value_check = checker(shape.key), checker(shape.value)

    def check(value: dict[str, Any], path: str) -> Iterator[str]:
        yield from _range(shape, len(value), "a map", path, "have length")
        for key, item in value.items():
            yield from key_check(key, f"{path}.key")
            yield from value_check(item, f"{path}.{key}")

    return check


def _string(shape: Any) -> Check:
    pattern = shape.metadata.get("pattern")
    matches = _matcher(pattern) if pattern else None

    def check(value: str, path: str) -> Iterator[str]:
        if shape.enum and value not in shape.enum:
            yield _failed(f"'{value}'", path, f"satisfy enum value set: [{', '.join(shape.enum)}]")
            return
        yield from _range(shape, len(value), f"'{value}'", path, "have length")
        if matches and value and not matches(value):
            yield _failed(f"'{value}'", path, f"satisfy regular expression pattern: {pattern}")

    return check


def _integer(shape: Any) -> Check:
    return lambda value, path: _range(shape, value, f"'{value}'", path, "have value")


def _range(shape: Any, size: int, shown: str, path: str, verb: str) -> Iterator[str]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if most is not None and size > most:
        yield _failed(shown, path, f"{verb} less than or equal to {most}")
    if least is not None and size < least:
        yield _failed(shown, path, f"{verb} greater than or equal to {least}")


def _failed(shown: str, path: str, constraint: str) -> str:
    if len(shown) > _SHOWN:
        shown = f"{shown[:_SHOWN]}…'"
    return f"Value {shown} at '{path}' failed to satisfy constraint: Member must {constraint}"


def _matcher(pattern: str) -> Callable[[str], object]:
    r"""
    Compile a pattern of the model.

    Python does not know ``\p{L}`` and its kin, which the model only uses all together: anything but controls.
    """
    if r"\p{" not in pattern:
        return re.compile(pattern).fullmatch
    allowed = "".join(
        char for escape, char in ((r"\t", "\t"), (r"\n", "\n"), (r"\r", "\r")) if escape in pattern
    )
    return lambda value: (
        value.isprintable()
        or all(char in allowed or not unicodedata.category(char).startswith("C") for char in value)
    )


_MAKERS: dict[str, Callable[[Any], Check]] = {
    "structure": _structure,
    "list": _list,
    "map": _map,
    "string": _string,
    "integer": _integer,
    "boolean": _anything,
    "blob": _anything,
}

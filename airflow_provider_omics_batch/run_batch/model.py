"""
Checks a value against a shape of botocore's service model.

botocore itself checks names, types and minima, one error at a time and without a row number;
maxima, patterns and enumerations it leaves to the service, which finds them out run by run
when the batch is already under way.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple

import msgspec
from botocore import __version__ as botocore_version
from botocore.model import Shape


class Problem(NamedTuple):
    """Something wrong with one member of a value."""

    path: str
    what: str

    def __str__(self) -> str:
        return f"{self.path} {self.what}" if self.path else self.what


#: Returns what is wrong with a value; nothing where it is fine.
Check = Callable[[Any], Sequence[Problem]]

FINE: Sequence[Problem] = ()

#: Nearly all are dicts, and of an abstract class alone it takes longer to know.
OBJECTS = (dict, Mapping)

# Made once: with such arguments, json.dumps would make one at each call.
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def compile_check(shape: Shape) -> Check:
    """
    Return the check for values of ``shape``, made once and cheap to call for 100,000 values.

    Of a document it tells only whether it is an object; what is in it, :func:`check_json` does.
    """
    if getattr(shape, "is_document_type", False):
        return _check_document
    compiler = _COMPILERS.get(shape.type_name)
    return compiler(shape) if compiler else lambda value: FINE


def json_bytes(value: Any) -> bytes:
    """
    Return the value as HealthOmics receives it: compact JSON in UTF-8.

    :raises TypeError, ValueError: JSON has no form for it (a date, NaN).
    """
    return msgspec.json.encode(value) if _is_plain(value) else _encode(value).encode()


def _is_plain(value: Any) -> bool:
    """Return whether msgspec writes a value as it is: quickly, but of NaN it makes null, of dates texts."""
    kind = type(value)
    if kind is dict:
        for key, member in value.items():
            if type(key) is not str or not (type(member) is str or _is_plain(member)):
                return False
        return True
    if kind in (list, tuple):
        return all(map(_is_plain, value))
    return kind in (str, int, bool, type(None)) or (kind is float and math.isfinite(value))


def check_json(members: Mapping[str, Any]) -> Sequence[Problem]:
    """Return which members JSON has no form for, and why."""
    problems = []
    for name, value in members.items():
        try:
            json_bytes(value)
        except (TypeError, ValueError) as error:
            problems.append(Problem(str(name), f"cannot be written as JSON: {error}"))
    return problems


def numbers_as_texts(value: Any, shape: Any) -> Any:
    """
    Return a value with whole numbers as texts where the shape wants texts.

    In a Dag that renders native objects, a template of a workflow's id makes a number.
    """
    if shape.type_name == "string" and type(value) is int:
        return str(value)
    if isinstance(value, dict) and shape.type_name == "map":
        return {name: numbers_as_texts(member, shape.value) for name, member in value.items()}
    if isinstance(value, dict) and shape.type_name == "structure":
        known = shape.members
        return {
            name: numbers_as_texts(member, known[name]) if name in known else member
            for name, member in value.items()
        }
    return value


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a hint at the nearest known name, or at all of them."""
    known = list(known)
    folded = {candidate.replace("_", "").lower(): candidate for candidate in known}
    near = get_close_matches(name.replace("_", "").lower(), folded, n=1, cutoff=0.75)
    return f"did you mean {folded[near[0]]!r}?" if near else f"there are {', '.join(known)}"


def _compile_structure(shape: Any) -> Check:
    checks = {name: compile_check(member) for name, member in shape.members.items()}
    required = tuple(shape.required_members)

    def check(value: Any) -> Sequence[Problem]:
        if not isinstance(value, OBJECTS):
            return [Problem("", f"must be an object, not {_kind(value)}")]
        problems = [Problem(name, "is missing") for name in required if name not in value]
        for name, member in value.items():
            check_member = checks.get(name)
            if check_member is None:
                problems.append(_unknown(str(name), checks))
            elif found := check_member(member):
                problems += _below(name, found)
        return problems

    return check


def _compile_list(shape: Any) -> Check:
    check_member = compile_check(shape.member)
    least, most = _limits(shape)

    def check(value: Any) -> Sequence[Problem]:
        if not isinstance(value, list | tuple):
            return [Problem("", f"must be a list, not {_kind(value)}")]
        problems = [] if least <= len(value) <= most else [_wrong_size(len(value), least, most, "entries")]
        for index, member in enumerate(value):
            if found := check_member(member):
                problems += _below(f"[{index}]", found)
        return problems

    return check


def _compile_map(shape: Any) -> Check:
    check_key, check_value = compile_check(shape.key), compile_check(shape.value)

    def check(value: Any) -> Sequence[Problem]:
        if not isinstance(value, OBJECTS):
            return [Problem("", f"must be an object, not {_kind(value)}")]
        problems: list[Problem] = []
        for key, member in value.items():
            if found := check_key(key):
                problems += _below(f"key {key!r}", found)
            if found := check_value(member):
                problems += _below(f"{key!r}", found)
        return problems

    return check


def _compile_string(shape: Any) -> Check:
    least, most = _limits(shape)
    pattern, allowed = shape.metadata.get("pattern"), shape.enum
    matches = _compile_pattern(pattern)

    def check(value: Any) -> Sequence[Problem]:
        if not isinstance(value, str):
            return [Problem("", f"must be a string, not {_shown(value)}")]
        if not least <= len(value) <= most:
            return [_wrong_size(len(value), least, most, "characters")]
        if allowed and value not in allowed:
            return [Problem("", f"is {value!r}, which is none of {', '.join(allowed)}")]
        if not (matches is None or matches(value)):
            return [Problem("", f"is {value!r}, which does not match {pattern}")]
        return FINE

    return check


def _compile_integer(shape: Any) -> Check:
    low, high = _limits(shape, float("-inf"))

    def check(value: Any) -> Sequence[Problem]:
        if not isinstance(value, int) or isinstance(value, bool):
            return [Problem("", f"must be a whole number, not {_shown(value)}")]
        if not low <= value <= high:
            return [Problem("", f"is {value}, allowed are {low} to {high}")]
        return FINE

    return check


def _limits(shape: Any, least: float = 0) -> tuple[float, float]:
    return shape.metadata.get("min", least), shape.metadata.get("max", float("inf"))


def _wrong_size(size: int, least: float, most: float, unit: str) -> Problem:
    if size == 0:
        return Problem("", "is empty")
    allowed = f"{least} to {most}" if least != most else f"exactly {most}"
    return Problem("", f"has {size} {unit}, allowed are {allowed}")


def _compile_pattern(pattern: str | None) -> Callable[[str], object] | None:
    r"""
    Return what tells whether a whole string matches; nothing where any does.

    Python's ``re`` does not know ``\p{…}``. The model uses it in one way only: any text
    without control characters, with or without tabs and line breaks.
    """
    if pattern is None:
        return None
    if r"\p{" not in pattern:
        return re.compile(pattern).fullmatch
    allowed = {char for char, escape in {"\t": r"\t", "\n": r"\n", "\r": r"\r"}.items() if escape in pattern}
    return lambda text: (
        text.isprintable() or all(char in allowed or unicodedata.category(char)[0] != "C" for char in text)
    )


def _check_document(value: Any) -> Sequence[Problem]:
    if not isinstance(value, OBJECTS):
        return [Problem("", f"must be an object, not {_kind(value)}")]
    return FINE


def _unknown(name: str, known: Iterable[str]) -> Problem:
    return Problem(name, f"is not known to botocore {botocore_version}; {did_you_mean(name, known)}")


def _below(name: str, problems: Sequence[Problem]) -> Sequence[Problem]:
    return [
        Problem(f"{name}.{path}" if path and path[0] not in "[" else f"{name}{path}", what)
        for path, what in problems
    ]


def _kind(value: Any) -> str:
    """Name a value's type alone: where an object is expected, it may hold what is not for a log."""
    return "null (None)" if value is None else type(value).__name__


def _shown(value: Any) -> str:
    text = repr(value)
    if value is None or isinstance(value, dict | list | tuple):
        return _kind(value)
    return f"{_kind(value)} {text if len(text) <= 60 else text[:57] + '…'}"


_COMPILERS: dict[str, Callable[[Any], Check]] = {
    "structure": _compile_structure,
    "list": _compile_list,
    "map": _compile_map,
    "string": _compile_string,
    "integer": _compile_integer,
}

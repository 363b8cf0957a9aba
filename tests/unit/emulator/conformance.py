"""What botocore's service model says of HealthOmics, as requests to make and errors to expect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from botocore.model import ServiceModel
from botocore.session import get_session
from moto.core.utils import camelcase_to_underscores

from airflow_provider_omics_batch.emulator.responses import OmicsResponse
from tests.unit.emulator.patterns import CONTROL, PATTERNS

MODEL: ServiceModel = get_session().get_service_model("omics")

#: Those that are emulated.
OPERATIONS = sorted(
    name for name in MODEL.operation_names if camelcase_to_underscores(name) in vars(OmicsResponse)
)

#: Members of which a request has exactly one, and such that need another, where the model does not say so.
EITHER = (("definitionZip", "definitionUri", "definitionRepository"), ("workflowId", "runId"))
BESIDE = {"cacheBehavior": "cacheId"}

#: Values of members, by their names, that refer to what is in an account.
Known = Mapping[str, Any]


class Case(NamedTuple):
    """
    One constraint of the model, with a value that just keeps to it or is just beyond.

    :param place: The member, as a path: ``defaultRunSetting.name``.
    :param rule: What it is about: ``max``.
    :param value: The value of the whole shape, with this one member in it.
    """

    place: str
    rule: str
    value: Any
    is_valid: bool

    def below(self, name: str, value: Any) -> Case:
        place = f"{name}.{self.place}" if self.place else name
        return self._replace(place=place, value=value)

    def __str__(self) -> str:
        return f"{self.place}: {self.rule}, {'kept' if self.is_valid else 'broken'}"


def requests(operation: str, known: Known | None = None) -> Iterator[Case]:
    """Yield requests that keep to each constraint of an operation's input, and such that are just beyond."""
    known = known or {}
    shape: Any = MODEL.operation_model(operation).input_shape
    yield Case("", "least", least(shape, known), is_valid=True)
    for case in _structure(shape, known):
        name = case.place.partition(".")[0]
        if _can_be_sent(shape.members[name], case.value.get(name)):
            yield case


def _can_be_sent(member: Any, value: Any) -> bool:
    """No address can be made without its parts, and botocore itself makes the tokens that are missing."""
    if member.serialization.get("location") in ("uri", "querystring"):
        return value not in (None, "", [])
    return value is not None or "idempotencyToken" not in member.metadata


def least(shape: Any, known: Known) -> Any:
    """Return the smallest value of a shape that is valid."""
    if getattr(shape, "is_document_type", False):
        return {}
    match shape.type_name:
        case "structure":
            return {name: _least_member(shape, name, known) for name in _needed(shape)}
        case "list":
            return [least(shape.member, known)] * max(1, shape.metadata.get("min", 1))
        case "map":
            return {least(shape.key, known): least(shape.value, known)}
        case "string":
            return shape.enum[0] if shape.enum else text(shape, shape.metadata.get("min", 1))
        case "integer":
            return shape.metadata.get("min", 0)
        case "boolean":
            return False
        case "blob":
            return b"x"
    raise NotImplementedError(shape.type_name)


def _least_member(shape: Any, name: str, known: Known) -> Any:
    return known[name] if name in known else least(shape.members[name], known)


def _needed(shape: Any) -> list[str]:
    if shape.is_tagged_union:
        return list(shape.members)[:1]
    chosen = [names[0] for names in EITHER if set(names) <= shape.members.keys()]
    return list(dict.fromkeys([*shape.required_members, *chosen]))


def text(shape: Any, length: float, stem: str | None = None) -> str:
    """Return a text of a length that its pattern allows, or a longer one where that takes more."""
    pattern = shape.metadata.get("pattern", "")
    stem = stem or (PATTERNS[pattern].allowed if pattern in PATTERNS else "a")
    if length < len(stem) and set(stem) - {"1"} and "||" in pattern:
        return "a" * int(length)
    return stem + stem[-1] * (int(length) - len(stem))


def cases(shape: Any, known: Known, example: Any = None) -> Iterator[Case]:
    """
    Yield values of a shape for each constraint in it, at any depth.

    :param example: what is known for it.
    """
    if example is not None:
        yield Case("", "known", example, is_valid=True)
    if getattr(shape, "is_document_type", False):
        yield Case("", "document", {"a": [1, None, {"b": 0.5}]}, is_valid=True)
    elif shape.type_name == "string":
        yield from _string(shape, example)
    elif shape.type_name in _CASES:
        yield from _CASES[shape.type_name](shape, known)


def _structure(shape: Any, known: Known) -> Iterator[Case]:
    base = {} if shape.is_tagged_union else least(shape, known)
    for name, member in shape.members.items():
        for case in cases(member, known, known.get(name)):
            yield case.below(name, {**_around(shape, name, base, known), name: case.value})
    for name in shape.required_members:
        without = {other: value for other, value in base.items() if other != name}
        yield Case(name, "required", without, is_valid=False)
    if shape.is_tagged_union:
        both = {name: least(member, known) for name, member in shape.members.items()}
        yield Case("", "union", both, is_valid=False)


def _around(shape: Any, name: str, base: dict[str, Any], known: Known) -> dict[str, Any]:
    """Return the members that go with one: all that are needed, without those that it stands for."""
    others = {other for names in EITHER if {name, *base} & {*names} and name in names for other in names}
    around = {other: value for other, value in base.items() if other not in others}
    if (beside := BESIDE.get(name)) in shape.members:
        around[beside] = _least_member(shape, beside, known)
    return around


def _list(shape: Any, known: Known) -> Iterator[Case]:
    for case in cases(shape.member, known):
        yield case.below("1.member", [case.value])
    for rule, size, is_valid in _sizes(shape):
        yield Case("", rule, [least(shape.member, known)] * size, is_valid)


def _map(shape: Any, known: Known) -> Iterator[Case]:
    for case in cases(shape.key, known):
        yield case.below("key", {case.value: least(shape.value, known)})
    for case in cases(shape.value, known):
        key = least(shape.key, known)
        yield case.below(key, {key: case.value})
    for rule, size, is_valid in _sizes(shape):
        keys = [text(shape.key, 1) + str(number) for number in range(size)]
        yield Case("", rule, {key: least(shape.value, known) for key in keys}, is_valid)


def _string(shape: Any, example: str | None) -> Iterator[Case]:
    if shape.enum:
        for value in shape.enum:
            yield Case("", f"enum {value}", value, is_valid=True)
        yield Case("", "enum", "NO_SUCH_VALUE", is_valid=False)
        return
    for rule, size, is_valid in _sizes(shape):
        # An address stays one when it becomes longer, which an id or a token does not.
        stem = example if example and "://" in example and len(example) < size else None
        value = text(shape, size, stem)
        if len(value) == size:
            yield Case("", rule, value, is_valid)
    if pattern := shape.metadata.get("pattern"):
        yield Case("", "pattern", text(shape, shape.metadata.get("min", 1)), is_valid=True)
        for value in (*PATTERNS[pattern].beyond, CONTROL * max(1, shape.metadata.get("min", 1))):
            yield Case("", f"pattern {value!a:.30}", value, is_valid=False)


def _integer(shape: Any, known: Known) -> Iterator[Case]:
    for rule, value, is_valid in _sizes(shape):
        yield Case("", rule, value, is_valid)


def _boolean(shape: Any, known: Known) -> Iterator[Case]:
    for value in (True, False):
        yield Case("", str(value), value, is_valid=True)


def _sizes(shape: Any) -> Iterator[tuple[str, int, bool]]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None:
        yield "min", low, True
        if low > 0:
            yield "min", low - 1, False
    if high is not None:
        yield "max", high, True
        yield "max", high + 1, False


_CASES = {"structure": _structure, "list": _list, "map": _map, "integer": _integer, "boolean": _boolean}


def patterns(shape: Any) -> Iterator[str]:
    """Yield the patterns that a shape has in it, at any depth."""
    match shape.type_name:
        case "structure":
            inner = list(shape.members.values())
        case "list":
            inner = [shape.member]
        case "map":
            inner = [shape.key, shape.value]
        case _:
            inner = []
    for member in inner:
        yield from patterns(member)
    if shape.type_name == "string" and not shape.enum and "pattern" in shape.metadata:
        yield shape.metadata["pattern"]

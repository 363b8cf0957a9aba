"""
Pages of long lists.

moto's own paginator makes the whole list and walks through it for every page, which takes minutes for the
1,000 pages of 100,000 runs; a token here holds the place to go on from.
"""

from __future__ import annotations

import base64
import binascii
import json
from itertools import islice
from typing import TYPE_CHECKING, TypeVar
from zlib import crc32

from airflow_provider_omics_batch.emulator.exceptions import ValidationException

if TYPE_CHECKING:
    from collections.abc import Iterable

PAGE_SIZE = 100

T = TypeVar("T")


def first_place(token: str | None, question: object) -> int:
    """Read a token; it must come from the same question."""
    if token is None:
        return 0
    try:
        _, place = json.loads(base64.urlsafe_b64decode(token.encode()))
    except (ValueError, TypeError, binascii.Error):
        place = None
    # base64 itself takes a token with more behind it for the same one.
    if not isinstance(place, int) or place < 0 or token != _token(question, place):
        raise ValidationException("The startingToken is not valid for this request")
    return place


def page(found: Iterable[tuple[int, T]], limit: int | None, question: object) -> tuple[list[T], str | None]:
    """Take a page, and the token for the next one, from items that come with their places."""
    taken = list(islice(found, (limit or PAGE_SIZE) + 1))
    shown = taken[: limit or PAGE_SIZE]
    token = _token(question, taken[-1][0]) if len(taken) > len(shown) else None
    return [item for _, item in shown], token


def _token(question: object, place: int) -> str:
    checksum = crc32(repr(question).encode(errors="surrogatepass"))
    return base64.urlsafe_b64encode(json.dumps([checksum, place]).encode()).decode()

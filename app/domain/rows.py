"""A row to screen as its sender wrote it, and the answer to it as JSON: what lists are made of (schemas §4.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import orjson

from .canonical import JsonValue

UNJUDGED = b"null"


class Query(NamedTuple):
    """One row to screen, as the caller wrote it."""

    address: str
    chain: str | None = None
    tag: str | None = None
    reference: str | None = None


class Line(NamedTuple):
    """The answer to one row: JSON without its opening, since only the list knows the number of the row."""

    match: str
    body: bytes
    tlps: tuple[str, ...] = ()
    """The labels of the statements that it tells."""

    def at(self, row: int) -> bytes:
        """The whole object, as the row of this number."""
        return b'{"row":%d,%b' % (row, self.body)


def line_of(words: Mapping[str, JsonValue], tlps: tuple[str, ...] = ()) -> Line:
    """From the words of a result, whose first is `row`."""
    told = {name: value for name, value in words.items() if name != "row"}
    return Line(str(told["match"]), orjson.dumps(told)[1:], tlps)

"""Disclosures as rows: as many of one part as fit in one page of the database stand in one row, in the order of the wire.

A row a disclosure cost more than what it says; one row for all of a part, and one item could not be read without two hundred others.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode
from collections.abc import Iterable, Mapping

import orjson

from app.domain.canonical import JsonValue
from app.domain.statement import Disclosure
from app.storage.records import PartRow

RUN_CHARS = 3_800
"""With its other columns such a row fills a page of 4 KiB; a longer one, of a single long disclosure, goes on in further pages."""

Spot = tuple[int, int]
"""Where a disclosure stands: the number of its row, and its first character there."""
CORE = "core"


def part_rows_of(origin: str, index: int, disclosures: Iterable[Disclosure], *, first: int = 0) -> tuple[list[PartRow], dict[int, Spot]]:
    """The rows of the disclosures of one statement, and where each `core.<n>` stands, by n. `first`: the place of the first."""
    rows: list[PartRow] = []
    spots: dict[int, Spot] = {}
    texts: list[str] = []
    part, number, length = "", first, 0
    for place, one in enumerate(disclosures, first):
        if one.part != part or length + len(one.text) > RUN_CHARS:
            if texts:
                rows.append(_row(origin, index, number, part, texts))
            part, number, length, texts = one.part, place, 0, []
        if part == CORE:
            spots[one.number] = (number, length)
        texts.append(one.text)
        length += len(one.text) + 1
    if texts:
        rows.append(_row(origin, index, number, part, texts))
    return rows, spots


def _row(origin: str, index: int, number: int, part: str, texts: Iterable[str]) -> PartRow:
    return PartRow(origin, index, number, part, "~".join(texts) + "~")


def value_at(disclosures: str, start: int) -> Mapping[str, JsonValue]:
    """The item that the disclosure at `start` of a row says; the gate has read it carefully."""
    text = disclosures[start : disclosures.index("~", start)]
    value: Mapping[str, JsonValue] = orjson.loads(urlsafe_b64decode(text + "=="))[2]
    return value

"""Items of the `core` part as rows that can be looked up: by id, by either end of a link, by name, by open freeze request.

Only what is looked up becomes a column; what an item says is read from its disclosure. A link stays whole, as JSON bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple, Self

import orjson

from app.domain.answer import epoch_ms
from app.domain.canonical import JsonValue
from app.domain.glance import glance
from app.storage.part_rows import Spot
from app.storage.words import tag, words_of

ENTITY = "entity"
FREEZE = "freeze"
LINK = "link"
_FOR_EVER_S = 2**53
_NOWHERE = (0, 0, 0, 0, 0, None)


class ItemRow(NamedTuple):
    """One item that can be looked up; its first ten are the columns of `item`.

    `number`: the n of `core.n`. `subject`: the item's id, or where a link starts. `run`, `start`: where its disclosure stands
    (part_rows). `other`: where a link ends. `words`: what an entity is found by. `until_s`: when a freeze request ends. `body`: a
    link as JSON; empty for everything else.
    """

    origin: str
    index: int  # type: ignore[assignment]  # it hides tuple.index, which nobody asks of a row
    number: int
    subject: str
    run: int
    start: int
    severity: int
    category: int
    flags: int
    embargo_ms: int | None
    type: str
    other: str = ""
    words: tuple[str, ...] = ()
    until_s: int = 0
    body: bytes = b""

    @classmethod
    def of(cls, origin: str, index: int, number: int, value: Mapping[str, JsonValue], spot: Spot) -> Self:
        """A wallet, an indicator or an entity of a listing that the gate has checked; its disclosure stands at `spot`."""
        type_ = str(value["type"])
        words = tuple(sorted(set(_words(value)))) if type_ == ENTITY else ()
        severity, category, flags, embargo_ms = glance(value)
        return cls(origin, index, number, str(value["id"]), *spot, severity, category, flags, embargo_ms, type_, "", words)

    @classmethod
    def of_link(cls, origin: str, index: int, number: int, value: Mapping[str, JsonValue], *, body: bytes | None = None) -> Self:
        """A link of a listing that the gate has checked; `body`: the same as JSON, if it is at hand."""
        body = orjson.dumps(value) if body is None else body
        return cls(origin, index, number, str(value["from"]), *_NOWHERE, LINK, other=str(value["to"]), body=body)

    @classmethod
    def of_freeze(cls, origin: str, index: int, value: Mapping[str, JsonValue]) -> Iterator[Self]:
        """The ids that a freeze request names, open until its `expires_at`."""
        expires = value.get("expires_at")
        until_s = epoch_ms(expires) // 1000 if isinstance(expires, str) else _FOR_EVER_S
        for subject in dict.fromkeys(_texts(value.get("subjects"))):
            yield cls(origin, index, 0, subject, *_NOWHERE, FREEZE, until_s=until_s)


def _words(entity: Mapping[str, JsonValue]) -> Iterator[str]:
    for name in _objects(entity.get("names")):
        yield from words_of(str(name.get("name", "")))
    yield tag("kind", str(entity.get("kind", "")))
    for country in _texts(entity.get("jurisdictions")):
        yield tag("country", country)
    for designation in _objects(entity.get("designations")):
        yield tag("programme", str(designation.get("programme", "")))


def _texts(value: JsonValue) -> Iterator[str]:
    if isinstance(value, list):
        yield from (text for text in value if isinstance(text, str))


def _objects(value: JsonValue) -> Iterator[Mapping[str, JsonValue]]:
    if isinstance(value, list):
        yield from (one for one in value if isinstance(one, dict))

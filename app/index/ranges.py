"""Listed ids by the first 16 bits of the plain SHA-256 of their text: what a range request in the shape of HIBP needs (domain §2.10).

The views have their own keys (`identifiers.id_key`), so this is a second, smaller order of the same ids: for each range the places of the
items that name one, eight bytes each. It is made when it is first asked for, and kept in step with the index from then on; a node that
nobody asks so has none. A place may be of what is live no more: the rows are read for each answer, and say so.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Collection
from hashlib import sha256

import numpy as np

from app.domain.answer import Listing
from app.index.listings import ListingIndex
from app.index.vector import I64, U16
from app.storage.database import Database

RANGES = 1 << 16
SLICE = 1_000
"""Ids that are hashed between two chances for others: about a millisecond."""
STRETCH = 256
"""Statements that are read at a time."""
MOST_MOVED = 200_000
"""Ids that are kept beside the places before all are read anew."""


def plain_key(id_: str) -> bytes:
    """SHA-256 of the id as it stands, without a prefix."""
    return sha256(id_.encode("utf-8")).digest()


def range_of(id_: str) -> int:
    """The range in which an id stands."""
    return int.from_bytes(plain_key(id_)[:2], "big")


class _Places:
    """The places of items by range, as they stood when they were read."""

    def __init__(self, origins: list[str], ranges: U16, places: I64) -> None:
        order = np.argsort(ranges, kind="stable")
        self._origins = origins
        self._places = places[order]
        self._starts = np.searchsorted(ranges[order], np.arange(RANGES + 1))

    def of(self, number: int) -> list[tuple[str, int, int]]:
        """(origin, index, number of the item) of a range."""
        packed = self._places[self._starts[number] : self._starts[number + 1]].tolist()
        return [(self._origins[one >> _LOG_BITS], one >> _NUMBER_BITS & _INDEX_MASK, one & _NUMBER_MASK) for one in packed]


_NUMBER_BITS, _LOG_BITS = 20, 54
_NUMBER_MASK, _INDEX_MASK = (1 << _NUMBER_BITS) - 1, (1 << _LOG_BITS - _NUMBER_BITS) - 1


class IdRanges:
    """65,536 ranges of listed ids."""

    def __init__(self, database: Database, index: ListingIndex) -> None:
        self._database = database
        self._places: _Places | None = None
        self._moved: dict[int, set[str]] = {}
        self._moves = 0
        self._version = 0
        self._making = asyncio.Lock()
        index.follow(self._follow)

    async def listings(self, number: int) -> list[Listing]:
        """The live listings of a range, whoever may see them; the first call waits until all ranges are made."""
        async with self._making:
            while self._places is None:
                await self._make()
        places, moved = self._places.of(number), self._moved.get(number, set())
        if not places and not moved:
            return []
        async with self._database.reading() as tx:
            ids = await tx.filed.ids_at(places)
            return await tx.filed.listings(dict.fromkeys([*ids, *sorted(moved)]))

    async def _make(self) -> None:
        """Stretch by stretch; what moves meanwhile is kept by id. Without effect if it may have been anything."""
        version, self._moved, self._moves = self._version, {}, 0
        async with self._database.reading() as tx:
            heads = await tx.log.heads()
        ranges, places = array("H"), array("q")
        for log, head in enumerate(heads):
            for first in range(0, head.size, STRETCH):
                async with self._database.reading() as tx:
                    rows = await tx.filed.places(head.origin, first, first + STRETCH)
                for start in range(0, len(rows), SLICE):
                    for index, number, subject in rows[start : start + SLICE]:
                        ranges.append(range_of(subject))
                        places.append(log << _LOG_BITS | index << _NUMBER_BITS | number)
                    await asyncio.sleep(0)
        if version == self._version:
            self._places = _Places([head.origin for head in heads], np.array(ranges, np.uint16), np.array(places, np.int64))

    def _follow(self, ids: Collection[str] | None) -> None:
        """Something else is said of these ids; None: it may be of any."""
        if ids is None or self._moves > MOST_MOVED:
            self._places = None
            self._version += 1
        elif self._places is not None or self._making.locked():
            self._moves += len(ids)
            for id_ in ids:
                self._moved.setdefault(range_of(id_), set()).add(id_)

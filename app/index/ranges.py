"""Listed ids by the first 16 bits of the plain SHA-256 of their text: what a range request in the shape of HIBP needs (domain §2.10).

The views have their own keys (`identifiers.id_key`), so this is a second, smaller order of the same ids. It is made when it is first
asked for, in slices, and kept in step with the index from then on; a node that nobody asks so has none. It holds every id of which
anything live is said: who may see what of it is decided by whoever asks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from hashlib import sha256

from app.index.listings import ListingIndex

RANGES = 1 << 16
SLICE = 1_000
"""Ids that are hashed between two chances for others: about a millisecond."""


def plain_key(id_: str) -> bytes:
    """SHA-256 of the id as it stands, without a prefix."""
    return sha256(id_.encode("utf-8")).digest()


def range_of(id_: str) -> int:
    """The range of an id: the first 16 bits of its plain key."""
    return int.from_bytes(plain_key(id_)[:2], "big")


class IdRanges:
    """65,536 lists of ids."""

    def __init__(self, index: ListingIndex) -> None:
        self._index = index
        self._ranges: list[list[str]] | None = None
        self._moved: dict[str, None] = {}
        self._version = 0
        self._making = asyncio.Lock()
        index.follow(self._follow)

    async def ids(self, number: int) -> tuple[str, ...]:
        """The ids of one range; the first call waits until all are made."""
        if self._ranges is None:
            async with self._making:
                while self._ranges is None:
                    await self._make()
        return tuple(self._ranges[number])

    async def _make(self) -> None:
        """From what the index holds now; what moves meanwhile is put right at the end. Without effect if the index was read anew."""
        version, self._moved = self._version, {}
        made: list[list[str]] = [[] for _ in range(RANGES)]
        subjects = self._index.subjects()
        for start in range(0, len(subjects), SLICE):
            for id_ in subjects[start : start + SLICE]:
                made[range_of(id_)].append(id_)
            await asyncio.sleep(0)
        if version == self._version:
            self._ranges = made
            self._put_right(self._moved)
            self._moved = {}

    def _follow(self, ids: Collection[str] | None) -> None:
        """Something else is said of these ids; None: of all."""
        if ids is None:
            self._ranges = None
            self._version += 1
        elif self._ranges is not None:
            self._put_right(ids)
        elif self._making.locked():
            self._moved.update(dict.fromkeys(ids))

    def _put_right(self, ids: Collection[str]) -> None:
        assert self._ranges is not None
        for id_ in ids:
            own = self._ranges[range_of(id_)]
            is_listed = bool(self._index.find(id_))
            if is_listed and id_ not in own:
                own.append(id_)
            elif not is_listed and id_ in own:
                own.remove(id_)

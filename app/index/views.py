"""The 65,536 buckets of a tier, moved with the live listings, and what is published of them: one value that never changes.

`touch` says of which ids something else is said now; `look` reads those again, some at a time, so that lookups go on; `seal` hashes the
paths above the buckets that changed. What lies between two published trees is kept as bucket numbers for a while: a mirror that stands at
one of them needs those buckets alone. Protocol §3.10.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from app.domain.answer import Listing, Moment
from app.domain.identifiers import bucket_of, id_key
from app.domain.labels import Reader
from app.domain.merkle import HASH_BYTES
from app.domain.view import BUCKETS, SID_BYTES, BucketAnswer, BucketTree
from app.domain.viewing import entry_of, next_change

SLICE = 128
"""Buckets that are hashed, or ids that are read, between two chances for others."""
MOST_CHANGES = 4 * BUCKETS
"""How many bucket numbers are remembered over all published trees."""
_FEW = BUCKETS // 16
"""Up to so many buckets the paths above them cost less than a whole tree."""
_FIXED = HASH_BYTES + 3

Find = Callable[[str], Sequence[Listing]]


@dataclass(frozen=True, slots=True)
class Sealed:
    """A tier at one moment: the bytes of each bucket and the tree over them."""

    buckets: Sequence[bytes]
    tree: BucketTree
    entries: int

    def answer(self, number: int) -> BucketAnswer:
        """A bucket with its path."""
        return BucketAnswer(number, self.buckets[number], self.tree.path(number))


class Frozen(NamedTuple):
    """All buckets at one moment, and the numbers of those that changed since the last."""

    buckets: Sequence[bytes]
    changed: Sequence[int]


class View:
    """The buckets of one tier as its reader may see them."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._buckets = [b""] * BUCKETS
        self._waiting: dict[str, None] = {}
        self._due: list[tuple[int, str]] = []
        self._changed: set[int] = set()
        self._sealed: Sealed | None = None
        self._trail: list[tuple[bytes, frozenset[int]]] = []

    # --- keep in step ------------------------------------------------------------------------------------------------

    def touch(self, ids: Iterable[str]) -> None:
        """Something else may be said of these ids."""
        self._waiting.update(dict.fromkeys(ids))

    def begin_anew(self) -> None:
        """Nobody can say of which ids something else is said: all of them will be touched."""
        self._changed.update([number for number, bucket in enumerate(self._buckets) if bucket])
        self._buckets = [b""] * BUCKETS
        self._waiting, self._due = {}, []

    def is_current(self, second: int) -> bool:
        """Whether the newest sealed tree says what is to be said at this second."""
        return not self._waiting and not self._changed and not (self._due and self._due[0][0] <= second)

    def next(self, moment: Moment, most: int) -> list[str]:
        """The ids that `look` would read now, in its order."""
        while self._due and self._due[0][0] <= moment.now_s:
            self._waiting[heapq.heappop(self._due)[1]] = None
        return list(islice(reversed(self._waiting), most))

    def look(self, find: Find, moment: Moment, *, most: int = SLICE) -> bool:
        """Read up to `most` ids again whose listings moved or whose time has come; whether none is left."""
        while self._due and self._due[0][0] <= moment.now_s:
            self._waiting[heapq.heappop(self._due)[1]] = None
        while self._waiting and most > 0:
            subject, _ = self._waiting.popitem()
            self._read(subject, find(subject), moment)
            most -= 1
        return not self._waiting

    def _read(self, subject: str, listings: Sequence[Listing], moment: Moment) -> None:
        second = next_change(listings, self._reader, moment)
        if second is not None:
            heapq.heappush(self._due, (second, subject))
        entry = entry_of(subject, listings, self._reader, moment)
        key = entry[:HASH_BYTES] if entry else id_key(subject)
        number = bucket_of(key)
        before = self._buckets[number]
        after = with_entry(before, key, entry)
        if after != before:
            self._buckets[number] = after
            self._changed.add(number)

    # --- publish -----------------------------------------------------------------------------------------------------

    def freeze(self) -> Frozen:
        """The buckets as they stand now, to be hashed by `seal`."""
        changed, self._changed = self._changed, set()
        if self._sealed is not None and not changed:
            return Frozen(self._sealed.buckets, ())
        return Frozen(tuple(self._buckets), sorted(changed))

    def thaw(self, frozen: Frozen) -> None:
        """What was frozen was not published: its changes belong to the next tree."""
        self._changed.update(frozen.changed)

    async def seal(self, frozen: Frozen | None = None) -> Sealed:
        """The tree over frozen buckets (None: as they stand now), hashed in slices. One at a time, in the order they were frozen."""
        buckets, changed = frozen or self.freeze()
        before = self._sealed
        if before is not None and not changed:
            return before
        if before is None and len(changed) > _FEW:
            self._sealed = Sealed(buckets, await _grow(buckets), sum(map(count_entries, buckets)))
            return self._sealed
        if before is None:
            before = Sealed([b""] * BUCKETS, await _empty(), 0)
        tree = before.tree
        for start in range(0, len(changed), SLICE):
            tree = tree.updated({number: buckets[number] for number in changed[start : start + SLICE]})
            await asyncio.sleep(0)
        more = sum(count_entries(buckets[number]) - count_entries(before.buckets[number]) for number in changed)
        if self._sealed is not None:
            self._remember(before.tree.root, frozenset(changed))
        self._sealed = Sealed(buckets, tree, before.entries + more)
        return self._sealed

    def _remember(self, root: bytes, changed: frozenset[int]) -> None:
        self._trail.append((root, changed))
        kept = 0
        for place in range(len(self._trail) - 1, -1, -1):
            kept += len(self._trail[place][1]) + 1
            if kept > MOST_CHANGES:
                del self._trail[: place + 1]
                return

    def changed_since(self, root: bytes) -> frozenset[int] | None:
        """Numbers of the buckets that may differ between the tree of this root and the newest sealed one; None if it is not remembered."""
        if self._sealed is not None and self._sealed.tree.root == root:
            return frozenset()
        found: set[int] = set()
        for before, changed in reversed(self._trail):
            found |= changed
            if before == root:
                return frozenset(found)
        return None


_grown: list[BucketTree] = []


async def _empty() -> BucketTree:
    """The tree of a tier that lists nothing: the same for every view, so it is hashed once a process."""
    if not _grown:
        _grown.append(await _grow([b""] * BUCKETS))
    return _grown[0]


async def _grow(buckets: Sequence[bytes]) -> BucketTree:
    growth = BucketTree.grow(buckets)
    for _ in growth.steps():
        await asyncio.sleep(0)
    return growth.tree()


def with_entry(bucket: bytes, key: bytes, entry: bytes) -> bytes:
    """The bucket with this entry for the key, or without one if `entry` is empty; its entries stay in ascending order."""
    at = 0
    while at < len(bucket):
        end = at + _FIXED + bucket[at + _FIXED - 1] * SID_BYTES
        here = bucket[at : at + HASH_BYTES]
        if here >= key:
            return bucket[:at] + entry + (bucket[end:] if here == key else bucket[at:])
        at = end
    return bucket + entry


def count_entries(bucket: bytes) -> int:
    """How many ids a bucket of ours lists."""
    at = count = 0
    while at < len(bucket):
        at += _FIXED + bucket[at + _FIXED - 1] * SID_BYTES
        count += 1
    return count

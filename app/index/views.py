"""The 65,536 buckets of a tier, and what is published of them: one value that never changes.

`put` says what stands in tiers for some keys now, `become` what all buckets of one are; `seal` hashes the paths above the buckets that changed.
What lies between two published trees is kept as bucket numbers for a while: a mirror that stands at one of them needs those buckets alone.
Protocol §3.10.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from app.domain.identifiers import bucket_of
from app.domain.view import BUCKETS, BucketAnswer, BucketTree, Growth, count_entries, place_of

SLICE = 512
"""Nodes of a tree that are hashed between two chances for others: about a quarter of a millisecond."""
MOST_CHANGES = 4 * BUCKETS
"""How many bucket numbers are remembered over all published trees."""
_FEW = BUCKETS // 16
"""Up to so many buckets the paths above them cost less than a whole tree."""


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
    """All buckets at one moment, the numbers of those that changed since the last, and how many ids they list."""

    buckets: Sequence[bytes]
    changed: Sequence[int]
    entries: int


class View:
    """The buckets of one tier."""

    def __init__(self) -> None:
        self._buckets = [b""] * BUCKETS
        self._entries = 0
        self._changed: set[int] = set()
        self._sealed: Sealed | None = None
        self._trail: list[tuple[bytes, frozenset[int]]] = []

    @property
    def is_changed(self) -> bool:
        """Whether the buckets are others than those that were frozen last."""
        return bool(self._changed)

    def bucket(self, number: int) -> bytes:
        """The bytes of one of them as it stands now."""
        return self._buckets[number]

    def take(self, number: int, bucket: bytes, *, more: int) -> None:
        """One of them has these bytes from now on, and with them so many ids more."""
        if bucket != self._buckets[number]:
            self._changed.add(number)
        self._buckets[number] = bucket
        self._entries += more

    def alike(self, first: int, buckets: Sequence[bytes]) -> list[bytes]:
        """These buckets from number `first` on, as the very objects that stand here where they are equal: tiers share what both list."""
        return [own if own == data else data for own, data in zip(self._buckets[first : first + len(buckets)], buckets, strict=True)]

    def become(self, first: int, buckets: Sequence[bytes]) -> None:
        """These are the buckets from number `first` on."""
        for number, after in enumerate(buckets, first):
            if after != self._buckets[number]:
                self._entries += count_entries(after) - count_entries(self._buckets[number])
                self._buckets[number] = after
                self._changed.add(number)

    # --- publish -----------------------------------------------------------------------------------------------------

    def freeze(self) -> Frozen:
        """The buckets as they stand now, to be hashed by `seal`."""
        changed, self._changed = self._changed, set()
        if self._sealed is not None and not changed:
            return Frozen(self._sealed.buckets, (), self._entries)
        return Frozen(tuple(self._buckets), range(BUCKETS) if len(changed) == BUCKETS else sorted(changed), self._entries)

    def thaw(self, frozen: Frozen) -> None:
        """What was frozen was not published: its changes belong to the next tree."""
        self._changed.update(frozen.changed)

    async def seal(self, frozen: Frozen | None = None, *, like: Sealed | None = None) -> Sealed:
        """The tree over frozen buckets (None: as they stand now), hashed in slices. One at a time, in the order they were frozen.

        `like`: another tier; where both list the same, its hashes are taken.
        """
        buckets, changed, entries = frozen or self.freeze()
        before, other = self._sealed, None if like is None else (like.buckets, like.tree)
        if before is not None and not changed:
            return before
        if len(changed) > _FEW:
            tree = await _grown(BucketTree.grow(buckets, like=other))
        else:
            known = await _empty() if before is None else before.tree
            tree = await _grown(known.updating({number: buckets[number] for number in changed}, like=other))
        if before is not None:
            self._remember(before.tree.root, frozenset(changed))
        self._sealed = Sealed(buckets, tree, entries)
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


def put(views: Sequence[View], keys: Iterable[bytes], said: Sequence[Mapping[bytes, bytes]]) -> None:
    """For each of the keys its entry in each of the views, or none. A bucket that several of them have is made once, and kept once."""
    for key in keys:
        number = bucket_of(key)
        seen: tuple[bytes, bytes] | None = None
        after, more = b"", 0
        for view, entries in zip(views, said, strict=True):
            before, entry = view.bucket(number), entries.get(key, b"")
            if seen is None or before is not seen[0] or entry != seen[1]:
                begin, end = place_of(before, key)
                made = before[:begin] + entry + before[end:]
                if seen is None or made != after:
                    after = before if made == before else made
                more = (entry != b"") - (end > begin)
                seen = before, entry
            view.take(number, after, more=more)


_of_nothing: list[BucketTree] = []


async def _empty() -> BucketTree:
    """The tree of a tier that lists nothing: the same for every view, so it is hashed once a process."""
    if not _of_nothing:
        _of_nothing.append(await _grown(BucketTree.grow([b""] * BUCKETS)))
    return _of_nothing[0]


async def _grown(growth: Growth) -> BucketTree:
    for _ in growth.steps(SLICE):
        await asyncio.sleep(0)
    return growth.tree()

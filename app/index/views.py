"""The 65,536 buckets of a tier, and what is published of them: one value that never changes.

`put` says what stands in the tier for some keys now, `become` what all buckets are; `seal` hashes the paths above the buckets that changed.
What lies between two published trees is kept as bucket numbers for a while: a mirror that stands at one of them needs those buckets alone.
Protocol §3.10.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from app.domain.identifiers import bucket_of
from app.domain.merkle import HASH_BYTES
from app.domain.view import BUCKETS, SID_BYTES, BucketAnswer, BucketTree, Growth, count_entries

SLICE = 512
"""Nodes of a tree that are hashed between two chances for others: about a quarter of a millisecond."""
MOST_CHANGES = 4 * BUCKETS
"""How many bucket numbers are remembered over all published trees."""
_FEW = BUCKETS // 16
"""Up to so many buckets the paths above them cost less than a whole tree."""
_FIXED = HASH_BYTES + 3


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
    """The buckets of one tier."""

    def __init__(self) -> None:
        self._buckets = [b""] * BUCKETS
        self._changed: set[int] = set()
        self._sealed: Sealed | None = None
        self._trail: list[tuple[bytes, frozenset[int]]] = []

    @property
    def is_changed(self) -> bool:
        """Whether the buckets are others than those that were frozen last."""
        return bool(self._changed)

    def put(self, keys: Iterable[bytes], entries: Mapping[bytes, bytes], *, like: View | None = None) -> None:
        """For each of the keys its entry, or none. `like`: another tier to which the same was told; what both list is kept once."""
        for key in keys:
            number = bucket_of(key)
            before = self._buckets[number]
            after = with_entry(before, key, entries.get(key, b""))
            if like is not None and after == like._buckets[number]:  # noqa: SLF001 — of our own kind
                after = like._buckets[number]  # noqa: SLF001
            elif after == before:
                continue
            if after != before:
                self._changed.add(number)
            self._buckets[number] = after

    def alike(self, first: int, buckets: Sequence[bytes]) -> list[bytes]:
        """These buckets from number `first` on, as the very objects that stand here where they are equal: tiers share what both list."""
        return [own if own == data else data for own, data in zip(self._buckets[first : first + len(buckets)], buckets, strict=True)]

    def become(self, first: int, buckets: Sequence[bytes]) -> None:
        """These are the buckets from number `first` on."""
        for number, after in enumerate(buckets, first):
            if after != self._buckets[number]:
                self._buckets[number] = after
                self._changed.add(number)

    # --- publish -----------------------------------------------------------------------------------------------------

    def freeze(self) -> Frozen:
        """The buckets as they stand now, to be hashed by `seal`."""
        changed, self._changed = self._changed, set()
        if self._sealed is not None and not changed:
            return Frozen(self._sealed.buckets, ())
        return Frozen(tuple(self._buckets), range(BUCKETS) if len(changed) == BUCKETS else sorted(changed))

    def thaw(self, frozen: Frozen) -> None:
        """What was frozen was not published: its changes belong to the next tree."""
        self._changed.update(frozen.changed)

    async def seal(self, frozen: Frozen | None = None) -> Sealed:
        """The tree over frozen buckets (None: as they stand now), hashed in slices. One at a time, in the order they were frozen."""
        buckets, changed = frozen or self.freeze()
        before = self._sealed
        if before is not None and not changed:
            return before
        if len(changed) > _FEW:
            tree = await _grown(BucketTree.grow(buckets))
        else:
            tree = await _grown(
                (await _empty() if before is None else before.tree).updating({number: buckets[number] for number in changed})
            )
        entries = await _count(buckets, changed)
        if before is not None:
            entries += before.entries - await _count(before.buckets, changed)
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


async def _count(buckets: Sequence[bytes], numbers: Sequence[int]) -> int:
    """How many ids these buckets list together."""
    found = 0
    for first in range(0, len(numbers), 2 * SLICE):
        found += sum([count_entries(buckets[number]) for number in numbers[first : first + 2 * SLICE]])
        await asyncio.sleep(0)
    return found


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

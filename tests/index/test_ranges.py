"""Ids by 16 bits of their plain SHA-256: in step with the index whatever moves, also while the ranges are made."""

from __future__ import annotations

import asyncio
import random

from app.domain.answer import Listing
from app.index.listings import ListingIndex
from app.index.ranges import SLICE, IdRanges, range_of
from tests.factories import wallet_id
from tests.index.test_view_buckets import listing


def put(index: ListingIndex, number: int) -> Listing:
    one = listing(number, wallet_id(number % 40))
    index.replace([], [one])
    return one


async def held(ranges: IdRanges, subjects: set[str]) -> set[str]:
    """Those of `subjects` that stand in their range; a range holds nothing that belongs to another, and nothing twice."""
    found: set[str] = set()
    for subject in subjects:
        ids = await ranges.ids(range_of(subject))
        assert len(set(ids)) == len(ids)
        assert {range_of(id_) for id_ in ids} <= {range_of(subject)}
        found |= {subject} & set(ids)
    return found


async def test_ranges_follow_the_index() -> None:
    """Random listings come and go, the index is read anew: at every step a range holds exactly the ids that the index holds."""
    rng = random.Random(5)
    index = ListingIndex()
    ranges = IdRanges(index)
    live: list[Listing] = []
    subjects = {wallet_id(n) for n in range(40)}
    for step in range(150):
        if live and rng.random() < 0.5:
            gone = live.pop(rng.randrange(len(live)))
            index.replace([(gone.origin, gone.sid)], [])
        else:
            live.append(put(index, step))
        if step % 50 == 49:
            anew = ListingIndex()
            anew.replace([], live)
            index.become(anew)
        assert await held(ranges, subjects) == {one.subject for one in live}


async def test_what_moves_while_they_are_made_is_not_lost() -> None:
    """A listing that comes, one that goes and a whole new index in the middle of the making: all are in the answer."""
    index = ListingIndex()
    index.replace([], [listing(n, wallet_id(n)) for n in range(SLICE + 10)])
    ranges = IdRanges(index)
    making = asyncio.create_task(ranges.ids(0))
    await asyncio.sleep(0)
    index.replace([], [listing(9_001, wallet_id(9_001))])
    gone = index.find(wallet_id(1))[0]
    index.replace([(gone.origin, gone.sid)], [])
    await making
    assert wallet_id(9_001) in await ranges.ids(range_of(wallet_id(9_001)))
    assert wallet_id(1) not in await ranges.ids(range_of(wallet_id(1)))

    index.become(ListingIndex())
    making = asyncio.create_task(ranges.ids(0))
    await asyncio.sleep(0)
    anew = ListingIndex()
    anew.replace([], [listing(9_002, wallet_id(9_002))])
    index.become(anew)
    await making
    assert wallet_id(9_002) in await ranges.ids(range_of(wallet_id(9_002)))

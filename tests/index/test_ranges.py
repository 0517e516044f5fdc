"""Ids by 16 bits of their plain SHA-256: in step with the index whatever moves, also while the ranges are made."""

from __future__ import annotations

import asyncio
import random

from app.index.ranges import IdRanges, range_of
from app.services.node import Node
from tests.factories import Town, accept, link, sid_in, wallet, wallet_id


async def held(ranges: IdRanges, numbers: range) -> set[int]:
    """Those wallets that stand in their range; a range holds nothing that belongs to another, and nothing twice."""
    found: set[int] = set()
    for number in numbers:
        listings = await ranges.listings(range_of(wallet_id(number)))
        assert {range_of(one.subject) for one in listings} <= {range_of(wallet_id(number))}
        assert len({(one.sid, one.number) for one in listings}) == len(listings)
        found |= {number} & {n for n in numbers for one in listings if one.subject == wallet_id(n)}
    return found


async def test_ranges_follow_the_index(node: Node, town: Town) -> None:
    """Random listings come and go, the index is read anew: at every step a range holds exactly the ids that are listed."""
    rng = random.Random(5)
    ranges = IdRanges(node.database, node.index)
    bka, live = town.signer("de.bka#1"), dict[str, set[int]]()
    for step in range(16):
        if live and rng.random() < 0.4:
            sid = rng.choice(sorted(live))
            del live[sid]
            await accept(node, bka.erase(sid) if step % 2 else bka.retract(sid))
        else:
            some = {rng.randrange(12) for _ in range(3)}
            wire = bka.listing(*(wallet(number) for number in sorted(some)), link(wallet_id(50), wallet_id(51)))
            live[sid_in(wire)] = some
            await accept(node, wire)
        if step % 6 == 5:
            node.index.move(None)
        assert await held(ranges, range(12)) == {number for some in live.values() for number in some}


async def test_what_moves_while_they_are_made_is_not_lost(node: Node, town: Town) -> None:
    """A listing that comes and one that goes in the middle of the making, and anything at all: all are in the answer."""
    bka = town.signer("de.bka#1")
    gone = bka.listing(wallet(1))
    await accept(node, gone, *(bka.listing(*(wallet(n) for n in range(start, start + 100))) for start in range(1_000, 4_000, 100)))
    ranges = IdRanges(node.database, node.index)
    for number, everything in ((9_001, False), (9_002, True)):
        making = asyncio.create_task(ranges.listings(0))
        await asyncio.sleep(0.002)
        await accept(node, bka.listing(wallet(number)), *([bka.retract(sid_in(gone))] if not everything else []))
        if everything:
            node.index.move(None)
        await making
        assert await held(ranges, range(number, number + 1)) == {number}
        assert await held(ranges, range(1, 2)) == set()
        node.index.move(None)

"""The told-index: who was told of a listing by a lookup is told when it ends, once, also if he asks at that very moment."""

from __future__ import annotations

import orjson
import pytest

from app.domain.permission import Caller as Known
from app.domain.permission import CallerClass
from app.services.node import Node
from app.services.screen import Caller, Query
from app.storage.told import Told
from tests.factories import GUARD, Clock, Town, accept, sid_in, vasp_reader, wallet, wallet_id

OWNER = "de.exchange/green"
VASP = Caller(vasp_reader(), "de.exchange/k1", owner=OWNER)


async def corrections(node: Node) -> list[tuple[str, str, str]]:
    """Type, sid and subject of what he was sent."""
    await node.notify.tick()
    async with node.database.reading() as tx:
        events = await tx.outbox.events(OWNER, after=0, limit=99, urgent=True)
    return [(e.type, orjson.loads(e.data)["sid"], orjson.loads(e.data)["subject"]) for e in events]


async def told_of(node: Node, *sids: str) -> list[Told]:
    """What the index says."""
    await node.access_log.settle()
    async with node.database.reading() as tx:
        return sorted(await tx.told.of(sids))


@pytest.mark.parametrize("many", [False, True])
async def test_a_hit_is_noted_with_its_audit_row_and_its_end_is_told(node: Node, town: Town, many: bool) -> None:
    """A miss, a guard and a lookup by nobody leave nothing; asking again changes nothing."""
    bka = town.signer("de.bka#1")
    wire, guard = bka.listing(wallet(1)), bka.listing(wallet(2, **GUARD))
    await accept(node, wire, guard)
    asked = [Query(wallet_id(number)) for number in (1, 2, 3, 1)]
    for _ in range(2):
        if many:
            await node.screening.screen_many(asked, VASP, hits_only=False)
        else:
            for query in asked:
                await node.screening.answer_one(query, VASP)
    await node.screening.screen_many(asked, Caller(vasp_reader(), "de.exchange/k1"), hits_only=False)
    now = node.clock()
    assert await told_of(node, sid_in(wire), sid_in(guard)) == [Told(OWNER, town.origin, sid_in(wire), wallet_id(1), "active", now, now)]
    await accept(node, bka.retract(sid_in(wire)))
    for _ in range(2):
        assert await corrections(node) == [("listing.corrected.v1", sid_in(wire), wallet_id(1))]


async def test_expiry_is_a_correction_for_who_was_told(node: Node, town: Town, clock: Clock) -> None:
    """Nobody withdraws it, the clock does."""
    wire = town.signer("de.bka#1").listing(wallet(1), days=5)
    await accept(node, wire)
    await node.screening.answer_one(Query(wallet_id(1)), VASP)
    assert await corrections(node) == []
    clock.advance(days=6)
    assert await corrections(node) == [("listing.corrected.v1", sid_in(wire), wallet_id(1))]


async def test_who_is_told_in_the_moment_of_the_withdrawal_is_told_of_it_a_little_later(node: Node, town: Town, clock: Clock) -> None:
    """The lookup read the index before it moved; its note was committed after the withdrawal had been worked off."""
    bka = town.signer("de.bka#1")
    wire = bka.listing(wallet(1))
    await accept(node, wire)
    await accept(node, bka.retract(sid_in(wire)))
    assert await corrections(node) == []
    async with node.database.transaction() as tx:
        await tx.told.put([Told(OWNER, town.origin, sid_in(wire), wallet_id(1), "active", node.clock(), node.clock())])
    clock.advance(s=11)
    assert await corrections(node) == [("listing.corrected.v1", sid_in(wire), wallet_id(1))]


def test_keys_of_one_member_share_what_they_are_told_if_they_see_the_same() -> None:
    """A key that reads CLEAR must not learn by events what one that reads GREEN was told; a test key never."""
    reader = vasp_reader()
    names = [
        Known(CallerClass.VASP, reader, f"de.exchange/{key}", "de.exchange", tier=tier, is_test=test).owner
        for key, tier, test in [("k1", "green", False), ("k2", "green", False), ("k3", "clear", False), ("k4", "green", True)]
    ]
    assert names == [OWNER, OWNER, "de.exchange/clear", "de.exchange/green/test"]

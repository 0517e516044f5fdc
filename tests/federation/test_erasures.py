"""Erased data dies everywhere: the order travels in the log, every node confirms what it destroyed, and who does not is named."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from tests.factories import sid_in, wallet, wallet_id
from tests.simulator import World

pytestmark = pytest.mark.slow


async def test_an_erasure_is_carried_out_and_confirmed_by_every_peer(tmp_path: Path) -> None:
    """Value and salt are gone from the files of every node, the stub stays, and the home node holds a receipt of each peer."""
    planted = "planted-value-of-forty-characters-000001"
    async with World.open(tmp_path, "xa", "xb", "xc") as world:
        await world.introduce()
        xa, bka = world["xa"], world["xa"].signer("xa.bka#1")
        wire = bka.listing(wallet(1), others={"ctx": [{"note": planted}]})
        await xa.say(wire)
        await world.settle()
        erase = bka.erase(sid_in(wire), parts=["core", "ctx"])
        await xa.say(erase)
        for _ in range(2):
            await world.settle()
        for node in world.nodes.values():
            assert (await node.node.index.find(wallet_id(1))) == ()
            async with node.node.database.reading() as tx:
                found = await tx.statements.locate(xa.origin, sid_in(wire))
                assert found is not None
                assert all(part.is_erased for part in await tx.statements.parts_of(xa.origin, [found.index]))
        async with xa.node.database.reading() as tx:
            receipts = await tx.acks.of(sid_in(erase))
        assert {row.node: bool(row.done_ms and row.token) for row in receipts} == {"xb.example": True, "xc.example": True}


async def test_a_peer_that_does_not_confirm_is_named_after_three_days(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """xc is away: its confirmation is missing for 72 hours, then it is named; when it is back it erases and confirms."""
    async with World.open(tmp_path, "xa", "xb", "xc") as world:
        await world.introduce()
        xa, bka = world["xa"], world["xa"].signer("xa.bka#1")
        wire = bka.listing(wallet(1))
        await xa.say(wire)
        await world.settle()
        for other in ("xa", "xb"):
            world.net.cut("xc", other)
        erase = bka.erase(sid_in(wire))
        await xa.say(erase)
        await world.settle()
        federation = xa.node.federation
        assert federation is not None
        world.clock.advance(hours=71)
        assert await federation.monitor.report_overdue() == 0
        world.clock.advance(hours=2)
        with caplog.at_level(logging.ERROR, "cordon.monitor"):
            assert await federation.monitor.report_overdue() == 1
        assert f"xc.example has not confirmed the erasure {sid_in(erase)}" in caplog.text
        world.net.heal()
        for node in world.nodes.values():
            await node.node.gate.heartbeat()
        for _ in range(2):
            await world.settle()
        assert (await world["xc"].node.index.find(wallet_id(1))) == ()
        assert await federation.monitor.report_overdue() == 0

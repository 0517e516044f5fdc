"""What is said at one node is known, verified, at the others; and so is that it is no longer said."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from app.domain.errors import Unavailable
from app.domain.statement import ohash_of
from app.storage.wholly import end_all
from tests.factories import sid_in, wallet, wallet_id
from tests.simulator import World
from tests.waiting import until, within


async def test_a_listing_and_its_end_reach_the_peer(tmp_path: Path) -> None:
    """Listed at xa: live at xb with the same state. Retracted at xa: gone at xb."""
    async with World.open(tmp_path, "xa", "xb") as world:
        await world.introduce()
        xa, xb = world["xa"], world["xb"]
        wire = xa.signer("xa.bka#1").listing(wallet(1))
        await xa.say(wire)
        assert await world.settle() == []
        assert await xb.states("xa") == await xa.states("xa")
        assert [listing.issuer for listing in (await xb.node.index.find(wallet_id(1)))] == ["xa.bka"]
        await xa.say(xa.signer("xa.bka#1").retract(sid_in(wire)))
        assert await world.settle() == []
        assert (await xb.node.index.find(wallet_id(1))) == ()


async def test_who_nudges_is_asked_when_the_log_s_own_node_is_not_followed(tmp_path: Path) -> None:
    """xc follows xa through xb alone, and has left xb in peace for a while: xb's nudge of xa's log ends that pause."""
    async with World.open(tmp_path, "xa", "xb", "xc") as world:
        await world.introduce()
        await world.settle()
        federation = world["xc"].node.federation
        assert federation is not None
        await federation.trust.pause(world["xa"].node.identity.node_id, paused=True)
        await federation.reload()
        resting = asyncio.create_task(federation.followers["xb.example"]._rest(60))
        await asyncio.sleep(0)
        origin = world.origin("xa")
        await federation.nudged("xb.example", ohash_of(origin), (await federation.mirroring.tree(origin)).size + 1)
        async with within(1):
            await resting


async def test_who_calls_while_a_round_fails_is_asked_again_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The peer is back and says so before our round has noticed that it was away: no pause of minutes follows."""
    async with World.open(tmp_path, "xa", "xb") as world:
        await world.introduce()
        federation = world["xb"].node.federation
        assert federation is not None
        follower, rounds = federation.followers["xa.example"], 0
        follower.failures = 20

        async def once(*, wait_s: int = 0) -> None:
            nonlocal rounds
            rounds += 1
            if rounds == 1:
                follower.wake()
            raise Unavailable("away")

        monkeypatch.setattr(follower, "once", once)
        going = asyncio.create_task(follower._go_round())
        await until(lambda: rounds == 2)
        await end_all([going])

"""What is said at one node is known, verified, at the others; and so is that it is no longer said."""

from __future__ import annotations

from pathlib import Path

from tests.factories import sid_in, wallet, wallet_id
from tests.simulator import World


async def test_a_listing_and_its_end_reach_the_peer(tmp_path: Path) -> None:
    """Listed at xa: live at xb with the same state. Retracted at xa: gone at xb."""
    async with World.open(tmp_path, "xa", "xb") as world:
        await world.introduce()
        xa, xb = world["xa"], world["xb"]
        wire = xa.signer("xa.bka#1").listing(wallet(1))
        await xa.say(wire)
        assert await world.settle() == []
        assert await xb.states("xa") == await xa.states("xa")
        assert [listing.issuer for listing in xb.node.index.find(wallet_id(1))] == ["xa.bka"]
        await xa.say(xa.signer("xa.bka#1").retract(sid_in(wire)))
        assert await world.settle() == []
        assert xb.node.index.find(wallet_id(1)) == ()

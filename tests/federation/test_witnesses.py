"""Peers that have seen a checkpoint say so under it: receipts grow better with time, and the operator's policy says when it is enough."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.domain.merkle import leaf_hash
from app.domain.note import KeyType
from app.seal.notes import read_vkeys, verify_receipt
from app.services.admit.quorum import read_policy
from tests.factories import PUBLIC, agency_reader, entry_of, sid_in, wallet
from tests.simulator import World

pytestmark = pytest.mark.slow


async def test_a_receipt_gains_the_cosignatures_of_the_peers(tmp_path: Path) -> None:
    """Fetched again after the peers have looked, the proof carries the line of each, verified offline; first one, then the quorum of two."""
    async with World.open(tmp_path, "xa", "xb", "xc") as world:
        await world.introduce()
        xa = world["xa"]
        wire = xa.signer("xa.bka#1").listing(wallet(1), tlp="CLEAR")
        (admitted,) = await xa.say(wire)
        federation = xa.node.federation
        assert federation is not None
        keys = [
            one
            for code in ("xb", "xc")
            for document in world[code].node.documents
            if document.witness is not None
            for one in read_vkeys([document.witness[0]])
        ]
        assert {one.key.type for one in keys} == {KeyType.COSIGNATURE}

        async def cosigners() -> tuple[str, ...]:
            text = await xa.node.publisher.receipt(sid_in(wire), agency_reader("xa.bka", "xa.example"))
            leaf = leaf_hash(entry_of(wire, admitted.accepted_ms or 0))
            return verify_receipt(text, leaf, origin=xa.origin, log_keys=xa.town.log_keys, witness_keys=keys).cosigners

        assert await cosigners() == ()
        world.net.cut("xc", "xa")
        world.net.cut("xc", "xb")
        await world["xb"].look()
        await xa.look()
        assert await cosigners() == ("xb.example/witness",)
        assert not (await federation.monitor.standing()).reached
        world.net.heal()
        await world.settle()
        assert await cosigners() == ("xb.example/witness", "xc.example/witness")
        assert (await federation.monitor.standing()).reached
        assert await xa.node.publisher.receipt(sid_in(wire), PUBLIC)


async def test_the_policy_file_says_who_is_enough(tmp_path: Path) -> None:
    """A file that asks for one named witness is content with it; one that asks for another is not."""
    async with World.open(tmp_path, "xa", "xb", "xc") as world:
        await world.introduce()
        vkeys = {code: world[code].node.documents[0].witness for code in ("xb", "xc")}
        for wanted, reached in (("xb", True), ("xc", False)):
            vkey = vkeys[wanted]
            assert vkey is not None
            file = tmp_path / f"{wanted}.policy"
            file.write_text(f"witness friend {vkey[0]}\nquorum friend\n")
            assert read_policy(str(file)) is not None
            await world.stop("xa")
            xa = await world.start("xa", witness_policy_file=str(file))
            world.net.cut("xc", "xa")
            await world["xb"].look()
            await xa.look()
            federation = xa.node.federation
            assert federation is not None
            standing = await federation.monitor.standing()
            assert (standing.names, standing.reached) == (("friend",) if reached else (), reached)

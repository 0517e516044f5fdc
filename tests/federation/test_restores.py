"""A node that lost something: it signs nothing that it did not sign before, and what it lost comes back from its peers (protocol §3.6)."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.domain.errors import FellBehind, RolledBack
from tests.checks import check_log, check_states
from tests.factories import sid_in, submit, wallet, wallet_id, words
from tests.mirrors import check_fold, check_index
from tests.simulator import World

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("anchor", [False, True], ids=["database alone", "with the anchor"])
async def test_an_older_backup_heals_from_the_peers(anchor: bool, tmp_path: Path) -> None:
    """Restored, the node asks its peers, takes back what it had signed, stubs and parts, restricted ones too, and only then signs."""
    async with World.open(tmp_path, "xa", "xb", "xc") as world:
        await world.introduce()
        bka = world["xa"].signer("xa.bka#1")
        first = bka.listing(wallet(1))
        await world["xa"].say(first)
        await world.settle()
        kept = await world.keep("xa")
        xa, lka = world["xa"], world["xa"].signer("xa.lka#1")
        await xa.say(
            bka.retract(sid_in(first)),
            bka.listing(wallet(2), tlp="AMBER", aud=["xb.example"]),
            lka.listing(wallet(3), tlp="RED", aud=["xc.example"]),
            world.towns["xa"].member("xa.zoll"),
            lka.freeze_request(wallet_id(9), aud=["xa.exchange", "xb.example"]),
        )
        await xa.say(xa.signer("xa.zoll#1").listing(wallet(4)))
        await world.settle()
        size, before = xa.node.own_log.size, await xa.states("xa")
        xa = await world.put_back("xa", kept, anchor=anchor)
        assert xa.node.gate.frozen is None
        assert xa.node.own_log.size == size
        assert await xa.states("xa") == before
        assert (await xa.node.index.find(wallet_id(1))) == ()
        assert [(await xa.node.index.find(wallet_id(n))) != () for n in (2, 3, 4)] == [True, True, True]
        await xa.say(xa.signer("xa.zoll#1").listing(wallet(5)))
        assert await world.settle() == []
        assert await world["xb"].states("xa") == {
            sid: state for sid, state in (await xa.states("xa")).items() if sid in await world["xb"].states("xa")
        }
        assert (await world["xb"].node.index.find(wallet_id(5))) != ()
        await check_fold(xa.node.database, xa.node.gate.keyrings)
        await check_index(xa.node.database, xa.node.index)
        async with xa.node.database.reading() as tx:
            await check_states(tx, xa.node, xa.town)
            await check_log(tx, xa.town, [])


async def test_what_nobody_else_may_hold_cannot_come_back(tmp_path: Path) -> None:
    """An entry that was for nobody abroad: the log stays frozen, names the entry, and lookups go on."""
    async with World.open(tmp_path, "xa", "xb") as world:
        await world.introduce()
        await world.settle()
        kept = await world.keep("xa")
        secret = world["xa"].signer("xa.bka#1").listing(wallet(1), tlp="RED", aud=["xa.lka"])
        await world["xa"].say(secret, world["xa"].signer("xa.bka#1").listing(wallet(2)))
        place = world["xa"].node.own_log.size - 2
        await world.settle()
        xa = await world.put_back("xa", kept)
        assert isinstance(xa.node.gate.frozen, FellBehind)
        assert f"entries {place} of" in xa.node.gate.frozen.detail
        assert words(await submit(xa.node, xa.signer("xa.bka#1").listing(wallet(3)))) == ["log_frozen"]
        await world.settle()
        assert isinstance(xa.node.gate.frozen, FellBehind)


async def test_a_restored_node_waits_until_a_peer_answers(tmp_path: Path) -> None:
    """Its own anchor tells it that something is missing; cut off from its peers it stays frozen, and heals when the line is back."""
    async with World.open(tmp_path, "xa", "xb") as world:
        await world.introduce()
        await world.settle()
        kept = await world.keep("xa")
        await world["xa"].say(world["xa"].signer("xa.bka#1").listing(wallet(1)))
        await world.settle()
        world.net.cut("xa", "xb")
        xa = await world.put_back("xa", kept, anchor=False)
        assert isinstance(xa.node.gate.frozen, FellBehind)
        world.net.heal()
        await xa.look()
        assert xa.node.gate.frozen is None
        assert (await xa.node.index.find(wallet_id(1))) != ()


async def test_another_history_is_never_signed_over(tmp_path: Path) -> None:
    """Restored and cut off without its anchor, the node goes another way: once it hears its peers it stops, and does not heal over it."""
    async with World.open(tmp_path, "xa", "xb") as world:
        await world.introduce()
        await world.settle()
        kept = await world.keep("xa")
        await world["xa"].say(world["xa"].signer("xa.bka#1").listing(wallet(1)))
        await world.settle()
        world.net.cut("xa", "xb")
        xa = await world.put_back("xa", kept)
        await xa.say(xa.signer("xa.bka#1").listing(wallet(2)))
        world.net.heal()
        for _ in range(2):
            await xa.look()
        assert isinstance(xa.node.gate.frozen, RolledBack)
        assert not isinstance(xa.node.gate.frozen, FellBehind)
        await world["xb"].look()
        async with world["xb"].node.database.reading() as tx:
            mirror = await tx.mirrors.get(world.origin("xa"))
        assert mirror is not None
        assert mirror.state == "forked"


async def test_erased_data_is_gone_before_the_restored_node_answers(tmp_path: Path) -> None:
    """A backup from before an erasure is put back: when the node opens, the part is gone here too, by its own log from its peers."""
    async with World.open(tmp_path, "xa", "xb") as world:
        await world.introduce()
        bka = world["xa"].signer("xa.bka#1")
        listing = bka.listing(wallet(1), others={"ctx": [{"note": "left by mistake"}]})
        await world["xa"].say(listing)
        await world.settle()
        kept = await world.keep("xa")
        await world["xa"].say(bka.erase(sid_in(listing), parts=["core", "ctx"]))
        await world.settle()
        xa = await world.put_back("xa", kept)
        for node in (xa, world["xb"]):
            assert (await node.node.index.find(wallet_id(1))) == (), node.code
            async with node.node.database.reading() as tx:
                found = await tx.statements.locate(world.origin("xa"), sid_in(listing))
                assert found is not None
                assert all(part.is_erased for part in await tx.statements.parts_of(world.origin("xa"), [found.index])), node.code

"""Keys that were stolen: an agency's, the log's, the registrar's. What the thief said falls everywhere; what was good comes back."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from app.domain.checkpoint import Checkpoint
from app.domain.errors import CordonError
from app.domain.folding import State
from app.seal.notes import NoteKey, sign_note
from app.services.enroll import read_note_seed
from tests.cli.test_cli_root import rotate
from tests.factories import sid_in, submit, wallet, wallet_id, words
from tests.federation.rogues import log_anyway
from tests.simulator import SimNode, World

pytestmark = pytest.mark.slow


async def listed(node: SimNode, *numbers: int) -> list[bool]:
    """Which wallets are listed at a node."""
    return [bool(await node.node.index.find(wallet_id(number))) for number in numbers]


async def new_root(world: World, code: str, *words_: object) -> SimNode:
    """Stop the node, draft, sign with two root keys and publish the next root document, start again (as its operator would)."""
    world.clock.ms = max(world.clock.ms, time.time_ns() // 1_000_000)  # the command line knows no other clock
    await world.stop(code)
    done = await asyncio.to_thread(rotate, world.towns[code].data_dir, *words_)
    assert done.code == 0, done.err
    return await world.start(code)


async def test_a_stolen_agency_key_is_revoked_by_its_place_in_the_log(tmp_path: Path) -> None:
    """A thief lists, and retracts in mass: revoked from where he began, both fall at every peer; what was genuine is reaffirmed."""
    async with World.open(tmp_path, "xa", "xb") as world:
        await world.introduce()
        xa, xb = world["xa"], world["xb"]
        stolen, safe = xa.signer("xa.bka#1"), xa.signer("xa.bka#2")
        good = [stolen.listing(wallet(n)) for n in range(5)]
        await xa.say(*good)
        theft = xa.node.own_log.size
        back_dated = stolen.listing(wallet(90), iat=stolen.now - 3_600)
        genuine = stolen.listing(wallet(50))
        await xa.say(stolen.retract(*(sid_in(wire) for wire in good)), back_dated, genuine)
        assert await world.settle() == []
        assert await listed(xb, 0, 1, 2, 3, 4, 90, 50) == [False] * 5 + [True, True]
        await xa.say(xa.town.registrar().revoke("xa.bka#1", reason="compromised", from_index=theft))
        await xa.say(safe.reaffirm(sid_in(genuine)))
        assert await world.settle() == []
        for node in (xa, xb):
            assert await listed(node, 0, 1, 2, 3, 4, 90, 50) == [True] * 5 + [False, True], node.code
        assert words(await submit(xa.node, stolen.listing(wallet(7)))) != ["accepted"]
        await log_anyway(xa, stolen.listing(wallet(7), iat=stolen.now - 86_000))  # a rogue node would log it
        await world.settle()
        assert await listed(xb, 7) == [False]


async def test_a_lone_registrar_key_enters_nobody(tmp_path: Path) -> None:
    """Where the policy asks for two, a member entered by one stolen registrar key is inert everywhere, and so is all that he says."""
    async with World.open(tmp_path, "xa", "xb") as world:
        for code in ("xa", "xb"):
            await world[code].say(*world[code].town.settled())
        await world.befriend("xb", "xa")
        await world.befriend("xa", "xb")
        xa, xb = world["xa"], world["xb"]
        await xa.say(xa.town.policy(needs2=["member", "key-revoke", "policy"]))
        mole = xa.town.member("xa.mole")
        (outcome,) = await submit(xa.node, mole)
        assert words([outcome]) == ["held"]
        revoke = xa.town.registrar().revoke("xa.bka#1", reason="compromised", from_index=0)
        await submit(xa.node, revoke)
        await log_anyway(xa, xa.signer("xa.mole#1").listing(wallet(1)))
        await xa.say(xa.signer("xa.bka#1").listing(wallet(2)))
        await world.settle()
        assert await listed(xb, 1, 2) == [False, True]
        assert (await xb.states("xa"))[sid_in(mole)].state is State.WAITING
        await xa.say(xa.signer("xa.registrar#2").approve(sid_in(mole), tlp="CLEAR"))
        await xa.say(xa.signer("xa.mole#1").listing(wallet(3)))
        await world.settle()
        assert await listed(xb, 1, 2, 3) == [False, True, True]


async def test_a_stolen_registrar_key_goes_with_a_new_root_document(tmp_path: Path) -> None:
    """The root key holders replace it: from then on the thief's members count nowhere."""
    async with World.open(tmp_path, "xa", "xb") as world:
        await world.introduce()
        await world.settle()
        thief = world["xa"].town.registrar(2)
        xa = await new_root(world, "xa", "--drop-registrar-key", "xa.registrar#2")
        xb = world["xb"]
        world.clock.advance(s=61)
        await world.settle()

        mole = type(thief)(thief.origin, thief.key, world.clock() // 1000).policy({"needs2": [], "four_eyes": []})
        (outcome,) = await submit(xa.node, mole)
        assert isinstance(outcome, CordonError)
        await log_anyway(xa, mole, xa.signer("xa.bka#1").listing(wallet(2)))
        await world.settle()
        assert await listed(xb, 2) == [True]
        async with xb.node.database.reading() as tx:
            poison = [row.reason for row in await tx.evidence.poison_page(xa.origin, limit=10)]
        assert poison, "the thief's policy is carried inert"


async def test_a_stolen_log_key_ends_with_the_next_root_document(tmp_path: Path) -> None:
    """Root rotates the log key and drops the old one: a checkpoint by the thief is refused, the log goes on under the new key."""
    async with World.open(tmp_path, "xa", "xb") as world:
        await world.introduce()
        await world.settle()
        stolen = NoteKey.from_seed(world.origin("xa"), read_note_seed(world.towns["xa"].data_dir, "log"))
        await new_root(world, "xa", "--new-log-key")
        world.clock.advance(s=61)
        await world.settle()
        xa = await new_root(world, "xa", "--retire-old")
        await xa.say(xa.signer("xa.bka#1").listing(wallet(1)))
        for _ in range(2):
            world.clock.advance(s=61)
            await xa.node.gate.heartbeat()
            await world.settle()
        xb = world["xb"]
        assert await listed(xb, 1) == [True]
        size = xa.node.own_log.size
        text = Checkpoint(xa.origin, size + 5, b"\x07" * 32).text()
        federation = xb.node.federation
        assert federation is not None
        with pytest.raises(CordonError):
            federation.mirroring.read_note(xa.origin, sign_note(text, stolen))
        assert (await xb.sizes())[xa.origin] == size

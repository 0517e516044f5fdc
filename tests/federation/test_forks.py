"""A log that shows two faces: proved within one round, believed by everybody, and no use for delisting anybody (protocol §3.7)."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from app.domain.fork import parse_evidence
from app.seal.notes import verify_fork
from tests.factories import Signer, sid_in, wallet, wallet_id
from tests.federation.test_stolen_keys import new_root
from tests.mirrors import check_index
from tests.simulator import SimNode, World

pytestmark = pytest.mark.slow

VERIFY = """
import sys
from app.seal.notes import read_vkeys, verify_fork
from app.seal.roots import read_document
document = read_document(open(sys.argv[1], "rb").read()).document
log = document.logs[0]
verify_fork(open(sys.argv[2]).read(), log.origin, log_keys=read_vkeys(log.vkeys))
print("proved", log.origin)
"""


async def two_faced(world: World, code: str, *, deceived: str) -> SimNode:
    """A second node with the keys of `code` that `deceived` talks to; the others go on with the first."""
    clone = await world.clone(code, await world.keep(code), f"{code}2")
    world.net.detours[deceived, code] = f"{code}2"
    return clone


async def states_of(node: SimNode, code: str) -> tuple[str, int | None]:
    """How a mirror stands: its state and the common prefix."""
    async with node.node.database.reading() as tx:
        row = await tx.mirrors.get(node.world.origin(code))
    assert row is not None
    return row.state, row.common


async def evidence_at(node: SimNode) -> list[str]:
    """The texts of the forks that a node can prove."""
    async with node.node.database.reading() as tx:
        return [row.text for row in await tx.evidence.all() if row.form == "fork"]


async def test_two_branches_are_proved_within_one_sync(tmp_path: Path) -> None:
    """xa tells xb another history than xc and xd: after one round of looking all three hold the proof, and a stranger can check it."""
    async with World.open(tmp_path, "xa", "xb", "xc", "xd") as world:
        await world.introduce()
        await world.settle()
        common = world["xa"].node.own_log.size
        clone = await two_faced(world, "xa", deceived="xb")
        await world["xa"].say(world["xa"].signer("xa.bka#1").listing(wallet(1)))
        await clone.say(clone.signer("xa.bka#1").listing(wallet(2)), clone.signer("xa.lka#1").listing(wallet(3)))
        await world["xb"].look()
        await world["xc"].look()  # the first that hears both faces
        await world["xd"].look()
        for code in ("xb", "xc", "xd"):
            assert await states_of(world[code], "xa") == ("forked", common), code
            (text, *_) = await evidence_at(world[code])
            verify_fork(text, world.origin("xa"), log_keys=world.towns["xa"].log_keys)
        file = tmp_path / "evidence.txt"
        file.write_text(text)
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", VERIFY, str(world.towns["xa"].data_dir / "root" / "1.json"), str(file)],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        assert done.stdout == f"proved {world.origin('xa')}\n"
        assert parse_evidence(text).note_a != parse_evidence(text).note_b


async def test_a_fork_delists_nobody(tmp_path: Path) -> None:
    """A log forks after a listing and retracts it on one branch: the listing stays, what was added past the fork is `contested`."""
    async with World.open(tmp_path, "xa", "xb", "xc") as world:
        await world.introduce()
        before = world["xa"].signer("xa.bka#1").listing(wallet(1))
        await world["xa"].say(before)
        await world.settle()
        clone = await two_faced(world, "xa", deceived="xb")
        added = clone.signer("xa.lka#1").listing(wallet(3))
        await clone.say(clone.signer("xa.bka#1").retract(sid_in(before)), added)
        await world["xa"].say(world["xa"].signer("xa.bka#1").listing(wallet(2)))
        await world.settle()
        xb = world["xb"]
        assert (await states_of(xb, "xa"))[0] == "forked"
        assert [one.sid for one in (await xb.node.index.find(wallet_id(1)))] == [sid_in(before)]
        assert [one.contested for one in (await xb.node.index.find(wallet_id(3)))] == [True]
        answer = xb.node.screening
        assert answer is not None
        assert {one.state for one in xb.node.moment().sources if one.origin == world.origin("xa")} == {"forked"}
        clone_down = await world["xc"].states("xa")
        assert clone_down[sid_in(before)].state.value == "active"


async def test_who_has_forked_himself_still_hears_what_others_correct(tmp_path: Path) -> None:
    """Everybody shows xa that its own log has forked. It signs nothing more, and a retraction of xb still frees the wallet at xa."""
    async with World.open(tmp_path, "xa", "xb") as world:
        await world.introduce()
        xa, bka = world["xa"], world["xb"].signer("xb.bka#1")
        listed = bka.listing(wallet(1))
        await world["xb"].say(listed)
        await world.settle()
        clone = await two_faced(world, "xa", deceived="xb")
        xa = world["xa"]
        await clone.say(clone.signer("xa.bka#1").listing(wallet(2)))
        await xa.say(xa.signer("xa.bka#1").listing(wallet(3)))
        await world["xb"].look()
        await xa.look()
        assert xa.node.gate.frozen is not None
        assert (await xa.node.index.find(wallet_id(1))) != ()
        await world["xb"].say(bka.retract(sid_in(listed)))
        assert await xa.look() == []
        assert (await xa.node.index.find(wallet_id(1))) == ()


async def test_a_fork_that_nobody_shows_silences_nobody(tmp_path: Path) -> None:
    """xb hears proof of a fork of xa's log, and all whom it reaches hold its own branch. What xa's agencies list goes on counting, under
    the registry as it was; what they withdraw waits. Once xd shows the other branch, xb knows where they part.
    """
    async with World.open(tmp_path, "xa", "xb", "xc", "xd") as world:
        await world.introduce()
        xa, xb, xd = world["xa"], world["xb"], world["xd"]
        bka = xa.signer("xa.bka#1")
        old, before = bka.listing(wallet(6)), bka.listing(wallet(1))
        await xa.say(old, before)
        await xa.say(bka.retract(sid_in(old)), *(bka.listing(wallet(10 + n)) for n in range(3)))
        await world.settle()
        common = xa.node.own_log.size
        clone = await two_faced(world, "xa", deceived="xd")
        xa = world["xa"]
        await xa.say(bka.retract(sid_in(before)), bka.listing(wallet(7)), bka.listing(wallet(8)))
        await clone.say(*(clone.signer("xa.bka#1").listing(wallet(n)) for n in (3, 4, 5, 2)))
        for code in ("xb", "xc"):
            world.net.cut(code, "xd", both=False)
            await world[code].look()
        await xa.say(bka.listing(wallet(9)))
        await xd.look()  # hears both faces, and hands the proof on
        state, least = await states_of(xb, "xa")
        assert state == "forked"
        assert least is not None
        assert 0 < least <= common, "the path of the proof holds the larger trees of the other branch"
        await xb.look()
        assert [one.contested for one in await xb.node.index.find(wallet_id(9))] == [True]
        assert [one.sid for one in await xb.node.index.find(wallet_id(1))] == [sid_in(before)]
        world.net.heal()
        world.clock.advance(s=61)
        await xb.look()
        assert await states_of(xb, "xa") == ("forked", common)
        assert [one.contested for one in await xb.node.index.find(wallet_id(9))] == [True]
        assert [one.sid for one in await xb.node.index.find(wallet_id(1))] == [sid_in(before)]
        assert await xb.node.index.find(wallet_id(6)) == ()
        assert await xb.node.index.find(wallet_id(10)) != ()
        await check_index(xb.node.database, xb.node.index)


@pytest.mark.parametrize("is_deceived", [True, False], ids=["the dropped branch", "the kept branch"])
async def test_a_fork_ends_in_a_new_log(is_deceived: bool, tmp_path: Path) -> None:
    """The root key holders end the forked log where its branches part and begin `/log/2`: peers retire the one and follow the other."""
    async with World.open(tmp_path, "xa", "xb") as world:
        await world.introduce()
        bka = world["xa"].signer("xa.bka#1")
        await world["xa"].say(bka.listing(wallet(1)))
        await world.settle()
        common = world["xa"].node.own_log.size
        clone = await two_faced(world, "xa", deceived="xb")
        await world["xa"].say(bka.listing(wallet(2)))
        await clone.say(clone.signer("xa.bka#1").listing(wallet(3)))
        faces = ("xa2", "xa") if is_deceived else ("xa", "xa2")
        for face in faces:
            world.net.detours["xb", "xa"] = face
            await world["xb"].look()
        assert (await states_of(world["xb"], "xa")) == ("forked", common)
        world.net.detours.clear()
        await world.stop("xa2")
        xa = await new_root(world, "xa", "--new-log", "--final-size", common)
        assert xa.node.identity.origin == "xa.example/log/2"
        for _ in range(3):
            world.clock.advance(s=61)
            await xa.node.gate.heartbeat()
            errors = await world.settle()
        assert errors == []
        xb = world["xb"]
        assert (await states_of(xb, "xa"))[0] == "retired"
        assert [bool(await xb.node.index.find(wallet_id(n))) for n in (1, 2, 3)] == [True, False, False]
        again = Signer(bka.key, xa.node.identity.origin, world.clock)
        await xa.say(again.listing(wallet(2)))
        assert await world.settle() == []
        assert (await xb.node.index.find(wallet_id(2))) != ()
        moment = xb.node.moment()
        assert {one.origin: one.state_at(moment.now_ms // 1000) for one in moment.sources} == {
            "xa.example/log": "retired",
            "xa.example/log/2": "live",
        }

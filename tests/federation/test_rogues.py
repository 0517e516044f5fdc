"""Peers that lie, hide, flood and forge: nothing of it is believed, nothing of it stops anybody, and what can be proved is kept."""

from __future__ import annotations

import random
from pathlib import Path

import httpx
import pytest

from app.domain.canonical import write_json
from app.domain.errors import CordonError, NotFound
from app.domain.folding import State
from app.domain.statement import ohash_of
from app.services.trust import Terms
from tests.factories import Signer, key_of, sid_in, submit, wallet, wallet_id, words
from tests.federation.rogues import keeping_back, log_anyway, log_raw, saying
from tests.mirrors import check_fold, check_index
from tests.simulator import SimNode, World

pytestmark = pytest.mark.slow


async def poison_at(node: SimNode, code: str) -> dict[int, str]:
    """What a node carries inert of a log, and why."""
    async with node.node.database.reading() as tx:
        return {row.index: row.reason for row in await tx.evidence.poison_page(node.world.origin(code), limit=1_000)}


async def withheld_at(node: SimNode, code: str) -> dict[int, str]:
    """What a node lacks of a log."""
    async with node.node.database.reading() as tx:
        return {row.index: row.what for row in await tx.withheld.between(node.world.origin(code), 0, 10_000)}


async def state_at(node: SimNode, code: str, index: int) -> State:
    """The state of the statement at a place of a log."""
    async with node.node.database.reading() as tx:
        (event,) = await tx.statements.events_at(node.world.origin(code), [index])
        found = await tx.statements.locate(event.origin, event.sid)
    assert found is not None
    return found.state.state


# --- what rogues log -----------------------------------------------------------------------------------------------------


async def test_a_rogue_agency_cannot_list_what_is_protected(tmp_path: Path) -> None:
    """An exchange's hot wallet: held at home, so it is in no log; and where a peer protects the id itself, its own word stands."""
    async with World.open(tmp_path, "xa", "xb") as world:
        await world.introduce()
        xa, xb = world["xa"], world["xb"]
        for node, number in ((xa.node, 1), (xb.node, 2)):
            async with node.database.transaction() as tx:
                await tx.protected.add([(wallet_id(number), "hot wallet", "test")])
            await node.guards.load()
        bka = xa.signer("xa.bka#1")
        assert words(await submit(xa.node, bka.listing(wallet(1)), bka.listing(wallet(2)))) == ["held", "accepted"]
        await world.settle()
        assert (await xa.node.index.find(wallet_id(1))) == (await xb.node.index.find(wallet_id(1))) == ()
        assert xb.node.moment().protected(wallet_id(2))


async def test_a_flood_through_a_peer_changes_nothing_until_it_is_released(tmp_path: Path) -> None:
    """More than agreed in an hour: mirrored whole, dormant, an alarm; a human releases what is good."""
    async with World.open(tmp_path, "xa", "xb") as world:
        await world.introduce()
        federation = world["xb"].node.federation
        assert federation is not None
        await federation.trust.set_terms(world.origin("xa"), Terms(added_per_hour=20, total=1_000))
        await federation.reload()
        bka = world["xa"].signer("xa.bka#1")
        flood = [bka.listing(*(wallet(40 * n + k) for k in range(40))) for n in range(25)]
        for at in range(0, 25, 5):
            await world["xa"].say(*flood[at : at + 5])
        await world["xa"].say(bka.listing(wallet(5_000)))
        assert await world.settle() == []
        xb = world["xb"]
        assert (await xb.sizes())[world.origin("xa")] == world["xa"].node.own_log.size
        assert [n for n in range(1_000) if (await xb.node.index.find(wallet_id(n)))] == []
        assert (await xb.node.index.find(wallet_id(5_000))) != ()
        async with xb.node.database.reading() as tx:
            dormant = [row.index for row in await tx.valve.page(world.origin("xa"), after=-1)]
        assert len(dormant) == 25
        await federation.trust.release(world.origin("xa"), dormant[:1])
        await federation.reload()
        assert [n for n in range(1_000) if (await xb.node.index.find(wallet_id(n)))] == [*range(40)]
        await check_fold(xb.node.database, xb.node.gate.keyrings)


async def test_a_node_cannot_forge_its_agency(tmp_path: Path) -> None:
    """Logged by a rogue node with a key of its own: carried inert by everybody, reported as evidence, and the log goes on."""
    async with World.open(tmp_path, "xa", "xb", "xc") as world:
        await world.introduce()
        xa = world["xa"]
        genuine = xa.signer("xa.bka#1").listing(wallet(1))
        twin = genuine.replace(genuine.split("~")[0][-8:], "AAAAAAAA", 1)
        stranger = Signer(key_of("xa.bka#9"), xa.origin, world.clock).listing(wallet(2))
        first = xa.node.own_log.size
        await log_anyway(xa, twin, stranger)
        await xa.say(xa.signer("xa.lka#1").listing(wallet(3)))
        for _ in range(2):
            assert await world.settle() == []
        for code in ("xb", "xc"):
            node = world[code]
            assert await poison_at(node, "xa") == {first: "bad_signature", first + 1: "unknown_kid"}
            assert [bool(await node.node.index.find(wallet_id(n))) for n in (1, 2, 3)] == [False, False, True]
            async with node.node.database.reading() as tx:
                said = await tx.statements.events_between(node.origin, 0, 100)
            assert [event.kind for event in said].count("evidence") == 2


async def test_poison_pills_stop_nobody(tmp_path: Path) -> None:
    """Fuzzed entries with good hashes, an entry from the past, a statement for another log: the cursor passes all of them."""
    async with World.open(tmp_path, "xa", "xb") as world:
        await world.introduce()
        xa, chance = world["xa"], random.Random(7)
        good = xa.signer("xa.bka#1").listing(wallet(1)).partition("~")[0].encode()
        pills: list[tuple[bytes, tuple[str, ...]]] = []
        for _ in range(60):
            entry = bytearray(b"%d " % world.clock() + good)
            for _ in range(chance.choice((1, 1, 3, 30))):
                entry[chance.randrange(len(entry))] = chance.choice(b"\x21~.AZaz09-_ ")
            pills.append((bytes(entry), ()))
        pills += [(b" ", ()), (b"0 " + b"[" * 50_000, ()), (b"9" * 400 + b" a.b.c", ()), (b"1 " + b"A" * 65_000, ())]
        printable = [(entry, texts) for entry, texts in pills if entry.isascii()]
        await log_raw(xa, printable)
        elsewhere = Signer(xa.signer("xa.bka#1").key, world.origin("xb"), world.clock).listing(wallet(2))
        await log_anyway(xa, elsewhere, xa.signer("xa.exchange#1").listing(wallet(4)))
        await xa.say(xa.signer("xa.bka#1").listing(wallet(3)))
        assert await world.settle() == []
        xb = world["xb"]
        assert (await xb.sizes())[xa.origin] == xa.node.own_log.size
        assert len(await poison_at(xb, "xa")) >= len(printable)
        assert [bool(await xb.node.index.find(wallet_id(n))) for n in (1, 2, 3, 4)] == [False, False, True, False]
        await check_fold(xb.node.database, xb.node.gate.keyrings)
        await check_index(xb.node.database, xb.node.index)


# --- whom they tell ------------------------------------------------------------------------------------------------------


async def test_a_withheld_public_stub_heals_from_a_third_node(tmp_path: Path) -> None:
    """xa shows a GREEN statement to xc and keeps it from xb: xb has its hash, gets it from xc, and knows it for public."""
    async with World.open(tmp_path, "xa", "xb", "xc") as world:
        await world.introduce()
        await world.settle()
        hidden = world["xa"].node.own_log.size
        world.net.forgers["xb", "xa"] = keeping_back(hidden, hidden + 2)
        xa = world["xa"]
        retracted = xa.signer("xa.bka#1").listing(wallet(1))
        await xa.say(retracted, xa.signer("xa.lka#1").listing(wallet(2)), xa.signer("xa.bka#1").retract(sid_in(retracted)))
        world.net.cut("xb", "xc")
        await world["xb"].look()
        assert {index for index, what in (await withheld_at(world["xb"], "xa")).items() if what == "stub"} == {hidden, hidden + 2}
        world.net.heal()
        for _ in range(3):
            world.clock.advance(s=61)
            await world.settle()
        assert await withheld_at(world["xb"], "xa") == {}
        assert await world["xb"].states("xa") == await xa.states("xa")
        assert (await world["xb"].node.index.find(wallet_id(1))) == ()


async def test_who_is_left_without_a_receipt_knows_it(tmp_path: Path) -> None:
    """A node that takes a statement and drops it has given no receipt; what has one is in the tree that all peers hold."""
    async with World.open(tmp_path, "xa", "xb") as world:
        await world.introduce()
        xa = world["xa"]
        wire = xa.signer("xa.bka#1").listing(wallet(1))
        (admitted,) = await xa.say(wire)
        receipt = xa.town.check_receipt(wire, admitted)  # type: ignore[arg-type]
        await world.settle()
        async with world["xb"].node.database.reading() as tx:
            entry = await tx.log.entry(xa.origin, receipt.index)
            dropped = await tx.statements.locate(xa.origin, sid_in(xa.signer("xa.bka#1").listing(wallet(2))))
        assert entry is not None
        assert entry.sid == sid_in(wire)
        assert dropped is None


async def test_other_bytes_than_the_log_signed_are_not_taken(tmp_path: Path) -> None:
    """A node (or whoever sits on the line) alters an entry: the page is refused and comes again, right, from elsewhere or later."""
    async with World.open(tmp_path, "xa", "xb", "xc") as world:
        await world.introduce()
        await world.settle()
        xa, at = world["xa"], world["xa"].node.own_log.size
        await xa.say(xa.signer("xa.bka#1").listing(wallet(1)))
        line = write_json({"i": at, "e": f"{world.clock()} a.b.c"}) + b"\n"
        world.net.forgers["xb", "xa"] = saying("/fed/v1/entries", line)
        xb = world["xb"]
        assert any(isinstance(error, CordonError) for error in await xb.look())
        assert (await xb.sizes())[xa.origin] == at
        assert {one.origin: one.state for one in xb.node.moment().sources}[xa.origin] == "suspect"
        await world["xc"].look()
        await xb.look()
        assert (await xb.node.index.find(wallet_id(1))) != ()
        assert {one.origin: one.state for one in xb.node.moment().sources}[xa.origin] == "live"


# --- the line ------------------------------------------------------------------------------------------------------------


async def test_a_request_that_is_sent_again_is_refused(tmp_path: Path) -> None:
    """What somebody recorded on the line opens nothing a second time, nor with another path or body."""
    async with World.open(tmp_path, "xa", "xb") as world:
        await world.introduce()
        world.net.listens = True
        await world["xa"].say(world["xa"].signer("xa.bka#1").listing(wallet(1)))
        await world["xb"].look()
        world.net.listens = False
        recorded = [one for one in world.net.heard if one.url.path == "/fed/v1/entries"]
        assert recorded
        async with httpx.AsyncClient(transport=world.net.transport("xz")) as thief:
            for one in recorded:
                token = {"Authorization": one.headers["Authorization"]}
                assert (await thief.get(one.url, headers=token)).status_code == 401
                assert (await thief.get(str(one.url).replace("from=", "from=0"), headers=token)).status_code == 401
                assert (await thief.post("https://xa.example/fed/v1/nudge", headers=token, content=b"{}")).status_code == 401
                assert (await thief.get(one.url)).status_code == 401


async def test_a_frozen_checkpoint_makes_answers_degraded(tmp_path: Path) -> None:
    """Somebody shows xb an old checkpoint again and again: after five minutes the log is stale and every answer says so."""
    async with World.open(tmp_path, "xa", "xb") as world:
        await world.introduce()
        await world.settle()
        xb, origin = world["xb"], world.origin("xa")

        def states() -> dict[str, str]:
            moment = xb.node.moment()
            return {one.origin: one.state_at(moment.now_ms // 1000) for one in moment.sources}

        assert states()[origin] == "live"
        world.net.cut("xb", "xa", both=False)
        for _ in range(3):
            world.clock.advance(s=101)
            await xb.node.gate.heartbeat()
            await xb.look()
        assert states()[origin] == "stale"
        world.net.heal()
        await world["xa"].node.gate.heartbeat()
        await xb.look()
        assert states()[origin] == "live"


async def test_too_much_from_a_peer_costs_it_its_turn_and_nobody_else(tmp_path: Path) -> None:
    """Endless heads, endless entries, deep JSON: the round with that peer fails, the other peer is followed as ever."""
    async with World.open(tmp_path, "xa", "xb", "xc") as world:
        await world.introduce()
        await world.settle()
        xb = world["xb"]
        for number, (path, body) in enumerate(
            (
                ("/fed/v1/heads", b"[" * 100_000),
                ("/fed/v1/heads", b"x" * (9 * 1024 * 1024)),
                ("/fed/v1/entries", b'{"i":0,"w":"stub"}\n' * 500_000),
                ("/fed/v1/entries", b'{"i":' + b"[" * 100_000 + b"\n"),
            )
        ):
            world.net.forgers["xb", "xa"] = saying(path, body)
            await world["xa"].say(world["xa"].signer("xa.bka#1").listing(wallet(100 + number)))
            await world["xc"].say(world["xc"].signer("xc.bka#1").listing(wallet(number)))
            world.net.cut("xc", "xa")  # or its mirror would help out
            await xb.look()
            assert (await xb.node.index.find(wallet_id(number))) != (), path
            assert (await xb.node.index.find(wallet_id(100 + number))) == (), path
        world.net.forgers.clear()
        world.net.heal()
        world.clock.advance(s=61)  # what was carried by its hash is asked for again within a minute
        await world.settle()
        assert all([await xb.node.index.find(wallet_id(100 + number)) for number in range(4)])


async def test_a_flood_of_bodies_is_refused_before_it_is_read(tmp_path: Path) -> None:
    """Nine mebibytes for a nudge, a hundred thousand brackets as evidence: refused, and the node goes on."""
    async with World.open(tmp_path, "xa", "xb") as world:
        await world.introduce()
        federation = world["xb"].node.federation
        assert federation is not None
        client = federation.followers["xa.example"].via.client
        for body in ("[" * 100_000, "x" * (9 * 1024 * 1024), "cordon-fork/v1\na 99999999999999999999\n"):
            with pytest.raises(CordonError):
                await client.evidence(body)
        with pytest.raises(NotFound):
            await client.checkpoint(ohash_of("nowhere.example/log"))
        assert world["xa"].node.gate.frozen is None


async def test_urls_of_peers_lead_nowhere_inside(tmp_path: Path) -> None:
    """A peer is asked at the URL its operator gave, never at one that its answers name; private addresses are refused."""
    async with World.open(tmp_path, "xa", "xb") as world:
        await world.introduce()
        federation = world["xb"].node.federation
        assert federation is not None
        for url in ("http://xa.example", "https://127.0.0.1", "https://169.254.169.254", "https://[::1]", "https://u:p@xa.example"):
            with pytest.raises(CordonError):
                await federation.trust.add(url, "00" * 32)

        def redirect(request: httpx.Request, answer: httpx.Response, body: bytes) -> httpx.Response:
            return httpx.Response(302, headers={"location": "http://169.254.169.254/latest/meta-data"})

        world.net.forgers["xb", "xa"] = redirect
        before = world.net.calls
        assert await world["xb"].look() != []
        assert world.net.calls - before <= 3

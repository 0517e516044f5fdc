"""The shelves of federation: peers, mirrors, what is withheld, poison and evidence, cosignatures, tokens and acknowledgements."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from app.domain.merkle import EMPTY_ROOT
from app.storage.acks import AcknowledgementRow
from app.storage.database import Database
from app.storage.evidence import EvidenceRow, PoisonRow
from app.storage.faults import LostRace
from app.storage.mirrors import MirrorRow
from app.storage.peers import PeerRow
from app.storage.withheld import WithheldRow
from app.storage.witnesses import CosignatureRow
from tests.storage.rows import FAR, NOW_MS, ORIGIN

NODE = "https://fr.example"
PEER = PeerRow("fr.example", "fr", NODE, "a" * 64, added_ms=NOW_MS)
MIRROR = MirrorRow(FAR, PEER.node)


async def test_a_peer_keeps_its_pin_whatever_is_put_later(database: Database) -> None:
    """Its url may move and it may rest; another pin or jurisdiction under the same name changes nothing and says so."""
    async with database.transaction() as tx:
        assert await tx.peers.get(PEER.node) is None
        assert await tx.peers.put(PEER)
        moved = replace(PEER, url="https://node.fr.example", paused=True, added_ms=NOW_MS + 1)
        assert await tx.peers.put(moved)
        assert not await tx.peers.put(replace(PEER, pin="b" * 64))
        assert not await tx.peers.put(replace(PEER, jurisdiction="be"))
        assert await tx.peers.get(PEER.node) == replace(moved, added_ms=NOW_MS)
        assert await tx.peers.by_jurisdiction("fr") == replace(moved, added_ms=NOW_MS)
        assert await tx.peers.by_jurisdiction("be") is None


async def test_peers_rest_go_on_and_leave(database: Database) -> None:
    """All are listed by node; what is not there cannot rest or leave."""
    other = replace(PEER, node="be.example", jurisdiction="be")
    async with database.transaction() as tx:
        for one in (PEER, other):
            await tx.peers.put(one)
        assert await tx.peers.all() == [other, PEER]
        assert await tx.peers.set_paused(PEER.node, True)
        assert await tx.peers.get(PEER.node) == replace(PEER, paused=True)
        assert not await tx.peers.set_paused("nobody", True)
        assert await tx.peers.remove(PEER.node)
        assert not await tx.peers.remove(PEER.node)
        assert await tx.peers.all() == [other]


async def test_a_jurisdiction_has_one_node(database: Database) -> None:
    """A second one is refused by the database itself, whoever asks at the same time."""
    async with database.transaction() as tx:
        await tx.peers.put(PEER)
    with pytest.raises(LostRace):
        async with database.transaction() as tx:
            await tx.peers.put(replace(PEER, node="other.fr.example"))


async def test_a_mirror_begins_empty_live_and_once(database: Database) -> None:
    """What is created twice stays as it has become; mirrors are found by origin and by node."""
    second = replace(MIRROR, origin="fr2.example/log", node="fr.example", weight=40, transfer_basis="adequacy", quarantined=True)
    third = replace(MIRROR, origin="be.example/log", node="be.example", common=3, final_size=0)
    async with database.transaction() as tx:
        assert await tx.mirrors.create(MIRROR)
        assert not await tx.mirrors.create(replace(MIRROR, weight=1))
        assert await tx.mirrors.create(second)
        assert await tx.mirrors.create(third)
        assert await tx.mirrors.get(FAR) == MirrorRow(FAR, PEER.node, 0, EMPTY_ROOT, "", "live", "", None, None, False)
        assert await tx.mirrors.get("nowhere") is None
        assert await tx.mirrors.all() == [third, MIRROR, second]
        assert await tx.mirrors.of_node("fr.example") == [MIRROR, second]
        assert await tx.mirrors.remove(FAR)
        assert not await tx.mirrors.remove(FAR)


async def test_a_verified_tree_only_grows(database: Database) -> None:
    """A smaller tree, or another one of the same size, is not taken; a newer checkpoint over the same tree is."""
    async with database.transaction() as tx:
        await tx.mirrors.create(MIRROR)
        assert await tx.mirrors.set_tree(FAR, 5, b"5" * 32, "note 5")
        assert not await tx.mirrors.set_tree(FAR, 4, b"4" * 32, "note 4")
        assert not await tx.mirrors.set_tree(FAR, 5, b"x" * 32, "forged")
        assert await tx.mirrors.set_tree(FAR, 5, b"5" * 32, "note 5, cosigned")
        assert not await tx.mirrors.set_tree(FAR, 7, b"7" * 32, "note 7", old_size=4)
        assert not await tx.mirrors.set_tree("nowhere", 7, b"7" * 32, "note 7")
        assert await tx.mirrors.get(FAR) == replace(MIRROR, tree_size=5, tree_root=b"5" * 32, tree_note="note 5, cosigned")
        assert await tx.mirrors.set_tree(FAR, 7, b"7" * 32, "note 7", old_size=5)


async def test_of_workers_that_move_a_tree_from_the_same_size_one_wins(database: Database) -> None:
    """Each read size 0: one is told that it moved the tree, the others that they did not."""
    async with database.transaction() as tx:
        await tx.mirrors.create(MIRROR)

    async def move(size: int) -> bool:
        return await database.run(lambda tx: tx.mirrors.set_tree(FAR, size, bytes([size]) * 32, f"note {size}", old_size=0))

    moved = await asyncio.gather(*(move(size) for size in range(1, 6)))
    assert sorted(moved) == [False] * 4 + [True]
    found = await database.quick.mirrors.get(FAR)
    assert found is not None
    assert found.tree_size == moved.index(True) + 1


async def test_a_fork_is_not_overruled_by_who_has_not_seen_it(database: Database) -> None:
    """Stale, live and retired come too late; an earlier fork is taken, a later one is not; a human lifts it."""
    async with database.transaction() as tx:
        await tx.mirrors.create(MIRROR)
        assert await tx.mirrors.set_state(FAR, "stale", "no word for an hour")
        assert await tx.mirrors.set_state(FAR, "forked", "two branches", common=40)
        for state in ("live", "stale", "suspect"):
            assert not await tx.mirrors.set_state(FAR, state, "late")
        assert not await tx.mirrors.set_state(FAR, "retired", "late", final_size=50)
        assert not await tx.mirrors.set_state(FAR, "forked", "later", common=41)
        assert await tx.mirrors.get(FAR) == replace(MIRROR, state="forked", reason="two branches", common=40, heard=40)
        assert await tx.mirrors.set_state(FAR, "forked", "earlier", common=10)
        assert await tx.mirrors.get(FAR) == replace(MIRROR, state="forked", reason="earlier", common=10, heard=10)
        assert await tx.mirrors.set_state(FAR, "live", "settled", by_human=True)
        assert await tx.mirrors.get(FAR) == replace(MIRROR, reason="settled")


async def test_where_a_fork_began_may_be_learned_later(database: Database) -> None:
    """Two heads of one size prove a fork before its place is known."""
    async with database.transaction() as tx:
        await tx.mirrors.create(MIRROR)
        assert await tx.mirrors.set_state(FAR, "forked", "two heads")
        assert await tx.mirrors.set_state(FAR, "forked", "two branches", common=40)
        assert not await tx.mirrors.set_state(FAR, "forked", "two heads")
        assert await tx.mirrors.get(FAR) == replace(MIRROR, state="forked", reason="two branches", common=40, heard=40)


async def test_the_bounds_of_a_fork_close_in(database: Database) -> None:
    """Between 8 and 40 at first: what shows more is taken, what shows less is not; once it is known it is as any other."""
    async with database.transaction() as tx:
        await tx.mirrors.create(MIRROR)
        assert await tx.mirrors.set_state(FAR, "forked", "somewhere", common=8, heard=40)
        assert not await tx.mirrors.set_state(FAR, "forked", "wider", common=8, heard=41)
        assert await tx.mirrors.set_state(FAR, "forked", "two branches", common=20, heard=20)
        assert await tx.mirrors.get(FAR) == replace(MIRROR, state="forked", reason="two branches", common=20, heard=20)
        assert not await tx.mirrors.set_state(FAR, "forked", "later", common=21, heard=21)


async def test_an_end_stands_until_a_fork_or_an_earlier_end(database: Database) -> None:
    """What retired stays so; a fork found afterwards keeps the final size beside it."""
    async with database.transaction() as tx:
        await tx.mirrors.create(MIRROR)
        assert await tx.mirrors.set_state(FAR, "retired", "rotated", final_size=50)
        assert not await tx.mirrors.set_state(FAR, "live", "late")
        assert not await tx.mirrors.set_state(FAR, "retired", "again", final_size=60)
        assert await tx.mirrors.set_state(FAR, "retired", "earlier", final_size=45)
        assert await tx.mirrors.set_state(FAR, "forked", "two branches", common=30)
        assert await tx.mirrors.get(FAR) == replace(MIRROR, state="forked", reason="two branches", common=30, heard=30, final_size=45)
        assert not await tx.mirrors.set_state("nowhere", "live", "")


async def test_terms_quarantine_and_times_change_alone(database: Database) -> None:
    """Terms that are not given stay; zero is a term; times never go back."""
    async with database.transaction() as tx:
        await tx.mirrors.create(MIRROR)
        assert await tx.mirrors.set_terms(FAR, added_per_hour=0, weight=30)
        assert await tx.mirrors.set_terms(FAR, total=7, transfer_basis="Art. 40 LED")
        assert not await tx.mirrors.set_terms("nowhere", total=7)
        assert await tx.mirrors.set_quarantined(FAR, True)
        assert not await tx.mirrors.set_quarantined("nowhere", True)
        await tx.mirrors.seen(FAR, 20, note_ms=15)
        await tx.mirrors.seen(FAR, 10, note_ms=5)
        await tx.mirrors.seen(FAR, 21)
        assert await tx.mirrors.get(FAR) == replace(
            MIRROR, added_per_hour=0, total=7, weight=30, transfer_basis="Art. 40 LED", quarantined=True, seen_ms=21, note_ms=15
        )
        assert await tx.mirrors.set_quarantined(FAR, False)


async def test_what_is_withheld_is_asked_for_in_turn(database: Database) -> None:
    """The longest waiting first, per log and kind; what came is dropped, what came in part waits for the rest."""
    stubs = [WithheldRow(FAR, index, "stub", NOW_MS - index) for index in range(4)]
    part = WithheldRow(FAR, 9, "parts", NOW_MS)
    async with database.transaction() as tx:
        await tx.withheld.put_many([*stubs, part, WithheldRow(ORIGIN, 1, "stub", NOW_MS)])
        assert await tx.withheld.page(FAR, "stub", 2, NOW_MS) == [stubs[3], stubs[2]]
        assert await tx.withheld.page(FAR, "parts", 2, NOW_MS) == []
        await tx.withheld.asked(FAR, [3], NOW_MS + 5)
        await tx.withheld.asked(FAR, [], NOW_MS + 5)
        assert [row.index for row in await tx.withheld.page(FAR, "stub", 9, NOW_MS + 9)] == [2, 1, 0, 3]
        await tx.withheld.put_many([WithheldRow(FAR, 2, "parts", NOW_MS)])
        assert await tx.withheld.counts(FAR) == {"stub": 3, "parts": 2}
        assert await tx.withheld.between(FAR, 1, 3) == [stubs[1], WithheldRow(FAR, 2, "parts", NOW_MS)]
        assert await tx.withheld.drop(FAR, [1, 2, 77]) == 2
        assert await tx.withheld.drop(FAR, []) == 0
        assert await tx.withheld.counts("nowhere") == {}


async def test_poison_is_kept_with_its_first_reason_until_it_is_reported(database: Database) -> None:
    """Entries come in pages by place, of one log or of all; a NUL in a peer's words does not stop anything."""
    bad = PoisonRow(FAR, 3, "the stub names \0 as kind", b"1 \0\xff", NOW_MS)
    gone = PoisonRow(FAR, 8, "not UTF-8", None, NOW_MS)
    own = PoisonRow(ORIGIN, 0, "z", b"z", NOW_MS)
    async with database.transaction() as tx:
        await tx.evidence.put_poison([gone, bad, own])
        await tx.evidence.put_poison([replace(bad, reason="another")])
        kept = replace(bad, reason="the stub names \ufffd as kind")
        assert await tx.evidence.poison_page() == [own, kept, gone]
        assert await tx.evidence.poison_page(FAR, limit=1) == [kept]
        assert await tx.evidence.poison_page(FAR, after=(FAR, 3)) == [gone]
        await tx.evidence.mark_reported(FAR, [3])
        await tx.evidence.mark_reported(FAR, [])
        assert await tx.evidence.poison_page(FAR, unreported=True) == [gone]
        assert await tx.evidence.poison_page(unreported=True) == [own, gone]
        assert await tx.evidence.poison_page(FAR) == [replace(kept, reported=True), gone]
        assert await tx.evidence.count_poison(FAR) == 2


async def test_evidence_is_kept_once(database: Database) -> None:
    """By its hash; whoever brings it again is told that it is known; logging it is said once it is done."""
    fork = EvidenceRow("f" * 64, "fork", FAR, "cordon-evidence/v1\n— é\n", NOW_MS)
    older = replace(fork, sha256="0" * 64, form="bad_entry", found_ms=NOW_MS - 1)
    async with database.transaction() as tx:
        assert await tx.evidence.put(fork)
        assert not await tx.evidence.put(replace(fork, text="x"))
        assert await tx.evidence.put(older)
        assert await tx.evidence.all() == [older, fork]
        assert await tx.evidence.mark_logged(fork.sha256)
        assert not await tx.evidence.mark_logged("1" * 64)
        assert await tx.evidence.get(fork.sha256) == replace(fork, logged=True)
        assert await tx.evidence.get("1" * 64) is None


async def test_the_newest_line_of_each_witness_is_found(database: Database) -> None:
    """Lines stand by checkpoint; a witness' newer line over the same size replaces the older; small sizes are pruned."""
    lines = [CosignatureRow(FAR, size, name, f"— {name} {size}", size) for size in (5, 9) for name in ("w1", "w2")]
    late = CosignatureRow(FAR, 9, "w1", "— w1 again", 99)
    async with database.transaction() as tx:
        await tx.witnesses.put(*lines[:3])
        await tx.witnesses.put(late, CosignatureRow(ORIGIN, 100, "w2", "— w2", 1))
        assert await tx.witnesses.of(FAR, 9) == [late]
        assert await tx.witnesses.of(FAR, 5) == lines[:2]
        assert await tx.witnesses.newest(FAR, ["w1", "w2", "w3"]) == {"w1": late, "w2": lines[1]}
        assert await tx.witnesses.newest(FAR, []) == {}
        assert await tx.witnesses.prune(FAR, 9) == 2
        assert await tx.witnesses.newest(FAR, ["w1", "w2"]) == {"w1": late}
        assert await tx.witnesses.of(ORIGIN, 100) != []


async def test_a_token_is_good_once(database: Database) -> None:
    """The same jti of another key is another token; one that has run out is forgotten, one that has not is not."""
    async with database.transaction() as tx:
        assert await tx.tokens.remember("fr#1", "j", 100)
        assert not await tx.tokens.remember("fr#1", "j", 900)
        assert await tx.tokens.remember("fr#2", "j", 200)
        assert await tx.tokens.prune(100) == 0
        assert await tx.tokens.prune(101) == 1
        assert await tx.tokens.remember("fr#1", "j", 300)
        assert not await tx.tokens.remember("fr#2", "j", 300)


async def test_of_workers_that_get_the_same_token_one_takes_it(database: Database) -> None:
    """A replay at the same moment to several workers is seen."""

    async def remember() -> bool:
        async with database.transaction() as tx:
            return await tx.tokens.remember("fr#1", "j", 100)

    assert sorted(await asyncio.gather(*(remember() for _ in range(5)))) == [False] * 4 + [True]


async def test_the_valve_counts_by_the_hour(database: Database) -> None:
    """What came into force since an hour and ever, per log; counts made at the same time add up."""

    async def add(n: int) -> None:
        await database.run(lambda tx: tx.valve.add(FAR, 1000, n))

    await asyncio.gather(*(add(n) for n in range(1, 5)))
    async with database.transaction() as tx:
        await tx.valve.add(FAR, 999, 7)
        await tx.valve.add(ORIGIN, 1000, 1)
        assert await tx.valve.added(FAR, 1000) == 10
        assert await tx.valve.added(FAR, 1001) == 0
        assert await tx.valve.total(FAR) == 17
        assert await tx.valve.total("nowhere") == 0


async def test_every_erase_has_the_word_of_every_peer_or_is_overdue(database: Database) -> None:
    """Asked once for each node and erase; a word is kept once and only from whom it was expected."""
    async with database.transaction() as tx:
        await tx.acks.ask(["be", "fr"], ORIGIN, ["s1", "s2"], 100)
        await tx.acks.ask(["be", "fr"], ORIGIN, ["s2", "s3"], 200)
        assert await tx.acks.done("fr", ORIGIN, ["s1", "s2", "unknown"], 250, "jws") == 2
        assert await tx.acks.done("fr", ORIGIN, ["s1"], 260, "again") == 0
        assert await tx.acks.done("fr", FAR, ["s3"], 260, "of another log") == 0
        assert await tx.acks.done("es", ORIGIN, ["s3"], 260, "not asked") == 0
        assert await tx.acks.done("fr", ORIGIN, [], 260, "nothing") == 0
        waiting = AcknowledgementRow("be", ORIGIN, "s1", 100)
        assert await tx.acks.overdue(200) == [waiting, replace(waiting, sid="s2")]
        assert [(row.node, row.sid) for row in await tx.acks.overdue(201)] == [("be", "s1"), ("be", "s2"), ("be", "s3"), ("fr", "s3")]
        assert await tx.acks.of("s1") == [waiting, AcknowledgementRow("fr", ORIGIN, "s1", 100, 250, "jws")]
        assert await tx.acks.of("s9") == []

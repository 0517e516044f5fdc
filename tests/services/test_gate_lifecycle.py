"""What becomes of a listing: retracted, replaced, renewed, erased, disputed; in the log, the rows, the index and the answers."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import pytest

from app.domain.merkle import consistency_path, root_at, verify_consistency
from app.domain.tiles import TileReader, needed_for_root
from app.seal.notes import read_checkpoint
from app.services.admit import Admitted
from app.services.node import Node
from app.services.screen import Caller as Asking
from app.services.screen import Query
from tests.factories import Clock, Town, accept, agency_reader, refuse, sid_in, submit, vasp_reader, wallet, wallet_id, words
from tests.filed import check_filed


async def result_of(node: Node, subject: str, reader: Any = None) -> dict[str, Any]:
    """What a reader (a VASP unless named) is told of an id."""
    answer = await node.screening.screen_one(Query(subject), Asking(reader or vasp_reader()))
    result = answer["result"]
    assert isinstance(result, dict)
    return result


async def match_of(node: Node, number: int) -> str:
    return str((await result_of(node, wallet_id(number)))["match"])


async def state_of(node: Node, wire: str) -> str:
    record = await node.consultation.statement(sid_in(wire), agency_reader())
    return str(record["state"])


async def test_a_retraction_takes_effect_at_once(node: Node, town: Town) -> None:
    """By its own issuer or the registrar; the record stays, with the edge."""
    bka = town.signer("de.bka#1")
    one, two = bka.listing(wallet(1)), bka.listing(wallet(2))
    await accept(node, one, two)
    retraction = town.signer("de.bka#2").retract(sid_in(one))
    await accept(node, retraction, town.signer("de.registrar#1").retract(sid_in(two)))
    assert [await match_of(node, n) for n in (1, 2)] == ["not_listed", "not_listed"]
    assert [await state_of(node, w) for w in (one, two)] == ["retracted", "retracted"]
    record = await node.consultation.statement(sid_in(one), agency_reader())
    assert record["edges"] == [{"kind": "retract", "sid": sid_in(retraction), "origin": town.origin, "issuer": "de.bka"}]


async def test_a_retraction_cannot_be_taken_back(node: Node, town: Town) -> None:
    """Retract, erase, renew, approve and reaffirm are no targets of retract; listing anew is the way."""
    bka = town.signer("de.bka#1")
    wire = bka.listing(wallet(1))
    retraction = bka.retract(sid_in(wire))
    await accept(node, wire, retraction)
    await refuse(node, bka.retract(sid_in(retraction)), "edge_not_authorised")
    await accept(node, bka.listing(wallet(1)))
    assert await match_of(node, 1) == "listed"


async def test_a_listing_supersedes_another(node: Node, town: Town) -> None:
    """The old items go, the new ones come, in one step; the record names its successor."""
    bka = town.signer("de.bka#1")
    old = bka.listing(wallet(1), wallet(2))
    await accept(node, old)
    new = bka.listing(wallet(2, severity=4), wallet(3), t=[sid_in(old)])
    await accept(node, new)
    assert [await match_of(node, n) for n in (1, 2, 3)] == ["not_listed", "listed", "listed"]
    assert (await result_of(node, wallet_id(2)))["severity"] == 4
    items, _ = await node.consultation.statements(agency_reader(), issuer="de.bka", kind=None, since_ms=0, after=None, limit=10)
    assert [(i["state"], i["superseded_by"]) for i in items if isinstance(i, dict)] == [("superseded", sid_in(new)), ("active", None)]


async def test_a_renewal_moves_the_expiry_and_no_further_than_five_years(node: Node, town: Town, clock: Clock) -> None:
    """The highest index counts; past the expiry nothing is listed; five years after the listing no renewal is taken."""
    bka = town.signer("de.bka#1")
    wire = bka.listing(wallet(1), days=10)
    await accept(node, wire, bka.renew(sid_in(wire), days=30), bka.renew(sid_in(wire), days=20))
    clock.advance(days=15)
    assert await match_of(node, 1) == "listed"
    clock.advance(days=5)
    assert (await match_of(node, 1), await state_of(node, wire)) == ("not_listed", "expired")
    await accept(node, bka.renew(sid_in(wire), days=30))
    assert await match_of(node, 1) == "listed"
    clock.advance(days=4 * 365)
    await refuse(node, _renewal_beyond(town, wire), "key_not_valid")
    await accept(node, town.member("de.bka"))
    await refuse(node, _renewal_beyond(town, wire), "validity")
    await accept(node, bka.renew(sid_in(wire), days=300))


def _renewal_beyond(town: Town, wire: str) -> str:
    return town.signer("de.bka#1").renew(sid_in(wire), days=400)


async def test_one_edge_may_do_it_to_many(node: Node, town: Town) -> None:
    """One `retract` over 200 listings in one batch."""
    bka = town.signer("de.bka#1")
    wires = [bka.listing(wallet(n)) for n in range(200)]
    await accept(node, *wires, bka.retract(*map(sid_in, wires)))
    assert {await match_of(node, n) for n in (0, 99, 199)} == {"not_listed"}
    assert [await node.index.find(wallet_id(n)) for n in (0, 99, 199)] == [()] * 3


# --- erasure -------------------------------------------------------------------------------------------------------


async def test_erasing_core_takes_items_and_listing_away(node: Node, town: Town) -> None:
    """The parts named are tombstones, the items are gone from rows and index; stub, proof and receipt stay."""
    bka = town.signer("de.bka#1")
    wire = bka.listing(wallet(1), others={"ctx": [{"narrative": "kept"}]})
    (first,) = await accept(node, wire)
    await accept(node, bka.erase(sid_in(wire)))
    record = await node.consultation.statement(sid_in(wire), agency_reader())
    assert (record["state"], record["parts"]) == ("erased", {"core": "erased", "ctx": [{"narrative": "kept"}]})
    assert await match_of(node, 1) == "not_listed"
    async with node.database.reading() as tx:
        assert await tx.subjects.listings([wallet_id(1)]) == []
    town.check_receipt(wire, first)
    (again,) = await submit(node, wire)
    assert isinstance(again, Admitted)
    town.check_receipt(wire, again)


async def test_erasing_another_part_ends_the_listing_but_keeps_its_items(node: Node, town: Town) -> None:
    """`erase` makes the statement inactive whatever it destroys; what was not named stays readable in the record."""
    bka = town.signer("de.bka#1")
    wire = bka.listing(wallet(1), others={"ctx": [{"narrative": "goes"}]})
    await accept(node, wire, bka.erase(sid_in(wire), parts=["ctx"]))
    record = await node.consultation.statement(sid_in(wire), agency_reader())
    parts = record["parts"]
    assert isinstance(parts, dict)
    assert (parts["ctx"], record["state"], await match_of(node, 1)) == ("erased", "erased", "not_listed")
    assert isinstance(parts["core"], list)


async def test_an_erasure_that_waits_destroys_nothing_until_it_is_approved(node: Node, town: Town) -> None:
    """With `erase` in needs2 the content stays until the second key has spoken."""
    bka, second = town.signer("de.bka#1"), town.signer("de.bka#2")
    wire = bka.listing(wallet(1))
    await accept(node, wire, town.policy(needs2=["erase"]))
    erasure = bka.erase(sid_in(wire))
    assert words(await submit(node, erasure)) == ["held"]
    assert await match_of(node, 1) == "listed"
    await accept(node, second.approve(sid_in(erasure)))
    async with node.database.reading() as tx:
        (row, *_) = await tx.statements.parts_of(town.origin, [6])
    assert (row.is_erased, await match_of(node, 1)) == (True, "not_listed")


async def test_erased_bytes_leave_the_disk_and_old_checkpoints_still_verify(tmp_path: Path, town: Town, sqlite_migrated_url: str) -> None:
    """A planted value: found in no file of the node after the erasure; every older checkpoint is still a prefix (trust-and-ops §1.6)."""
    planted = secrets.token_hex(20)
    notes: list[str] = []
    async with town.open(sqlite_migrated_url) as node:
        bka, second = town.signer("de.bka#1"), town.signer("de.bka#2")
        await accept(node, *town.settled())
        other = bka.listing(wallet(2))
        # Through the shelf of held statements, so that every table has seen it.
        async with node.database.transaction() as tx:
            await tx.protected.add([(wallet_id(1), "hot wallet", "test")])
        await node.guards.load()
        context = {"narrative": f"case {planted}"}
        wire = bka.listing(wallet(1, note=planted), wallet(3, note=planted), others={"ctx": [context]})
        assert words(await submit(node, other, wire)) == ["accepted", "held"]
        await accept(node, second.approve(sid_in(wire)))
        notes.append((await node.publisher.checkpoint()).note)
        assert _files_with(tmp_path, planted), "the search must be able to find it"
        await accept(node, bka.listing(wallet(4)))
        notes.append((await node.publisher.checkpoint()).note)
        await accept(node, second.erase(sid_in(wire), parts=["core", "ctx"]))
        assert _files_with(tmp_path, planted) == []
        await _check_prefixes(node, town, notes)
        async with node.database.reading() as tx:
            assert await tx.meta.get("forget_due") is None
    assert _files_with(tmp_path, planted) == []


async def test_an_erasure_under_an_open_reader_is_finished_by_the_next_heartbeat(
    tmp_path: Path, town: Town, sqlite_migrated_url: str
) -> None:
    """A reader holds the write-ahead log open: the erasure is answered all the same, and the bytes go when he has left."""
    planted = secrets.token_hex(20)
    async with town.open(sqlite_migrated_url) as node:
        await accept(node, *town.settled())
        bka = town.signer("de.bka#1")
        wire = bka.listing(wallet(1, note=planted))
        await accept(node, wire)
        async with node.database.reading() as tx:
            assert await tx.subjects.listings([wallet_id(1)])
            await _impatient(node)
            erasure = bka.erase(sid_in(wire))
            (answer,) = await accept(node, erasure)
            town.check_receipt(erasure, answer)
        assert _files_with(tmp_path, planted)
        await node.gate.heartbeat()
        assert _files_with(tmp_path, planted) == []


async def _impatient(node: Node) -> None:
    """The writer waits 5 s for readers; a test need not."""
    async with node.database._store._alone() as session:
        await session.script("PRAGMA busy_timeout=50")


def _files_with(folder: Path, text: str) -> list[str]:
    """Like `grep -rF`: the files below `folder` that hold the text, in any of the encodings in which we keep it."""
    plain = text.encode()
    return [path.name for path in folder.rglob("*") if path.is_file() and any(x in path.read_bytes() for x in _spellings(plain))]


def _spellings(plain: bytes) -> list[bytes]:
    """The text itself, and the core of its base64url at each of the three alignments: disclosures are kept as they came."""
    from base64 import urlsafe_b64encode

    return [plain, *(urlsafe_b64encode(b"\0" * shift + plain)[4:-4] for shift in range(3))]


async def _check_prefixes(node: Node, town: Town, notes: list[str]) -> None:
    newest = read_checkpoint((await node.publisher.checkpoint()).note, town.origin, verifiers=town.log_keys)
    async with node.database.reading() as tx:
        tiles = await tx.log.read_tiles(town.origin, [(level, n) for level in (0, 1) for n in range(4)])
    read = TileReader(lambda level, index: tiles[level, index])
    assert needed_for_root(newest.size)
    assert root_at(newest.size, read) == newest.root
    for note in notes:
        old = read_checkpoint(note, town.origin, verifiers=town.log_keys)
        path = consistency_path(old.size, newest.size, read)
        verify_consistency(path, old_size=old.size, old_root=old.root, new_size=newest.size, new_root=newest.root)


@pytest.mark.postgres
async def test_on_postgresql_no_row_holds_what_was_erased(town: Town, postgresql_migrated_url: str) -> None:
    """PostgreSQL frees the pages by VACUUM; its write-ahead log and its backups have their own horizon. Of rows none is left."""
    planted = secrets.token_hex(20)
    async with town.open(postgresql_migrated_url) as node:
        await accept(node, *town.settled())
        bka = town.signer("de.bka#1")
        wire = bka.listing(wallet(1, note=planted), others={"ctx": [{"narrative": planted}]})
        await accept(node, wire, bka.erase(sid_in(wire), parts=["core", "ctx"]))
        async with node.database.reading() as tx:
            rows = await tx.statements.parts_of(town.origin, range(8))
            assert {row.part for row in rows if row.is_erased} == {"core", "ctx"}
            assert await tx.subjects.listings([wallet_id(1)]) == []
            record = await tx.statements.record(sid_in(wire))
        assert planted not in repr(record)


# --- disputes ------------------------------------------------------------------------------------------------------


async def test_a_dispute_is_shown_and_the_redress_member_suspends(node: Node, town: Town) -> None:
    """Anybody's dispute is an annotation; the redress member's `overdue` or `upheld` suspends: shown, not listed."""
    bka, ombud, lka = town.signer("de.bka#1"), town.signer("de.ombud#1"), town.signer("de.lka#1")
    wire = bka.listing(wallet(1))
    await accept(node, wire, lka.dispute(sid_in(wire), stage="upheld"))
    result = await result_of(node, wallet_id(1))
    assert (result["match"], [s["state"] for s in result["statements"]]) == ("listed", ["disputed"])
    assert result["statements"][0]["disputed_by"] == ["de.lka"]
    await accept(node, ombud.dispute(sid_in(wire), stage="overdue"))
    result = await result_of(node, wallet_id(1))
    assert (result["match"], result["severity"], [s["state"] for s in result["statements"]]) == ("not_listed", None, ["suspended"])


async def test_the_newest_stage_of_the_redress_member_counts(node: Node, town: Town, clock: Clock) -> None:
    """Suspended, then found inadmissible: listed again."""
    bka, ombud = town.signer("de.bka#1"), town.signer("de.ombud#1")
    wire = bka.listing(wallet(1))
    await accept(node, wire, ombud.dispute(sid_in(wire), stage="overdue"))
    assert await match_of(node, 1) == "not_listed"
    clock.advance(s=1)
    await accept(node, ombud.dispute(sid_in(wire), stage="inadmissible"))
    assert await match_of(node, 1) == "listed"


async def test_a_dispute_withdrawn_by_its_agency_is_gone(node: Node, town: Town) -> None:
    """Retracting a dispute takes the annotation away; so does revoking the key that signed it."""
    bka, lka = town.signer("de.bka#1"), town.signer("de.lka#1")
    wire = bka.listing(wallet(1))
    dispute = lka.dispute(sid_in(wire))
    await accept(node, wire, dispute, lka.endorse(sid_in(wire)), lka.retract(sid_in(dispute)))
    (statement,) = (await result_of(node, wallet_id(1)))["statements"]
    assert (statement["state"], statement["disputed_by"], statement["endorsed_by"]) == ("active", [], ["de.lka"])
    await accept(node, town.registrar().revoke("de.lka#1", reason="compromised", from_index=0))
    (statement,) = (await result_of(node, wallet_id(1)))["statements"]
    assert statement["endorsed_by"] == []


async def test_what_a_narrow_dispute_says_is_not_told_to_others(node: Node, town: Town) -> None:
    """An AMBER dispute exists for its audience only: others see the listing undisputed."""
    bka, lka = town.signer("de.bka#1"), town.signer("de.lka#1")
    wire = bka.listing(wallet(1))
    await accept(node, wire, lka.dispute(sid_in(wire), tlp="AMBER", aud=["de.example"]))
    outside = vasp_reader("fr.exchange", node="fr.example")
    states = [(await result_of(node, wallet_id(1), reader))["statements"][0]["state"] for reader in (vasp_reader(), outside)]
    assert states == ["disputed", "active"]


async def test_the_index_knows_what_the_rows_say_after_all_that(node: Node, town: Town) -> None:
    """After one of each kind of change the index holds what a fresh start would load."""
    bka, lka = town.signer("de.bka#1"), town.signer("de.lka#1")
    wires = [bka.listing(wallet(n), wallet(n + 100)) for n in range(6)]
    await accept(
        node,
        *wires,
        bka.retract(sid_in(wires[0])),
        bka.listing(wallet(1), t=[sid_in(wires[1])]),
        bka.renew(sid_in(wires[2])),
        bka.erase(sid_in(wires[3])),
        lka.dispute(sid_in(wires[4])),
        town.registrar().revoke("de.lka#1", reason="compromised", from_index=0),
        town.member("de.bka", name="Renamed", country="DE"),
    )
    await node.keeper.tick()
    await check_filed(node.database, node.index)

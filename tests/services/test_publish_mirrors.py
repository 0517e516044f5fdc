"""What a node serves to those who follow: its own log by labels, mirrors by the relay rule, proofs with cosignatures (protocol §3.8)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from app.domain.canonical import b64u_decode
from app.domain.checkpoint import parse_checkpoint
from app.domain.errors import NotFound
from app.domain.labels import Membership, Reader, ReaderClass
from app.domain.merkle import leaf_hash
from app.domain.note import KeyType, parse_note
from app.domain.statement import ohash_of
from app.domain.tiles import parse_bundle, parse_tile_path
from app.seal.notes import NoteKey, Verifier, cosign, open_note, verify_receipt
from app.services import publish
from app.services.node import Node
from app.services.publish import Page
from app.storage.witnesses import CosignatureRow
from tests.factories import PUBLIC, Clock, Town, accept, agency_reader, sid_in, vasp_reader, wallet
from tests.mirrored import copy_log, foreign_node

OWN = ohash_of("de.example/log")
FR = ohash_of("fr.example/log")
FIRST = 6  # entries with which every town begins


def peer(node: str, *memberships: Membership) -> Reader:
    return Reader(ReaderClass.NODE, node, memberships=memberships)


def lines(page: Page) -> list[dict[str, Any]]:
    """What a page says, and that its bytes are one line each."""
    assert page.body == b"".join(line + b"\n" for line in page.lines)
    return [json.loads(line) for line in page.body.splitlines()]


def parts_in(line: dict[str, Any]) -> list[str]:
    """The names of the parts of which disclosures came."""
    return sorted({json.loads(b64u_decode(text))[1].partition(".")[0] for text in line.get("d", [])})


@pytest.fixture
async def abroad(tmp_path: Path, clock: Clock) -> AsyncIterator[tuple[Town, Node]]:
    async with foreign_node(tmp_path, clock) as opened:
        yield opened


# --- the own log -----------------------------------------------------------------------------------------------------


async def test_entries_come_without_holes_and_hash_to_their_leaves(node: Node, town: Town) -> None:
    """One line an index; what is given is the entry byte for byte, its leaf stands in the hash tile."""
    await accept(node, town.signer("de.bka#1").listing(wallet(1)))
    found = lines(await node.publisher.entries(OWN, 0, 99, peer("fr.example")))
    assert [line["i"] for line in found] == [*range(FIRST + 1)]
    tile = await node.publisher.tile(parse_tile_path("tile/0/000.p/7"))
    assert b"".join(leaf_hash(line["e"].encode()) for line in found) == tile
    assert parts_in(found[FIRST]) == ["core"]


async def test_a_stub_above_the_reader_is_a_word_and_nothing_else(node: Node, town: Town) -> None:
    """RED and AMBER stubs: their audience has them with parts, everybody else has their index."""
    bka = town.signer("de.bka#1")
    await accept(
        node,
        bka.listing(wallet(1), tlp="RED", aud=["fr.example"]),
        bka.listing(wallet(2), tlp="AMBER", aud=["nl.example"]),
        bka.listing(wallet(3), tlp="AMBER+STRICT", aud=["fr.example", "nl.example"]),
    )

    async def told(reader: Reader) -> list[str]:
        found = lines(await node.publisher.entries(OWN, FIRST, FIRST + 3, reader))
        assert all(line == {"i": line["i"], "w": "stub"} for line in found if "e" not in line)
        assert all(parts_in(line) == ["core"] for line in found if "e" in line)
        return ["e" if "e" in line else line["w"] for line in found]

    assert await told(peer("fr.example")) == ["e", "stub", "e"]
    assert await told(peer("nl.example")) == ["stub", "e", "e"]
    assert await told(peer("es.example")) == ["stub", "stub", "stub"]
    assert await told(vasp_reader()) == ["stub", "stub", "stub"]
    assert await told(agency_reader("de.bka")) == ["e", "e", "e"]  # its issuer
    assert await told(agency_reader("de.lka")) == ["stub", "stub", "stub"]


async def test_what_a_stranger_is_told_does_not_depend_on_what_is_hidden(node: Node, town: Town) -> None:
    """Non-interference: two hidden statements that differ in everything give the same bytes but for the index."""
    bka = town.signer("de.bka#1")
    await accept(
        node,
        bka.listing(wallet(1), tlp="RED", aud=["nl.example"]),
        bka.listing(*[wallet(n) for n in range(2, 40)], tlp="AMBER", aud=["es.example", "nl.example"], days=1),
        bka.listing(wallet(77), tlp="AMBER+STRICT", aud=["nl.example"]),
    )
    for reader in (peer("fr.example"), vasp_reader(), PUBLIC):
        page = await node.publisher.entries(OWN, FIRST, FIRST + 3, reader)
        assert page.body == b'{"i":6,"w":"stub"}\n{"i":7,"w":"stub"}\n{"i":8,"w":"stub"}\n'
        assert page.sids == []
        again = await node.publisher.parts(OWN, [FIRST, FIRST + 1, FIRST + 2], reader)
        assert again.body == page.body


async def test_a_group_opens_its_statements_to_its_members(node: Node, town: Town) -> None:
    """A peer that a group names reads what is for the group, from the index on from which it did."""
    bka = town.signer("de.bka#1")
    await accept(node, *[bka.listing(wallet(n), tlp="AMBER", aud=["group:de.desk"]) for n in (1, 2)])
    named = peer("fr.example", Membership("de.example/log", "group:de.desk", FIRST + 1))
    assert [("e" in line) for line in lines(await node.publisher.entries(OWN, FIRST, 99, named))] == [False, True]
    assert [("e" in line) for line in lines(await node.publisher.entries(OWN, FIRST, 99, peer("fr.example")))] == [False, False]


async def test_parts_above_the_reader_are_left_out(node: Node, town: Town) -> None:
    """The stub with the parts that he may have; the public gets stubs alone, as its answers are delayed and embargoed."""
    labels = {"core": {"tlp": "GREEN"}, "ctx": {"tlp": "AMBER", "aud": ["fr.example"]}}
    await accept(node, town.signer("de.bka#1").listing(wallet(1), others={"ctx": [{"note": "x"}]}, labels=labels))
    await accept(node, town.signer("de.bka#1").listing(wallet(2), tlp="CLEAR"))

    async def told(reader: Reader) -> list[list[str]]:
        return [parts_in(line) for line in lines(await node.publisher.entries(OWN, FIRST, FIRST + 2, reader))]

    assert await told(peer("fr.example")) == [["core", "ctx"], ["core"]]
    assert await told(peer("nl.example")) == [["core"], ["core"]]
    assert await told(PUBLIC) == [[], []]
    assert "e" in lines(await node.publisher.entries(OWN, FIRST + 1, FIRST + 2, PUBLIC))[0]


async def test_an_erased_part_is_named_to_those_who_might_have_had_it(node: Node, town: Town) -> None:
    """After `erase` the line says which part is gone for good; the entry stays, and who could not read the part hears nothing."""
    bka = town.signer("de.bka#1")
    labels = {"core": {"tlp": "GREEN"}, "ctx": {"tlp": "AMBER", "aud": ["fr.example"]}}
    (listed,) = await accept(node, bka.listing(wallet(1), others={"ctx": [{"note": "x"}]}, labels=labels))
    await accept(node, bka.erase(listed.sid, parts=["ctx"]))
    (line,) = lines(await node.publisher.parts(OWN, [FIRST], peer("fr.example")))
    assert (parts_in(line), line["x"]) == (["core"], ["ctx"])
    (line,) = lines(await node.publisher.parts(OWN, [FIRST], peer("nl.example")))
    assert (parts_in(line), "x" in line) == (["core"], False)


async def test_a_page_is_bounded_in_lines_and_bytes(node: Node, town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """At most so many lines and so many bytes, over any number of stretches; at least one line; nothing beyond the signed size."""
    bka = town.signer("de.bka#1")
    await accept(node, *[bka.listing(wallet(n), jti=f"j{n}") for n in range(40)])
    size = FIRST + 40
    monkeypatch.setattr(publish, "STRETCH", 7)
    whole = await node.publisher.entries(OWN, 0, 10_000, peer("fr.example"))
    assert [line["i"] for line in lines(whole)] == [*range(size)]
    monkeypatch.setattr(publish, "PAGE_LINES", 20)
    assert [line["i"] for line in lines(await node.publisher.entries(OWN, 5, 10_000, peer("fr.example")))] == [*range(5, 25)]
    monkeypatch.setattr(publish, "PAGE_BYTES", len(whole.body) // 4)
    found = await node.publisher.entries(OWN, 30, 10_000, peer("fr.example"))
    assert 0 < len(found.lines) < 16
    assert len(found.body) <= publish.PAGE_BYTES
    monkeypatch.setattr(publish, "PAGE_BYTES", 10)
    assert len((await node.publisher.entries(OWN, 30, 40, peer("fr.example"))).lines) == 1
    assert (await node.publisher.entries(OWN, size, size + 5, peer("fr.example"))).body == b""
    with pytest.raises(NotFound):
        await node.publisher.parts(OWN, [3, size], peer("fr.example"))


# --- mirrors ---------------------------------------------------------------------------------------------------------


async def test_a_mirror_is_served_as_its_origin_serves_it(node: Node, abroad: tuple[Town, Node]) -> None:
    """Checkpoint, hash tiles and public bundles are the same bytes; a log that is not held is not found."""
    town, fr = abroad
    bka = town.signer("fr.bka#1")
    await accept(fr, *[bka.listing(wallet(n), tlp="CLEAR", jti=f"j{n}") for n in range(300)])
    await copy_log(fr, node.database)
    ours, theirs = node.publisher, fr.publisher
    assert (await ours.checkpoint(FR)).note == (await theirs.checkpoint()).note
    for path in ("tile/0/000", "tile/0/001.p/50", "tile/1/000.p/1"):
        assert await ours.tile(parse_tile_path(path), FR) == await theirs.tile(parse_tile_path(path)), path
    for path in ("tile/entries/000", "tile/entries/001.p/50"):
        bundle = parse_tile_path(path)
        assert await ours.bundle(bundle, peer("nl.example"), FR) == await theirs.bundle(bundle, peer("nl.example"))
    for path in ("tile/0/002.p/1", "tile/0/001.p/51", "tile/2/000.p/1"):
        with pytest.raises(NotFound):
            await ours.tile(parse_tile_path(path), FR)
    with pytest.raises(NotFound):
        await ours.checkpoint(ohash_of("nl.example/log"))
    assert {(one.origin, one.size) for one in await ours.heads()} == {("de.example/log", FIRST), ("fr.example/log", 306)}


async def test_of_a_mirror_only_clear_and_green_goes_further(node: Node, abroad: tuple[Town, Node]) -> None:
    """AMBER and up comes from the origin alone, also for those whom it names; a GREEN statement keeps its AMBER part to itself."""
    town, fr = abroad
    bka = town.signer("fr.bka#1")
    labels = {"core": {"tlp": "GREEN"}, "ctx": {"tlp": "AMBER", "aud": ["nl.example"]}}
    await accept(
        fr,
        bka.listing(wallet(1), tlp="AMBER", aud=["de.example", "nl.example"]),
        bka.listing(wallet(2), others={"ctx": [{"note": "x"}]}, labels=labels),
    )
    await copy_log(fr, node.database)
    for reader in (peer("nl.example"), agency_reader("de.bka"), agency_reader("fr.bka")):
        hidden, shown = lines(await node.publisher.entries(FR, FIRST, 99, reader))
        assert hidden == {"i": FIRST, "w": "stub"}
        assert parts_in(shown) == ["core"]
        with pytest.raises(NotFound):
            await node.publisher.bundle(parse_tile_path("tile/entries/000.p/8"), reader, FR)
    at_home = lines(await fr.publisher.entries(FR, FIRST, 99, peer("nl.example")))
    assert [parts_in(line) for line in at_home] == [["core"], ["core", "ctx"]]


async def test_the_node_of_a_log_has_all_of_it_back(node: Node, abroad: tuple[Town, Node]) -> None:
    """Who lost his database gets from a mirror whatever it holds of his own log, restricted or not: it was his (protocol §3.6)."""
    town, fr = abroad
    bka = town.signer("fr.bka#1")
    labels = {"core": {"tlp": "AMBER", "aud": ["de.example"]}, "ctx": {"tlp": "RED", "aud": ["de.example"]}}
    await accept(fr, bka.listing(wallet(1), tlp="AMBER", aud=["de.example"], others={"ctx": [{"note": "x"}]}, labels=labels))
    await copy_log(fr, node.database)
    (line,) = lines(await node.publisher.entries(FR, FIRST, 99, peer("fr.example")))
    assert parts_in(line) == ["core", "ctx"]
    assert lines(await node.publisher.parts(FR, [FIRST], peer("fr.example"))) == [line]


async def test_what_a_mirror_lacks_is_withheld(node: Node, abroad: tuple[Town, Node]) -> None:
    """A hole is a line like any other that is withheld; entries end where the mirror was processed, tiles where it was verified."""
    town, fr = abroad
    await accept(fr, *[town.signer("fr.bka#1").listing(wallet(n)) for n in range(4)])
    await copy_log(fr, node.database, without={FIRST + 1}, processed=FIRST + 3)
    found = lines(await node.publisher.entries(FR, FIRST, 99, peer("nl.example")))
    assert [line.get("w", "e") for line in found] == ["e", "stub", "e"]
    assert found[1] == {"i": FIRST + 1, "w": "stub"}
    with pytest.raises(NotFound):
        await node.publisher.bundle(parse_tile_path("tile/entries/000.p/9"), peer("nl.example"), FR)
    assert len(parse_bundle(await node.publisher.bundle(parse_tile_path("tile/entries/000.p/7"), peer("nl.example"), FR), 7)) == 7
    assert len(await node.publisher.tile(parse_tile_path("tile/0/000.p/10"), FR)) == 320


# --- proofs ----------------------------------------------------------------------------------------------------------


async def test_a_receipt_gains_the_cosignatures_that_came_in(node: Node, town: Town) -> None:
    """Each witness that has seen the checkpoint adds a line; the receipt still verifies, and its `extra` stays."""
    (listed,) = await accept(node, wire := town.signer("de.bka#1").listing(wallet(1)))
    before = await node.publisher.receipt(listed.sid, agency_reader())
    keys = [
        NoteKey.from_seed(f"{name}/witness", bytes([n]) * 32, key_type=KeyType.COSIGNATURE)
        for n, name in enumerate(("fr.example", "nl.example"))
    ]
    published = await node.publisher.checkpoint()
    text = parse_checkpoint(parse_note(published.note).text).text()
    rows = [
        CosignatureRow(town.origin, published.size, key.name, cosign(text, key, time=town.clock() // 1000), town.clock() // 1000)
        for key in keys
    ]
    async with node.database.transaction() as tx:
        await tx.witnesses.put(*rows)
    after = await node.publisher.receipt(listed.sid, agency_reader())
    assert after.startswith(before)
    assert [row.line for row in rows] == after[len(before) :].splitlines(keepends=True)
    cosigners = tuple(Verifier.from_vkey(key.vkey) for key in keys)
    note = (await node.publisher.checkpoint()).note
    assert {one.key.name for one in open_note(note, (*town.log_keys, *cosigners)).verified} >= {"fr.example/witness", "nl.example/witness"}
    receipt = verify_receipt(
        after, leaf_hash(f"{listed.accepted_ms} {wire.split('~')[0]}".encode()), origin=town.origin, log_keys=town.log_keys
    )
    assert receipt.extra == f"{listed.accepted_ms} {listed.sid}".encode()


async def test_a_statement_of_a_mirror_is_proved_from_its_own_log(node: Node, abroad: tuple[Town, Node]) -> None:
    """The receipt is under the checkpoint of the log that it stands in, for those who may read it."""
    town, fr = abroad
    (listed, hidden) = await accept(
        fr,
        wire := town.signer("fr.bka#1").listing(wallet(1)),
        town.signer("fr.bka#1").listing(wallet(2), tlp="AMBER", aud=["nl.example"]),
    )
    await copy_log(fr, node.database)
    text = await node.publisher.receipt(sid_in(wire), agency_reader())
    leaf = leaf_hash(f"{listed.accepted_ms} {wire.split('~')[0]}".encode())
    assert verify_receipt(text, leaf, origin=town.origin, log_keys=town.log_keys).index == FIRST
    with pytest.raises(NotFound):
        await node.publisher.receipt(hidden.sid, agency_reader())

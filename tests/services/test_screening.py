"""What a lookup says: scopes, kin, links, delay, embargo; and that two worlds which differ only in what is hidden answer alike."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from app.domain.address import siblings
from app.domain.identifiers import read_subject
from app.domain.labels import Reader
from app.domain.permission import Caller, CallerClass
from app.services.node import Node
from app.services.screen import Caller as Asking
from app.services.screen import Query
from tests.factories import (
    PUBLIC,
    Clock,
    Town,
    accept,
    agency_reader,
    entity,
    link,
    refuse,
    sid_in,
    submit,
    vasp_reader,
    wallet,
    wallet_id,
    words,
)

BITCOIN = "bip122:000000000019d6689c085ae165831e93:1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2"
XRP = "rN7n7otQDd6FczFgLdSqtcsAUxDkw6fzRH"


async def screen(node: Node, query: str | Query, reader: Reader | None = None) -> dict[str, Any]:
    """One result."""
    asked = query if isinstance(query, Query) else Query(query)
    answer = await node.screening.screen_one(asked, Asking(vasp_reader() if reader is None else reader))
    result = answer["result"]
    assert isinstance(result, dict)
    return result


async def test_a_listing_for_one_chain_is_related_on_another(node: Node, town: Town) -> None:
    """`scope.chains` names BNB Chain: asked on it or nowhere in particular it is listed, asked on another `other_chain`."""
    await accept(node, town.signer("de.bka#1").listing(wallet(1, scope={"chains": ["eip155:56"]})))
    address = wallet_id(1).rpartition(":")[2]
    assert (await screen(node, Query(address, chain="eip155:56")))["match"] == "listed"
    assert (await screen(node, address))["match"] == "listed"
    other = await screen(node, Query(address, chain="eip155:1"))
    assert (other["match"], other["related"]) == ("related", [{"id": wallet_id(1), "relation": "other_chain", "listed": True}])
    assert other["statements"] == []


async def test_a_listing_for_one_tag_is_related_for_another(node: Node, town: Town) -> None:
    """The deposit address of an exchange: one memo is listed, another and none are `same_key`."""
    xrp = read_subject(XRP).id
    await accept(node, town.signer("de.bka#1").listing(wallet(xrp, scope={"tag": "4711"})))
    assert (await screen(node, Query(XRP, tag="4711")))["match"] == "listed"
    for query in (Query(XRP, tag="4712"), Query(XRP)):
        result = await screen(node, query)
        assert (result["match"], [r["relation"] for r in result["related"]]) == ("related", ["same_key"])


async def test_the_same_key_elsewhere_is_related_both_ways(node: Node, town: Town) -> None:
    """A listed Ethereum address and its TRON form, a Bitcoin address and its other spellings: each finds the other."""
    tron = next(one.id for one in siblings(read_subject(wallet_id(1))) if one.id.startswith("tron:"))
    bitcoin = read_subject(BITCOIN).id
    kin = [one.id for one in siblings(read_subject(bitcoin))]
    bka = town.signer("de.bka#1")
    wires = [bka.listing(wallet(1)), bka.listing(wallet(bitcoin))]
    await accept(node, *wires)
    for listed, others in ((wallet_id(1), [tron]), (bitcoin, kin)):
        for other in others:
            result = await screen(node, other)
            assert (result["match"], result["related"]) == ("related", [{"id": listed, "relation": "same_key", "listed": True}]), other
    await accept(node, *(bka.retract(sid_in(wire)) for wire in wires), bka.listing(wallet(tron)))
    result = await screen(node, wallet_id(1))
    assert result["related"] == [{"id": tron, "relation": "same_key", "listed": True}]
    assert (await screen(node, kin[0]))["match"] == "not_listed"


@pytest.mark.parametrize(("relation", "word"), [("transfers_to", "counterparty"), ("same_cluster", "same_cluster")])
async def test_a_declared_link_relates_its_ends(node: Node, town: Town, relation: str, word: str) -> None:
    """Either end is related while the other is listed and the link stands; by itself a link lists nobody."""
    bka = town.signer("de.bka#1")
    joined = bka.listing(link(wallet_id(1), wallet_id(2), relation))
    await accept(node, joined)
    assert (await screen(node, wallet_id(1)))["match"] == "not_listed"
    await accept(node, town.signer("de.lka#1").listing(wallet(2)))
    result = await screen(node, wallet_id(1))
    assert (result["match"], result["related"]) == ("related", [{"id": wallet_id(2), "relation": word, "listed": True}])
    assert (await screen(node, wallet_id(2)))["match"] == "listed"
    await accept(node, bka.retract(sid_in(joined)))
    assert (await screen(node, wallet_id(1)))["match"] == "not_listed"


async def test_a_bad_row_has_its_own_error_among_many(node: Node, town: Town) -> None:
    """Rows answer in their order at one moment; `hits_only` leaves out what is not listed, never an invalid one."""
    await accept(node, town.signer("de.bka#1").listing(wallet(1)))
    rows = [Query(wallet_id(1)), Query("0x123"), Query(wallet_id(2), reference="mine")]
    answer = await node.screening.screen_many(rows, Asking(vasp_reader()), hits_only=False)
    results = answer["results"]
    assert isinstance(results, list)
    assert [(r["row"], r["match"], r["reference"]) for r in results if isinstance(r, dict)] == [
        (0, "listed", None),
        (1, "invalid", None),
        (2, "not_listed", "mine"),
    ]
    hits = (await node.screening.screen_many(rows, Asking(vasp_reader()), hits_only=True))["results"]
    assert isinstance(hits, list)
    assert [r["row"] for r in hits if isinstance(r, dict)] == [0, 1]


async def test_hits_are_recorded_before_they_are_told_and_misses_are_not(node: Node, town: Town) -> None:
    """The access log names caller, id and statement of each hit; it never holds the text that was asked."""
    wire = town.signer("de.bka#1").listing(wallet(1))
    await accept(node, wire)
    asking = Asking(vasp_reader(), actor="de.exchange/k1", purpose="transfer", case="c-1")
    for address in (wallet_id(1).rpartition(":")[2].upper().replace("0X", "0x"), wallet_id(2)):
        await node.screening.screen_one(Query(address), asking)
    await node.access_log.settle()
    async with node.database.reading() as tx:
        (row,) = await tx.audit.page()
        await tx.audit.verify()
    assert (row.entry.actor, row.entry.subject, row.entry.sids) == ("de.exchange/k1", wallet_id(1), (sid_in(wire),))


async def test_the_public_hears_of_a_listing_after_the_delay(node: Node, town: Town, clock: Clock) -> None:
    """72 hours by the policy, or what a later policy says; keyed callers hear at once; GREEN never becomes public."""
    bka = town.signer("de.bka#1")
    await accept(node, bka.listing(wallet(1), tlp="CLEAR"), bka.listing(wallet(2)))
    assert [(await screen(node, wallet_id(1), r))["match"] for r in (vasp_reader(), PUBLIC)] == ["listed", "not_listed"]
    clock.advance(hours=72, s=-1)
    assert (await screen(node, wallet_id(1), PUBLIC))["match"] == "not_listed"
    clock.advance(s=1)
    assert [(await screen(node, wallet_id(n), PUBLIC))["match"] for n in (1, 2)] == ["listed", "not_listed"]
    await accept(node, town.policy(public_delay_h=100))
    assert (await screen(node, wallet_id(1), PUBLIC))["match"] == "not_listed"


async def test_an_embargo_replaces_the_delay(node: Node, town: Town, clock: Clock) -> None:
    """`embargo_until` longer or shorter than the delay, for the public alone."""
    until = "2026-10-01T00:00:00Z"
    await accept(node, town.signer("de.bka#1").listing(wallet(1, embargo_until=until), tlp="CLEAR"))
    clock.advance(hours=80)
    assert [(await screen(node, wallet_id(1), r))["match"] for r in (vasp_reader(), PUBLIC)] == ["listed", "not_listed"]
    clock.advance(days=9)
    assert (await screen(node, wallet_id(1), PUBLIC))["match"] == "listed"


async def test_an_open_freeze_demands_an_embargo(node: Node, town: Town, clock: Clock) -> None:
    """A CLEAR listing of an id under an open freeze of the same issuer warns its owner: `schema`; in the same batch too."""
    bka, lka = town.signer("de.bka#1"), town.signer("de.lka#1")
    freeze = bka.freeze_request(wallet_id(1), hours=48)
    clear = bka.listing(wallet(1), tlp="CLEAR")
    assert words(await submit(node, freeze, clear)) == ["accepted", "schema"]
    await refuse(node, clear, "schema")
    await accept(
        node,
        bka.listing(wallet(1, embargo_until="2026-10-01T00:00:00Z"), tlp="CLEAR"),
        bka.listing(wallet(1)),
        lka.listing(wallet(1), tlp="CLEAR"),
    )
    clock.advance(hours=49)
    await accept(node, bka.listing(wallet(1), tlp="CLEAR", iat=bka.now))


async def test_two_agencies_on_one_address_stand_side_by_side(node: Node, town: Town) -> None:
    """Never merged: each statement with its own judgement; the highest severity is told."""
    await accept(node, town.signer("de.bka#1").listing(wallet(1, severity=1)), town.signer("de.lka#1").listing(wallet(1, severity=4)))
    result = await screen(node, wallet_id(1))
    assert (result["severity"], [(s["issuer"], s["severity"]) for s in result["statements"]]) == (4, [("de.bka", 1), ("de.lka", 4)])


# --- non-interference ----------------------------------------------------------------------------------------------

HIDDEN = {"tlp": "AMBER", "aud": ["fr.example"]}
READERS = [PUBLIC, vasp_reader(), vasp_reader("fr.other", node="nl.example"), agency_reader("de.lka", node="de.example")]


async def everything_said(node: Node, sids: Sequence[str], reader: Reader) -> bytes:
    """All that the services tell this reader, as bytes."""
    caller = Caller(CallerClass.VASP, reader)
    texts = [wallet_id(n) for n in range(1, 6)] + [one.id for one in siblings(read_subject(wallet_id(3)))]
    said: list[Any] = [await node.screening.screen_many([Query(t) for t in texts], Asking(reader), hits_only=False)]
    said += [await node.consultation.wallet(text, reader) for text in texts]
    said.append(await node.consultation.entities(reader, text="sun", kind=None, country=None, programme=None, after="", limit=5))
    said.append(await node.consultation.search("golden sun", caller, limit=5))
    page, _ = await node.consultation.statements(reader, issuer="de.bka", kind="listing", since_ms=0, after=None, limit=100)
    said.append([{k: v for k, v in row.items() if k != "index"} for row in page if isinstance(row, dict)])
    for sid in sids:
        record = await node.consultation.statement(sid, reader)
        said.append({k: v for k, v in record.items() if k != "index"})
    return json.dumps(said, sort_keys=True).encode()


async def test_what_is_hidden_changes_no_answer(tmp_path: Path, sqlite_template: Path, clock: Clock) -> None:
    """Two worlds with the same visible statements; one has also hidden listings, links, entities, disputes and their ends. To every
    reader who may not see those, all answers are the same bytes. (Checkpoints, indices, proofs apart: they show that something came.)
    """
    import shutil

    town = Town.found(tmp_path / "de", clock=clock)
    bka, lka = town.signer("de.bka#1"), town.signer("de.lka#1")
    shown = [
        bka.listing(wallet(1), wallet(2), tlp="CLEAR"),
        bka.listing(wallet(1, severity=2), entity("golden-sun"), link(wallet_id(1), wallet_id(4))),
    ]
    before = bka.listing(wallet(1), wallet(3), entity("black-sun"), link(wallet_id(3), wallet_id(1)), **HIDDEN)
    hidden = [
        before,
        bka.listing(wallet(3, severity=4), wallet(5), entity("golden-sun", jurisdictions=["KH"]), t=[sid_in(before)], **HIDDEN),
        lka.dispute(sid_in(shown[0]), **HIDDEN),
        lka.endorse(sid_in(shown[1]), **HIDDEN),
        lka.listing(link(wallet_id(2), wallet_id(1), "same_cluster"), entity("red-sun", member="de.lka"), **HIDDEN),
    ]
    settled, ombud = town.settled(), town.signer("de.ombud#1").dispute(sid_in(shown[0]))
    said: list[list[bytes]] = []
    for name, wires in (("plain", [*settled, *shown, ombud]), ("rich", [*settled, hidden[0], *shown, ombud, *hidden[1:]])):
        anchor, file = tmp_path / f"{name}-anchor", tmp_path / f"{name}.sqlite3"
        shutil.copyfile(sqlite_template, file)
        async with town.open(f"sqlite+aiosqlite:///{file}", anchor_file=str(anchor)) as node:
            await accept(node, *wires)
            clock.ms = 1_790_000_000_000 + 100 * 3_600_000
            public = [sid_in(shown[0])]
            said.append([await everything_said(node, public if r is PUBLIC else [sid_in(w) for w in shown], r) for r in READERS[:3]])
            clock.ms = 1_790_000_000_000
    assert said[0] == said[1]


async def test_what_is_hidden_is_not_there(node: Node, town: Town) -> None:
    """A statement that may not be seen and one that does not exist get the same answer."""
    wire = town.signer("de.bka#1").listing(wallet(1), **HIDDEN)
    await accept(node, wire)
    missing = sid_in(town.signer("de.bka#1").listing(wallet(2)))
    told: list[tuple[str, str]] = []
    for sid in (sid_in(wire), missing):
        for ask in (node.consultation.statement, node.publisher.receipt):
            with pytest.raises(Exception, match="no such statement") as caught:
                await ask(sid, vasp_reader())
            told.append((type(caught.value).__name__, str(caught.value)))
    assert told[:2] == told[2:]

"""Keys that fall and statements that come back; members, groups and policy as the log says, from the index on where it says so."""

from __future__ import annotations

from typing import Any

from app.domain.labels import EVERYTHING, Reader
from app.services.node import Node
from app.services.screen import Caller as Asking
from app.services.screen import Query
from app.storage.clients import Client
from tests.factories import Clock, Town, accept, agency_reader, refuse, sid_in, submit, vasp_reader, wallet, wallet_id, words


async def match_of(node: Node, number: int, reader: Reader | None = None) -> str:
    """What a reader (a VASP unless named) is told of a wallet."""
    answer = await node.screening.screen_one(Query(wallet_id(number)), Asking(reader or vasp_reader()))
    result = answer["result"]
    assert isinstance(result, dict)
    return str(result["match"])


async def reader_of(node: Node, member: str, client_class: str, *, tier: str = "green") -> Reader:
    """The reader that the holder of an API key of this member is."""
    from app.services.enroll import new_api_key

    key = new_api_key()
    row: dict[str, Any] = {"name": "", "scopes": ("screen",), "tier": tier, "created_ms": node.clock()}
    async with node.database.transaction() as tx:
        await tx.clients.put(Client(key.id, key.secret_sha256, key.environment, member, client_class, **row))
    return (await node.recognition.recognise(key.text())).reader


async def test_a_revocation_counts_from_an_index(node: Node, town: Town) -> None:
    """What the key signed at `from_index` and above is inert, what stands below stays; the key signs no more, its sister does."""
    bka = town.signer("de.bka#1")
    genuine, stolen = bka.listing(wallet(1)), bka.listing(wallet(2))
    await accept(node, genuine, stolen, town.registrar().revoke("de.bka#1", reason="compromised", from_index=7))
    assert [await match_of(node, n) for n in (1, 2)] == ["listed", "not_listed"]
    await refuse(node, bka.listing(wallet(3)), "key_not_valid")
    await accept(node, town.signer("de.bka#2").listing(wallet(3)))
    assert words(await submit(node, stolen)) == ["known"]


async def test_a_thiefs_retractions_undo_themselves(node: Node, town: Town) -> None:
    """Mass delisting with a stolen key falls with the key; a renewal and a replacement of his fall too."""
    bka, thief = town.signer("de.bka#2"), town.signer("de.bka#1")
    wires = [bka.listing(wallet(n)) for n in range(20)]
    await accept(node, *wires)
    await accept(node, thief.retract(*map(sid_in, wires[:10])), thief.listing(wallet(99), t=[sid_in(w) for w in wires[10:]]))
    assert {await match_of(node, n) for n in range(20)} == {"not_listed"}
    await accept(node, town.registrar().revoke("de.bka#1", reason="compromised", from_index=26))
    assert {await match_of(node, n) for n in range(20)} == {"listed"}
    assert await match_of(node, 99) == "not_listed"


async def test_genuine_statements_come_back_by_reaffirmation(node: Node, town: Town) -> None:
    """By the issuer's good key or the registrar; not by the revoked key, not by another agency."""
    bka = town.signer("de.bka#1")
    one, two = bka.listing(wallet(1)), bka.listing(wallet(2))
    await accept(node, one, two, town.registrar().revoke("de.bka#1", reason="compromised", from_index=0))
    assert [await match_of(node, n) for n in (1, 2)] == ["not_listed", "not_listed"]
    await refuse(node, bka.reaffirm(sid_in(one)), "key_not_valid")
    await refuse(node, town.signer("de.lka#1").reaffirm(sid_in(one)), "edge_not_authorised")
    await accept(node, town.signer("de.bka#2").reaffirm(sid_in(one)), town.signer("de.registrar#1").reaffirm(sid_in(two)))
    assert [await match_of(node, n) for n in (1, 2)] == ["listed", "listed"]


async def test_superseded_counts_from_its_own_index(node: Node, town: Town) -> None:
    """An ordinary change of keys takes nothing back, whatever `from_index` says."""
    bka = town.signer("de.bka#1")
    await accept(node, bka.listing(wallet(1)), town.registrar().revoke("de.bka#1", reason="superseded", from_index=0))
    assert await match_of(node, 1) == "listed"
    await refuse(node, bka.listing(wallet(2)), "key_not_valid")


async def test_registrar_keys_are_not_revoked_by_statement(node: Node, town: Town) -> None:
    """They change by root documents only."""
    await refuse(node, town.registrar().revoke("de.registrar#2", reason="compromised", from_index=0), "schema")


async def test_policy_counts_from_the_next_statement(node: Node, town: Town) -> None:
    """In one batch: before the policy a listing acts, after it the same kind waits, after the next policy it acts again."""
    bka = town.signer("de.bka#1")
    results = await submit(
        node,
        bka.listing(wallet(1)),
        town.policy(needs2=["listing"]),
        bka.listing(wallet(2)),
        town.policy(review_months=6),
        bka.listing(wallet(3)),
    )
    assert words(results) == ["accepted", "accepted", "held", "accepted", "accepted"]
    assert [await match_of(node, n) for n in (1, 2, 3)] == ["listed", "not_listed", "listed"]


async def test_a_group_reads_from_the_index_on_where_it_was_named(node: Node, town: Town) -> None:
    """A reader belongs to a group if its version at the statement's index and its newest both name him (schemas §2)."""
    registrar, bka = town.registrar(), town.signer("de.bka#1")
    group = {"id": "group:de.desk", "name": "Desk", "owner": "de.bka", "members": ["de.lka"]}
    amber = {"tlp": "AMBER", "aud": ["group:de.desk"]}
    with_desk = {**group, "members": ["de.lka", "de.exchange"]}
    await accept(node, registrar.group(group), bka.listing(wallet(1), **amber), registrar.group(with_desk), bka.listing(wallet(2), **amber))
    lka, vasp = await reader_of(node, "de.lka", "agency"), await reader_of(node, "de.exchange", "vasp")
    assert [[await match_of(node, n, r) for n in (1, 2)] for r in (lka, vasp)] == [["listed", "listed"], ["not_listed", "listed"]]
    await accept(node, registrar.group({**group, "members": ["de.exchange"]}))
    lka, vasp = await reader_of(node, "de.lka", "agency"), await reader_of(node, "de.exchange", "vasp")
    assert [[await match_of(node, n, r) for n in (1, 2)] for r in (lka, vasp)] == [["not_listed", "not_listed"], ["not_listed", "listed"]]
    assert await match_of(node, 1, agency_reader("de.bka")) == "listed", "an issuer sees what is his"


async def test_amber_reaches_the_clients_of_its_audience_and_strict_does_not(node: Node, town: Town) -> None:
    """AMBER to this node: its agencies and its VASPs; AMBER+STRICT: its agencies; RED: only ids named themselves."""
    bka = town.signer("de.bka#1")
    here = {"aud": ["de.example"]}
    await accept(
        node,
        bka.listing(wallet(1), tlp="AMBER", **here),
        bka.listing(wallet(2), tlp="AMBER+STRICT", **here),
        bka.listing(wallet(3), tlp="RED", aud=["de.lka"]),
    )
    lka, vasp = await reader_of(node, "de.lka", "agency"), await reader_of(node, "de.exchange", "vasp")
    clear = await reader_of(node, "de.exchange", "vasp", tier="clear")
    assert [[await match_of(node, n, r) for n in (1, 2, 3)] for r in (lka, vasp, clear)] == [
        ["listed", "listed", "listed"],
        ["listed", "not_listed", "not_listed"],
        ["not_listed"] * 3,
    ]


async def test_a_renamed_member_is_shown_under_his_new_name(node: Node, town: Town, clock: Clock) -> None:
    """Listings in the index carry the name in force, and a redress member that is none any more no longer suspends."""
    bka, ombud = town.signer("de.bka#1"), town.signer("de.ombud#1")
    wire = bka.listing(wallet(1))
    await accept(node, wire, ombud.dispute(sid_in(wire), stage="upheld"))
    assert await match_of(node, 1) == "not_listed"
    await accept(node, town.member("de.bka", name="Renamed Office", country="DE"), town.member("de.ombud", keys=("1",)))
    answer = await node.screening.screen_one(Query(wallet_id(1)), Asking(vasp_reader()))
    result = answer["result"]
    assert isinstance(result, dict)
    (statement,) = result["statements"]
    assert (result["match"], statement["issuer_name"], statement["state"]) == ("listed", "Renamed Office", "disputed")
    assert await match_of(node, 1, EVERYTHING) == "listed"

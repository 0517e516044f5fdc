"""What the gate lets in, under which status, and what a receipt is worth."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from app.domain.errors import Unavailable
from app.seal.jws import SigningKey
from app.services.admit import Admitted, Status
from app.services.admit.spent import Spent
from app.services.node import Node
from tests.factories import CONTEXT, Clock, Signer, Town, accept, agency_reader, refuse, sid_in, submit, wallet, words
from tests.waiting import within


async def test_a_new_statement_is_accepted_with_a_receipt_that_verifies_offline(node: Node, town: Town) -> None:
    """`accepted`, the next index, the clock's time, and a tlog-proof good for anybody who holds the statement and the log's key."""
    wire = town.signer("de.bka#1").listing(wallet(1))
    (one,) = await accept(node, wire)
    assert (one.sid, one.index, one.accepted_ms) == (sid_in(wire), 6, town.clock())
    assert town.check_receipt(wire, one).size == 7


async def test_a_known_statement_gets_the_same_extra_line_under_a_newer_checkpoint(node: Node, town: Town, clock: Clock) -> None:
    """The same bytes again, later and after others: `known`, first index and time, a receipt under the tree as it is now."""
    bka = town.signer("de.bka#1")
    wire = bka.listing(wallet(1))
    (first,) = await accept(node, wire)
    clock.advance(hours=30)
    await accept(node, bka.listing(wallet(2)))
    (again,) = await submit(node, wire)
    assert isinstance(again, Admitted)
    assert again == replace(first, status=Status.KNOWN, receipt=again.receipt)
    assert town.check_receipt(wire, again).size == 8
    assert await node.publisher.receipt(first.sid, agency_reader()) == again.receipt


async def test_signing_the_same_claims_again_is_the_same_statement(node: Node, town: Town) -> None:
    """The sid does not depend on the signature bits: a retry that signs anew is known, and what was logged first stays."""
    bka = town.signer("de.bka#1")
    (listed,) = await accept(node, bka.listing(wallet(1)))
    first, again = bka.retract(listed.sid), bka.retract(listed.sid)
    assert first != again
    results = await submit(node, first, again)
    assert words(results) == ["accepted", "known"]
    assert isinstance(results[1], Admitted)
    town.check_receipt(first, results[1])


async def test_a_batch_answers_row_by_row(node: Node, town: Town) -> None:
    """One result each, in order: what is wrong with one never touches its neighbours."""
    bka, stranger = town.signer("de.bka#1"), town.signer("de.nobody#1")
    good, other = bka.listing(wallet(1)), bka.listing(wallet(2))
    forged = Signer(SigningKey.derive("de.bka#1", b"a thief's guess"), town.origin, town.clock).listing(wallet(3))
    results = await submit(
        node, good, "nonsense", stranger.listing(wallet(3)), forged, other, good, bka.listing(wallet(4, severity=9)), bka.say("listen"), ""
    )
    assert words(results) == [
        "accepted", "malformed", "unknown_kid", "bad_signature", "accepted", "known", "schema", "unknown_kind", "malformed",
    ]  # fmt: skip
    assert [r.index for r in results if isinstance(r, Admitted)] == [6, 7, 6]
    for wire, result in ((good, results[0]), (other, results[4]), (good, results[5])):
        assert isinstance(result, Admitted)
        town.check_receipt(wire, result)


async def test_receipts_of_a_large_batch_verify(node: Node, town: Town) -> None:
    """Over several tiles, with old and new statements mixed, every receipt leads to the one checkpoint."""
    bka = town.signer("de.bka#1")
    old = [bka.listing(wallet(i)) for i in range(3)]
    await accept(node, *old)
    wires = [old[0], *(bka.retract(sid_in(old[1]), jti=f"j{i}") for i in range(520)), old[2]]
    results = await submit(node, *wires)
    assert words(results) == ["known", *["accepted"] * 520, "known"]
    sizes = {town.check_receipt(wire, one).size for wire, one in zip(wires, results, strict=True) if isinstance(one, Admitted)}
    assert len(sizes) <= 2
    again = await submit(node, *wires)
    for wire, one in zip(wires, again, strict=True):
        assert isinstance(one, Admitted)
        assert town.check_receipt(wire, one).size == node.own_log.size


async def test_times_and_origin_are_judged_by_the_clock_of_the_gate(node: Node, town: Town, clock: Clock) -> None:
    """`iat` from 24 hours ago to 300 seconds ahead; `exp` up to 730 days; `org` this log."""
    bka = town.signer("de.bka#1")
    now = bka.now
    await refuse(node, bka.listing(wallet(1), iat=now - 86_401), "clock_skew")
    await refuse(node, bka.listing(wallet(1), iat=now + 301), "clock_skew")
    await refuse(node, bka.listing(wallet(1), days=731), "validity")
    await refuse(node, bka.listing(wallet(1), org="fr.example/log"), "wrong_origin")
    await accept(node, bka.listing(wallet(1), iat=now - 86_400), bka.listing(wallet(1), iat=now + 300))


async def test_accepted_ms_never_decreases(node: Node, town: Town, clock: Clock) -> None:
    """A clock that is set back does not turn the log's time back (protocol §3.6)."""
    bka = town.signer("de.bka#1")
    (first,) = await accept(node, bka.listing(wallet(1)))
    clock.advance(s=-60)
    (second,) = await accept(node, bka.listing(wallet(2)))
    assert second.accepted_ms == first.accepted_ms


async def test_a_key_is_good_from_nbf_up_to_exp(node: Node, town: Town, clock: Clock) -> None:
    """What comes after the key's `exp` is `key_not_valid`; what it signed before stays."""
    await accept(node, town.member("de.short", lives_s=3600))
    short = town.signer("de.short#1")
    wire = short.listing(wallet(1))
    await accept(node, wire)
    clock.advance(s=3600)
    await refuse(node, short.listing(wallet(2)), "key_not_valid")
    assert words(await submit(node, wire)) == ["known"]


async def test_the_mandate_is_the_limit(node: Node, town: Town) -> None:
    """Kind, class, TLP and category outside the mandate are `scope_denied`."""
    await accept(node, town.member("de.small", tlp_max="GREEN", categories=("fraud.romance",)))
    small = town.signer("de.small#1")
    await refuse(node, small.listing(wallet(1)), "scope_denied")
    await refuse(node, small.listing(wallet(1, typologies=["fraud.romance"]), tlp="AMBER", aud=["de.example"]), "scope_denied")
    await accept(node, small.listing(wallet(1, typologies=["fraud.romance"])))
    await refuse(node, town.signer("de.exchange#1").listing(wallet(1)), "scope_denied")
    await refuse(
        node, town.signer("de.bka#1").say("policy", {"needs2": [], "four_eyes": [], "neutrality": True}, tlp="CLEAR"), "scope_denied"
    )
    await refuse(node, town.signer("de.registrar#1").listing(wallet(1)), "scope_denied")


async def test_one_jti_names_one_statement(node: Node, town: Town) -> None:
    """The same bytes under a jti are known, other bytes are `jti_conflict`, in one batch too; another issuer is free to use it."""
    bka, lka = town.signer("de.bka#1"), town.signer("de.lka#1")
    wire = bka.listing(wallet(1), jti="case-a")
    assert words(await submit(node, wire, bka.listing(wallet(2), jti="case-a"), lka.listing(wallet(2), jti="case-a"))) == [
        "accepted",
        "jti_conflict",
        "accepted",
    ]
    await refuse(node, town.signer("de.bka#2").listing(wallet(3), jti="case-a"), "jti_conflict")
    assert words(await submit(node, wire)) == ["known"]


async def test_the_quota_counts_the_last_hour(node: Node, town: Town, clock: Clock) -> None:
    """Beyond `quota_per_hour` statements are refused with `quota`, until the hour has passed; known ones cost nothing."""
    await accept(node, town.member("de.small", quota=3))
    small = town.signer("de.small#1")
    wires = [small.listing(wallet(i)) for i in range(5)]
    assert words(await submit(node, *wires)) == ["accepted"] * 3 + ["quota"] * 2
    assert words(await submit(node, wires[0], wires[4])) == ["known", "quota"]
    clock.advance(hours=1, s=1)
    assert words(await submit(node, wires[4])) == ["accepted"]


async def test_edges_need_an_earlier_target_that_is_theirs_and_no_more_visible(node: Node, town: Town) -> None:
    """`target_not_earlier`, `edge_not_authorised`, `edge_visibility`; only listings, renewals … of the own log are targets."""
    bka, lka = town.signer("de.bka#1"), town.signer("de.lka#1")
    green, amber = bka.listing(wallet(1)), bka.listing(wallet(2), tlp="AMBER", aud=["de.example", "fr.example"])
    await accept(node, green, amber)
    later = bka.listing(wallet(3))
    await refuse(node, bka.retract(sid_in(later)), "target_not_earlier")
    await refuse(node, lka.retract(sid_in(green)), "edge_not_authorised")
    await refuse(node, lka.renew(sid_in(green)), "edge_not_authorised")
    await refuse(node, lka.listing(wallet(1), t=[sid_in(green)]), "edge_not_authorised")
    await refuse(node, town.signer("de.bka#2").retract(sid_in(green), tlp="AMBER", aud=["de.example"]), "edge_visibility")
    await refuse(node, bka.retract(sid_in(amber), tlp="AMBER", aud=["de.example"]), "edge_visibility")
    await refuse(node, bka.approve(sid_in(green)), "edge_not_authorised")
    await accept(node, bka.retract(sid_in(amber), tlp="AMBER", aud=["de.example", "fr.example"]))
    await refuse(
        node, bka.retract(sid_in(bka.retract(sid_in(amber), tlp="AMBER", aud=["de.example", "fr.example"]))), "edge_not_authorised"
    )


async def test_a_target_may_stand_earlier_in_the_same_batch(node: Node, town: Town) -> None:
    """Rows are judged in order, each against those before it; the other way round the target is not earlier."""
    bka = town.signer("de.bka#1")
    first, second = bka.listing(wallet(1)), bka.listing(wallet(2))
    assert words(await submit(node, first, bka.retract(sid_in(first)))) == ["accepted", "accepted"]
    assert words(await submit(node, bka.retract(sid_in(second)), second)) == ["target_not_earlier", "accepted"]


async def test_a_member_may_speak_in_the_batch_that_brings_his_key(node: Node, town: Town) -> None:
    """Registry and statements sent in one request: what follows a control statement is judged by it."""
    new = town.signer("de.new#1")
    before, after = new.listing(wallet(1)), new.listing(wallet(2))
    widened = town.member("de.new", categories=("fraud", "extortion"))
    results = await submit(
        node,
        before,
        town.member("de.new"),
        after,
        new.listing(wallet(3, typologies=["extortion.ransomware"])),
        widened,
        new.listing(wallet(4, typologies=["extortion.ransomware"])),
        town.registrar().revoke("de.new#1", reason="superseded", from_index=0),
        new.listing(wallet(5)),
        town.signer("de.new#2").listing(wallet(5)),
    )
    assert words(results) == [
        "unknown_kid", "accepted", "accepted", "scope_denied", "accepted", "accepted", "accepted", "key_not_valid", "accepted",
    ]  # fmt: skip


async def test_a_control_statement_without_effect_is_refused(node: Node, town: Town) -> None:
    """A member of another jurisdiction, a key under two members, a revocation of nothing: `schema`, and nothing is logged."""
    size = node.own_log.size
    await refuse(node, town.member("fr.bka"), "schema")
    stolen = town.member("de.second", keys=("1",))
    await accept(node, stolen)
    await refuse(node, town.registrar().revoke("de.ghost#1", reason="compromised", from_index=0), "schema")
    assert node.own_log.size == size + 1


async def test_a_person_with_signs_of_trafficking_is_counted_and_forgotten(node: Node, town: Town) -> None:
    """`refer_not_list`: the gate keeps a number and nothing else."""
    bka = town.signer("de.bka#1")
    screen = {"result": "indicators_present", "role": "operator", "assessed_at": "2026-09-01", "indicators": []}
    size = node.own_log.size
    await refuse(node, bka.listing(wallet(1), context={**CONTEXT, "coercion_screen": screen}), "refer_not_list")
    assert (node.gate.outcomes["refer_not_list"], node.own_log.size) == (1, size)


async def test_a_redress_member_disputes_and_does_not_endorse(node: Node, town: Town) -> None:
    """The class of a member bounds its kinds, whatever its mandate."""
    await refuse(node, town.signer("de.ombud#1").endorse(sid_in(town.signer("de.bka#1").listing(wallet(1)))), "scope_denied")


async def test_an_overfull_queue_is_refused_at_once(town: Town, database_url: str) -> None:
    """More than twenty batches waiting: Unavailable before anything is read, and those who wait are served."""
    async with town.open(database_url, batch_max=1) as node:
        with_room = asyncio.create_task(node.gate.submit(["x"] * 20))
        await asyncio.sleep(0)
        with pytest.raises(Unavailable, match="few seconds"):
            await node.gate.submit(["x"] * 21)
        assert words(await with_room) == ["malformed"] * 20


async def test_a_stopped_gate_answers(town: Town, database_url: str) -> None:
    """After `stop` a submission is told to try again; it does not hang, and nothing is logged."""
    async with town.open(database_url) as node:
        await accept(node, *town.settled())
    async with within(5):
        (result,) = await node.gate.submit([town.signer("de.bka#1").listing(wallet(1))])
    assert words([result]) == ["unavailable"]


async def test_the_quota_is_remembered_and_read_alike(town: Town, database_url: str, clock: Clock) -> None:
    """Kept up batch by batch, or read from the log by a node that was started since, to the second; what another worker logged counts."""
    async with town.open(database_url) as node:
        await accept(node, *town.settled(), town.member("de.small", quota=5))
        small = town.signer("de.small#1")
        for first in (0, 2):
            await accept(node, *(small.listing(wallet(n)) for n in (first, first + 1)))
            clock.advance(s=600)
        other = Spent(town.origin)
        async with node.database.reading() as tx:
            size = node.own_log.size
            counts = [await spent.of(tx, "de.small", now_ms=clock(), size=size) for spent in (node.gate._spent, other)]
        assert counts == [4, 4]
        assert words(await submit(node, small.listing(wallet(4)), small.listing(wallet(5)))) == ["accepted", "quota"]
    async with town.open(database_url) as node:
        assert words(await submit(node, small.listing(wallet(6)))) == ["quota"]
        clock.advance(s=2_400)
        assert words(await submit(node, small.listing(wallet(6)))) == ["quota"], "exactly an hour old still counts"
        clock.advance(s=1)
        wires = [small.listing(wallet(n)) for n in (6, 7, 8)]
        assert words(await submit(node, *wires)) == ["accepted", "accepted", "quota"]
        node.gate._spent._counts.clear()
        assert words(await submit(node, small.listing(wallet(9)))) == ["quota"]

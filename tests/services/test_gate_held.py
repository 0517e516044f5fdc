"""What waits for a second pair of eyes, and how it is let in."""

from __future__ import annotations

from app.domain.folding import State
from app.services.admit import Admitted, HeldReason, Status
from app.services.node import HELD_FOR_MS, Node
from app.services.screen import Caller as Asking
from app.services.screen import Query
from tests.factories import (
    CONTEXT,
    GUARD,
    Clock,
    Town,
    accept,
    agency_reader,
    refuse,
    sid_in,
    submit,
    vasp_reader,
    wallet,
    wallet_id,
    words,
)  # fmt: skip

PERSON = {"type": "entity", "kind": "person", "person_status": "convicted", "names": [{"name": "J. Doe", "lang": "en", "kind": "primary"}]}
SCREENED = {**CONTEXT, "coercion_screen": {"result": "none_found", "role": "operator", "assessed_at": "2026-09-01", "indicators": []}}


async def match_of(node: Node, number: int) -> str:
    """What a VASP is told of a wallet."""
    answer = await node.screening.screen_one(Query(wallet_id(number)), Asking(vasp_reader()))
    result = answer["result"]
    assert isinstance(result, dict)
    return str(result["match"])


async def protect(node: Node, *numbers: int) -> None:
    """Put wallets on the local list of protected ids."""
    async with node.database.transaction() as tx:
        await tx.protected.add([(wallet_id(number), "hot wallet", "test") for number in numbers])
    await node.guards.load()


async def test_a_listing_of_a_protected_id_is_held_outside_the_log(node: Node, town: Town) -> None:
    """No index, no receipt, nothing to find; sent again it is held again; its issuer sees it waiting, others do not."""
    await protect(node, 1)
    bka, size = town.signer("de.bka#1"), node.own_log.size
    wire = bka.listing(wallet(1), wallet(2))
    for _ in range(2):
        (held,) = await submit(node, wire)
        assert held == Admitted(sid_in(wire), Status.HELD, HeldReason.PROTECTED)
    assert node.own_log.size == size
    assert [await match_of(node, n) for n in (1, 2)] == ["protected", "not_listed"]
    items, more = await node.consultation.held("de.bka", after=(-1, ""), limit=10)
    assert ([item["sid"] for item in items if isinstance(item, dict)], more) == ([sid_in(wire)], None)
    assert (await node.consultation.held("de.lka", after=(-1, ""), limit=10))[0] == []


async def test_an_approval_logs_the_listing_first_and_then_itself(node: Node, town: Town) -> None:
    """The other key of the same issuer approves: both are logged, listing first; the approval answers its own receipt."""
    await protect(node, 1)
    bka, second = town.signer("de.bka#1"), town.signer("de.bka#2")
    wire = bka.listing(wallet(1), wallet(2))
    await submit(node, wire)
    approval = second.approve(sid_in(wire))
    (approved,) = await accept(node, approval)
    assert (approved.sid, approved.index) == (sid_in(approval), 7)
    town.check_receipt(approval, approved)
    (known,) = await submit(node, wire)
    assert isinstance(known, Admitted)
    assert (known.status, known.index) == (Status.KNOWN, 6)
    town.check_receipt(wire, known)
    assert [await match_of(node, n) for n in (1, 2)] == ["protected", "listed"]
    assert (await node.consultation.held("de.bka", after=(-1, ""), limit=10))[0] == []


async def test_only_another_key_of_the_same_issuer_approves(node: Node, town: Town) -> None:
    """The signing key, another agency and the registrar are `edge_not_authorised`, and the listing stays held."""
    await protect(node, 1)
    wire = town.signer("de.bka#1").listing(wallet(1))
    await submit(node, wire)
    for kid in ("de.bka#1", "de.lka#2", "de.registrar#1"):
        await refuse(node, town.signer(kid).approve(sid_in(wire)), "edge_not_authorised")
    assert words(await submit(node, wire)) == ["held"]
    await refuse(node, town.signer("de.bka#2").approve(sid_in(wire), tlp="AMBER", aud=["de.example"]), "edge_visibility")


async def test_listing_and_approval_in_one_batch(node: Node, town: Town) -> None:
    """An operator's file may hold both: held first, logged by the approval behind it; two approvals of one are two statements."""
    await protect(node, 1, 2)
    bka, second = town.signer("de.bka#1"), town.signer("de.bka#2")
    one, two = bka.listing(wallet(1)), bka.listing(wallet(2))
    approval = second.approve(sid_in(one), sid_in(two))
    results = await submit(node, one, two, approval, one, second.approve(sid_in(one), jti="again"))
    assert words(results) == ["held", "held", "accepted", "known", "accepted"]
    assert [r.index for r in results if isinstance(r, Admitted)] == [None, None, 8, 6, 9]


async def test_a_held_listing_that_supersedes_is_released_with_its_edges(node: Node, town: Town) -> None:
    """What was held may replace an earlier listing: its edges are judged when it is let in, and act then."""
    bka, second = town.signer("de.bka#1"), town.signer("de.bka#2")
    old = bka.listing(wallet(2))
    await accept(node, old)
    await protect(node, 1)
    wire = bka.listing(wallet(1), wallet(3), t=[sid_in(old)])
    assert words(await submit(node, wire)) == ["held"]
    assert await match_of(node, 2) == "listed"
    await accept(node, second.approve(sid_in(wire)))
    assert [await match_of(node, n) for n in (2, 3)] == ["not_listed", "listed"]


async def test_a_held_jti_that_was_used_meanwhile_is_a_conflict(node: Node, town: Town) -> None:
    """A jti names one logged statement: the approval of another under it is refused and nothing is logged."""
    await protect(node, 1)
    bka = town.signer("de.bka#1")
    wire = bka.listing(wallet(1), jti="x")
    assert words(await submit(node, wire, bka.listing(wallet(2), jti="x"))) == ["held", "accepted"]
    size = node.own_log.size
    await refuse(node, town.signer("de.bka#2").approve(sid_in(wire)), "jti_conflict")
    assert node.own_log.size == size


async def test_a_revoked_key_cannot_be_approved_afterwards(node: Node, town: Town) -> None:
    """What was held under a key that has been revoked since stays out."""
    await protect(node, 1)
    wire = town.signer("de.bka#1").listing(wallet(1))
    await submit(node, wire)
    await accept(node, town.registrar().revoke("de.bka#1", reason="compromised", from_index=6))
    await refuse(node, town.signer("de.bka#2").approve(sid_in(wire)), "key_not_valid")


async def test_persons_need_four_eyes(node: Node, town: Town) -> None:
    """A person in `pii` is held (`four_eyes`), approved by another key, then listed; without the mandate it is `scope_denied`."""
    bka, lka = town.signer("de.bka#1"), town.signer("de.lka#1")
    parts = {"pii": [PERSON]}
    labels = {"core": {"tlp": "GREEN"}, "pii": {"tlp": "AMBER", "aud": ["de.example"]}}
    wire = bka.listing(wallet(1), context=SCREENED, others=parts, labels=labels)
    (held,) = await submit(node, wire)
    assert held == Admitted(sid_in(wire), Status.HELD, HeldReason.FOUR_EYES)
    await accept(node, town.signer("de.bka#2").approve(sid_in(wire)))
    assert await match_of(node, 1) == "listed"
    await refuse(node, lka.listing(wallet(1), context=SCREENED, others=parts, labels=labels), "scope_denied")


async def test_policy_says_what_needs_four_eyes(node: Node, town: Town) -> None:
    """`clear` and `hold` hold what the policy names, from the policy on, in one batch too."""
    bka = town.signer("de.bka#1")
    strong = {**CONTEXT, "assertion": "fact", "evidence_standard": "adjudicated"}
    wires = [bka.listing(wallet(1), tlp="CLEAR"), bka.listing(wallet(2, action="block"), context=strong)]
    again = [bka.listing(wallet(1), tlp="CLEAR"), bka.listing(wallet(2, action="block"), context=strong)]
    assert words(await submit(node, *wires, town.policy(four_eyes=["clear", "hold"]), *again)) == ["accepted"] * 3 + ["held"] * 2


async def test_what_was_held_is_let_in_under_the_freezes_of_that_day(node: Node, town: Town) -> None:
    """A CLEAR listing that waited while its issuer asked for a freeze needs an embargo like any other (rule 6)."""
    bka, second = town.signer("de.bka#1"), town.signer("de.bka#2")
    wire = bka.listing(wallet(1), tlp="CLEAR")
    await accept(node, town.policy(four_eyes=["clear"]))
    assert words(await submit(node, wire)) == ["held"]
    await accept(node, bka.freeze_request(wallet_id(1)))
    await refuse(node, second.approve(sid_in(wire), tlp="CLEAR"), "schema")
    assert await match_of(node, 1) == "not_listed"


async def test_needs2_is_logged_with_a_receipt_and_inert_until_approved(node: Node, town: Town) -> None:
    """A kind in `needs2` gets its place and receipt at once, acts from the approval on, and is `held` again when sent again."""
    await accept(node, town.policy(needs2=["listing", "retract"]))
    bka, second = town.signer("de.bka#1"), town.signer("de.bka#2")
    wire = bka.listing(wallet(1))
    (waiting,) = await submit(node, wire)
    assert isinstance(waiting, Admitted)
    assert (waiting.status, waiting.reason, waiting.index) == (Status.HELD, HeldReason.NEEDS2, 7)
    town.check_receipt(wire, waiting)
    (again,) = await submit(node, wire)
    assert isinstance(again, Admitted)
    assert (again.status, again.reason, again.index) == (Status.HELD, HeldReason.NEEDS2, 7)
    assert await match_of(node, 1) == "not_listed"
    await accept(node, second.approve(sid_in(wire)))
    assert await match_of(node, 1) == "listed"
    assert words(await submit(node, wire)) == ["known"]
    retraction = bka.retract(sid_in(wire))
    assert words(await submit(node, retraction)) == ["held"]
    assert await match_of(node, 1) == "listed"
    assert words(await submit(node, second.approve(sid_in(retraction)))) == ["accepted"]
    assert await match_of(node, 1) == "not_listed"


async def test_registrar_acts_wait_for_the_second_registrar(node: Node, town: Town) -> None:
    """With `needs2` over member and key-revoke, a member speaks and a key falls only after registrar key 2 approved."""
    await accept(node, town.policy(needs2=["member", "key-revoke"]))
    member, new = town.member("de.new"), town.signer("de.new#1")
    assert words(await submit(node, member, new.listing(wallet(1)))) == ["held", "unknown_kid"]
    assert words(await submit(node, town.signer("de.registrar#2").approve(sid_in(member), tlp="CLEAR"), new.listing(wallet(1)))) == [
        "accepted",
        "accepted",
    ]
    revocation = town.registrar().revoke("de.new#1", reason="compromised", from_index=0)
    assert words(await submit(node, revocation, new.listing(wallet(2)))) == ["held", "accepted"]
    assert await match_of(node, 2) == "listed"
    approval = town.signer("de.registrar#2").approve(sid_in(revocation), tlp="CLEAR")
    assert words(await submit(node, approval, new.listing(wallet(3)))) == ["accepted", "key_not_valid"]
    assert [await match_of(node, n) for n in (1, 2)] == ["not_listed", "not_listed"]
    async with node.database.reading() as tx:
        states = [e.state for e in await tx.registry.control_events(town.origin)]
    assert states.count(State.WAITING) == 0


async def test_an_own_guard_protects(node: Node, town: Town) -> None:
    """An agency of this jurisdiction says an id is benign and not to be blocked: later listings of it are held, lookups say protected."""
    bka, lka = town.signer("de.bka#1"), town.signer("de.lka#1")
    guard = lka.listing(wallet(1, **GUARD))
    await accept(node, guard)
    assert await match_of(node, 1) == "protected"
    assert words(await submit(node, bka.listing(wallet(1)))) == ["held"]
    await accept(node, lka.retract(sid_in(guard)))
    assert words(await submit(node, bka.listing(wallet(1, severity=2)))) == ["accepted"]
    assert await match_of(node, 1) == "listed"


async def test_saying_that_a_protected_id_is_benign_is_not_held(node: Node, town: Town) -> None:
    """A guard on a guarded id is no attack on it."""
    await protect(node, 1)
    await accept(node, town.signer("de.bka#1").listing(wallet(1, **GUARD)))


async def test_what_nobody_approves_is_dropped_after_14_days(node: Node, town: Town, clock: Clock) -> None:
    """Until then it waits; afterwards an approval finds nothing."""
    await protect(node, 1)
    wire = town.signer("de.bka#1").listing(wallet(1))
    await submit(node, wire)
    clock.advance(s=HELD_FOR_MS / 1000)
    await node._drop_old_held()
    async with node.database.reading() as tx:
        assert await tx.held.get(sid_in(wire)) is not None
    clock.advance(s=1)
    await node._drop_old_held()
    await refuse(node, town.signer("de.bka#2").approve(sid_in(wire)), "target_not_earlier")


async def test_held_statements_count_against_the_quota(node: Node, town: Town) -> None:
    """The shelf of held statements is no way around `quota_per_hour`."""
    await protect(node, 1)
    await accept(node, town.member("de.small", quota=2))
    small = town.signer("de.small#1")
    wires = [small.listing(wallet(1, severity=s)) for s in (1, 2, 3)]
    assert words(await submit(node, *wires)) == ["held", "held", "quota"]
    assert words(await submit(node, wires[2])) == ["quota"]


async def test_a_held_listing_is_nowhere_to_be_read(node: Node, town: Town) -> None:
    """Neither its own agency nor anybody else finds it among the statements before it is logged."""
    await protect(node, 1)
    wire = town.signer("de.bka#1").listing(wallet(1))
    await submit(node, wire)
    async with node.database.reading() as tx:
        assert await tx.statements.locate(town.origin, sid_in(wire)) is None
    items, _ = await node.consultation.statements(agency_reader(), issuer="de.bka", kind=None, since_ms=0, after=None, limit=10)
    assert items == []

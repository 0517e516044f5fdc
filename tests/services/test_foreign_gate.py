"""The gate for what peers logged: what is good counts, what is bad is carried inert, and nothing stops the log."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from pathlib import Path

import pytest

from app.domain.errors import Betrayed, NotFound
from app.domain.folding import State
from app.domain.fork import Bounds
from app.domain.identifiers import read_id
from app.domain.labels import EVERYTHING
from app.domain.merkle import leaf_hash
from app.domain.statement import Kind
from app.domain.tiles import Edge
from app.seal.disclosure import build_statement
from app.services.admit.foreign import Offered
from app.storage.database import Database
from app.storage.faults import LostRace
from app.storage.log import Head
from tests.factories import Clock, Signer, Town, key_of, link, sid_in, wallet, wallet_id
from tests.mirrors import Here, PeerLog, check_fold, check_index, far

AMBER = {"tlp": "AMBER", "aud": ["de.example"]}


@pytest.fixture
async def here(database: Database, town: Town, fr: PeerLog) -> Here:
    """A node that follows it and has taken in the members."""
    node = Here(database, town)
    await node.follow(fr)
    await node.take(fr)
    return node


def bka(peer: PeerLog, key: str = "1") -> Signer:
    return peer.town.signer(f"fr.bka#{key}")


async def test_what_a_peer_logged_counts_here(here: Here, fr: PeerLog) -> None:
    """A listing is found, with the member's name; its retraction takes it away; the cursor and the listeners follow."""
    listing = bka(fr).listing(wallet(1), link(wallet_id(1), wallet_id(2)))
    at = fr.log(listing)
    admission = await here.take(fr)
    assert (admission.size, admission.logged, admission.poisoned, admission.withheld) == (at + 1, 1, 0, 0)
    (found,) = await here.index.find(wallet_id(1))
    assert (found.origin, found.index, found.issuer_name, found.country, found.state) == (fr.origin, at, "FR.BKA", "DE", "active")
    assert (await here.index.known([read_id(wallet_id(2))], EVERYTHING)).links(wallet_id(2))
    fr.log(bka(fr).retract(sid_in(listing)))
    await here.take(fr)
    assert (await here.listed(wallet_id(1))) == []
    assert here.moves[-1] == (fr.origin, at + 2)
    await check_fold(here.database, here.keyrings)
    await check_index(here.database, here.index)


async def test_a_page_may_bring_the_key_it_needs(here: Here, fr: PeerLog) -> None:
    """A member statement counts for what stands above it in the very same page, and for nothing below."""
    early = fr.log(fr.town.signer("fr.new#1").listing(wallet(1)))
    fr.log(fr.town.member("fr.new"))
    late = fr.log(fr.town.signer("fr.new#1").listing(wallet(2)))
    await here.take(fr)
    assert (await here.listed(wallet_id(1))) == []
    assert (await here.listed(wallet_id(2))) == [(fr.origin, late)]
    assert await here.poison(fr) == {early: "unknown_kid"}


async def test_what_was_judged_too_early_is_judged_again(here: Here, fr: PeerLog) -> None:
    """A page that was judged while the one below it, which brings its key, was still under way, counts as if it had come later."""
    first = fr.log(fr.town.member("fr.new"))
    late = fr.log(fr.town.signer("fr.new#1").listing(wallet(2)))
    leaves = [leaf_hash(entry) for entry in fr.entries]
    edge = Edge().append(leaves[:first]).edge
    async with here.database.transaction() as tx:
        await tx.log.write_tiles(fr.origin, edge.append(leaves[first:]).changed)
    works = []
    for index in (first, late):
        grown = edge.append(leaves[index : index + 1])
        edge, after = grown.edge, Head(fr.origin, grown.size, grown.root, 0)
        page = fr.offered(index, index + 1)
        works.append(here.gate.admit(fr.origin, page, leaves=leaves[index : index + 1], after=after, relay_from=None))
    await asyncio.gather(*works)
    assert (await here.listed(wallet_id(2))) == [(fr.origin, late)]
    assert await here.poison(fr) == {}
    await check_fold(here.database, here.keyrings)
    await check_index(here.database, here.index)


async def test_a_page_is_judged_while_the_one_before_is_written(here: Here, fr: PeerLog) -> None:
    """What a page says of keys counts for the next one, also if that was judged before it was written."""
    fr.log(fr.town.member("fr.new"))
    first = fr.log(fr.town.signer("fr.new#1").listing(wallet(1)))
    leaf, root = leaf_hash(fr.entries[first]), Edge().append(map(leaf_hash, fr.entries)).root
    judged = await here.gate.judge(fr.origin, fr.offered(first, first + 1), [leaf], from_relay=False)
    await here.take(fr, first)
    assert await here.listed(wallet_id(1)) == []
    await here.gate.admit(
        fr.origin,
        fr.offered(first, first + 1),
        leaves=[leaf],
        after=Head(fr.origin, first + 1, root, 0),
        relay_from=None,
        judged=judged,
    )
    assert await here.listed(wallet_id(1)) == [(fr.origin, first)]
    assert await here.poison(fr) == {}
    await check_fold(here.database, here.keyrings)


async def test_a_page_that_comes_again_changes_nothing(here: Here, fr: PeerLog) -> None:
    """Duplicates and crashes are harmless; a page that does not begin at the cursor is refused."""
    fr.log(bka(fr).listing(wallet(1)))
    first = await here.cursor(fr)
    await here.take(fr)
    offered = fr.offered(first, first + 1)
    async with here.database.reading() as tx:
        (leaf,), head = await tx.log.leaves(fr.origin, first, first + 1), await tx.log.head(fr.origin)
    assert head is not None
    again = await here.gate.admit(fr.origin, offered, leaves=[leaf], after=head, relay_from=None)
    assert (again.size, again.logged, again.moved) == (first + 1, 0, False)
    beyond = [Offered(first + 5, fr.entries[first])]
    with pytest.raises(LostRace):
        await here.gate.admit(fr.origin, beyond, leaves=[leaf], after=replace(head, size=first + 6), relay_from=None)
    with pytest.raises(ValueError, match="without holes"):
        await here.gate.admit(fr.origin, [*offered, *beyond], leaves=[leaf, leaf], after=head, relay_from=None)
    with pytest.raises(NotFound):
        await here.gate.admit("xx.example/log", offered, leaves=[leaf], after=head, relay_from=None)


async def test_bytes_that_are_not_those_of_the_tree_are_the_sources_fault(here: Here, fr: PeerLog) -> None:
    """Nothing of the page is taken; another source may have the right ones."""
    at = fr.log(bka(fr).listing(wallet(1)))
    with pytest.raises(Betrayed):
        await here.take(fr, page=[Offered(at, fr.entries[at] + b"x", fr.texts[at])])
    assert await here.cursor(fr) == at
    await here.take(fr)
    assert (await here.listed(wallet_id(1))) == [(fr.origin, at)]


async def test_poison_is_carried_inert_and_stops_nothing(here: Here, fr: PeerLog, town: Town) -> None:
    """Every sort of fault in one page: each is named and kept, and what stands behind it counts."""
    clock, good = fr.town.clock, bka(fr)
    forged = Signer(key_of("somebody#1"), fr.origin, clock).key
    forged = replace(forged, kid="fr.bka#1")
    said = {
        "v": 1,
        "iss": "fr.bka",
        "org": fr.origin,
        "knd": "listing",
        "iat": clock() // 1000,
        "tlp": "GREEN",
        "exp": clock() // 1000 + 900,
    }
    expected = {
        fr.log_raw(b""): "malformed",
        fr.log_raw(b"\x00\xff" * 40): "malformed",
        fr.log_raw(b"01 a.b.c"): "malformed",
        fr.log_raw(b"99999999999999999999 a.b.c"): "malformed",
        fr.log_raw(b"%d " % clock() + b"a.b.c"): "malformed",
        fr.log_raw(b"%d " % clock() + b"x" * 70_000): "too_large",
        fr.log(build_statement(said, {"core": [wallet(1)]}, forged)): "bad_signature",
        fr.log(town.signer("de.bka#1").listing(wallet(1))): "unknown_kid",
        fr.log(Signer(key_of("fr.bka#1"), town.origin, clock).listing(wallet(1))): "wrong_origin",
        fr.log(good.say(Kind.LISTING, {"exp": good.now + 900 * 86_400}, {"core": [wallet(1)]})): "validity",
        fr.log(good.say(Kind.RETRACT, {"t": ["nonsense"]})): "schema",
        fr.log(fr.town.signer("fr.exchange#1").listing(wallet(1))): "scope_denied",
        fr.log(good.say("member", {"id": "fr.evil", "name": "x"})): "schema",
        fr.log(good.listing(wallet(1), days=30), ms=clock() - 500 * 86_400_000): "key_not_valid",
    }
    last = fr.log(good.listing(wallet(9)))
    admission = await here.take(fr)
    assert await here.poison(fr) == expected
    assert (admission.size, admission.poisoned) == (last + 1, len(expected))
    assert (await here.listed(wallet_id(1))) == []
    assert (await here.listed(wallet_id(9))) == [(fr.origin, last)]
    await check_fold(here.database, here.keyrings)
    await check_index(here.database, here.index)


async def test_what_no_answer_could_show_is_left_out_of_the_index(here: Here, fr: PeerLog) -> None:
    """A peer's copy may hold anything: an item of another shape is passed over, the rest of its listing counts."""
    odd = [
        wallet(1, severity="very"),
        wallet(2, severity=True),
        wallet(3, typologies="fraud"),
        wallet(4, embargo_until="soon"),
        wallet(5, id="eip155:0:nonsense"),
        wallet(6, action=None),
        {"type": "aurora", "id": wallet_id(7)},
    ]
    at = fr.log(bka(fr).listing(*odd, wallet(8)))
    await here.take(fr)
    assert [n for n in range(1, 9) if (await here.listed(wallet_id(n)))] == [8]
    assert await here.poison(fr) == {}
    outside = fr.log(bka(fr).listing(wallet(9, typologies=["laundering.mixer"])))
    await here.take(fr)
    assert (await here.listed(wallet_id(9))) == []
    assert await here.poison(fr) == {outside: "scope_denied"}
    assert await here.state(fr, at) is State.ACTIVE


async def test_an_unknown_kind_or_claim_is_carried_inert(here: Here, fr: PeerLog) -> None:
    """A newer version may say more than we understand; it is no fault, and does nothing."""
    new = fr.log(bka(fr).say("aurora", {"t": ["x"]}))
    must = fr.log(bka(fr).listing(wallet(1), must=["aurora"]))
    await here.take(fr)
    assert await here.poison(fr) == {}
    assert (await here.state(fr, new), await here.state(fr, must)) == (State.INERT, State.INERT)
    assert (await here.listed(wallet_id(1))) == []


async def test_what_is_withheld_is_supplied_later(here: Here, fr: PeerLog) -> None:
    """A stub, then its parts: the listing counts once its content is here; what is not missing is passed over."""
    at = fr.log(bka(fr).listing(wallet(1), **AMBER))
    admission = await here.take(fr, hide={at})
    assert (admission.withheld, admission.logged) == (1, 0)
    assert await here.lacking(fr) == {at: "stub"}
    await here.gate.supply(fr.origin, [Offered(at, fr.entries[at])])
    assert await here.lacking(fr) == {at: "parts"}
    assert (await here.listed(wallet_id(1))) == []
    brought = await here.gate.supply(fr.origin, [Offered(at, None, fr.texts[at])])
    assert brought.moved
    assert await here.lacking(fr) == {}
    assert (await here.listed(wallet_id(1))) == [(fr.origin, at)]
    assert not (await here.gate.supply(fr.origin, fr.offered(0, at + 1))).moved
    hidden = fr.log(bka(fr).listing(wallet(2)))
    await here.take(fr, hide={hidden})
    with pytest.raises(Betrayed):
        await here.gate.supply(fr.origin, [Offered(hidden, fr.entries[0])])
    await check_fold(here.database, here.keyrings)
    await check_index(here.database, here.index)


async def test_amber_comes_from_the_origin_alone(here: Here, fr: PeerLog) -> None:
    """A relay that offers more than GREEN is not listened to: neither in its turn nor as a supply."""
    amber = fr.log(bka(fr).listing(wallet(1), **AMBER))
    mixed = fr.log(bka(fr).listing(wallet(2), labels={"core": {"tlp": "AMBER", "aud": ["de.example"]}}))
    green = fr.log(bka(fr).listing(wallet(3)))
    await here.take(fr, relay="nl.example")
    assert await here.lacking(fr) == {amber: "stub", mixed: "parts"}
    assert [(await here.listed(wallet_id(n))) for n in (1, 2, 3)] == [[], [], [(fr.origin, green)]]
    await here.gate.supply(fr.origin, fr.offered(amber, green), relay_from="nl.example")
    assert await here.lacking(fr) == {amber: "stub", mixed: "parts"}
    await here.gate.supply(fr.origin, fr.offered(amber, green))
    assert await here.lacking(fr) == {}
    assert (await here.listed(wallet_id(1))) == [(fr.origin, amber)]
    assert (await here.listed(wallet_id(2))) == [(fr.origin, mixed)]
    await check_index(here.database, here.index)


async def test_a_disclosure_that_was_not_signed_is_as_good_as_withheld(here: Here, fr: PeerLog) -> None:
    """What a source spoils is asked for again; it says nothing against the log."""
    at, other = fr.log(bka(fr).listing(wallet(1))), fr.log(bka(fr).listing(wallet(2)))
    page = [Offered(at, fr.entries[at], fr.texts[other]), Offered(other, fr.entries[other], ("!",))]
    await here.take(fr, page=page)
    assert await here.poison(fr) == {}
    assert await here.lacking(fr) == {at: "parts", other: "parts"}
    await here.gate.supply(fr.origin, fr.offered(at, other + 1))
    assert (await here.listed(wallet_id(1))) == [(fr.origin, at)]
    assert (await here.listed(wallet_id(2))) == [(fr.origin, other)]


async def test_an_erasure_reaches_what_comes_late(here: Here, fr: PeerLog) -> None:
    """Parts are destroyed when the erasure comes, and never kept again, whoever still has them."""
    listing = bka(fr).listing(wallet(1))
    at = fr.log(listing)
    late = fr.log(bka(fr).listing(wallet(2)))
    await here.take(fr, hide={late})
    erase = bka(fr).erase(sid_in(listing), sid_in(f"{fr.entries[late].split(b' ')[1].decode()}~"))
    fr.log(erase)
    admission = await here.take(fr)
    assert admission.erased == (sid_in(erase),)
    assert (await here.listed(wallet_id(1))) == []
    await here.gate.supply(fr.origin, fr.offered(at, late + 1))
    assert (await here.listed(wallet_id(2))) == []
    async with here.database.reading() as tx:
        parts = await tx.statements.parts_of(fr.origin, [at, late])
        assert await tx.meta.get("forget_due") is not None
    assert parts
    assert all(part.is_erased for part in parts)
    await check_fold(here.database, here.keyrings)


async def test_a_late_member_statement_is_heard_by_what_it_vouches_for(here: Here, fr: PeerLog) -> None:
    """Withheld for a while, a key statement leaves others without a key; supplied, it makes them good as if it had come in its turn."""
    hidden = fr.log(fr.town.member("fr.new"))
    at = fr.log(fr.town.signer("fr.new#1").listing(wallet(1)))
    await here.take(fr, hide={hidden})
    assert await here.poison(fr) == {at: "unknown_kid"}
    await here.gate.supply(fr.origin, fr.offered(hidden, hidden + 1))
    assert await here.poison(fr) == {}
    assert await here.lacking(fr) == {at: "parts"}
    await here.gate.supply(fr.origin, fr.offered(at, at + 1))
    assert (await here.listed(wallet_id(1))) == [(fr.origin, at)]
    assert (await here.index.find(wallet_id(1)))[0].issuer_name == "FR.NEW"
    await check_fold(here.database, here.keyrings)
    await check_index(here.database, here.index)


async def test_a_late_policy_is_heard_by_what_stands_above_it(here: Here, fr: PeerLog) -> None:
    """The two-person rule comes late: what needed a second key all along waits from then on."""
    hidden = fr.log(fr.town.policy(needs2=["listing"]))
    at = fr.log(bka(fr).listing(wallet(1)))
    await here.take(fr, hide={hidden})
    assert (await here.listed(wallet_id(1))) == [(fr.origin, at)]
    await here.gate.supply(fr.origin, fr.offered(hidden, hidden + 1))
    assert (await here.listed(wallet_id(1))) == []
    assert await here.state(fr, at) is State.WAITING
    await check_fold(here.database, here.keyrings)
    await check_index(here.database, here.index)


async def test_annotations_cross_logs_before_and_after_their_target(here: Here, fr: PeerLog, tmp_path: Path, clock: Clock) -> None:
    """A dispute of one log colours a listing of another, whichever comes first; retracted, it does no more."""
    nl = PeerLog(Town.found(tmp_path / "nl", code="nl", clock=clock))
    nl.log(*nl.town.settled())
    await here.follow(nl)
    listing, early = bka(fr).listing(wallet(1)), bka(fr).listing(wallet(2))
    fr.log(listing)
    await here.take(fr)
    agency = nl.town.signer("nl.bka#1")
    dispute = agency.say(
        Kind.DISPUTE, {"t": [far(fr.origin, sid_in(one)) for one in (listing, early)]}, {"core": [{"ground": "wrong_person"}]}
    )
    nl.log(dispute)
    await here.take(nl)
    fr.log(early)
    await here.take(fr)
    for n in (1, 2):
        (found,) = await here.index.find(wallet_id(n))
        assert [(note.kind, note.origin, note.issuer, note.ground) for note in found.annotations] == [
            ("dispute", nl.origin, "nl.bka", "wrong_person")
        ]
    await check_index(here.database, here.index)
    nl.log(agency.retract(sid_in(dispute)))
    await here.take(nl)
    assert [(await here.index.find(wallet_id(n)))[0].annotations for n in (1, 2)] == [(), ()]
    await check_fold(here.database, here.keyrings)
    await check_index(here.database, here.index)


async def test_past_a_fork_adds_survive_and_removals_wait(here: Here, fr: PeerLog) -> None:
    """Marked after the fact: a retraction beyond the fork is undone, a listing there stays and is contested; so it goes on."""
    before = bka(fr).listing(wallet(1))
    common = fr.log(before) + 1
    beyond = fr.log(bka(fr).listing(wallet(2)))
    fr.log(bka(fr).retract(sid_in(before)), fr.town.policy(needs2=["listing"]))
    await here.take(fr)
    assert (await here.listed(wallet_id(1))) == []
    await here.gate.mark_forked(fr.origin, Bounds(common, common), reason="two histories")
    assert (await here.listed(wallet_id(1))) == [(fr.origin, common - 1)]
    assert (await here.index.find(wallet_id(2)))[0].contested
    after = fr.log(bka(fr).listing(wallet(3)))
    fr.log(bka(fr).retract(sid_in(before)), fr.town.member("fr.bka", name="Renamed"))
    await here.take(fr)
    assert (await here.listed(wallet_id(1))) == [(fr.origin, common - 1)]
    assert (await here.listed(wallet_id(2))) == [(fr.origin, beyond)]
    assert (await here.index.find(wallet_id(3)))[0].contested
    assert (await here.listed(wallet_id(3))) == [(fr.origin, after)]
    await check_fold(here.database, here.keyrings)
    await check_index(here.database, here.index)


async def test_beyond_its_end_a_retired_log_says_nothing(here: Here, fr: PeerLog) -> None:
    """What a root document cut off never counted, neither what it added nor what it took away."""
    kept = bka(fr).listing(wallet(1))
    end = fr.log(kept) + 1
    fr.log(bka(fr).listing(wallet(2)), bka(fr).retract(sid_in(kept)))
    await here.take(fr)
    await here.gate.retire(fr.origin, final_size=end)
    assert (await here.listed(wallet_id(1))) == [(fr.origin, end - 1)]
    assert (await here.listed(wallet_id(2))) == []
    await check_fold(here.database, here.keyrings)
    await check_index(here.database, here.index)


async def test_the_valve_keeps_a_flood_dormant_until_it_is_released(
    here: Here, fr: PeerLog, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """Above its limits a peer is mirrored and not heard: one alert a page, and a human may let it in."""
    async with here.database.transaction() as tx:
        await tx.mirrors.set_terms(fr.origin, added_per_hour=3, total=5)
    first = fr.log(*(bka(fr).listing(wallet(n)) for n in range(4)))
    with caplog.at_level(logging.ERROR, "cordon.valve"):
        admission = await here.take(fr)
    assert (admission.dormant, admission.logged) == (1, 4)
    assert len(caplog.records) == 1
    assert [bool(await here.listed(wallet_id(n))) for n in range(4)] == [True, True, True, False]
    clock.advance(hours=2)
    fr.log(*(bka(fr).listing(wallet(n)) for n in range(4, 7)))
    assert (await here.take(fr)).dormant == 1  # five in all
    await check_fold(here.database, here.keyrings)
    await check_index(here.database, here.index)
    assert await here.gate.release(fr.origin, indices=[first]) == 1
    assert (await here.listed(wallet_id(3))) == [(fr.origin, first)]
    assert await here.gate.release(fr.origin) == 1
    assert all([await here.listed(wallet_id(n)) for n in range(7)])
    await check_index(here.database, here.index)


async def test_a_flood_is_not_spread_over_hours_of_its_own_invention(here: Here, fr: PeerLog, clock: Clock) -> None:
    """Back-dated and future times count in the hour in which we hear of them; a listing from the future waits besides."""
    async with here.database.transaction() as tx:
        await tx.mirrors.set_terms(fr.origin, added_per_hour=3)
        await tx.mirrors.seen(fr.origin, clock())
    now, hour = clock(), 3_600_000
    for n, ms in enumerate((now, now + hour, now + 2 * hour, now + 3 * hour, now + 90 * hour)):
        fr.log(bka(fr).listing(wallet(n)), ms=ms)
    first = await here.cursor(fr)
    assert (await here.take(fr)).dormant == 4
    async with here.database.reading() as tx:
        reasons = [row.reason for row in await tx.valve.page(fr.origin)]
    assert reasons == ["ahead", "ahead", "hour", "hour"]
    assert await here.listed(wallet_id(0)) == [(fr.origin, first)]


async def test_quarantine_hides_a_log_and_lifts_again(here: Here, fr: PeerLog) -> None:
    """Followed all the same, shown not at all, until a human says otherwise."""
    at = fr.log(bka(fr).listing(wallet(1)))
    await here.take(fr)
    await here.gate.quarantine(fr.origin, on=True)
    assert (await here.listed(wallet_id(1))) == []
    second = fr.log(bka(fr).listing(wallet(2)))
    await here.take(fr)
    assert (await here.listed(wallet_id(2))) == []
    await check_index(here.database, here.index)
    await here.gate.quarantine(fr.origin, on=False)
    assert (await here.listed(wallet_id(1))) == [(fr.origin, at)]
    assert (await here.listed(wallet_id(2))) == [(fr.origin, second)]
    with pytest.raises(NotFound):
        await here.gate.quarantine("xx.example/log", on=True)


async def test_another_worker_sees_what_the_first_has_taken_in(here: Here, fr: PeerLog, town: Town) -> None:
    """Pages, supplies, renamed members and trust: whoever shares the database follows, and may take the next page."""
    other = Here(here.database, town, listed=here.listed_ids)
    await other.gate.load()
    await other.start()
    at = fr.log(bka(fr).listing(wallet(1)))
    hidden = fr.log(bka(fr).listing(wallet(2)))
    fr.log(fr.town.member("fr.bka", name="Renamed"), fr.town.member("fr.new"))
    await here.take(fr, hide={hidden})
    await other.gate.follow()
    assert (await other.listed(wallet_id(1))) == [(fr.origin, at)]
    await here.gate.supply(fr.origin, fr.offered(hidden, hidden + 1))
    await other.gate.follow()
    assert (await other.listed(wallet_id(2))) == [(fr.origin, hidden)]
    assert {one.issuer_name for n in (1, 2) for one in (await other.index.find(wallet_id(n)))} == {"Renamed"}
    new = fr.log(fr.town.signer("fr.new#1").listing(wallet(3)))
    await other.take(fr)
    assert (await other.listed(wallet_id(3))) == [(fr.origin, new)]
    await here.gate.follow()
    for one in (here, other):
        await check_index(one.database, one.index)


async def test_a_start_reads_everything_from_storage(here: Here, fr: PeerLog, town: Town) -> None:
    """Registry and index of a new process are those of the one that stopped."""
    fr.log(fr.town.member("fr.new"), bka(fr).listing(wallet(1)))
    await here.take(fr)
    fresh = Here(here.database, town)
    await fresh.gate.load()
    await fresh.start()
    at = fr.log(fr.town.signer("fr.new#1").listing(wallet(2)))
    await fresh.take(fr)
    assert (await fresh.listed(wallet_id(2))) == [(fr.origin, at)]
    assert await fresh.listed(wallet_id(1))


async def test_a_sid_logged_twice_counts_once(here: Here, fr: PeerLog) -> None:
    """The lower index counts, also when it comes later; its content is shown once."""
    listing = bka(fr).listing(wallet(1))
    low, high = fr.log(listing), fr.log(listing)
    await here.take(fr, hide={low})
    assert (await here.listed(wallet_id(1))) == [(fr.origin, high)]
    await here.gate.supply(fr.origin, fr.offered(low, low + 1))
    assert (await here.listed(wallet_id(1))) == [(fr.origin, low)]
    again = fr.log(listing)
    await here.take(fr)
    assert again == high + 1
    assert (await here.listed(wallet_id(1))) == [(fr.origin, low)]
    await check_fold(here.database, here.keyrings)
    await check_index(here.database, here.index)

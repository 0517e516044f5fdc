"""What is mirrored and does not count: dormant listings and quarantined logs show as held and are in no index; holes disturb nothing."""

from __future__ import annotations

import orjson
import pytest

from app.domain.folding import ShownState, State
from app.domain.statement import ohash_of
from app.domain.tiles import TILE_WIDTH
from app.storage.database import Database, Transaction
from app.storage.mirrors import MirrorRow
from app.storage.subjects import ItemRow
from app.storage.valve import DormantRow
from tests.storage.rows import AMBER, CLEAR, FAR, GREEN, NOW_MS, ORIGIN, WALLET, entry_of, event, part, put, row, sid_at, wallet

EVENTS = [event(index, origin=origin) for origin in (ORIGIN, FAR) for index in range(3)]
LINK = {"type": "link", "from": WALLET, "to": "url:https://scam.example/"}


async def _mirrored(tx: Transaction) -> None:
    """Three listings of our log and three of a mirror, each with a wallet and a link; the mirror's last one is retracted."""
    items = [wallet(one, f"id-{one.origin[:2]}{one.index}") for one in EVENTS]
    links = [ItemRow.of_link(one.origin, one.index, 1, LINK) for one in EVENTS]
    await tx.mirrors.create(MirrorRow(FAR, "fr.example"))
    await put(tx, [row(one) for one in EVENTS], [*items, *links])
    await tx.statements.set_states({(FAR, sid_at(FAR, 2)): ShownState(State.RETRACTED)})


async def _live(tx: Transaction) -> tuple[list[str], list[str], list[tuple[str, int]]]:
    """What is told: all that is live, the same asked for by id, and the links; views see the same both ways."""
    listings = [listing.subject async for listing in tx.subjects.live_listings()]
    every = [f"id-{code}{n}" for code in ("de", "fr") for n in range(3)]
    ids = [listing.subject for listing in await tx.filed.listings(every)]
    viewed: list[str] = []
    for origin in (ORIGIN, FAR):
        items, statements = await tx.viewed.page(origin, (-1, -1), 0, page=1_000)
        standing = {statement[0] for statement in statements}
        viewed += [subject for index, _, subject, *_ in items if index in standing]
    assert viewed == sorted(row[2] for row in await tx.viewed.of_ids(every, 0)) == sorted(ids)
    return listings, sorted(ids), sorted([(link.origin, link.index) for link in await tx.filed.links([WALLET])])


async def test_a_dormant_listing_is_held_until_it_is_released(database: Database) -> None:
    """It is read with its state, and counts nowhere: not among live listings, ids or links. Others of its log do."""
    async with database.transaction() as tx:
        await _mirrored(tx)
        await tx.valve.put([DormantRow(FAR, 1, "hour", NOW_MS)])
        listings, ids, links = await _live(tx)
        assert listings == ids == ["id-de0", "id-de1", "id-de2", "id-fr0"]
        assert links == [(ORIGIN, 0), (ORIGIN, 1), (ORIGIN, 2), (FAR, 0)]
        assert [one.state for one in await tx.subjects.listings(["id-fr0", "id-fr1", "id-fr2"])] == ["active", "held", "retracted"]
        assert [one.state for one in await tx.subjects.listings(["id-fr1"])] == ["held"]
        assert [one.state for one in await tx.subjects.listings_of_sids(FAR, [sid_at(FAR, 1)])] == ["held"]
        assert [one.state for one in await tx.subjects.links_of_sids(FAR, [sid_at(FAR, 1)])] == ["held"]
        assert await tx.valve.release(FAR, [1, 7]) == 1
        assert (await _live(tx))[0] == ["id-de0", "id-de1", "id-de2", "id-fr0", "id-fr1"]
        assert [one.state for one in await tx.subjects.listings(["id-fr1"])] == ["active"]


async def test_what_waits_for_its_time_is_found_when_that_has_come(database: Database) -> None:
    """By the time of the log, for one reason only, by log and upwards."""
    async with database.transaction() as tx:
        await _mirrored(tx)
        await tx.valve.put([DormantRow(FAR, 1, "ahead", NOW_MS), DormantRow(FAR, 0, "ahead", NOW_MS), DormantRow(FAR, 2, "hour", NOW_MS)])
        accepted = [found.accepted_ms for n in range(2) if (found := await tx.statements.locate(FAR, sid_at(FAR, n))) is not None]
        assert len(accepted) == 2
        assert await tx.valve.come("ahead", min(accepted) - 1) == {}
        assert await tx.valve.come("ahead", max(accepted)) == {FAR: [0, 1]}
        assert await tx.valve.come("ahead", max(accepted), limit=1) == {FAR: [0]}


async def test_nothing_of_a_quarantined_log_counts(database: Database) -> None:
    """All its active listings and links are held, what was ended stays ended; our own log and the way back are untouched."""
    async with database.transaction() as tx:
        await _mirrored(tx)
        before = await _live(tx)
        await tx.mirrors.set_quarantined(FAR, True)
        assert await _live(tx) == (["id-de0", "id-de1", "id-de2"], ["id-de0", "id-de1", "id-de2"], [(ORIGIN, 0), (ORIGIN, 1), (ORIGIN, 2)])
        found = await tx.subjects.listings(["id-de0", "id-fr0", "id-fr1", "id-fr2"])
        assert {one.subject: one.state for one in found} == {
            "id-de0": "active",
            "id-fr0": "held",
            "id-fr1": "held",
            "id-fr2": "retracted",
        }
        assert [one.state for one in await tx.subjects.links_of(WALLET) if one.origin == FAR] == ["held", "held", "retracted"]
        await tx.mirrors.set_quarantined(FAR, False)
        assert await _live(tx) == before


async def test_a_record_keeps_the_word_of_the_fold_and_says_that_it_is_held(database: Database) -> None:
    """`state` is what the fold says; `held` is what this node makes of it, in every way a statement is read."""
    async with database.transaction() as tx:
        await _mirrored(tx)
        await tx.valve.put([DormantRow(FAR, 0, "hour", NOW_MS)])
        found = await tx.statements.locate_all(FAR, [sid_at(FAR, index) for index in range(3)])
        assert [(one.held, one.state.state) for one in sorted(found.values(), key=lambda one: one.index)] == [
            (True, State.ACTIVE),
            (False, State.ACTIVE),
            (False, State.RETRACTED),
        ]
        assert [(one.origin, one.index) for one in await tx.statements.page() if one.held] == [(FAR, 0)]
        record = await tx.statements.record(sid_at(FAR, 0))
        assert record is not None
        assert record.stored.held
        await tx.mirrors.set_quarantined(FAR, True)
        assert {(one.origin, one.held) for one in await tx.statements.page()} == {(ORIGIN, False), (FAR, True)}
        own = await tx.statements.locate(ORIGIN, sid_at(ORIGIN, 0))
        assert own is not None
        assert not own.held


async def test_a_quarantined_log_says_nothing_about_others(database: Database) -> None:
    """Its disputes and endorsements are left out while it is in quarantine."""
    one = event(0)
    dispute = event(0, "dispute", origin=FAR, targets=(f"{ohash_of(ORIGIN)}/{one.sid}",))
    async with database.transaction() as tx:
        await tx.mirrors.create(MirrorRow(FAR, "fr.example"))
        await put(tx, [row(one), row(dispute)], [wallet(one)])
        for quarantined, expected in ((False, [FAR]), (True, []), (False, [FAR])):
            await tx.mirrors.set_quarantined(FAR, quarantined)
            (listing,) = await tx.subjects.listings([WALLET])
            assert [note.origin for note in listing.annotations] == expected


async def test_dormant_listings_come_in_pages_and_are_let_in_all_or_some(database: Database) -> None:
    """By index, per log; what waits already keeps its first day and reason."""
    rows = [DormantRow(FAR, index, "hour", NOW_MS) for index in range(5)]
    async with database.transaction() as tx:
        await tx.valve.put(rows[::-1])
        await tx.valve.put([DormantRow(FAR, 0, "total", NOW_MS + 1), DormantRow(ORIGIN, 0, "hour", NOW_MS)])
        assert await tx.valve.page(FAR) == rows
        assert await tx.valve.page(FAR, after=1, limit=2) == rows[2:4]
        assert await tx.valve.count(FAR) == 5
        assert await tx.valve.waiting(FAR, [1, 9]) == {1}
        assert await tx.valve.waiting(FAR, []) == set()
        assert await tx.valve.release(FAR, []) == 0
        assert await tx.valve.release(FAR, [4]) == 1
        assert await tx.valve.release(FAR) == 4
        assert await tx.valve.count(FAR) == 0
        assert await tx.valve.count(ORIGIN) == 1


# --- holes ----------------------------------------------------------------------------------------------------------


async def test_a_log_with_holes_gives_what_is_there(database: Database) -> None:
    """Entries 1 and 3 are withheld: ranges, walks and labels pass over them, and every answer says which index it is."""
    known = [event(0, origin=FAR, label=CLEAR), event(2, origin=FAR, label=AMBER), event(4, origin=FAR, label=GREEN)]
    entries = [entry_of(one) for one in known]
    async with database.transaction() as tx:
        await put(tx, [row(one) for one in known])
        assert await tx.log.entries(FAR, 0, 5) == entries
        assert await tx.log.entries(FAR, 1, 2) == []
        assert await tx.log.entry(FAR, 3) is None
        assert await tx.log.entries_at(FAR, [3, 4, 0]) == [entries[0], entries[2]]
        assert [index async for index, _, _ in tx.log.walk(FAR, page=2)] == [0, 2, 4]
        assert await tx.statements.labels(FAR, 1, 5) == [AMBER, GREEN]
        assert await tx.statements.labels_by_index(FAR, 1, 5) == {2: AMBER, 4: GREEN}
        assert await tx.statements.events_between(FAR, 1, 4) == [known[1]]
        assert await tx.statements.events_at(FAR, [1, 2, 3]) == [known[1]]
        assert await tx.statements.parts_of(FAR, [1, 3]) == []


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        (0, 3, range(3)),
        (250, 260, range(250, 260)),
        (256, 257, range(256, 257)),
        (255, 600, range(255, 520)),
        (519, 530, range(519, 520)),
        (520, 530, range(0)),
        (5, 5, range(0)),
        (9_000, 9_010, range(0)),
    ],
)
async def test_leaves_come_from_the_tiles_whatever_is_withheld(database: Database, first: int, last: int, expected: range) -> None:
    """The tree is whole where entries are missing, and may reach beyond the head; asked beyond its end it gives what there is."""
    leaves = [index.to_bytes(32, "big") for index in range(520)]
    tiles = {(0, n): b"".join(leaves[n * TILE_WIDTH : (n + 1) * TILE_WIDTH]) for n in range(3)}
    async with database.transaction() as tx:
        await tx.log.create(FAR, NOW_MS)
        await tx.log.write_tiles(FAR, tiles)
        assert await tx.log.leaves(FAR, first, last) == [leaves[index] for index in expected]


async def test_a_copy_in_another_log_does_not_hide_a_statement(database: Database) -> None:
    """A peer logs our statement as its own: it is bad there, and the record is ours, parts and all, whatever the order of names."""
    evil = "aa.example/log"
    one = event(4)
    copy = event(0, origin=evil, sid=one.sid, issuer=one.issuer, kid=one.kid, bad=True)
    async with database.transaction() as tx:
        await put(tx, [row(copy, state=ShownState(State.INERT)), row(one)])
        await tx.statements.put_parts([part(one, 0, "core.0")])
        record = await tx.statements.record(one.sid)
        there = await tx.statements.record(one.sid, evil)
    assert record is not None
    assert (record.stored.origin, len(record.parts)) == (ORIGIN, 1)
    assert there is not None
    assert there.stored.event.bad


async def test_another_log_uses_up_neither_an_idempotency_key_nor_a_quota(database: Database) -> None:
    """What a peer logs under the name of our member is nothing that our member has sent."""
    async with database.transaction() as tx:
        await put(tx, [row(event(0, origin=FAR, issuer="de.bka", bad=True), jti="case-7"), row(event(1), jti="case-8")])
        assert await tx.statements.find_jti(ORIGIN, "de.bka", ["case-7", "case-8"]) == {"case-8": sid_at(ORIGIN, 1)}
        assert sum((await tx.statements.counts_since(ORIGIN, "de.bka", 0)).values()) == 1
        assert sum((await tx.statements.counts_since(FAR, "de.bka", 0)).values()) == 1


async def test_a_held_context_is_told_only_as_a_held_listing(database: Database) -> None:
    """Item and context of a held listing are read as they are: who decides on a release must see what it says."""
    one = event(0, origin=FAR)
    async with database.transaction() as tx:
        await tx.mirrors.create(MirrorRow(FAR, "fr.example", quarantined=True))
        await put(tx, [row(one, context=orjson.dumps({"type": "context", "purpose": "x"}))], [wallet(one)])
        (listing,) = await tx.subjects.listings([WALLET])
    assert (listing.state, listing.context["purpose"], listing.item["id"]) == ("held", "x", WALLET)

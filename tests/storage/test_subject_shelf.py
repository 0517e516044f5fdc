"""The subject shelf: listings are put together with state, names and annotations; what is erased is gone everywhere."""

from __future__ import annotations

import orjson

from app.domain.answer import Annotation, Listing
from app.domain.folding import Event, ShownState, State
from app.domain.labels import Label, Tlp
from app.domain.statement import ohash_of
from app.storage.database import Database, Transaction
from app.storage.subjects import ItemRow
from tests.storage.rows import (
    AMBER,
    CONTEXT,
    EXPIRES_S,
    FAR,
    GREEN,
    NOW_MS,
    ORIGIN,
    WALLET,
    entry_of,
    event,
    item,
    put,
    row,
    sid_at,
    wallet,
)

OTHER = "tron:0x2b6653dc:TXYZopYRdj2D9XRtbG411XZZ3kM5VkAeBf"


async def test_a_listing_is_an_item_with_everything_said_of_its_statement(database: Database) -> None:
    """Item, context, labels, handling, time, expiry and state, member for member."""
    one = event(3, label=GREEN, parts={"core": AMBER})
    async with database.transaction() as tx:
        await put(tx, [row(one, handling=("INTEL-ONLY",))], [wallet(one, number=7, action="review")])
        found = await tx.subjects.listings([WALLET])
        assert await tx.subjects.listings([WALLET, OTHER]) == found
        assert await tx.subjects.listings_of_sids(ORIGIN, [one.sid]) == found
        assert await tx.subjects.listings([]) == []
        assert await tx.subjects.listings([OTHER]) == []
    assert found == [
        Listing(
            origin=ORIGIN,
            index=3,
            sid=one.sid,
            number=7,
            subject=WALLET,
            item={"type": "wallet", "id": WALLET, "severity": 3, "action": "review"},
            context=CONTEXT,
            issuer="de.bka",
            issuer_name="de.bka",
            country=None,
            label=GREEN,
            core_label=AMBER,
            handling=("INTEL-ONLY",),
            accepted_ms=NOW_MS + 3000,
            expires_at=EXPIRES_S,
            state="active",
        )
    ]


async def test_the_state_of_the_fold_shows_on_the_listing(database: Database) -> None:
    """Superseded by whom, contested, and a renewed expiry; a state without an expiry leaves the statement's own."""
    old, renewed = event(0), event(1)
    async with database.transaction() as tx:
        await put(tx, [row(old), row(renewed)], [wallet(old), wallet(renewed)])
        await tx.statements.set_states(
            {
                (ORIGIN, old.sid): ShownState(State.SUPERSEDED, None, renewed.sid),
                (ORIGIN, renewed.sid): ShownState(State.ACTIVE, EXPIRES_S + 9, None, contested=True),
            }
        )
        first, second = await tx.subjects.listings([WALLET])
    assert (first.state, first.superseded_by, first.contested, first.expires_at) == ("superseded", renewed.sid, False, EXPIRES_S)
    assert (second.state, second.superseded_by, second.contested, second.expires_at) == ("active", None, True, EXPIRES_S + 9)


async def test_the_issuer_is_named_by_the_registry_of_its_own_log(database: Database) -> None:
    """A member of the same id in another log lends neither name nor country."""
    one, foreign = event(1), event(1, origin=FAR, issuer="de.bka")
    claims = {"knd": "member", "id": "de.bka", "name": "Bundeskriminalamt", "class": "agency", "country": "DE"}
    async with database.transaction() as tx:
        await _register(tx, event(0, "member"), claims)
        await put(tx, [row(one), row(foreign)], [wallet(one), wallet(foreign)])
        found = {listing.origin: (listing.issuer_name, listing.country) for listing in await tx.subjects.listings([WALLET])}
    assert found == {ORIGIN: ("Bundeskriminalamt", "DE"), FAR: ("de.bka", None)}


async def test_annotations_stand_on_the_listing_they_name(database: Database) -> None:
    """Disputes and endorsements of any log, as long as they stand themselves; a redress member of the listing's log binds."""
    one = event(1)
    named = (f"{ohash_of(ORIGIN)}/{one.sid}",)
    dispute = event(2, "dispute", issuer="de.redress", targets=named, parts={"core": GREEN})
    foreign = event(3, "endorse", origin=FAR, targets=named)
    withdrawn = event(4, "endorse", origin=FAR, targets=named)
    misled = event(5, "dispute", origin=FAR, targets=(f"{ohash_of(FAR)}/{one.sid}",))
    said = orjson.dumps({"ground": "not_mine", "stage": "overdue", "since": "2026-11-01T00:00:00Z"})
    async with database.transaction() as tx:
        await _register(tx, event(0, "member"), {"knd": "member", "id": "de.redress", "name": "Ombud", "class": "redress"})
        await put(tx, [row(one), row(dispute, context=said), row(foreign), row(misled)], [wallet(one)])
        await put(tx, [row(withdrawn, state=ShownState(State.RETRACTED))])
        (listing,) = await tx.subjects.listings([WALLET])
    assert listing.annotations == (
        Annotation(
            "dispute",
            dispute.sid,
            ORIGIN,
            "de.redress",
            GREEN,
            NOW_MS + 2000,
            binding=True,
            ground="not_mine",
            stage="overdue",
            since="2026-11-01T00:00:00Z",
        ),
        Annotation("endorse", foreign.sid, FAR, "fr.bka", GREEN, NOW_MS + 3000),
    )


async def test_what_a_dispute_says_is_not_told_wider_than_its_content_may_go(database: Database) -> None:
    """Its stub is GREEN, its content AMBER: that there is a dispute shows, its ground and stage do not."""
    one = event(0)
    dispute = event(1, "dispute", targets=(f"{ohash_of(ORIGIN)}/{one.sid}",), parts={"core": AMBER})
    async with database.transaction() as tx:
        await put(tx, [row(one), row(dispute, context=b'{"ground":"wrong_person","stage":"upheld"}')], [wallet(one)])
        (listing,) = await tx.subjects.listings([WALLET])
    assert [(a.ground, a.stage) for a in listing.annotations] == [(None, None)]


async def test_live_listings_walk_all_that_is_active_in_pages(database: Database) -> None:
    """Every active item of every log once, by place; the others are passed over."""
    events = [event(i, origin=origin) for origin in (ORIGIN, FAR) for i in range(4)]
    items = [wallet(one, f"tron:0x2b6653dc:T{one.origin[:2]}{one.index}{n}", number=n) for one in events for n in range(3)]
    async with database.transaction() as tx:
        await put(tx, [row(one) for one in events], items)
        await tx.statements.set_states({(ORIGIN, sid_at(ORIGIN, 2)): ShownState(State.RETRACTED, EXPIRES_S)})
    async with database.reading() as tx:
        for page in (1, 4, 1000):
            walked = [listing async for listing in tx.subjects.live_listings(page=page)]
            assert [(x.origin, x.index, x.number) for x in walked] == [
                (x.row.origin, x.row.index, x.row.number) for x in items if (x.row.origin, x.row.index) != (ORIGIN, 2)
            ]


async def test_links_are_found_from_both_ends_once(database: Database) -> None:
    """A link from an id to itself is one link; state, label and expiry are the statement's."""
    one, two = event(0, parts={"core": AMBER}), event(1)
    there = {"type": "link", "from": WALLET, "to": OTHER, "relation": "transfers_to"}
    back = {"type": "link", "from": OTHER, "to": WALLET, "relation": "same_cluster"}
    itself = {"type": "link", "from": WALLET, "to": WALLET, "relation": "same_as"}
    rows = [ItemRow.of_link(ORIGIN, 0, n, link) for n, link in enumerate((there, itself))] + [ItemRow.of_link(ORIGIN, 1, 0, back)]
    async with database.transaction() as tx:
        await put(tx, [row(one), row(two)], rows)
        found = await tx.subjects.links_of(WALLET)
        assert [link.item for link in await tx.subjects.links_of(OTHER)] == [there, back]
        assert [link.item for link in await tx.subjects.links_of_sids(ORIGIN, [one.sid])] == [there, itself]
        assert [link.item for link in await tx.filed.links([WALLET])] == [there, itself, back]
        assert [link.item for link in await tx.filed.links([WALLET, OTHER])] == [there, itself, back]
        assert await tx.subjects.links_of("entity:de.bka:x") == []
        assert await tx.subjects.listings([WALLET]) == []
    assert [link.item for link in found] == [there, itself, back]
    assert (found[0].sid, found[0].core_label, found[0].expires_at, found[0].state) == (one.sid, AMBER, EXPIRES_S, "active")


async def test_open_freezes_are_those_of_the_issuer_that_have_not_ended(database: Database) -> None:
    """Ended, retracted and other issuers' requests do not count."""
    request, gone, foreign = event(0, "request"), event(1, "request"), event(2, "request", issuer="de.lka")
    ask = {"action": "freeze", "subjects": [WALLET, OTHER, WALLET], "expires_at": "2027-01-01T00:00:00Z"}
    ends_s = 1_798_761_600
    async with database.transaction() as tx:
        await put(tx, [row(request), row(gone), row(foreign)], [*ItemRow.of_freeze(ORIGIN, 0, ask)])
        await tx.subjects.put_items([*ItemRow.of_freeze(ORIGIN, 1, {**ask, "subjects": ["gone"]})])
        await tx.subjects.put_items([*ItemRow.of_freeze(ORIGIN, 2, {"subjects": ["of lka"]})])
        await tx.statements.set_states({(ORIGIN, gone.sid): ShownState(State.RETRACTED)})
        assert await tx.subjects.open_freezes("de.bka", ends_s - 1) == {WALLET, OTHER}
        assert await tx.subjects.open_freezes("de.bka", ends_s) == frozenset()
        assert await tx.subjects.open_freezes("de.lka", ends_s) == {"of lka"}


async def test_erasing_items_leaves_nothing_of_their_content(database: Database) -> None:
    """Items, links, names, contexts and freezes of the statement go; its neighbour's stay; the statement itself stays."""
    one, other = event(0), event(1)
    entity = {"type": "entity", "id": "entity:de.bka:sun", "kind": "company", "names": [{"name": "Golden Sun"}]}
    link = {"type": "link", "from": WALLET, "to": OTHER, "relation": "controls"}
    async with database.transaction() as tx:
        for e in (one, other):
            await put(tx, [row(e)], [wallet(e), item(e, 1, entity), ItemRow.of_link(ORIGIN, e.index, 2, link)])
        await tx.subjects.put_items([*ItemRow.of_freeze(ORIGIN, 0, {"subjects": [OTHER]})])
        assert await tx.subjects.erase_items(ORIGIN, []) == 0
        assert await tx.subjects.erase_items(ORIGIN, [one.sid]) > 4
        assert [x.index for x in await tx.subjects.listings([WALLET])] == [1]
        assert [x.sid for x in await tx.subjects.links_of(WALLET)] == [other.sid]
        assert await tx.subjects.open_freezes("de.bka", 0) == frozenset()
        assert await tx.entities.search("sun") == ["entity:de.bka:sun"]
        await tx.subjects.put_items([wallet(one).row])
        assert (await tx.subjects.listings([WALLET]))[0].context == {}
        await tx.subjects.erase_items(ORIGIN, [other.sid])
        assert await tx.entities.search("sun") == []
        assert [s.sid for s in await tx.statements.page()] == [one.sid, other.sid]


async def test_entities_are_found_by_words_and_marks(database: Database) -> None:
    """Case, accents and order do not count, the last word may be unfinished, and kind, country, programme narrow."""
    said = [
        ("entity:de.bka:sun", "company", ["Golden Sun Établissements", "金太阳"], ["KH"], "CYBER2"),
        ("entity:de.bka:sunset", "scam_compound", ["Sunset Golden Park"], ["MM", "KH"], ""),
        ("entity:de.bka:kind", "company", ["Kind Company"], ["DE"], ""),
    ]
    one = event(0)
    rows = [
        item(
            one,
            number,
            {
                "type": "entity",
                "id": id_,
                "kind": kind,
                "names": [{"name": name} for name in names],
                "jurisdictions": countries,
                "designations": [{"programme": programme}] if programme else [],
            },
        )
        for number, (id_, kind, names, countries, programme) in enumerate(said)
    ]
    async with database.transaction() as tx:
        await put(tx, [row(one)], rows)
        sun, sunset, kind = (id_ for id_, *_ in said)
        assert await tx.entities.search("golden") == [sun, sunset]
        assert await tx.entities.search("golden SUN") == [sun, sunset]
        assert await tx.entities.search("SUN  golden") == [sun]
        assert await tx.entities.search("sun etabl") == [sun]
        assert await tx.entities.search("金太") == [sun]
        assert await tx.entities.search(kind="scam_compound") == [sunset]
        assert await tx.entities.search("golden", country="KH", kind="company") == [sun]
        assert await tx.entities.search(programme="cyber2") == [sun]
        assert await tx.entities.search("kind") == [kind]
        assert await tx.entities.search("=kind=company") == [kind]
        assert await tx.entities.search("gold", after=sun) == [sunset]
        assert await tx.entities.search("gold", limit=1) == [sun]
        assert await tx.entities.search("…") == []
        assert await tx.entities.search() == sorted([sun, sunset, kind])
        assert await tx.entities.search("golden nowhere") == []
        assert await tx.subjects.listings([sun])


async def _register(tx: Transaction, one: Event, claims: dict[str, str]) -> None:
    await tx.log.append([entry_of(one, claims)])
    await tx.statements.put([row(one)])
    await tx.registry.refresh(one.origin, [one])


def test_labels_of_equal_meaning_are_equal_rows() -> None:
    """The order of an audience does not show in what is stored."""
    from app.storage.events import pack_label, unpack_label

    label = Label(Tlp.AMBER_STRICT, frozenset({"b", "a"}))
    assert pack_label(label) == ["AMBER+STRICT", "a", "b"]
    assert unpack_label(pack_label(label)) == label

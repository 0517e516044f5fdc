"""What watchers are told: every event of a listing, to those who may see it, once."""

from __future__ import annotations

import math
from dataclasses import dataclass

import orjson
import pytest

from app.domain.address import read_canonical_wallet, siblings
from app.domain.watching import keys_of_subject, keys_of_watched
from app.services.enroll import new_api_key
from app.services.node import Node
from app.storage.clients import Client
from app.storage.told import Told
from app.storage.watches import Watched, Watchlist
from app.storage.webhooks import Webhook
from app.storage.wholly import end_all
from tests.factories import CONTEXT, GUARD, Clock, Town, accept, sid_in, wallet, wallet_id

GREEN, CLEAR = "de.exchange/green", "de.exchange/clear"


@dataclass(frozen=True, slots=True)
class Desk:
    """A VASP with two keys, one that reads GREEN and one that reads CLEAR, and what it is sent."""

    node: Node

    @classmethod
    async def open(cls, node: Node) -> Desk:
        """Its keys are made."""
        async with node.database.transaction() as tx:
            for tier in ("green", "clear"):
                key = new_api_key()
                scopes = ("screen", "watch")
                await tx.clients.put(Client(key.id, key.secret_sha256, "live", "de.exchange", "vasp", "", scopes, tier, node.clock()))
        return cls(node)

    async def watch(self, *watched: str, owner: str = GREEN, reference: str | None = "row 1") -> None:
        """Watch ids or buckets from now on."""
        list_id = f"wl-{owner}-{len(watched)}-{watched[0]}"
        async with self.node.database.transaction() as tx:
            await tx.watches.put(Watchlist(list_id, owner, "", 1))
            keys = [(k, w) for w in watched for k in keys_of_watched(w)]
            await tx.watches.add(list_id, [Watched(w, reference) for w in watched], keys, since=await tx.outbox.last_change())

    async def told(self, owner: str = GREEN) -> list[tuple[str, str, str]]:
        """What it has been sent so far: type without prefix and version, sid, what is watched."""
        await self.node.notify.tick()
        async with self.node.database.reading() as tx:
            events = await tx.outbox.events(owner, after=0, limit=1000)
        assert [e.seq for e in events] == list(range(1, len(events) + 1))
        words = [orjson.loads(e.data) for e in events]
        return [(e.type.split(".")[1], w["sid"], w["subject"]) for e, w in zip(events, words, strict=True)]


@pytest.fixture
async def desk(node: Node) -> Desk:
    """A VASP that watches nothing yet."""
    return await Desk.open(node)


async def test_a_listing_is_told_from_beginning_to_end(desk: Desk, town: Town) -> None:
    """Added, disputed, suspended, withdrawn: each once, in order, however often somebody looks."""
    bka, ombud = town.signer("de.bka#1"), town.signer("de.ombud#1")
    await desk.watch(wallet_id(1))
    wire = bka.listing(wallet(1), wallet(2))
    sid = sid_in(wire)
    for said in (wire, town.signer("de.lka#1").dispute(sid), ombud.dispute(sid, stage="upheld"), bka.retract(sid)):
        await accept(desk.node, said)
        await desk.told()
        await desk.told()
    assert await desk.told() == [(word, sid, wallet_id(1)) for word in ("added", "disputed", "suspended", "withdrawn")]


async def test_what_stood_when_somebody_began_is_not_told_but_its_end_is(desk: Desk, town: Town) -> None:
    """Also of what nobody had looked at by then: listed, disputed or withdrawn a moment before is no news; what comes after is."""
    bka, lka = town.signer("de.bka#1"), town.signer("de.lka#1")
    stood, disputed, ended, listed = (bka.listing(wallet(n)) for n in range(1, 5))
    await accept(desk.node, stood, disputed, ended)
    await desk.node.notify.tick()
    await accept(desk.node, lka.dispute(sid_in(disputed)), bka.retract(sid_in(ended)), listed)
    items = [Watched(wallet_id(n)) for n in range(1, 6)]
    await desk.node.watching.create_list(GREEN, "mine", items)
    await accept(desk.node, later := bka.listing(wallet(5)))
    assert await desk.told() == [("added", sid_in(later), wallet_id(5))]
    town.clock.advance(s=11)  # what moved is looked at once more
    assert len(await desk.told()) == 1
    await accept(desk.node, *(bka.retract(sid_in(one)) for one in (stood, disputed, listed)))
    assert sorted((await desk.told())[1:]) == sorted(
        ("withdrawn", sid_in(one), wallet_id(n)) for one, n in ((stood, 1), (disputed, 2), (listed, 4))
    )
    town.clock.advance(s=11)
    assert len(await desk.told()) == 4


async def test_who_begins_between_two_changes_that_wait_is_told_the_second(desk: Desk, town: Town) -> None:
    """Listed before, withdrawn after: he knew it as standing. Whose delay has not passed has nothing to learn."""
    bka = town.signer("de.bka#1")
    await desk.watch(wallet_id(1), owner=CLEAR)
    await accept(desk.node, wire := bka.listing(wallet(1)))
    await desk.watch(wallet_id(1))
    await accept(desk.node, bka.retract(sid_in(wire)))
    assert await desk.told() == [("withdrawn", sid_in(wire), wallet_id(1))]
    assert await desk.told(CLEAR) == []


async def test_what_takes_the_place_of_a_listing_is_a_change_and_a_row_that_stays_is_nothing(desk: Desk, town: Town) -> None:
    """A list is imported again with one row changed: only that row is told, under its new sid, never as added."""
    bka = town.signer("de.bka#1")
    await desk.watch(wallet_id(1), wallet_id(2))
    first = bka.listing(wallet(1), wallet(2))
    await accept(desk.node, first)
    await desk.told()
    second = bka.listing(wallet(1), wallet(2, severity=4), t=[sid_in(first)])
    await accept(desk.node, second)
    told = await desk.told()
    assert sorted(told[:2]) == sorted([("added", sid_in(first), wallet_id(1)), ("added", sid_in(first), wallet_id(2))])
    assert told[2:] == [("changed", sid_in(second), wallet_id(2))]
    await accept(desk.node, bka.retract(sid_in(second)))
    assert sorted((await desk.told())[3:]) == sorted([("withdrawn", sid_in(second), wallet_id(n)) for n in (1, 2)])


async def test_what_took_the_place_and_ended_before_anybody_looked_is_told_as_the_end(desk: Desk, town: Town) -> None:
    """An import replaces what watchers know, and is taken back in the same moment: they and whoever was told learn that it is over."""
    bka = town.signer("de.bka#1")
    await desk.watch(wallet_id(1))
    first = bka.listing(wallet(1))
    await accept(desk.node, first)
    assert await desk.told() == [("added", sid_in(first), wallet_id(1))]
    async with desk.node.database.transaction() as tx:
        await tx.told.put([Told(GREEN, town.origin, sid_in(first), wallet_id(1), "active", 1, 1)])
    second = bka.listing(wallet(1), t=[sid_in(first)])
    await accept(desk.node, second, bka.retract(sid_in(second)))
    assert (await desk.told())[1:] == [("corrected", sid_in(second), wallet_id(1)), ("withdrawn", sid_in(second), wallet_id(1))]


@pytest.mark.parametrize("same", [True, False])
async def test_what_was_replaced_twice_before_anybody_looked_is_one_step(desk: Desk, town: Town, same: bool) -> None:
    """From what they know to what stands: nothing if that says the same, else one change; its end is theirs again."""
    bka = town.signer("de.bka#1")
    await desk.watch(wallet_id(1))
    first = bka.listing(wallet(1))
    await accept(desk.node, first)
    await desk.told()
    async with desk.node.database.transaction() as tx:
        await tx.told.put([Told(GREEN, town.origin, sid_in(first), wallet_id(1), "active", 1, 1)])
    second = bka.listing(wallet(1, severity=2), t=[sid_in(first)])
    third = bka.listing(wallet(1) if same else wallet(1, severity=4), t=[sid_in(second)])
    await accept(desk.node, second, third)
    change = [] if same else [("corrected", sid_in(first), wallet_id(1)), ("changed", sid_in(third), wallet_id(1))]
    assert (await desk.told())[1:] == change
    await accept(desk.node, bka.retract(sid_in(third)))
    end = [("withdrawn", sid_in(third), wallet_id(1))]
    assert (await desk.told())[1 + len(change) :] == ([("corrected", sid_in(third), wallet_id(1)), *end] if same else end)


async def test_expiry_is_told_at_its_time_and_a_renewal_puts_it_off(desk: Desk, town: Town, clock: Clock) -> None:
    """Nobody says anything: the clock does. A statement that was renewed is told when that has run out."""
    bka = town.signer("de.bka#1")
    await desk.watch(wallet_id(1))
    wire = bka.listing(wallet(1), days=10)
    await accept(desk.node, wire)
    await desk.told()
    await accept(desk.node, bka.renew(sid_in(wire), days=20))
    clock.advance(days=15)
    assert [word for word, *_ in await desk.told()] == ["added"]
    clock.advance(days=6)
    assert [word for word, *_ in await desk.told()] == ["added", "expired"]


async def test_a_bucket_is_watched_without_naming_anybody(desk: Desk, town: Town) -> None:
    """The subject of its events is the bucket; other buckets tell nothing."""
    bucket = next(key[1:] for key in keys_of_subject(wallet_id(1)) if key.startswith("#"))
    await desk.watch(bucket)
    wire = town.signer("de.bka#1").listing(wallet(1), wallet(2))
    await accept(desk.node, wire)
    assert await desk.told() == [("added", sid_in(wire), bucket)]


async def test_kin_of_a_watched_wallet_is_told(desk: Desk, town: Town) -> None:
    """One key, two chains: whoever watches the one learns of the other."""
    twin = siblings(read_canonical_wallet(wallet_id(1)))[0].id
    await desk.watch(twin)
    wire = town.signer("de.bka#1").listing(wallet(1))
    await accept(desk.node, wire)
    assert await desk.told() == [("added", sid_in(wire), twin)]


async def test_nobody_is_told_of_what_he_may_not_see(desk: Desk, town: Town, clock: Clock) -> None:
    """AMBER for others: neither that it came nor that it went. GREEN: not for the tier CLEAR. CLEAR: for that tier after the delay."""
    bka = town.signer("de.bka#1")
    await desk.watch(wallet_id(1))
    await desk.watch(wallet_id(1), owner=CLEAR)
    amber = bka.listing(wallet(1), tlp="AMBER", aud=["de.lka"])
    green, clear = bka.listing(wallet(1)), bka.listing(wallet(1), tlp="CLEAR")
    for wire in (amber, green, clear):
        await accept(desk.node, wire)
    await accept(desk.node, bka.retract(sid_in(amber), tlp="AMBER", aud=["de.lka"]))
    assert [sid for _, sid, _ in await desk.told()] == [sid_in(green), sid_in(clear)]
    assert await desk.told(CLEAR) == []
    clock.advance(hours=73)
    assert await desk.told(CLEAR) == [("added", sid_in(clear), wallet_id(1))]
    assert len(await desk.told()) == 2


async def test_an_ended_key_is_told_nothing(desk: Desk, town: Town) -> None:
    """No key of the tier that may watch: what happens then is not kept for later."""
    await desk.watch(wallet_id(1))
    async with desk.node.database.transaction() as tx:
        for client in await tx.clients.list("de.exchange"):
            await tx.clients.end(client.id, desk.node.clock())
    await accept(desk.node, town.signer("de.bka#1").listing(wallet(1)))
    assert await desk.told() == []


async def test_a_listing_that_stood_before_is_not_new_and_its_end_is_told(desk: Desk, town: Town) -> None:
    """Whoever begins to watch has looked up what there is."""
    bka = town.signer("de.bka#1")
    wire = bka.listing(wallet(1))
    await accept(desk.node, wire)
    await desk.watch(wallet_id(1))
    await accept(desk.node, bka.renew(sid_in(wire)))
    assert await desk.told() == []
    await accept(desk.node, bka.retract(sid_in(wire)))
    assert await desk.told() == [("withdrawn", sid_in(wire), wallet_id(1))]


async def test_a_guard_tells_nothing(desk: Desk, town: Town) -> None:
    """It says that an id must not be blocked: that is no listing."""
    await desk.watch(wallet_id(1))
    await accept(desk.node, town.signer("de.bka#1").listing(wallet(1, **GUARD), context=CONTEXT))
    assert await desk.told() == []


async def test_who_was_told_is_told_of_the_end_first_and_once(desk: Desk, town: Town) -> None:
    """Corrections are urgent and come before other events; a replacement that says the same is none, and its end is one again."""
    bka = town.signer("de.bka#1")
    first = bka.listing(wallet(1))
    await accept(desk.node, first)
    await desk.told()
    async with desk.node.database.transaction() as tx:
        await tx.told.put([Told(GREEN, town.origin, sid_in(first), wallet_id(1), "active", 1, 1)])
    second = bka.listing(wallet(1), t=[sid_in(first)])
    await accept(desk.node, second)
    assert await desk.told() == []
    await desk.watch(wallet_id(1))
    await accept(desk.node, bka.retract(sid_in(second)))
    assert await desk.told() == [("corrected", sid_in(second), wallet_id(1)), ("withdrawn", sid_in(second), wallet_id(1))]
    async with desk.node.database.reading() as tx:
        assert [e.seq for e in await tx.outbox.events(GREEN, after=0, limit=9, urgent=True)] == [1]
        assert await tx.outbox.unacknowledged(desk.node.clock() + 1) == {GREEN: 1}


async def test_an_erasure_is_told_although_nothing_is_left(desk: Desk, town: Town) -> None:
    """The items are gone; who was told of them still learns that it is over."""
    bka = town.signer("de.bka#1")
    wire = bka.listing(wallet(1))
    await accept(desk.node, wire)
    async with desk.node.database.transaction() as tx:
        await tx.told.put([Told(GREEN, town.origin, sid_in(wire), wallet_id(1), "active", 1, 1)])
    await accept(desk.node, bka.erase(sid_in(wire)))
    assert await desk.told() == [("corrected", sid_in(wire), wallet_id(1))]


async def test_events_are_queued_for_the_addresses_that_chose_them(desk: Desk, town: Town) -> None:
    """By type and by watchlist; a disabled address gets none."""
    await desk.watch(wallet_id(1))
    hooks = [("all", ("*",), ()), ("ends", ("listing.withdrawn",), ()), ("other", ("listing.*",), ("wl-x",))]
    async with desk.node.database.transaction() as tx:
        for name, events, lists in hooks:
            patterns = tuple(f"{event}.v1" if event == "listing.withdrawn" else event for event in events)
            await tx.webhooks.put(Webhook(name, GREEN, "https://a.example/in", patterns, lists, (), 1))
        await tx.webhooks.put(Webhook("off", GREEN, "https://a.example/in", ("*",), (), (), 1, state="disabled"))
    wire = town.signer("de.bka#1").listing(wallet(1))
    await accept(desk.node, wire, town.signer("de.bka#1").retract(sid_in(wire)))
    other = town.signer("de.bka#1").listing(wallet(1), jti="again")
    await accept(desk.node, other)
    await desk.told()
    told = await desk.told()
    async with desk.node.database.reading() as tx:
        # Counted whatever became of them: the node may have tried to send them by now.
        queued = [sum((await tx.webhooks.counts(name)).values()) for name in ("all", "other", "off")]
        assert queued == [len(told), 0, 0]


async def test_the_ends_of_what_was_listed_before_the_first_watcher_are_known(desk: Desk, town: Town, clock: Clock) -> None:
    """A database of a release without watching: its listings are gone through once."""
    wire = town.signer("de.bka#1").listing(wallet(1), days=5)
    await accept(desk.node, wire)
    await desk.told()
    async with desk.node.database.transaction() as tx:
        await tx.outbox.drop_due(await tx.outbox.due(2**62, limit=1000))
        await tx.meta.drop("watch_seeded")
    await desk.node.notify.seed()
    await desk.watch(wallet_id(1))
    clock.advance(days=6)
    assert await desk.told() == [("expired", sid_in(wire), wallet_id(1))]


async def test_while_nobody_is_there_to_be_told_a_loop_looks_less_often(desk: Desk, town: Town) -> None:
    """What moves one after the other shares a transaction; from the moment that somebody watches each is told at the next look."""
    notify, bka = desk.node.notify, town.signer("de.bka#1")
    await end_all(desk.node.loops)  # they look, too
    await notify.tick()
    notify._rests_until = math.inf

    async def is_waiting() -> bool:
        await notify.look()
        return await desk.node.database.quick.outbox.has_work(desk.node.clock())

    await accept(desk.node, bka.listing(wallet(1)))
    assert await is_waiting()
    async with desk.node.database.transaction() as tx:
        await tx.webhooks.put(Webhook("wh", GREEN, "https://vasp.example/hook", ("*",), (), (), 1))
    assert not await is_waiting()
    async with desk.node.database.transaction() as tx:
        await tx.webhooks.end("wh")
    notify._rests_until = math.inf
    await accept(desk.node, bka.listing(wallet(2)))
    assert await is_waiting()
    notify._rests_until = 0.0
    assert not await is_waiting()
    assert notify._rests_until > 0

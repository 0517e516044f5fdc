"""The shelves of watching: watchlists by key, the outbox, webhooks and their deliveries, the told-index."""

from __future__ import annotations

import pytest

from app.storage.database import Database
from app.storage.outbox import Due, Sent, WatchEvent
from app.storage.told import Told
from app.storage.watches import Watched, Watcher, Watchlist
from app.storage.webhooks import Delivery, Webhook

HOOK = Webhook("wh1", "de.exchange/green", "https://a.example/in", ("listing.*",), (), ({"hmac": "AA==", "until_ms": None},), 5)


def made(kind: str, *, urgent: bool = False) -> WatchEvent:
    """An event that has no number yet."""
    return WatchEvent(0, 7, kind, urgent, "wl1", b"{}")


async def test_a_change_finds_its_watchers_by_key(database: Database) -> None:
    """By id, by kin key and by bucket, with owner and reference; what was taken out, and a list that was ended, are found no more."""
    async with database.transaction() as tx:
        await tx.watches.put(Watchlist("wl1", "de.exchange/green", "mine", 1))
        await tx.watches.put(Watchlist("wl2", "de.bka/green", "theirs", 2))
        await tx.watches.add("wl1", [Watched("a", "row 1"), Watched("3d56")], [("=a", "a"), ("~6b", "a"), ("#3d56", "3d56")], since=5)
        await tx.watches.add("wl2", [Watched("b")], [("~6b", "b")])
        await tx.watches.add("wl1", [Watched("a", "row 2")], [("=a", "a")], since=9)  # it was there: what it waits for is as it was
    async with database.reading() as tx:
        assert await tx.watches.is_anybody_watching()
        assert sorted(await tx.watches.watchers(["~6b", "#ffff"])) == [
            Watcher("~6b", "wl1", "a", "de.exchange/green", "row 2", 5),
            Watcher("~6b", "wl2", "b", "de.bka/green", None, 0),
        ]
        assert await tx.watches.items("wl1") == [Watched("3d56"), Watched("a", "row 2")]
        assert await tx.watches.count("de.exchange/green") == 2
    async with database.transaction() as tx:
        await tx.watches.remove("wl1", ["a"])
        await tx.watches.end("wl2")
    async with database.reading() as tx:
        assert await tx.watches.watchers(["=a", "~6b"]) == []
        assert await tx.watches.of_owner("de.bka/green") == []


async def test_numbers_are_dense_whatever_is_rolled_back(database: Database) -> None:
    """Changes and the events of each client count by one; a transaction that fails leaves no hole."""
    async with database.transaction() as tx:
        await tx.outbox.put_changes(1, [("o", "s1", ""), ("o", "s2", "active")])
    with pytest.raises(ZeroDivisionError):  # noqa: PT012 — leaving the block is the act
        async with database.transaction() as tx:
            await tx.outbox.put_changes(1, [("o", "gone", "")])
            await tx.outbox.put_events("a", [made("listing.added.v1")])
            raise ZeroDivisionError
    async with database.transaction() as tx:
        assert await tx.outbox.last_change() == 2
        await tx.outbox.put_changes(2, [("o", "s3", "")])
        assert [e.seq for e in await tx.outbox.put_events("a", [made("listing.added.v1"), made("listing.corrected.v1", urgent=True)])] == [
            1,
            2,
        ]
        assert [e.seq for e in await tx.outbox.put_events("b", [made("listing.added.v1")])] == [1]
    async with database.transaction() as tx:
        assert [(c.seq, c.sid) for c in await tx.outbox.changes(limit=9)] == [(2, "s2")]  # it was there before
        await tx.outbox.drop_changes([2])
        assert [(c.seq, c.sid) for c in await tx.outbox.changes(limit=9)] == [(1, "s1"), (3, "s3")]
        assert [e.seq for e in await tx.outbox.events("a", after=1, limit=9)] == [2]
        assert [e.seq for e in await tx.outbox.events("a", after=0, limit=9, urgent=True)] == [2]
        assert await tx.outbox.last("a") == 2
        assert await tx.outbox.last("nobody") == 0


async def test_what_is_due_comes_once_and_in_order(database: Database) -> None:
    """Only up to the moment asked for; what was dropped is gone, the same moment twice is one."""
    rows = [Due(5, "o", "s", "active"), Due(3, "o", "s", "active"), Due(5, "o", "s", "active")]
    async with database.transaction() as tx:
        await tx.outbox.put_due(rows)
        assert await tx.outbox.due(4, limit=9) == [Due(3, "o", "s", "active")]
        await tx.outbox.drop_due([Due(3, "o", "s", "active")])
        assert await tx.outbox.due(9, limit=9) == [Due(5, "o", "s", "active")]


async def test_what_a_watcher_knows_is_replaced_by_what_he_knows_now(database: Database) -> None:
    """One word for each statement and watched thing."""
    async with database.transaction() as tx:
        await tx.outbox.put_sent([Sent("wl1", "a", "o", "s", "active", 1)])
        await tx.outbox.put_sent([Sent("wl1", "a", "o", "s", "withdrawn", 2), Sent("wl1", "b", "o", "s", "active", 2)])
        assert {(one.watched, one.word) for one in await tx.outbox.sent(["s"])} == {("a", "withdrawn"), ("b", "active")}


async def test_corrections_overtake_and_a_tired_address_rests_alone(database: Database) -> None:
    """Urgent deliveries come first; a resting or disabled address has nothing due; the dead are listed and not sent."""
    other = Webhook("wh2", "de.exchange/green", "https://b.example/in", ("*",), ("wl1",), (), 6)
    async with database.transaction() as tx:
        await tx.webhooks.put(HOOK)
        await tx.webhooks.put(other)
        await tx.webhooks.queue([Delivery("wh1", 1, False, 10), Delivery("wh1", 2, True, 20), Delivery("wh2", 1, False, 10)])
        await tx.webhooks.queue([Delivery("wh1", 1, False, 99)])
        assert [d.seq for d in await tx.webhooks.due("wh1", 30, limit=9)] == [2, 1]
        assert [w.id for w in await tx.webhooks.ready(30)] == ["wh1", "wh2"]
        await tx.webhooks.rest("wh1", 50)
        await tx.webhooks.set_state("wh2", "disabled", "gone")
        assert await tx.webhooks.ready(30) == []
        assert [w.id for w in await tx.webhooks.ready(50)] == ["wh1"]
        await tx.webhooks.put_off(Delivery("wh1", 2, True, 20, 10, "dead", "500"))
        await tx.webhooks.done([("wh1", 1)])
        assert await tx.webhooks.ready(50) == []
        assert await tx.webhooks.dead("wh1") == [Delivery("wh1", 2, True, 20, 10, "dead", "500")]
        assert await tx.webhooks.counts("wh1") == {"dead": 1}
        assert (await tx.webhooks.of_owner("de.exchange/green"))[0].secrets == HOOK.secrets
        await tx.webhooks.end("wh1")
        assert await tx.webhooks.get("wh1") is None
        assert await tx.webhooks.counts("wh1") == {}


async def test_the_first_time_somebody_was_told_stays(database: Database) -> None:
    """Told again: the last time and the word move. What was last told long ago is forgotten; an acknowledgement is one number."""
    async with database.transaction() as tx:
        await tx.told.put([Told("a", "o", "s", "w", "active", 1, 1), Told("b", "o", "s", "w", "active", 1, 1)])
        await tx.told.put([Told("a", "o", "s", "w", "disputed", 9, 9)])
        assert sorted(await tx.told.of(["s"])) == [Told("a", "o", "s", "w", "disputed", 1, 9), Told("b", "o", "s", "w", "active", 1, 1)]
        await tx.told.set_word(Told("a", "o", "s", "w", "disputed", 1, 9), "withdrawn")
        assert await tx.told.forget(5) == 1
        assert [one.word for one in await tx.told.of(["s"])] == ["withdrawn"]
        await tx.told.acknowledge("a", 3, 9)
        await tx.told.acknowledge("a", 4, 9)
        assert await tx.told.acknowledged("a") == 4
        assert await tx.told.acknowledged("b") == 0

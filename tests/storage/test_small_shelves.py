"""The small shelves: held statements, API keys, protected ids, idempotency keys, leases and single values."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from app.storage.clients import Client
from app.storage.database import Database
from app.storage.held import Held
from app.storage.idempotency import Begun, Kept
from tests.storage.rows import AMBER, GREEN, NOW_MS

KEY = Client(
    id="k1",
    secret_sha256=b"s" * 32,
    environment="live",
    member="de.exchange",
    client_class="vasp",
    name="Desk — São",
    scopes=("read", "screen"),
    tier="green",
    created_ms=NOW_MS,
    quota={"requests_per_minute": 600},
    expires_ms=NOW_MS + 1000,
)


async def test_held_statements_wait_outside_the_log(database: Database) -> None:
    """What is held comes back byte for byte, by sid, by issuer in order of receipt, and by age; dropping ends it."""
    first = Held("s1", "a.b.c~d~", "de.bka", "de.bka#1", "listing", AMBER, "four_eyes", NOW_MS)
    second = replace(first, sid="s0", label=GREEN, reason="protected")
    other = replace(first, sid="s2", issuer="de.lka", received_ms=NOW_MS + 5)
    async with database.transaction() as tx:
        for one in (second, other, first, replace(first, wire="again", received_ms=NOW_MS + 9)):
            await tx.held.put(one)
        assert await tx.held.get("s1") == first
        assert await tx.held.get("nobody") is None
        assert await tx.held.find(["s0", "s2", "x"]) == {"s0": second, "s2": other}
        assert await tx.held.find([]) == {}
        assert await tx.held.page() == [second, first, other]
        assert await tx.held.page("de.bka", after=(NOW_MS, "s0")) == [first]
        assert await tx.held.page("de.bka", limit=1) == [second]
        assert await tx.held.older_than(NOW_MS + 5) == [second, first]
        assert await tx.held.drop("s0", "s1", "x") == 2
        assert await tx.held.drop() == 0
        assert await tx.held.page() == [other]


async def test_api_keys_are_kept_listed_and_ended_once(database: Database) -> None:
    """A key comes back as put; ending it twice is one end; its validity is judged against a clock that is given."""
    async with database.transaction() as tx:
        await tx.clients.put(KEY)
        await tx.clients.put(replace(KEY, id="k0", member="kr.exchange", expires_ms=None))
        assert await tx.clients.get("k1") == KEY
        assert await tx.clients.get("k9") is None
        assert await tx.clients.nearest("k1") == ("k1", KEY.secret_sha256)
        assert await tx.clients.nearest("k00") == ("k1", KEY.secret_sha256), "no such id: the next one"
        assert await tx.clients.nearest("zz") == ("~", bytes(32)), "none after it: the row that belongs to nobody"
        assert [c.id for c in await tx.clients.list()] == ["k0", "k1"]
        assert await tx.clients.list("de.exchange") == [KEY]
        await tx.clients.put(replace(KEY, name="renamed"))
        assert await tx.clients.end("k1", NOW_MS + 1)
        assert not await tx.clients.end("k1", NOW_MS + 2)
        assert not await tx.clients.end("k9", NOW_MS)
        ended = await tx.clients.get("k1")
    assert ended == replace(KEY, name="renamed", revoked_ms=NOW_MS + 1)
    assert not ended.is_valid(NOW_MS)
    assert KEY.is_valid(NOW_MS + 999)
    assert not KEY.is_valid(NOW_MS + 1000)


async def test_an_id_is_protected_as_long_as_one_source_says_so(database: Database) -> None:
    """Sources do not overwrite each other; taking one out leaves the other."""
    async with database.transaction() as tx:
        await tx.protected.add([("a", "hot wallet", "file"), ("a", "guard", "operator"), ("b", "burn", "file")])
        await tx.protected.add([("b", "burn address", "file")])
        await tx.protected.add([])
        assert await tx.protected.contains(["a", "b", "c"]) == {"a", "b"}
        assert await tx.protected.contains([]) == set()
        assert await tx.protected.remove(["a", "b"], source="file") == 2
        assert await tx.protected.all() == [("a", "guard", "operator")]
        assert await tx.protected.remove(["a"]) == 1
        assert await tx.protected.remove([]) == 0
        assert await tx.protected.contains(["a"]) == set()


async def test_the_same_key_replays_the_same_answer(database: Database) -> None:
    """Fresh, running, replayed; another body under the key is a mismatch; another caller's key is another key."""
    headers = (("content-type", "application/json"), ("etag", '"x"'))
    async with database.transaction() as tx:
        assert await tx.idempotency.begin("k", "alice", b"f1", NOW_MS) == Kept(Begun.FRESH)
        assert await tx.idempotency.begin("k", "alice", b"f1", NOW_MS + 1) == Kept(Begun.RUNNING)
        assert await tx.idempotency.begin("k", "alice", b"f2", NOW_MS + 1) == Kept(Begun.MISMATCH)
        assert await tx.idempotency.begin("k", "bob", b"f2", NOW_MS) == Kept(Begun.FRESH)
        await tx.idempotency.finish("k", "alice", status=201, headers=headers, body=b"\x00{}")
        await tx.idempotency.abandon("k", "alice")
        assert await tx.idempotency.begin("k", "alice", b"f1", NOW_MS + 2) == Kept(Begun.REPLAY, 201, headers, b"\x00{}")
        assert await tx.idempotency.begin("k", "alice", b"f2", NOW_MS + 2) == Kept(Begun.MISMATCH)


async def test_a_request_that_was_lost_or_given_up_may_run_again(database: Database) -> None:
    """After a minute a running request counts as lost with its worker; an abandoned key and a forgotten one are fresh."""
    async with database.transaction() as tx:
        await tx.idempotency.begin("lost", "alice", b"f", NOW_MS)
        assert (await tx.idempotency.begin("lost", "alice", b"f", NOW_MS + 60_000)).verdict is Begun.RUNNING
        assert (await tx.idempotency.begin("lost", "alice", b"f", NOW_MS + 60_001)).verdict is Begun.FRESH
        assert (await tx.idempotency.begin("lost", "alice", b"f", NOW_MS + 60_002)).verdict is Begun.RUNNING
        await tx.idempotency.abandon("lost", "alice")
        assert (await tx.idempotency.begin("lost", "alice", b"other", NOW_MS)).verdict is Begun.FRESH
        assert await tx.idempotency.forget(NOW_MS) == 0
        assert await tx.idempotency.forget(NOW_MS + 1) == 1
        assert (await tx.idempotency.begin("lost", "alice", b"f", NOW_MS)).verdict is Begun.FRESH


async def test_of_many_requests_with_one_key_one_is_fresh(database: Database) -> None:
    """Fifty at once: one runs, the others are told so (trust-and-ops F-37)."""

    async def begin() -> Begun:
        async with database.transaction() as tx:
            return (await tx.idempotency.begin("k", "alice", b"f", NOW_MS)).verdict

    verdicts = await asyncio.gather(*(begin() for _ in range(50)))
    assert sorted(verdicts) == [Begun.FRESH] + [Begun.RUNNING] * 49


async def test_a_lease_has_one_holder_until_it_ends(database: Database) -> None:
    """Only the holder prolongs; others get it when it has run out or was given back; nobody else can give it back."""
    async with database.transaction() as tx:
        assert await tx.leases.holder("loop") is None
        assert await tx.leases.take("loop", "w1", NOW_MS, 1000)
        assert not await tx.leases.take("loop", "w2", NOW_MS + 999, 1000)
        assert await tx.leases.take("loop", "w1", NOW_MS + 999, 1000)
        assert not await tx.leases.take("loop", "w2", NOW_MS + 1000, 1000)
        assert await tx.leases.take("loop", "w2", NOW_MS + 1999, 1000)
        await tx.leases.release("loop", "w1")
        assert await tx.leases.holder("loop") == ("w2", NOW_MS + 2999)
        await tx.leases.release("loop", "w2")
        assert await tx.leases.take("loop", "w1", NOW_MS, 1)
        assert await tx.leases.take("other", "w2", NOW_MS, 1)


async def test_of_many_takers_one_gets_the_lease(database: Database) -> None:
    """Ten workers ask at once: one has it."""

    async def take(worker: int) -> bool:
        return await database.run(lambda tx: tx.leases.take("loop", f"w{worker}", NOW_MS, 1000))

    assert sorted(await asyncio.gather(*(take(n) for n in range(10)))) == [False] * 9 + [True]


async def test_single_values_are_set_read_and_dropped(database: Database) -> None:
    """Bytes in, the same bytes out; setting again replaces."""
    async with database.transaction() as tx:
        assert await tx.meta.get("x") is None
        await tx.meta.set("x", b"\x00\xff")
        await tx.meta.set("x", b"two")
        assert await tx.meta.get("x") == b"two"
        await tx.meta.drop("x")
        assert await tx.meta.get("x") is None

"""F-28: a real streaming replica is read from while its replayed position is known and recent, and never otherwise."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import pytest
from sqlalchemy.engine import URL

from app.domain.labels import EVERYTHING
from app.domain.statement import ohash_of
from app.services.publish import SHORT, Publisher
from app.storage.database import Database, Transaction
from app.storage.log import Head
from app.storage.session import PostgresSession
from app.storage.urls import read_url
from tests.replicas import Server, streaming_replica
from tests.storage.rows import NOW_MS, ORIGIN, event, put, row, wallet

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(900)]

AGE_S = 0.5


@pytest.fixture
def standby(postgres_server: URL) -> Iterator[Server]:
    """A replica of the server of the tests."""
    with streaming_replica(postgres_server) as one:
        yield one


@pytest.fixture
async def near(standby: Server, postgresql_migrated_url: str) -> AsyncIterator[Database]:
    """A database with its replica."""
    name = read_url(postgresql_migrated_url).database
    assert name is not None
    opened = Database(postgresql_migrated_url, replica_url=standby.url(name), replica_age_s=AGE_S, wait_s=30)
    yield opened
    await opened.close()


async def is_replica(database: Database) -> bool:
    """Whether a read that may be a moment old comes from the replica."""
    async with database.reading_near() as tx:
        return await _in_recovery(tx)


async def _in_recovery(tx: Transaction) -> bool:
    session = tx.meta._session
    assert isinstance(session, PostgresSession)
    return bool((await session.script("SELECT pg_is_in_recovery()"))[0][0])


async def until(database: Database, *, recent: bool, within_s: float = 60.0) -> None:
    """Look at the replica until it may be read from, or may not."""
    assert database.replica is not None
    deadline = time.monotonic() + within_s
    while database.replica.is_recent != recent:
        assert time.monotonic() < deadline, database.replica.age_s
        await database.replica.look()
        await asyncio.sleep(0.05)


async def until_read(database: Database, *, within_s: float = 60.0) -> None:
    """Look at the replica, and read, until a read came from it: on a busy machine a moment lies between the two."""
    assert database.replica is not None
    deadline = time.monotonic() + within_s
    while not await is_replica(database):
        assert time.monotonic() < deadline, database.replica.age_s
        await database.replica.look()


async def write(database: Database, value: bytes) -> None:
    async with database.transaction() as tx:
        await tx.meta.set("said", value)


async def said(database: Database) -> bytes | None:
    async with database.reading_near() as tx:
        return await tx.meta.get("said")


async def test_a_replica_whose_age_is_not_known_is_not_read_from(near: Database) -> None:
    """Before the first look, and when nobody has looked for longer than it may be old: the primary answers."""
    assert near.replica is not None
    assert not await is_replica(near)
    await until_read(near)
    await asyncio.sleep(AGE_S + 0.1)
    assert not await is_replica(near)


async def test_a_replica_that_lags_is_left_until_it_has_caught_up(near: Database, standby: Server) -> None:
    """Its replay stands still: within its allowed age what it shows is old, beyond it the primary answers; nothing written is missed for long."""
    await write(near, b"before")
    await until(near, recent=True)
    assert await said(near) == b"before"
    standby.tell("SELECT pg_wal_replay_pause()")
    await write(near, b"after")
    await is_left(near, b"after", since=time.monotonic())
    standby.tell("SELECT pg_wal_replay_resume()")
    await until_read(near)
    assert await said(near) == b"after"


async def test_a_replica_that_is_kept_a_minute_behind_is_not_read_from(near: Database, standby: Server) -> None:
    """`recovery_min_apply_delay`: it has all of it on its disk and shows it a minute later; the primary answers until it is told to keep up."""
    await write(near, b"before")
    await until_read(near)
    standby.adjust("recovery_min_apply_delay", "60s")
    await write(near, b"after")
    await is_left(near, b"after", since=time.monotonic())
    standby.adjust("recovery_min_apply_delay", "0")
    await until_read(near)
    assert await said(near) == b"after"


async def is_left(near: Database, newest: bytes, *, since: float) -> None:
    """What was written at `since` is missed by no read that began more than the allowed age later, and the primary is read from then."""
    assert near.replica is not None
    asked = since
    while asked - since < 2 * AGE_S:
        await near.replica.look()
        asked = time.monotonic()
        assert await said(near) == newest or asked - since <= AGE_S
    assert not await is_replica(near)


async def test_a_replica_that_is_gone_or_promoted_costs_nothing(near: Database, standby: Server) -> None:
    """Promoted it is a history of its own, stopped it is nothing: the primary answers, and no look fails."""
    await until(near, recent=True)
    standby.tell("SELECT pg_promote()")
    await until(near, recent=False)
    await write(near, b"here")
    assert await said(near) == b"here"
    standby.stop()
    assert near.replica is not None
    await near.replica.look()
    assert await said(near) == b"here"


async def test_after_an_erasure_the_replica_has_to_catch_up_first(near: Database, standby: Server) -> None:
    """What was read from it a moment ago is not, until it has replayed what was erased."""
    await until(near, recent=True)
    standby.tell("SELECT pg_wal_replay_pause()")
    await write(near, b"erased")
    await near.forget()
    assert not await is_replica(near)
    assert near.replica is not None
    await near.replica.look()
    assert not await is_replica(near)
    standby.tell("SELECT pg_wal_replay_resume()")
    await until(near, recent=True)


async def test_a_page_of_entries_is_whole_wherever_it_is_read(near: Database, standby: Server) -> None:
    """From the replica while that has all of it, from the primary if it lacks an entry that was signed."""
    first = 2 * SHORT

    async def grow(begin: int, end: int) -> None:
        async with near.transaction() as tx:
            events = [event(index) for index in range(begin, end)]
            await tx.log.create(ORIGIN, NOW_MS)
            await put(tx, [row(one) for one in events], [wallet(one) for one in events])
            await tx.log.swap_head(begin, Head(ORIGIN, end, bytes(32), NOW_MS))
            await tx.log.set_note(ORIGIN, end, "note")

    publisher = Publisher(near, ORIGIN)
    await grow(0, first)
    await until(near, recent=True)
    there = await publisher.entries(ohash_of(ORIGIN), 0, first, EVERYTHING)
    assert len(there.lines) == first
    standby.tell("SELECT pg_wal_replay_pause()")
    await grow(first, first + 3)
    assert near.replica is not None
    if near.replica.is_recent:
        assert await is_replica(near)
    page = await publisher.entries(ohash_of(ORIGIN), 0, first + 3, EVERYTHING)
    assert len(page.lines) == first + 3
    assert page.lines[:first] == there.lines

"""What is PostgreSQL's own: fit for a pooling proxy, back after a broken connection, deadlocks resolved, durability demanded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest

from app.domain.errors import Unavailable
from app.storage.arrival import Arrival
from app.storage.database import Database, Transaction
from app.storage.faults import Busy, Unreachable
from app.storage.session import PostgresSession
from app.storage.tables import REVISIONS
from app.storage.upgrade import upgrade
from app.storage.urls import read_url
from tests.storage.rows import NOW_MS, ORIGIN, event, put, row, wallet

pytestmark = pytest.mark.postgres


@pytest.fixture
async def opened(postgresql_migrated_url: str) -> AsyncIterator[Database]:
    """A database on PostgreSQL with two connections."""
    database = Database(postgresql_migrated_url, pool_size=2)
    yield database
    await database.close()


def session_of(tx: Transaction) -> PostgresSession:
    """The session below the shelves."""
    session = tx.meta._session
    assert isinstance(session, PostgresSession)
    return session


def administrator(url: str) -> psycopg.Connection[tuple[object, ...]]:
    """A second door to the database."""
    return psycopg.connect(read_url(url).set(drivername="postgresql").render_as_string(hide_password=False), autocommit=True)


async def test_no_statement_is_prepared_on_the_server(opened: Database) -> None:
    """A transaction-pooling proxy would hand it to the next client's connection (F-29)."""
    for index in range(12):
        async with opened.transaction() as tx:
            await put(tx, [row(event(index))], [wallet(event(index))])
            await tx.log.find_sids(ORIGIN, ["a"])
            assert await session_of(tx).script("SELECT name FROM pg_prepared_statements") == []


async def test_nothing_of_a_transaction_outlives_it(opened: Database) -> None:
    """Limits are set inside, so that the next user of a pooled connection does not inherit them."""
    async with opened.transaction() as tx:
        assert (await session_of(tx).script("SELECT current_setting('lock_timeout')"))[0][0] == "5s"
        await session_of(tx).script("COMMIT")
        assert (await session_of(tx).script("SELECT current_setting('lock_timeout')"))[0][0] == "0"


async def test_a_killed_connection_is_replaced(opened: Database, postgresql_migrated_url: str) -> None:
    """The server ends every connection in the middle of a transaction: that one is Busy, `run` simply does it again."""
    tries = 0

    async def work(tx: Transaction) -> bytes | None:
        nonlocal tries
        tries += 1
        await tx.meta.set("a", str(tries).encode())
        if tries == 1:
            _kill_others(postgresql_migrated_url)
        return await tx.meta.get("a")

    async with opened.reading(), opened.reading():
        pass  # both connections of the pool are open
    assert await opened.run(work) == b"2"
    with pytest.raises(Busy):  # noqa: PT012 — leaving the inner block is the act
        async with opened.transaction() as tx:
            _kill_others(postgresql_migrated_url)
            await tx.meta.set("a", b"3")
    async with opened.reading() as tx:
        assert await tx.meta.get("a") == b"2"


async def test_a_start_waits_for_a_server_that_is_not_there_yet(postgres_url: str, tmp_path: Path) -> None:
    """The folder of its socket appears while `upgrade`, and then a node, are trying; neither wants to be started again."""
    url = read_url(postgres_url)
    host = url.query.get("host")
    if not isinstance(host, str) or not host.startswith("/"):
        pytest.skip("the server of TEST_POSTGRES_URL listens in no folder: `?host=/its/folder` does it")
    late = tmp_path / "late"
    later = url.update_query_dict({"host": str(late)}).render_as_string(hide_password=False)
    upgrading = asyncio.create_task(asyncio.to_thread(upgrade, later))
    await asyncio.sleep(0.1)
    assert not upgrading.done()
    late.symlink_to(host)
    assert await upgrading == REVISIONS[-1]
    late.unlink()
    database = Database(later)
    arriving = asyncio.create_task(database.arrive())
    await asyncio.sleep(0.1)
    assert not arriving.done()
    late.symlink_to(host)
    await arriving
    await database.close()


def test_a_start_does_not_wait_for_ever(caplog: pytest.LogCaptureFixture) -> None:
    """What it waits for stands in the log; in the end the failure is the caller's."""
    failure, clock = Unreachable("nobody there"), iter([0.0, 29.0, 30.0])
    arrival = Arrival(clock_s=lambda: next(clock))
    assert 0 < arrival.pause_s(failure) < arrival.pause_s(failure)
    with pytest.raises(Unreachable):
        arrival.pause_s(failure)
    assert [record.getMessage() for record in caplog.records] == [
        "waiting for the database for another 30 s: nobody there",
        "waiting for the database for another 1 s: nobody there",
    ]


async def test_who_cannot_connect_is_told_why(postgres_url: str) -> None:
    """A typing error in the URL is to be found in the message."""
    database = Database(read_url(postgres_url).set(username="nobody_here").render_as_string(hide_password=False))
    with pytest.raises(Unreachable, match="nobody_here"):
        await database.check_schema()
    await database.close()


def _kill_others(url: str) -> None:
    with administrator(url) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


async def test_a_deadlock_ends_well_for_both(opened: Database) -> None:
    """Two units of work take two rows in opposite order: one is thrown out, done again, and both are kept (F-26)."""
    async with opened.transaction() as tx:
        await tx.meta.set("x", b"0")
        await tx.meta.set("y", b"0")

    async def add(tx: Transaction, *keys: str) -> None:
        for key in keys:
            await session_of(tx).script(f"UPDATE meta SET value = value || '1'::bytea WHERE key = '{key}'")
            await asyncio.sleep(0.1)

    await asyncio.gather(opened.run(lambda tx: add(tx, "x", "y")), opened.run(lambda tx: add(tx, "y", "x")))
    async with opened.reading() as tx:
        assert (await tx.meta.get("x"), await tx.meta.get("y")) == (b"011", b"011")


async def test_a_lock_that_is_not_given_is_busy_and_not_a_hang(opened: Database, postgresql_migrated_url: str) -> None:
    """Somebody holds a table: we give up after our limit and say that it may be tried again."""
    with administrator(postgresql_migrated_url) as other, other.transaction():
        other.execute("LOCK TABLE meta IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(Busy, match="55P03"):  # noqa: PT012 — leaving the inner block is the act
            async with opened.transaction() as tx:
                await session_of(tx).script("SELECT set_config('lock_timeout', '100', true)")
                await tx.meta.set("a", b"1")


async def test_a_server_that_may_forget_is_refused(postgresql_migrated_url: str) -> None:
    """With `synchronous_commit` off a power cut takes back receipts: the node says so and does not start."""
    name = read_url(postgresql_migrated_url).database
    with administrator(postgresql_migrated_url) as connection:
        connection.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = off'.encode())
    database = Database(postgresql_migrated_url)
    try:
        with pytest.raises(Unavailable, match="synchronous_commit=off"):
            await database.check()
    finally:
        await database.close()
        with administrator(postgresql_migrated_url) as connection:
            connection.execute(f'ALTER DATABASE "{name}" RESET synchronous_commit'.encode())


async def test_forgetting_rewrites_the_tables(opened: Database) -> None:
    """VACUUM runs outside any transaction, and the connection serves as before afterwards."""
    one = event(0)
    async with opened.transaction() as tx:
        await put(tx, [row(one, accepted_ms=NOW_MS)], [wallet(one)])
        await tx.subjects.erase_items(ORIGIN, [one.sid])
    await opened.forget()
    with pytest.raises(RuntimeError):  # noqa: PT012 — leaving the inner block is the act
        async with opened.transaction() as tx:
            await tx.meta.set("a", b"1")
            raise RuntimeError
    async with opened.reading() as tx:
        assert await tx.meta.get("a") is None

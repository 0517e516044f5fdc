"""PostgreSQL as a store: psycopg 3 over a small pool, fit for a transaction-pooling proxy.

So nothing here outlives a transaction: no prepared statements, no session locks, no SET, no LISTEN (trust-and-ops §6.3, F-29).
Reads see one snapshot (REPEATABLE READ, READ ONLY); writes are READ COMMITTED, as every decision is tied to the swap of a head row.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from sqlalchemy import Table
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from app.domain.errors import Unavailable
from app.storage.arrival import CONNECT_S
from app.storage.session import PostgresSession, Session, read_only
from app.storage.sql import POSTGRESQL, Query, Row
from app.storage.wholly import to_its_end

_STATEMENT_TIMEOUT_MS = 30_000
_LOCK_TIMEOUT_MS = 5_000
_END_S = 10.0
"""How long a server may take to end a transaction before its connection is given up."""
_LIMITS = f"SELECT set_config('lock_timeout', '{_LOCK_TIMEOUT_MS}', true), set_config('statement_timeout', '{_STATEMENT_TIMEOUT_MS}', true)"


def connect_args(url: URL, name: str) -> dict[str, Any]:
    """What every connection of ours is opened with, under `name`; how long that may take is the URL's to say, if it does."""
    given: dict[str, Any] = {"prepare_threshold": None, "application_name": name}
    return given if "connect_timeout" in url.query else {**given, "connect_timeout": CONNECT_S}


class PostgresStore:
    """The pool of one worker to one database."""

    def __init__(self, url: URL, *, connections: int, wait_s: float) -> None:
        self._engine = create_async_engine(
            url,
            pool_size=connections,
            max_overflow=0,
            pool_timeout=wait_s,
            pool_pre_ping=True,
            pool_recycle=1800,
            pool_reset_on_return=None,
            connect_args=connect_args(url, "cordon"),
        )

    @asynccontextmanager
    async def writing(self, *, is_small: bool = False) -> AsyncIterator[Session]:  # noqa: ARG002 — here every query leaves the thread
        """A write transaction; if its COMMIT fails on a broken connection nobody knows whether it happened: do it again by key."""
        async with self._checked_out() as driver:
            await driver.set_isolation_level(psycopg.IsolationLevel.READ_COMMITTED)
            await driver.set_read_only(False)
            session = PostgresSession(driver)
            await session.script(_LIMITS)
            yield session
            await driver.commit()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Session]:
        """A read transaction: one snapshot from its first query on."""
        async with self._checked_out() as driver:
            await driver.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
            await driver.set_read_only(True)
            session = PostgresSession(driver)
            await session.script(_LIMITS)
            yield session

    def quick(self) -> Session:
        """Reads with a connection of the pool, one query each."""
        return _PooledSession(self)

    async def forget(self) -> None:
        """Rewrite what erasure freed. Write-ahead log and backups forget with their own horizon (docs/operations)."""
        async with self._checked_out() as driver:
            await driver.set_autocommit(True)  # VACUUM refuses a transaction
            try:
                await driver.execute("VACUUM part, item, link, frozen, entity_word, kin, statement, held")
            finally:
                await driver.set_autocommit(False)

    async def warnings(self) -> tuple[str, ...]:
        """What an operator should know; refuses a server that may forget what it confirmed (protocol §3.6)."""
        async with self.reading() as session:
            assert isinstance(session, PostgresSession)
            sql = "SELECT current_setting('synchronous_commit'), current_setting('fsync'), current_setting('server_version')"
            commit, fsync, version = (await session.script(sql))[0]
        if commit in ("off", "local") or fsync != "on":
            raise Unavailable(
                f"PostgreSQL runs with synchronous_commit={commit}, fsync={fsync}: set both to on, or a power cut forks the log"
            )
        if int(str(version).split(".", maxsplit=1)[0]) < 15:
            return (f"PostgreSQL {version} is older than 15, the oldest that is tested",)
        return ()

    async def close(self) -> None:
        """Close the pool."""
        await self._engine.dispose()

    @asynccontextmanager
    async def _checked_out(self) -> AsyncIterator[psycopg.AsyncConnection[Row]]:
        connection = await self._engine.connect().start()
        driver: psycopg.AsyncConnection[Row] | None = None
        try:
            driver = await _driver(connection)
            yield driver
        finally:
            await to_its_end(_give_back(connection, driver))


async def _give_back(connection: AsyncConnection, driver: psycopg.AsyncConnection[Row] | None) -> None:
    """To the pool, with nothing under way in it; what cannot be brought to rest is thrown away."""
    try:
        if driver is not None and not driver.closed:
            async with asyncio.timeout(_END_S):
                await driver.rollback()
    except (psycopg.Error, TimeoutError):
        await connection.invalidate()
    if driver is not None and driver.closed:
        await connection.invalidate()
    await connection.close()


async def _driver(connection: AsyncConnection) -> psycopg.AsyncConnection[Row]:
    raw = await connection.get_raw_connection()
    driver = raw.driver_connection
    assert isinstance(driver, psycopg.AsyncConnection)
    return driver


class _PooledSession:
    """One query, one connection of the pool."""

    dialect = POSTGRESQL

    def __init__(self, store: PostgresStore) -> None:
        self._store = store

    async def rows(self, query: Query, **values: Any) -> list[Row]:
        async with self._store.reading() as session:
            return await session.rows(query, **values)

    async def run(self, query: Query, **values: Any) -> int:
        raise read_only(query, values)

    async def run_many(self, query: Query, rows: Sequence[Row]) -> int:
        raise read_only(query, rows)

    async def load(self, table: Table, rows: Sequence[Row]) -> None:
        raise read_only(table, rows)

"""How a shelf reaches the database: one small interface, three ways to run a rendered query on a driver's connection.

`SqliteSession` waits for aiosqlite's thread. `QuickSession` asks sqlite3 in the event loop's own thread: 4 µs for a row by key
instead of 200, so it is for reads of a few rows by index and for nothing else. `PostgresSession` speaks psycopg 3 without
server-side prepared statements, as a transaction-pooling proxy would break them (trust-and-ops F-29).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Protocol, TypeVar, cast

import aiosqlite
import psycopg
from sqlalchemy import Table

from app.storage.faults import translated
from app.storage.sql import POSTGRESQL, SQLITE, Query, Row, copy_text, insertion

T = TypeVar("T")

_COPY_FROM = 8  # rows: below, a pipelined executemany is one round trip less than COPY
_ROWS_A_STATEMENT = 50
_INSERTS: dict[Table, Query] = {}


class Session(Protocol):
    """Runs queries inside whatever transaction its owner has opened."""

    @property
    def dialect(self) -> str: ...

    async def rows(self, query: Query, **values: Any) -> list[Row]:
        """All rows that a query gives."""
        ...

    async def run(self, query: Query, **values: Any) -> int:
        """Run one change; the number of rows it changed."""
        ...

    async def run_many(self, query: Query, rows: Sequence[Row]) -> int:
        """Run one change for each row of positional arguments; the number of rows changed in all."""
        ...

    async def load(self, table: Table, rows: Sequence[Row]) -> None:
        """Insert whole rows, in bulk; each a tuple in the order of the table's columns."""
        ...


def _insert_of(table: Table) -> Query:
    found = _INSERTS.get(table)
    if found is None:
        found = _INSERTS[table] = insertion(table)
    return found


class SqliteSession:
    """Over one aiosqlite connection. Every call is one hop to its thread and back (some 50 µs), so batches pay off."""

    dialect = SQLITE
    __slots__ = ("_connection",)

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection

    async def rows(self, query: Query, **values: Any) -> list[Row]:
        rendered = query.render(SQLITE)
        return cast("list[Row]", await self._connection.execute_fetchall(rendered.sql, rendered.arguments(values)))

    async def run(self, query: Query, **values: Any) -> int:
        rendered = query.render(SQLITE)
        cursor = await self._connection.execute(rendered.sql, rendered.arguments(values))
        return cursor.rowcount

    async def run_many(self, query: Query, rows: Sequence[Row]) -> int:
        if not rows:
            return 0
        cursor = await self._connection.executemany(query.render(SQLITE).sql, rows)
        return cursor.rowcount

    async def load(self, table: Table, rows: Sequence[Row]) -> None:
        await self.run_many(_insert_of(table), rows)

    async def script(self, sql: str) -> list[Row]:
        """A control statement (BEGIN IMMEDIATE, PRAGMA …) and what it answers."""
        return cast("list[Row]", await self._connection.execute_fetchall(sql))

    async def roll_back(self) -> None:
        """Undo the open transaction; nothing if there is none."""
        await self._connection.rollback()

    def here(self) -> DirectSession:
        """The same connection for the calling thread, while nothing is under way in the other: inside a transaction of ours."""
        return DirectSession(self._connection._conn)  # noqa: SLF001 — see `at_once`

    async def at_once(self, work: Callable[[Session], Coroutine[Any, Any, T]]) -> T:
        """A whole write transaction in one hop to the thread. `work` may await nothing but its session."""
        # aiosqlite has no public way to run a function in its thread; this one is what all its methods are made of.
        result: T = await self._connection._execute(_transact, self._connection._conn, work)  # type: ignore[no-untyped-call]  # noqa: SLF001
        return result

    def in_loop(self, work: Callable[[Session], Coroutine[Any, Any, T]]) -> T:
        """The same in the calling thread, not synced and without a checkpoint; Busy at once if another process is writing.

        `work` may await nothing but its session. The other thread must be at rest, and gets nothing to do meanwhile.
        """
        return _transact_unsynced(self._connection._conn, work)  # noqa: SLF001 — see `at_once`


class QuickSession:
    """Over one sqlite3 connection in the calling thread, for reading a few rows by key; each query sees the newest commit."""

    dialect = SQLITE
    __slots__ = ("_connection",)

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    async def rows(self, query: Query, **values: Any) -> list[Row]:
        rendered = query.render(SQLITE)
        try:
            return self._connection.execute(rendered.sql, rendered.arguments(values)).fetchall()
        except sqlite3.Error as error:
            raise translated(error) from error

    async def run(self, query: Query, **values: Any) -> int:
        raise read_only(query, values)

    async def run_many(self, query: Query, rows: Sequence[Row]) -> int:
        raise read_only(query, rows)

    async def load(self, table: Table, rows: Sequence[Row]) -> None:
        raise read_only(table, rows)


def read_only(*_what: object) -> TypeError:
    """The mistake of writing through a session for reads."""
    return TypeError("this session only reads: open a transaction to write")


class DirectSession(QuickSession):
    """Over a writing sqlite3 connection, in whatever thread has it now; inside a transaction that somebody else opens and ends."""

    async def run(self, query: Query, **values: Any) -> int:
        rendered = query.render(SQLITE)
        return self._connection.execute(rendered.sql, rendered.arguments(values)).rowcount

    async def run_many(self, query: Query, rows: Sequence[Row]) -> int:
        return self._connection.executemany(query.render(SQLITE).sql, rows).rowcount if rows else 0

    async def load(self, table: Table, rows: Sequence[Row]) -> None:
        # Many rows a statement: each step of one gives the interpreter up, and waits to get it back from the event loop.
        insert = _insert_of(table)
        for start in range(0, len(rows), _ROWS_A_STATEMENT):
            some = rows[start : start + _ROWS_A_STATEMENT]
            if len(some) == 1:
                await self.run_many(insert, some)
                continue
            head, values, one = insert.render(SQLITE).sql.rpartition("(")
            self._connection.execute(head + ", ".join([values + one] * len(some)), [cell for row in some for cell in row])


def _transact(connection: sqlite3.Connection, work: Callable[[Session], Coroutine[Any, Any, T]]) -> T:
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = _drive(work(DirectSession(connection)))
        connection.execute("COMMIT")
    except BaseException:
        connection.rollback()
        raise
    return result


def _transact_unsynced(connection: sqlite3.Connection, work: Callable[[Session], Coroutine[Any, Any, T]]) -> T:
    pages, patience_ms = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("wal_autocheckpoint", "busy_timeout"))
    # The loop waits for nobody here: not for the disk, not for a checkpoint, not for a tool that writes in a process of its own.
    for pragma in ("synchronous=NORMAL", "wal_autocheckpoint=0", "busy_timeout=0"):
        connection.execute(f"PRAGMA {pragma}")
    try:
        return _transact(connection, work)
    finally:
        for pragma in ("synchronous=FULL", f"wal_autocheckpoint={pages}", f"busy_timeout={patience_ms}"):
            connection.execute(f"PRAGMA {pragma}")


def _drive(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        value: T = end.value
        return value
    coroutine.close()
    raise TypeError("this work waits for something else than its session: use a transaction of its own")


class PostgresSession:
    """Over one psycopg connection. Errors close the transaction: the owner rolls back."""

    dialect = POSTGRESQL
    __slots__ = ("_connection",)

    def __init__(self, connection: psycopg.AsyncConnection[Row]) -> None:
        self._connection = connection

    async def rows(self, query: Query, **values: Any) -> list[Row]:
        cursor = await self._execute(query, values)
        return await cursor.fetchall()

    async def run(self, query: Query, **values: Any) -> int:
        cursor = await self._execute(query, values)
        return cursor.rowcount

    async def run_many(self, query: Query, rows: Sequence[Row]) -> int:
        if not rows:
            return 0
        async with self._connection.cursor() as cursor:
            await cursor.executemany(query.render(POSTGRESQL).sql.encode(), rows)
            return cursor.rowcount

    async def load(self, table: Table, rows: Sequence[Row]) -> None:
        if len(rows) < _COPY_FROM:
            await self.run_many(_insert_of(table), rows)
            return
        sql = copy_text(table, [column.name for column in table.columns])
        async with self._connection.cursor() as cursor, cursor.copy(sql.encode()) as copy:
            for row in rows:
                await copy.write_row(row)

    async def script(self, sql: str) -> list[Row]:
        """A control statement and what it answers."""
        cursor = await self._connection.execute(sql.encode())
        return await cursor.fetchall() if cursor.description else []

    async def _execute(self, query: Query, values: Mapping[str, Any]) -> psycopg.AsyncCursor[Row]:
        rendered = query.render(POSTGRESQL)
        return await self._connection.execute(rendered.sql.encode(), rendered.arguments(values))

"""SQLite as a store: one writing connection in the process, readers on connections of their own, one quick reader.

Below SQLite 3.51.3 two connections that write or checkpoint at the same time can corrupt a WAL file (trust-and-ops §0.2). So all
write transactions wait for one lock and go through one connection, and only that connection checkpoints. `synchronous=FULL`: with
NORMAL a power cut takes back commits whose checkpoint has been published, which is a fork (protocol §3.6).
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import aiosqlite
from sqlalchemy import event
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from app.domain.errors import Unavailable
from app.storage.faults import Busy, SchemaMismatch
from app.storage.session import QuickSession, Session, SqliteSession
from app.storage.urls import sqlite_path, sqlite_uri
from app.storage.wholly import to_its_end

T = TypeVar("T")

SAFE_VERSION = (3, 51, 3)
"""From here on SQLite is free of the WAL-reset bug."""

_EVERYWHERE = ("foreign_keys=ON", "secure_delete=ON", "trusted_schema=OFF", "cell_size_check=ON", "temp_store=MEMORY")
# A batch of 500 statements dirties some 2 MB: checkpoint every few batches, outside the others' way as only we write.
_WRITER = ("synchronous=FULL", "busy_timeout=5000", "cache_size=-65536", "journal_size_limit=67108864")
# Small: what they read stands in the system's memory, once for all of them, and is copied from there in a microsecond a page.
_READER = ("query_only=ON", "busy_timeout=2000", "cache_size=-4096")
_QUICK = ("query_only=ON", "busy_timeout=50", "cache_size=-16384")
_CHECKPOINT_PAGES = 4000
READ_LIMIT_S = 600.0
"""A snapshot older than this keeps the write-ahead log growing for everybody (trust-and-ops F-36)."""


class SqliteStore:
    """The connections of one node to one file. `checkpoints`: False for helpers beside a running node (the command line)."""

    def __init__(self, url: URL, *, readers: int, wait_s: float, checkpoints: bool) -> None:
        self.path = sqlite_path(url)
        self._wait_s = wait_s
        writer = (*_WRITER, f"wal_autocheckpoint={_CHECKPOINT_PAGES if checkpoints else 0}")
        self._writers = _engine(self.path, (*_EVERYWHERE, *writer), size=1, wait_s=wait_s)
        self._readers = _engine(self.path, (*_EVERYWHERE, *_READER), size=readers, wait_s=wait_s)
        self._lock = asyncio.Lock()
        self._checkpoints = checkpoints
        self._writer: tuple[AsyncConnection, SqliteSession] | None = None
        self._file: tuple[int, int] | None = None
        self._quick: QuickSession | None = None
        self._quick_connection: sqlite3.Connection | None = None

    @asynccontextmanager
    async def writing(self, *, is_small: bool = False) -> AsyncIterator[Session]:
        """One write transaction at a time: BEGIN IMMEDIATE, then COMMIT, or ROLLBACK on any exception and on cancellation.

        `is_small`: a few rows by key. They are read and written in the calling thread, at a tenth of what going to the writer's thread
        costs; what waits for locks or the disk, BEGIN and COMMIT, is done there all the same.
        """
        async with self._alone() as session:
            try:
                await session.script("BEGIN IMMEDIATE")
                yield session.here() if is_small else session
                await session.script("COMMIT")
            except BaseException:
                # The driver's thread works its queue in order: whatever was under way is done before this, this before the next.
                await to_its_end(session.roll_back())
                raise

    async def at_once(self, work: Callable[[Session], Coroutine[Any, Any, T]]) -> T:
        """A write transaction of a few rows in one hop to the writer's thread; `work` may await nothing but its session."""
        async with self._alone() as session:
            return await to_its_end(session.at_once(work))

    async def in_loop(self, work: Callable[[Session], Coroutine[Any, Any, T]]) -> T:
        """A short write transaction in the caller's thread, without waiting for the disk: durable with the next
        transaction of another sort, until then elsewhere.
        """
        async with self._alone() as session:
            return session.in_loop(work)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Session]:
        """A read transaction: one snapshot from its first query on."""
        async with self._reader() as connection:
            session = SqliteSession(await _driver(connection))
            limit = asyncio.timeout(READ_LIMIT_S)
            try:
                async with limit:
                    await session.script("BEGIN")
                    yield session
            except TimeoutError as error:
                if not limit.expired():
                    raise
                raise Unavailable(
                    f"this read has lasted {READ_LIMIT_S:.0f} s and holds everything up: begin anew, in smaller steps"
                ) from error
            finally:
                await to_its_end(session.roll_back())

    @asynccontextmanager
    async def _reader(self) -> AsyncIterator[AsyncConnection]:
        """A connection of the pool. One that has to be opened is opened to its end: who is cancelled meanwhile gives it back, too."""
        connection = self._readers.connect()
        opening = asyncio.ensure_future(connection.start())
        try:
            await to_its_end(opening)
            yield connection
        finally:
            if not opening.cancelled() and opening.exception() is None:
                await to_its_end(connection.close())

    def quick(self) -> Session:
        """The reader of the event loop's own thread."""
        if self._quick is None:
            if not self.path.is_file():
                raise SchemaMismatch(f"there is no database at {self.path}: run `cordon db upgrade`")
            self._quick_connection = connect_directly(self.path, _QUICK)
            self._quick = QuickSession(self._quick_connection)
        return self._quick

    @contextmanager
    def reading_anew(self) -> Iterator[Session]:
        """A read transaction in the calling thread, over a connection of its own: what others keep in memory has no part in it. Unavailable
        if at the path lies another file than the one that is written.
        """
        if self._file is not None and _which(self.path) != self._file:
            raise Unavailable(
                f"another file was put in the place of {self.path} under the running node: stop it, and find out which is right"
            )
        connection = connect_directly(self.path)
        try:
            connection.execute("BEGIN")
            yield QuickSession(connection)
        finally:
            connection.close()

    async def forget(self) -> None:
        """Make erased bytes leave the write-ahead log too (trust-and-ops ER-4); fails while a reader holds an old snapshot."""
        async with self._alone() as session:
            busy = (await to_its_end(session.script("PRAGMA wal_checkpoint(TRUNCATE)")))[0][0]
        if busy:
            raise Busy("readers still hold the write-ahead log open: erased bytes leave the disk with the next attempt")

    async def warnings(self) -> tuple[str, ...]:
        """What an operator should know of this store."""
        if sqlite3.sqlite_version_info >= SAFE_VERSION:
            return ()
        safe = ".".join(map(str, SAFE_VERSION))
        return (f"SQLite {sqlite3.sqlite_version} has the WAL-reset bug (fixed in {safe}): one process only may write this file",)

    async def close(self) -> None:
        """Close the readers first, so that the last connection to go, which checkpoints, is the writer's."""
        if self._quick_connection is not None:
            self._quick_connection.close()
            self._quick_connection = self._quick = None
        await self._readers.dispose()
        if self._writer is not None:
            connection, session = self._writer
            self._writer = None
            if self._checkpoints:
                with suppress(sqlite3.Error):  # on a full disk: nothing is lost, the next start reads the write-ahead log
                    await session.script("PRAGMA wal_checkpoint(TRUNCATE)")
            await connection.close()
        await self._writers.dispose()

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[SqliteSession]:
        """The writer, for one at a time: whoever has had it gives it back when its thread has nothing to do any more."""
        try:
            # Not wait_for: on Python 3.11 it swallows a cancellation that meets the lock just as it becomes free.
            async with asyncio.timeout(self._wait_s):
                await self._lock.acquire()
        except TimeoutError as error:
            raise Busy("other writes are still under way: try again") from error
        try:
            yield (self._writer or await self._opened_writer())[1]
        finally:
            self._lock.release()

    async def _opened_writer(self) -> tuple[AsyncConnection, SqliteSession]:
        """Open the one writing connection; who is cancelled meanwhile leaves it open for the next, not lost."""
        opening = asyncio.ensure_future(self._open_writer())
        try:
            return await to_its_end(opening)
        finally:
            if not opening.cancelled() and opening.exception() is None:
                self._writer = opening.result()

    async def _open_writer(self) -> tuple[AsyncConnection, SqliteSession]:
        if not self.path.is_file():
            raise SchemaMismatch(f"there is no database at {self.path}: run `cordon db upgrade`")
        self._file = _which(self.path)
        connection = await self._writers.connect()
        session = SqliteSession(await _driver(connection))
        mode = (await session.script("PRAGMA journal_mode=WAL"))[0][0]
        if mode != "wal":
            await connection.close()
            raise Unavailable(f"the database is in journal mode {mode}, not WAL: run `cordon db upgrade` on a local disk")
        return connection, session


def _which(path: Path) -> tuple[int, int]:
    """What tells a file from any other."""
    found = path.stat()
    return found.st_dev, found.st_ino


def connect_directly(path: Path, pragmas: tuple[str, ...] = _READER) -> sqlite3.Connection:
    """A plain sqlite3 connection in the calling thread, with our settings; it does not create the file."""
    connection = sqlite3.connect(sqlite_uri(path, "rw"), uri=True, isolation_level=None, cached_statements=256)
    for pragma in (*_EVERYWHERE, *pragmas):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _engine(path: Path, pragmas: tuple[str, ...], *, size: int, wait_s: float) -> AsyncEngine:
    engine = create_async_engine(
        URL.create("sqlite+aiosqlite", database=path.absolute().as_uri(), query={"mode": "rw", "uri": "true"}),
        poolclass=AsyncAdaptedQueuePool,
        pool_size=size,
        max_overflow=0,
        pool_timeout=wait_s,
        pool_use_lifo=True,  # who comes alone has the connection whose pages are at hand; the others' caches stay as small as they are
        pool_reset_on_return=None,  # our transactions end themselves; a second rollback would be a hop for nothing
        connect_args={"isolation_level": None, "cached_statements": 256, "check_same_thread": False},
    )

    @event.listens_for(engine.sync_engine, "connect")
    def _configure(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return engine


async def _driver(connection: AsyncConnection) -> aiosqlite.Connection:
    raw = await connection.get_raw_connection()
    driver = raw.driver_connection
    assert isinstance(driver, aiosqlite.Connection)
    return driver

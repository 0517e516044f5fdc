"""What is SQLite's own: durability settings, one writer, erased bytes that leave the disk, damage that is noticed."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.domain.errors import Betrayed, Unavailable
from app.storage.database import Database, Transaction
from app.storage.faults import Busy, SchemaMismatch
from app.storage.session import SqliteSession
from app.storage.sqlite import SAFE_VERSION, SqliteStore
from app.storage.upgrade import upgrade
from app.storage.urls import read_url
from tests.storage.rows import ORIGIN, WALLET, event, part, put, row, wallet
from tests.waiting import until, within

SECRET = "the-forty-characters-that-must-be-forgotten"


@pytest.fixture(autouse=True)
async def _workers_end() -> AsyncIterator[None]:
    """The thread of a connection that could not be opened tells the loop that it ends: there must be one to tell."""
    yield
    for thread in threading.enumerate():
        if "_connection_worker_thread" in thread.name:
            await asyncio.to_thread(thread.join, 5)


@pytest.fixture
async def opened(sqlite_migrated_url: str) -> AsyncIterator[Database]:
    """A database on a SQLite file."""
    database = Database(sqlite_migrated_url)
    yield database
    await database.close()


def path_of(url: str) -> Path:
    """The file of a URL."""
    return Path(str(read_url(url).database))


async def test_connections_have_the_settings_that_durability_and_safety_need(sqlite_migrated_url: str) -> None:
    """FULL, or a power cut forks the log; secure_delete, or erased bytes stay; readers that cannot write."""
    store = SqliteStore(read_url(sqlite_migrated_url), readers=1, wait_s=1, checkpoints=True)

    async def pragma(session: object, name: str) -> object:
        assert isinstance(session, SqliteSession)
        return (await session.script(f"PRAGMA {name}"))[0][0]

    async with store.writing() as session:
        assert await pragma(session, "journal_mode") == "wal"
        assert await pragma(session, "synchronous") == 2
        assert await pragma(session, "foreign_keys") == 1
        assert await pragma(session, "secure_delete") == 1
        assert await pragma(session, "trusted_schema") == 0
        assert await pragma(session, "query_only") == 0
    async with store.reading() as session:
        assert await pragma(session, "query_only") == 1
        assert await pragma(session, "secure_delete") == 1
    await store.close()


async def test_writers_wait_for_each_other_in_one_process(opened: Database) -> None:
    """Twenty writers at once: each in its turn, none told that the database is locked, none lost."""

    async def count_up() -> None:
        async with opened.transaction() as tx:
            count = int(await tx.meta.get("n") or b"0")
            await asyncio.sleep(0)
            await tx.meta.set("n", str(count + 1).encode())

    await asyncio.gather(*(count_up() for _ in range(20)))
    async with opened.reading() as tx:
        assert await tx.meta.get("n") == b"20"


async def test_erased_bytes_leave_every_file(opened: Database, sqlite_migrated_url: str) -> None:
    """Planted, erased, forgotten: no file of the database holds the text any more (trust-and-ops §1.6)."""
    path, one = path_of(sqlite_migrated_url), event(0)
    async with opened.transaction() as tx:
        await put(tx, [row(one)], [wallet(one, note=SECRET)])
        await tx.statements.put_parts([part(one, 0, "core.0", SECRET * 300), part(one, 1, "core.1", SECRET)])
    assert any(SECRET.encode() in file.read_bytes() for file in path.parent.iterdir())
    async with opened.transaction() as tx:
        await tx.statements.erase_parts(ORIGIN, [one.sid], ["core"])
        await tx.subjects.erase_items(ORIGIN, [one.sid])
    await opened.forget()
    assert not [file.name for file in path.parent.iterdir() if SECRET.encode() in file.read_bytes()]


async def test_forgetting_waits_for_a_reader_with_an_old_snapshot(opened: Database) -> None:
    """The log of writes cannot be emptied under a reader: Busy says so, and the next attempt succeeds."""
    async with opened.transaction() as tx:
        await tx.meta.set("a", b"1")
    async with opened.reading() as tx:
        await tx.meta.get("a")
        async with opened.transaction() as writer:
            await writer.meta.set("a", b"2")
        with pytest.raises(Busy, match="next attempt"):
            await opened.forget()
    await opened.forget()


async def test_a_full_disk_fails_writes_and_not_reads_and_heals_by_itself(opened: Database) -> None:
    """F-04: writes are unavailable with a reason, lookups go on, and with space again all goes on."""
    one = event(0)
    async with opened.transaction() as tx:
        await put(tx, [row(one)], [wallet(one)])
        session = tx.meta._session
        assert isinstance(session, SqliteSession)
        await session.script("PRAGMA max_page_count=1")
    with pytest.raises(Unavailable, match="free space"):
        async with opened.transaction() as tx:
            await tx.meta.set("big", bytes(1_000_000))
    assert len(await opened.quick.subjects.listings([WALLET])) == 1
    async with opened.transaction() as tx:
        assert await tx.meta.get("big") is None
        await session.script("PRAGMA max_page_count=1000000")
        await tx.meta.set("big", bytes(1_000_000))


async def test_a_damaged_file_is_evidence_and_not_absence(sqlite_migrated_url: str) -> None:
    """A page that was overwritten is Betrayed, as is a file that is no database at all; neither is quietly empty."""
    path = path_of(sqlite_migrated_url)
    whole = path.read_bytes()
    path.write_bytes(whole[:100] + b"\xff" * (len(whole) - 100))
    await _is_betrayed(sqlite_migrated_url)
    path.write_bytes(b"no database" * 1000)
    await _is_betrayed(sqlite_migrated_url)


async def _is_betrayed(url: str) -> None:
    database = Database(url)
    with pytest.raises(Betrayed, match="restore a backup"):
        async with database.reading() as tx:
            await tx.meta.get("a")
    await database.close()


async def test_a_missing_file_is_not_made(sqlite_url: str) -> None:
    """Opening a database that is not there says what to do, and leaves nothing behind that looks like one."""
    database = Database(sqlite_url)
    with pytest.raises(SchemaMismatch, match="cordon db upgrade"):
        async with database.transaction():
            raise AssertionError("there is no database")
    with pytest.raises(SchemaMismatch, match="cordon db upgrade"):
        database.quick  # noqa: B018 — a property that opens
    with pytest.raises(Unavailable):
        async with database.reading():
            raise AssertionError("there is no database")
    await database.close()
    assert not path_of(sqlite_url).exists()


async def test_a_helper_beside_the_node_waits_for_its_lock_and_never_checkpoints(sqlite_migrated_url: str, opened: Database) -> None:
    """The command line writes beside a running node: it waits while the node writes, and leaves checkpoints to it."""
    async with opened.transaction() as tx:
        await tx.meta.set("a", b"1")
    helper = Database(sqlite_migrated_url, checkpoints=False)

    async def write() -> None:
        async with helper.transaction() as tx:
            await tx.meta.set("b", b"1")

    async with opened.transaction() as tx:
        waiting = asyncio.create_task(write())
        await asyncio.sleep(0.1)
        assert not waiting.done()
        await tx.meta.set("a", b"2")
    async with within(5):
        await waiting
    async with helper.transaction() as tx:
        session = tx.meta._session
        assert isinstance(session, SqliteSession)
        assert (await session.script("PRAGMA wal_autocheckpoint"))[0][0] == 0
    await helper.close()
    wal = path_of(sqlite_migrated_url).with_name("cordon.sqlite3-wal")
    assert wal.stat().st_size > 0


async def test_closing_leaves_one_file(sqlite_migrated_url: str) -> None:
    """After an orderly end all is in the main file: a plain copy of it is a whole database."""
    database = Database(sqlite_migrated_url)
    async with database.transaction() as tx:
        await tx.meta.set("a", b"1")
    assert await database.quick.meta.get("a") == b"1"
    await database.close()
    path = path_of(sqlite_migrated_url)
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT value FROM meta WHERE key = 'a'").fetchall() == [(b"1",)]
    connection.close()


async def test_an_old_library_is_named(opened: Database) -> None:
    """The operator learns that this SQLite must not be shared between processes (trust-and-ops §0.2)."""
    warnings = await opened.check()
    assert bool(warnings) == (sqlite3.sqlite_version_info < SAFE_VERSION)
    assert all("one process only" in warning for warning in warnings)


def test_a_new_database_is_for_its_owner_alone(sqlite_url: str) -> None:
    """The file is made with mode 0600, before anything is in it."""
    upgrade(sqlite_url)
    assert stat.S_IMODE(path_of(sqlite_url).stat().st_mode) == 0o600


async def test_who_is_cancelled_gives_the_writer_back_at_rest(opened: Database) -> None:
    """A small write is under way in its thread when its caller is cancelled, twice: it comes to its end, and only then does the next begin."""
    begun, go_on = threading.Event(), threading.Event()

    async def slow(tx: Transaction) -> None:
        await tx.meta.set("a", b"1")
        begun.set()
        go_on.wait(60)  # in the thread of the writer
        await tx.meta.set("b", b"1")

    async def quick(tx: Transaction) -> bytes | None:
        await tx.meta.set("c", b"1")
        return await tx.meta.get("b")

    first = asyncio.create_task(opened.at_once(slow))
    await until(begun.is_set)
    second = asyncio.create_task(opened.in_loop(quick))
    for _ in range(2):
        first.cancel()
        await asyncio.sleep(0)
    assert not second.done()
    go_on.set()
    assert await second == b"1", "what was begun was kept"
    with pytest.raises(asyncio.CancelledError):
        await first
    assert await opened.quick.meta.get("c") == b"1"

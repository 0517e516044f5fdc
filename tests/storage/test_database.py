"""Transactions on both engines: all or nothing, one snapshot, the newest commit, and errors that say what to do."""

from __future__ import annotations

import asyncio

import pytest

from app.domain.errors import BadRequest, CordonError, NotFound, Unavailable
from app.storage.database import Database, Transaction
from app.storage.faults import Busy, LostRace, SchemaMismatch
from app.storage.tables import REVISIONS
from app.storage.upgrade import locked
from app.storage.urls import read_url
from tests.storage.rows import NOW_MS, ORIGIN, WALLET, event, put, row, wallet
from tests.waiting import within


async def test_a_block_is_all_or_nothing(database: Database) -> None:
    """What is written is there for others when the block ends, and not at all when it ends with an exception."""
    with pytest.raises(NotFound):  # noqa: PT012 — leaving the inner block is the act
        async with database.transaction() as tx:
            await tx.meta.set("a", b"1")
            raise NotFound("no")
    async with database.transaction() as tx:
        assert await tx.meta.get("a") is None
        await tx.meta.set("a", b"2")
        async with database.reading() as other:
            assert await other.meta.get("a") is None
    async with database.reading() as tx:
        assert await tx.meta.get("a") == b"2"


async def test_a_cancelled_write_leaves_nothing_and_bars_nobody(database: Database) -> None:
    """A caller goes away in the middle of a transaction: it is undone, and the next writer does not wait."""
    inside = asyncio.Event()

    async def write() -> None:
        async with database.transaction() as tx:
            await tx.meta.set("a", b"1")
            inside.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(write())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with within(30), database.transaction() as tx:
        assert await tx.meta.get("a") is None
        await tx.meta.set("b", b"1")


async def test_cancelling_at_any_moment_leaves_the_database_usable(database: Database) -> None:
    """Cancelled before, while and after each step: whole transactions or none, and the door stays open."""

    async def write(number: int) -> None:
        async with database.transaction() as tx:
            await tx.meta.set(f"a{number}", b"1")
            await tx.meta.set(f"b{number}", b"1")

    for number in range(20):
        task = asyncio.create_task(write(number))
        await asyncio.sleep(number / 4000)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    async with within(60), database.transaction() as tx:
        for number in range(20):
            assert await tx.meta.get(f"a{number}") == await tx.meta.get(f"b{number}")


async def test_a_read_block_is_one_snapshot(database: Database) -> None:
    """What is committed meanwhile does not show in a block that has begun to read; the next block sees it."""
    async with database.reading() as tx:
        assert await tx.meta.get("a") is None
        async with database.transaction() as writer:
            await writer.meta.set("a", b"1")
        assert await tx.meta.get("a") is None
    async with database.reading() as tx:
        assert await tx.meta.get("a") == b"1"


async def test_a_read_block_cannot_write(database: Database) -> None:
    """Neither engine lets a read block change anything."""
    with pytest.raises(Unavailable):
        async with database.reading() as tx:
            await tx.meta.set("a", b"1")
    async with database.reading() as tx:
        assert await tx.meta.get("a") is None


async def test_quick_reads_see_the_newest_commit(database: Database) -> None:
    """No transaction of ours, no stale snapshot: what is committed shows at once; writing through it is a mistake."""
    one = event(0)
    assert await database.quick.subjects.listings([WALLET]) == []
    async with database.transaction() as tx:
        await put(tx, [row(one)], [wallet(one)])
        assert await database.quick.subjects.listings([WALLET]) == []
    assert [x.sid for x in await database.quick.subjects.listings([WALLET])] == [one.sid]
    stored = await database.quick.statements.locate(ORIGIN, one.sid)
    assert stored is not None
    for write in (database.quick.meta.set("a", b"1"), database.quick.meta.drop("a"), database.quick.subjects.put_items([wallet(one).row])):
        with pytest.raises(TypeError, match="open a transaction"):
            await write


async def test_work_is_done_again_after_a_lost_race_and_not_after_a_refusal(database: Database) -> None:
    """A lost race runs the whole work again; a refusal is final at once; who always loses is told in the end."""
    tries: list[str] = []

    async def loses_twice(tx: Transaction) -> int:
        tries.append("race")
        await tx.meta.set("a", str(len(tries)).encode())
        if len(tries) < 3:
            raise LostRace("again")
        return len(tries)

    async def refuses(_tx: Transaction) -> None:
        tries.append("refusal")
        raise NotFound("final")

    async def always_loses(_tx: Transaction) -> None:
        tries.append("loser")
        raise LostRace("again")

    assert await database.run(loses_twice) == 3
    with pytest.raises(NotFound):
        await database.run(refuses)
    with pytest.raises(LostRace):
        await database.run(always_loses)
    assert (tries.count("race"), tries.count("refusal"), tries.count("loser")) == (3, 1, 6)
    async with database.reading() as tx:
        assert await tx.meta.get("a") == b"3"


async def test_when_all_connections_are_in_use_others_are_told_soon(database_url: str) -> None:
    """503 in well under a second and no pile-up (trust-and-ops F-25); afterwards all is well."""
    database = Database(database_url, pool_size=1, wait_s=0.2)
    async with database.reading(), within(3):
        with pytest.raises(Busy):
            async with database.reading():
                raise AssertionError("there is one connection only")
    async with database.reading() as tx:
        assert await tx.meta.get("a") is None
    await database.close()


async def test_the_check_writes_reads_back_and_warns(database: Database) -> None:
    """A sound database passes, again and again; warnings are sentences for the operator."""
    warnings = await database.check()
    assert await database.check() == warnings
    assert all(len(warning) > 20 for warning in warnings)


async def test_a_database_without_a_schema_is_named_as_such(empty_url: str) -> None:
    """The refusal says which command helps."""
    with locked(read_url(empty_url)):
        pass  # the SQLite file now exists and is empty
    database = Database(empty_url)
    async with database.reading() as tx:
        assert await tx.meta.revision() is None
    with pytest.raises(SchemaMismatch, match="cordon db upgrade"):
        await database.check()
    await database.close()


async def test_a_newer_schema_is_refused(database: Database, database_url: str) -> None:
    """After a rollback of the release the older code does not touch what the newer one has made, unless that says that it may."""
    with locked(read_url(database_url)) as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
        connection.exec_driver_sql("DELETE FROM meta WHERE key = 'served_since'")
    try:
        with pytest.raises(SchemaMismatch, match=r"9999.*newer release"):
            await database.check()
    finally:
        with locked(read_url(database_url)) as connection:
            connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{REVISIONS[-1]}'")


@pytest.mark.parametrize("url", ["sqlite://", "sqlite+aiosqlite:///:memory:", "mysql://x/y", "nonsense", ""])
def test_other_urls_are_refused_with_the_spelling_that_would_do(url: str) -> None:
    """Only a SQLite file or PostgreSQL."""
    with pytest.raises(BadRequest, match=r"postgresql\+psycopg://"):
        Database(url)


async def test_a_long_transaction_of_everything_commits_as_one(database: Database) -> None:
    """A whole batch of the gate, many rows in each table, is there or not as one."""
    events = [event(n) for n in range(300)]
    with pytest.raises(CordonError):  # noqa: PT012 — leaving the inner block is the act
        async with database.transaction() as tx:
            await put(tx, [row(one) for one in events], [wallet(one) for one in events])
            raise LostRace("late")
    async with database.transaction() as tx:
        assert await tx.statements.page() == []
        await put(tx, [row(one, accepted_ms=NOW_MS) for one in events], [wallet(one) for one in events])
    async with database.reading() as tx:
        assert len(await tx.statements.page(limit=1000)) == len(await tx.subjects.listings([WALLET])) == 300


async def test_a_small_write_at_once_is_a_transaction_like_any_other(database: Database) -> None:
    """What fails inside leaves nothing behind; what does not fail is there for the next reader."""

    async def keep(tx: Transaction) -> None:
        await tx.meta.set("kept", b"1")

    async def fail(tx: Transaction) -> None:
        await tx.meta.set("lost", b"1")
        raise NotFound("made to fail")

    await database.at_once(keep)
    with pytest.raises(NotFound):
        await database.at_once(fail)
    async with database.reading() as tx:
        assert (await tx.meta.get("kept"), await tx.meta.get("lost")) == (b"1", None)


async def test_work_at_once_may_await_its_session_only(database: Database) -> None:
    """On SQLite it runs in another thread: a work that waits for the loop is refused and leaves nothing behind."""
    if database.dialect != "sqlite":
        pytest.skip("PostgreSQL waits on the loop itself: any work will do")

    async def waits(tx: Transaction) -> None:
        await tx.meta.set("lost", b"1")
        await asyncio.sleep(0)

    with pytest.raises(TypeError):
        await database.at_once(waits)
    async with database.reading() as tx:
        assert await tx.meta.get("lost") is None

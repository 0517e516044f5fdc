"""A connection that is given back is at rest: nothing goes on in it behind the back of the next, however often its user was cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from app.services.follow.lease import Lease
from app.storage.database import Database, Transaction
from app.storage.session import SqliteSession
from app.storage.wholly import end_all, to_its_end
from tests.waiting import until

ENDS = {"sqlite": (SqliteSession, "roll_back"), "postgresql": (psycopg.AsyncConnection, "rollback")}


class Held:
    """A method whose calls wait before they begin, until they are let go."""

    def __init__(self, patched: pytest.MonkeyPatch, owner: type, name: str) -> None:
        self.begun = 0
        self.ended = 0
        self._go = asyncio.Event()
        inner: Callable[..., Awaitable[object]] = getattr(owner, name)

        async def late(one: object, *given: object, **named: object) -> object:
            self.begun += 1
            await self._go.wait()
            found = await inner(one, *given, **named)
            self.ended += 1
            return found

        patched.setattr(owner, name, late)

    def let_go(self) -> None:
        self._go.set()


async def cancelled_often(task: asyncio.Task[None]) -> bool:
    """Cancel again and again, with turns of the loop in between; whether it has ended."""
    for _ in range(3):
        task.cancel()
        for _ in range(3):
            await asyncio.sleep(0)
    return task.done()


async def in_block(block: AbstractAsyncContextManager[Transaction], inside: asyncio.Event) -> None:
    async with block as tx:
        await tx.meta.get("a")
        inside.set()
        await asyncio.Event().wait()


@pytest.mark.parametrize("kind", ["transaction", "reading"])
async def test_who_is_cancelled_twice_waits_for_the_end_of_his_transaction(
    database: Database, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """As `Node.stop` cancels where the machine is slow: closing the database afterwards meets no connection that is still in use."""
    inside = asyncio.Event()
    task = asyncio.create_task(in_block(getattr(database, kind)(), inside))
    await inside.wait()
    held = Held(monkeypatch, *ENDS[database.dialect])
    task.cancel()
    await until(lambda: held.begun)
    assert not await cancelled_often(task)
    held.let_go()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert held.begun == held.ended == 1
    async with database.transaction() as tx:
        await tx.meta.set("a", b"1")


@pytest.mark.parametrize("name", ["start", "close"])
async def test_a_connection_is_opened_and_given_back_to_the_end(
    sqlite_migrated_url: str, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """SQLite opens and closes in a thread: who is cancelled twice meanwhile leaves no connection to itself."""
    database = Database(sqlite_migrated_url)
    held = Held(monkeypatch, AsyncConnection, name)
    inside = asyncio.Event()
    task = asyncio.create_task(in_block(database.reading(), inside))
    if name == "close":
        await inside.wait()
        task.cancel()
    await until(lambda: held.begun)
    assert not await cancelled_often(task)
    held.let_go()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert held.begun == held.ended
    await database.close()


async def test_a_writer_that_is_opened_for_who_has_gone_is_there_for_the_next(
    sqlite_migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one writing connection is opened once, whoever waits for it."""
    database = Database(sqlite_migrated_url)
    held = Held(monkeypatch, AsyncConnection, "start")
    task = asyncio.create_task(in_block(database.transaction(), asyncio.Event()))
    await until(lambda: held.begun)
    assert not await cancelled_often(task)
    held.let_go()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with database.transaction() as tx:
        await tx.meta.set("a", b"1")
    assert held.begun == 1
    await database.close()


async def test_what_must_be_ended_gives_its_answer_or_its_fault() -> None:
    """Without a cancellation it is as if one had simply waited; with one, that is what one is told."""

    async def answer() -> int:
        await asyncio.sleep(0)
        return 7

    async def fail() -> int:
        await asyncio.sleep(0)
        raise ValueError("no")

    assert await to_its_end(answer()) == 7
    with pytest.raises(ValueError, match="no"):
        await to_its_end(fail())
    for work in (answer, fail):
        task = asyncio.create_task(to_its_end(work()))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_deadline_around_it_is_told_when_it_has_ended() -> None:
    """A timeout is a cancellation like any other: it counts, and ends nothing in the middle."""
    went_on = asyncio.Event()

    async def work() -> None:
        await asyncio.sleep(0.05)
        went_on.set()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await to_its_end(work())
    assert went_on.is_set()


async def test_who_ends_tasks_asks_again_until_they_have_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that swallows its first cancellation, one that takes its time over the end, one that fails, one that is done."""
    monkeypatch.setattr("app.storage.wholly.AGAIN_S", 0.01)
    ended: list[str] = []

    async def swallows() -> None:
        for _ in range(2):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                ended.append("swallowed")

    async def lingers() -> None:
        async def end() -> None:
            await asyncio.sleep(0.05)
            ended.append("lingered")

        try:
            await asyncio.Event().wait()
        finally:
            await to_its_end(end())

    async def fails() -> None:
        raise ValueError("nobody asks for it")

    tasks = [asyncio.create_task(work()) for work in (swallows, lingers, fails)]
    await asyncio.sleep(0)
    await end_all(tasks)
    assert all(one.done() for one in tasks)
    assert sorted(ended) == ["lingered", "swallowed", "swallowed"]
    await end_all([])


async def test_a_lease_is_given_back_when_what_was_done_under_it_has_ended(database: Database) -> None:
    """However often its holder is cancelled: nobody else begins while he still ends."""
    at_it, may_end = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        try:
            at_it.set()
            await asyncio.Event().wait()
        finally:
            await to_its_end(may_end.wait())

    holding = asyncio.create_task(Lease(database, "a peer", "one", lambda: 1_000).hold(work))
    await at_it.wait()
    assert not await cancelled_often(holding)
    assert await database.quick.leases.holder("a peer") is not None
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await holding
    assert await database.quick.leases.holder("a peer") is None

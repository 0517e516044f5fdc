"""The access log between the answer and the database: nothing acknowledged is lost over kill -9, nothing is written twice."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from app.domain.errors import Unavailable
from app.services import audit
from app.services.audit import PORTION, AccessLog
from app.storage.audit import AuditEntry
from app.storage.database import Database, Transaction
from app.storage.faults import Busy
from app.storage.told import Told
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]

WRITER = """
import asyncio, os, sys
from app.services.audit import AccessLog
from app.storage.database import Database
from tests.services.test_access_log import entry

async def main(url, first, size):
    log = AccessLog(Database(url))
    await log.start()
    async def client(number):
        while True:
            await log.record([entry(number + n) for n in range(size)])
            os.write(1, b"%d\\n" % number)
            number += 4 * size
    await asyncio.gather(*[client(first + n * size) for n in range(4)])

asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
"""


def entry(number: int) -> AuditEntry:
    """A hit of its own."""
    told = (("o/green", "log", f"sid{number}", f"eip155:1:{number}", "active"),)
    return AuditEntry(1_790_000_000_000 + number, "de.x/k", "screen", f"eip155:1:{number}", "", "", (f"sid{number}",), told)


def killed(url: str, first: int, size: int) -> set[int]:
    """A life that ends by SIGKILL in the midst of its work; what it acknowledged."""
    with subprocess.Popen([sys.executable, "-c", WRITER, url, str(first), str(size)], cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        acked = {int(child.stdout.readline()) for _ in range(300 if size == 1 else 20)}
        os.kill(child.pid, signal.SIGKILL)
        return acked | {int(line) for line in child.stdout.read().split("\n")[:-1]}


async def kept(database: Database) -> list[AuditEntry]:
    """What the chain in the database says, which is sound."""
    rows: list[AuditEntry] = []
    async with database.reading() as tx:
        await tx.audit.verify()
        while page := await tx.audit.page(after=len(rows), limit=1_000):
            rows += [row.entry for row in page]
    return rows


async def test_what_is_recorded_reaches_chain_and_told_index(database: Database) -> None:
    """In order, with many at once and lists longer than a portion; stopped and started again, nothing comes twice."""
    log = AccessLog(database)
    await log.start()
    await asyncio.gather(
        *(log.record([entry(number)]) for number in range(30)), log.record([entry(n) for n in range(100, 100 + 3 * PORTION)])
    )
    await log.settle()
    found = await kept(database)
    assert sorted(one.at_ms for one in found) == [entry(n).at_ms for n in (*range(30), *range(100, 100 + 3 * PORTION))]
    assert [one.told for one in found] == [()] * len(found)
    await log.record([entry(7)])
    await log.stop()
    again = AccessLog(database)
    await again.start()
    await again.stop()
    assert len(await kept(database)) == len(found) + 1
    async with database.reading() as tx:
        assert await tx.told.of(["sid7"]) == [Told("o/green", "log", "sid7", "eip155:1:7", "active", entry(7).at_ms, entry(7).at_ms)]


async def test_an_answer_at_hand_leaves_when_its_entry_is_durable(database: Database) -> None:
    """Not before, and before `record` returns; one that cannot be sent is its own caller's matter; after a fault nothing is sent."""
    log = AccessLog(database)
    await log.start()
    sent: list[int] = []

    def send(number: int) -> None:
        if log._journal is not None:
            assert number in [one.at_ms - 1_790_000_000_000 for some, _ in log._groups for one in some]
        if number == 2:
            raise ConnectionError("he has gone")
        sent.append(number)

    async def hit(number: int) -> bool:
        await log.record([entry(number)], then=partial(send, number))
        return number in sent

    first, second, third = await asyncio.gather(*map(hit, (1, 2, 3)), return_exceptions=True)
    assert (first, type(second), third) == (True, ConnectionError, True)
    assert sent == [1, 3]
    if log._journal is not None:
        handle = log._journal._handle
        kept_open, reading = os.dup(handle), os.open(log._journal.path, os.O_RDONLY)
        os.dup2(reading, handle)
        with pytest.raises(Unavailable):
            await hit(4)
        os.dup2(kept_open, handle)
        os.close(kept_open)
        os.close(reading)
    assert await hit(5)
    assert sent == [1, 3, 5]
    await log.stop()
    assert sorted(one.subject for one in await kept(database)) == [f"eip155:1:{number}" for number in (1, 2, 3, 5)]


async def test_stopping_waits_for_what_was_asked_for_last(database: Database) -> None:
    """An entry that nobody has begun to write yet is written, and its caller told."""
    log = AccessLog(database)
    await log.start()
    asked = asyncio.ensure_future(log.record([entry(1)]))
    await asyncio.sleep(0)
    await log.stop()
    await asked
    assert len(await kept(database)) == 1


@pytest.mark.parametrize("size", [1, 400])
async def test_kill_nine_loses_nothing_that_was_acknowledged(database: Database, database_url: str, size: int) -> None:
    """Three lives of a process that records without pause; each time all that it acknowledged is there after the next start, once."""
    acked: set[int] = set()
    for life in range(3):
        first = life * 1_000_000
        acked |= killed(database_url, first, size)
        log = AccessLog(database)
        await log.start()
        await log.stop()
        numbers = [one.at_ms - 1_790_000_000_000 for one in await kept(database)]
        assert len(numbers) == len(set(numbers))
        assert {first + n for first in acked for n in range(size)} <= set(numbers)
    if database.journal_path is not None:
        assert database.journal_path.stat().st_size < 20_000_000


class Stubborn(Database):
    """A database that takes no write transaction while told so."""

    refuses = True

    async def in_loop(self, work):
        if self.refuses:
            raise Busy("other writes are still under way: try again")
        return await super().in_loop(work)


async def test_a_lookup_does_not_wait_for_others_transactions(database: Database, database_url: str) -> None:
    """While a long transaction is under way hits are recorded all the same; once it ends they reach the database."""
    if database.journal_path is None:
        pytest.skip("on PostgreSQL nobody waits for one writer")
    log = AccessLog(database)
    await log.start()
    async with database.transaction() as tx:
        await tx.meta.set("slow", b"1")
        async with asyncio.timeout(60):
            for number in range(20):
                await log.record([entry(number)])
    await log.stop()
    assert len(await kept(database)) == 20


async def test_who_reads_what_was_told_does_not_wait_for_what_goes_by_and_by(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Portions go into the database with pauses between them, here without end: `settle` brings the rest at once, and so does a stop."""
    if database.journal_path is None:
        pytest.skip("on PostgreSQL entries go there at once")
    monkeypatch.setattr(audit, "PACE_S", 3_600)
    log = AccessLog(database)
    await log.start()
    await log.record([entry(number) for number in range(3 * PORTION)])
    await until(lambda: log._posted != (0, 0))
    assert len(await kept(database)) == PORTION
    await asyncio.wait_for(log.settle(), 60)
    assert len(await kept(database)) == 3 * PORTION
    await log.record([entry(number) for number in range(1_000, 1_000 + 3 * PORTION)])
    await until(lambda: log._poster is not None and log._posted[1])
    await asyncio.wait_for(log.stop(), 60)
    assert [one.at_ms for one in await kept(database)] == [
        entry(n).at_ms for n in (*range(3 * PORTION), *range(1_000, 1_000 + 3 * PORTION))
    ]


async def test_the_loop_never_waits_for_a_tool_that_writes(database: Database) -> None:
    """Another process has the write lock: hits are recorded at once, and reach the database when it is free again. Here the database's own
    patience is that of the test.
    """
    path = database.journal_path
    if path is None:
        pytest.skip("on PostgreSQL nobody waits for one writer")
    log = AccessLog(database)
    await log.start()
    await log.record([entry(1)])
    await log.settle()
    async with database._store._alone() as session:
        await session.script("PRAGMA busy_timeout=3600000")
    tool = sqlite3.connect(path.with_name(path.name.removesuffix("-access")), isolation_level=None)
    tool.execute("BEGIN IMMEDIATE")
    await log.record([entry(2)])
    with pytest.raises(Busy):
        await log.settle()
    tool.execute("ROLLBACK")
    tool.close()
    await log.stop()
    assert [one.subject for one in await kept(database)] == ["eip155:1:1", "eip155:1:2"]


async def test_what_the_database_refuses_for_a_while_is_kept(database: Database, database_url: str) -> None:
    """The journal has it; it is tried again by itself, and at the next start."""
    stubborn = Stubborn(database_url)
    if stubborn.journal_path is None:
        pytest.skip("on PostgreSQL a hit that cannot be written is not told")
    log = AccessLog(stubborn)
    await log.start()
    await log.record([entry(1)])
    with pytest.raises(Busy):
        await log.settle()
    await log.stop()
    assert await kept(database) == []
    stubborn.refuses = False
    await log.start()
    await log.record([entry(2)])
    await log.stop()
    await stubborn.close()
    assert [one.subject for one in await kept(database)] == ["eip155:1:1", "eip155:1:2"]


async def test_a_tool_beside_the_running_node_writes_straight_into_the_database(database: Database) -> None:
    """Two chains of events, one chain of hashes."""
    node, tool = AccessLog(database), AccessLog(database)
    await node.start()
    await tool.start()
    await node.record([entry(1)])
    await tool.record([entry(2)])
    await tool.stop()
    await node.stop()
    assert sorted(one.subject for one in await kept(database)) == ["eip155:1:1", "eip155:1:2"]


async def test_entries_appended_by_others_in_their_own_transactions_stand_between(database: Database) -> None:
    """An operator's act is logged with the act itself."""
    log = AccessLog(database)
    await log.start()

    async def act(tx: Transaction) -> None:
        await tx.audit.append([entry(50)])

    await log.record([entry(1)])
    await database.run(act)
    await log.record([entry(2)])
    await log.stop()
    assert sorted(one.subject for one in await kept(database)) == ["eip155:1:1", "eip155:1:2", "eip155:1:50"]

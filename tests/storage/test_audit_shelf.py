"""The access log: chained, walked, and every way of changing it found."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import psycopg
import pytest

from app.domain.errors import Betrayed
from app.storage.audit import AuditEntry, AuditHead, AuditRow
from app.storage.database import Database
from app.storage.urls import is_sqlite, read_url
from tests.storage.rows import NOW_MS, WALLET

ENTRIES = [AuditEntry(NOW_MS + n, f"client-{n}", "screen", WALLET, "fraud_prevention", "case 7", (f"sid{n}",)) for n in range(4)]


async def test_entries_come_back_in_order_and_the_chain_closes(database: Database) -> None:
    """Each row closes the chain over all before it; appending nothing changes nothing."""
    async with database.transaction() as tx:
        assert await tx.audit.head() == AuditHead() == await tx.audit.verify()
        first = await tx.audit.append(ENTRIES[:3])
        assert await tx.audit.append([]) == first
    async with database.transaction() as tx:
        last = await tx.audit.append(ENTRIES[3:])
    async with database.reading() as tx:
        rows = await tx.audit.page(limit=3) + await tx.audit.page(after=3)
        assert [row.entry for row in rows] == ENTRIES
        assert [row.seq for row in rows] == [1, 2, 3, 4]
        assert (first.size, first.hash, last.size, last.hash) == (3, rows[2].hash, 4, rows[3].hash)
        assert await tx.audit.verify(kept=first) == last == await tx.audit.head()
        assert rows[0] == AuditRow(1, ENTRIES[0], sha256(bytes(32) + _body(ENTRIES[0])).digest())


def _body(entry: AuditEntry) -> bytes:
    return (
        f'[1,{entry.at_ms},"{entry.actor}","{entry.action}","{entry.subject}","{entry.purpose}","{entry.case}",["{entry.sids[0]}"]]'
    ).encode()


async def test_many_who_append_at_once_make_one_chain(database: Database) -> None:
    """Nobody's row is lost and no number is given twice."""

    async def append(entry: AuditEntry) -> None:
        await database.run(lambda tx: tx.audit.append([entry, entry]))

    await asyncio.gather(*(append(ENTRIES[n % 4]) for n in range(12)))
    async with database.reading() as tx:
        assert (await tx.audit.verify()).size == 24


@pytest.mark.parametrize(
    ("damage", "where"),
    [
        ("UPDATE audit SET body = CAST(replace(CAST(body AS TEXT), 'client-1', 'client-9') AS BLOB) WHERE seq = 2", "row 2"),
        ("DELETE FROM audit WHERE seq = 2", "row 2"),
        ("DELETE FROM audit WHERE seq = 4", "ends at row 3"),
        ("DELETE FROM audit WHERE seq = 1", "row 1"),
        ("UPDATE audit SET seq = 9 WHERE seq = 4", "row 4"),
    ],
)
async def test_whatever_is_changed_is_found(database: Database, database_url: str, damage: str, where: str) -> None:
    """An insider with SQL changes, takes out, cuts off or renumbers a row: the walk names it."""
    async with database.transaction() as tx:
        await tx.audit.append(ENTRIES)
    _meddle(database_url, damage)
    with pytest.raises(Betrayed, match=where):
        async with database.reading() as tx:
            await tx.audit.verify()


async def test_a_chain_written_anew_is_found_by_a_head_noted_elsewhere(database: Database, database_url: str) -> None:
    """Rows and head replaced consistently, or cut off with the head moved back: only the noted head tells, and it does."""
    async with database.transaction() as tx:
        kept = await tx.audit.append(ENTRIES)
    for _ in range(2):
        _meddle(database_url, "DELETE FROM audit")
        _meddle(database_url, "DELETE FROM audit_head")
        async with database.transaction() as tx:
            await tx.audit.append(ENTRIES[:2] if _ else [*ENTRIES[::-1], ENTRIES[0]])
        async with database.reading() as tx:
            await tx.audit.verify()
            with pytest.raises(Betrayed, match=r"written anew|cut off"):
                await tx.audit.verify(kept=kept)


def _meddle(url: str, statement: str) -> None:
    """What an insider does with a shell on the database."""
    read = read_url(url)
    opened: Callable[[], Any]
    if is_sqlite(read):
        opened = lambda: sqlite3.connect(str(read.database))  # noqa: E731
    else:
        statement = statement.replace("CAST(replace(CAST(body AS TEXT), 'client-1', 'client-9') AS BLOB)", _PG_REPLACE)
        opened = lambda: psycopg.connect(read.set(drivername="postgresql").render_as_string(hide_password=False))  # noqa: E731
    connection = opened()
    connection.execute(statement)
    connection.commit()
    connection.close()


_PG_REPLACE = "convert_to(replace(convert_from(body, 'UTF8'), 'client-1', 'client-9'), 'UTF8')"

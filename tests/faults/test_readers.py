"""F-36: a reader that stays. It is cut off at its limit, and the write-ahead log becomes small again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from app.domain.errors import Unavailable
from app.storage.database import Database
from app.storage.urls import read_url
from tests.waiting import within

BIG = bytes(400_000)


def size(file: Path) -> int:
    return file.stat().st_size


async def write(database: Database, times: int) -> None:
    for number in range(times):
        async with database.transaction() as tx:
            await tx.meta.set(f"filler {number % 50}", BIG)


async def test_a_reader_that_stays_is_cut_off_and_the_log_of_writes_shrinks(
    sqlite_migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it reads, writes go on and the file grows; at the limit it is told to begin anew, and soon the file is bounded again."""
    monkeypatch.setattr("app.storage.sqlite.READ_LIMIT_S", 1.0)
    wal = Path(f"{read_url(sqlite_migrated_url).database}-wal")
    database = Database(sqlite_migrated_url)
    try:
        reads = asyncio.Event()

        async def read_on() -> None:
            async with database.reading() as tx:
                while True:
                    await tx.meta.get("filler 1")
                    reads.set()
                    await asyncio.sleep(0.02)

        reader = asyncio.create_task(read_on())
        await reads.wait()
        await write(database, 60)
        async with within(10):
            with pytest.raises(Unavailable, match="begin anew"):
                await reader
        await write(database, 60)
        await database.forget()
        assert size(wal) == 0, "no reader holds it any more"
        async with database.reading() as tx:
            assert await tx.meta.get("filler 1") == BIG
    finally:
        await database.close()

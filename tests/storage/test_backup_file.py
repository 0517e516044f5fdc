"""Backups: a consistent copy while the node writes, one private file, never over another."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
from pathlib import Path

import pytest

from app.domain.errors import BadRequest, Betrayed
from app.storage.backup import backup
from app.storage.database import Database
from app.storage.upgrade import upgrade
from app.storage.urls import read_url
from tests.storage.rows import WALLET, event, put, row, wallet


async def test_a_copy_made_while_the_node_writes_is_whole(sqlite_migrated_url: str, tmp_path: Path) -> None:
    """The copy holds every transaction before some moment and none after it, and a node can be started on it."""
    database, target = Database(sqlite_migrated_url), tmp_path / "backups" / "copy.sqlite3"
    target.parent.mkdir()
    stop = False

    begun = asyncio.Event()

    async def write() -> int:
        count = 0
        while not stop:
            one = event(count)
            async with database.transaction() as tx:
                await put(tx, [row(one)], [wallet(one)])
            count += 1
            begun.set()
        return count

    writer = asyncio.create_task(write())
    await begun.wait()
    await asyncio.to_thread(backup, sqlite_migrated_url, target)
    stop = True
    written = await writer
    await database.close()
    assert [file.name for file in target.parent.iterdir()] == [target.name]
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    url = f"sqlite+aiosqlite:///{target}"
    upgrade(url)
    restored = Database(url)
    await restored.check()
    async with restored.reading() as tx:
        entries = [index async for index, _, _ in tx.log.walk("de.example/log")]
        assert len(await tx.subjects.listings([WALLET])) == len(entries)
    await restored.close()
    assert 0 < len(entries) <= written
    assert entries == list(range(len(entries)))


def test_a_backup_is_never_overwritten(sqlite_migrated_url: str, tmp_path: Path) -> None:
    """Whatever stands at the target stays, and no half file is left."""
    target = tmp_path / "copy"
    target.write_text("precious")
    with pytest.raises(BadRequest, match="not overwritten"):
        backup(sqlite_migrated_url, target)
    assert target.read_text() == "precious"
    assert not target.with_name("copy.unfinished").exists()


def test_a_damaged_database_is_not_backed_up_as_sound(sqlite_migrated_url: str, tmp_path: Path) -> None:
    """The copy is checked before it gets its name."""
    path = Path(str(read_url(sqlite_migrated_url).database))
    connection = sqlite3.connect(path)
    connection.executemany("INSERT INTO meta VALUES (?, ?)", [(f"k{n:05}", bytes(100)) for n in range(5000)])
    connection.commit()
    root = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'meta'").fetchone()[0]
    size = connection.execute("PRAGMA page_size").fetchone()[0]
    connection.close()
    data = bytearray(path.read_bytes())
    data[(root - 1) * size : (root - 1) * size + 64] = b"\xff" * 64
    path.write_bytes(data)
    with pytest.raises(Betrayed):
        backup(sqlite_migrated_url, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
    assert not (tmp_path / "copy.unfinished").exists()


def test_what_cannot_be_backed_up_says_what_would(sqlite_url: str, tmp_path: Path) -> None:
    """PostgreSQL: its own tool by name, and no password on the screen; a missing file: which one."""
    with pytest.raises(BadRequest, match=r"pg_dump --format=custom .*'postgresql://node:\*\*\*@db/cordon'"):
        backup("postgresql+psycopg://node:secret@db/cordon", tmp_path / "copy")
    with pytest.raises(BadRequest, match="no database at"):
        backup(sqlite_url, tmp_path / "copy")
    assert list(tmp_path.iterdir()) == []

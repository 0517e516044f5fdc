"""The anchor file: replaced whole, never to a smaller size, by a loop that goes on or by whoever may wait."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.domain.errors import Betrayed
from app.storage.anchor import Anchored, AnchorFile

ONE, TWO = Anchored("de.example/log", 1, b"\1" * 32), Anchored("de.example/log", 2, b"\2" * 32)


@pytest.fixture
async def anchor(tmp_path: Path) -> AsyncIterator[AnchorFile]:
    """A file that is not there yet, in a folder that is not either."""
    file = AnchorFile(tmp_path / "there" / "anchor")
    yield file
    file.close()


async def test_both_ways_say_the_same(anchor: AnchorFile, tmp_path: Path) -> None:
    """What is smaller, of the same log, changes nothing; nothing is left beside the file."""
    assert anchor.read() is None
    await anchor.settle(ONE)
    assert anchor.read() == ONE
    anchor.write(TWO)
    await anchor.settle(ONE)
    anchor.write(ONE)
    assert anchor.read() == TWO
    assert [file.name for file in (tmp_path / "there").iterdir()] == ["anchor"]


async def test_it_waits_for_another_worker_and_the_loop_goes_on(anchor: AnchorFile, tmp_path: Path) -> None:
    """Whoever holds the folder's lock is at it; so are two of one process, one after the other."""
    await anchor.settle(ONE)
    folder = os.open(tmp_path / "there", os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    waiting = asyncio.create_task(anchor.settle(TWO))
    for _ in range(20):
        await asyncio.sleep(0.001)
    assert (waiting.done(), anchor.read()) == (False, ONE)
    os.close(folder)
    other = AnchorFile(tmp_path / "there" / "anchor")
    await asyncio.gather(waiting, other.settle(TWO))
    other.close()
    assert anchor.read() == TWO


async def test_who_is_cancelled_leaves_it_whole(anchor: AnchorFile) -> None:
    """Wherever it is broken off: the file is the old one or the new one, and the next may begin at once."""
    await anchor.settle(ONE)
    for turns in range(6):
        task = asyncio.create_task(anchor.settle(TWO))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert anchor.read() in (ONE, TWO)
    await anchor.settle(TWO)
    assert anchor.read() == TWO


async def test_a_disk_that_fails_is_told(anchor: AnchorFile, tmp_path: Path) -> None:
    """A folder that cannot be written to, and a file that is damaged."""
    await anchor.settle(ONE)
    (tmp_path / "there" / "anchor").write_text("nonsense")
    with pytest.raises(Betrayed):
        await anchor.settle(TWO)
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        await AnchorFile(tmp_path / "file" / "anchor").settle(ONE)

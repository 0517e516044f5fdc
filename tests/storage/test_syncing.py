"""Making a file durable as an event of the loop: through the kernel, and through a thread where the kernel has no such call."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.storage.syncing import KernelSyncer, Syncer, ThreadSyncer, make_syncer
from tests.waiting import within

Make = Callable[[asyncio.AbstractEventLoop], Syncer]


@pytest.fixture
def handle(tmp_path: Path) -> Iterator[int]:
    """An open file with something in it."""
    opened = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    os.write(opened, b"something")
    yield opened
    os.close(opened)


async def sync(syncer: Syncer, handle: int) -> int:
    """How it went; what cannot be begun is told like what fails."""
    told: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    try:
        syncer.begin(handle, told.set_result)
    except OSError as error:
        return error.errno or -1
    async with within(20):
        return await told


@pytest.mark.parametrize("make", [KernelSyncer, ThreadSyncer, make_syncer])
async def test_it_is_told_when_it_is_done_or_has_failed(make: Make, handle: int) -> None:
    """Again and again, one at a time; a pipe cannot be synced, a handle that is closed neither."""
    try:
        syncer = make(asyncio.get_running_loop())
    except OSError as error:
        pytest.skip(f"NOT TESTED: this kernel does not sync by itself ({error.strerror})")
    ends = os.pipe()
    assert [await sync(syncer, handle) for _ in range(5)] == [0] * 5
    assert await sync(syncer, ends[1]) == errno.EINVAL
    for end in ends:
        os.close(end)
    assert await sync(syncer, ends[1]) == errno.EBADF
    assert await sync(syncer, handle) == 0
    syncer.close()


async def test_the_loop_goes_on_meanwhile(handle: int) -> None:
    """Whoever waits for the disk keeps nobody waiting. A disk may be done while the machine lets us wait: then it is asked again."""
    syncer, turns = make_syncer(asyncio.get_running_loop()), 0
    for _ in range(50):
        os.pwrite(handle, os.urandom(4 * 1024 * 1024), 0)
        waiting = asyncio.create_task(sync(syncer, handle))
        await asyncio.sleep(0)
        turns = 0
        while not waiting.done() and turns < 3:
            await asyncio.sleep(0)
            turns += 1
        assert await waiting == 0
        if turns == 3:
            break
    assert turns == 3
    syncer.close()

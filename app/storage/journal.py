"""A small append-only file beside the database: what has to be durable at once, long before it is worth a transaction (ADR 0011).

    head    "CORDONJ1", 16 random bytes that name this filling of the file
    group   length (4 bytes, big-endian), payload, link = SHA-256(link before ‖ payload); the first link is SHA-256 of the head

One process appends, one group at a time, and each is on the disk before it is believed. So a crash can only tear what nobody was told
of: what follows the last whole group and has no group behind it. Anything else that does not fit is damage, and is said to be.
The room is taken ahead, so that a write changes no metadata. `clear` empties the file when all of it stands in the database.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from errno import EIO
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from app.domain.errors import Unavailable
from app.storage.syncing import Syncer, make_durable, make_syncer
from app.storage.wholly import to_its_end

_MAGIC = b"CORDONJ1"
_ID_BYTES = 16
_HEAD_BYTES = len(_MAGIC) + _ID_BYTES
_LENGTH_BYTES, _LINK_BYTES = 4, 32
_ROOM = 256 * 1024
QUICK_S = 0.001
"""A disk that syncs within that time is waited for; a good one needs a tenth of it."""
SLOW_WEIGHS = 8
"""One slow sync weighs as much as so many quick ones: a disk that is slow three times in a row, or one time in eight, is slow."""
LEAST_ASIDE, MOST_ASIDE = 16, 4_096


class Group(NamedTuple):
    """One payload, and where it ends in the file."""

    payload: bytes
    end: int


@dataclass(frozen=True, slots=True)
class Contents:
    """What stands in a file. `sound_bytes`: up to where; `damage`: what is wrong behind that, empty if nothing is."""

    id: bytes
    groups: tuple[Group, ...]
    link: bytes
    sound_bytes: int
    damage: str = ""


def read_journal(path: Path) -> Contents | None:
    """The groups of a file, each checked; None if there is no file, or one that was never begun."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    head = data[:_HEAD_BYTES]
    if not any(head):
        return None if not any(data) else Contents(b"", (), b"", 0, "its head is gone")
    if not head.startswith(_MAGIC) or len(head) < _HEAD_BYTES:
        return Contents(b"", (), b"", 0, "its head is of another version or damaged")
    groups: list[Group] = []
    link, at = sha256(head).digest(), _HEAD_BYTES
    while length := int.from_bytes(data[at : at + _LENGTH_BYTES], "big"):
        start, end = at + _LENGTH_BYTES, at + _LENGTH_BYTES + length + _LINK_BYTES
        payload, stated = data[start : start + length], data[start + length : end]
        following = sha256(link + payload).digest()
        if following != stated:
            is_torn = not any(data[end : end + _LENGTH_BYTES])
            damage = "" if is_torn else f"the group at byte {at} was changed, and others follow it"
            return Contents(head[len(_MAGIC) :], tuple(groups), link, at, damage)
        groups.append(Group(payload, end))
        link, at = following, end
    return Contents(head[len(_MAGIC) :], tuple(groups), link, at)


class Journal:
    """One open file. Belongs to one event loop; `append` and `clear` never at the same time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.id = b""
        self._handle = -1
        self._link = b""
        self._end = 0
        self._room_end = 0
        self._syncer: Syncer | None = None
        self._slowness = 0
        self._asides, self._asides_left = LEAST_ASIDE, 0
        """How many groups the kernel is asked to sync once the disk was found slow, and how many of those are left."""

    @property
    def size(self) -> int:
        """Bytes in use."""
        return self._end

    def open(self) -> Contents | None:
        """Open for appending behind what stands there, and say what that is; a damaged file is kept aside, and a new one begun. Blocking.

        BlockingIOError if another process has it open.
        """
        self._handle = _locked(self.path)
        found = read_journal(self.path)
        if found is not None and found.damage:
            self.path.replace(aside(self.path))
            os.close(self._handle)
            self._handle = _locked(self.path)
        if found is None or found.damage:
            self.clear()
            make_durable(self.path.parent)
        else:
            self.id, self._link, self._end = found.id, found.link, found.sound_bytes
            os.ftruncate(self._handle, self._end)
            self._room_end = 0
            self._take_room()
        return found

    def clear(self) -> None:
        """Begin anew with an empty file. A crash in between leaves a file without a head, which holds nothing. Blocking."""
        os.ftruncate(self._handle, 0)
        head = _MAGIC + os.urandom(_ID_BYTES)
        os.pwrite(self._handle, head, 0)
        self.id, self._link, self._end = head[len(_MAGIC) :], sha256(head).digest(), _HEAD_BYTES
        self._room_end = 0
        self._take_room()

    @property
    def is_quick(self) -> bool:
        """Whether the disk is so quick at present that it is simply waited for: then `append_here` will do."""
        return not self._asides_left

    async def append(self, payload: bytes) -> int:
        """One group, durable when this returns; where it ends. Unavailable if the disk does not take it."""
        if self.is_quick:
            return self.append_here(payload)
        self._asides_left -= 1
        link, data = self._framed(payload)
        try:
            _write(self._handle, data, self._end)
            code = await self._sync_aside()
        except OSError as error:
            code = error.errno or EIO
        return self._advanced(link, data, code)

    def append_here(self, payload: bytes) -> int:
        """The same in the thread of the loop, which the disk holds up."""
        link, data = self._framed(payload)
        code = 0
        try:
            _write(self._handle, data, self._end)
            self._sync_here()
        except OSError as error:
            code = error.errno or EIO
        return self._advanced(link, data, code)

    def _framed(self, payload: bytes) -> tuple[bytes, bytes]:
        link = sha256(self._link + payload).digest()
        return link, b"".join((len(payload).to_bytes(_LENGTH_BYTES, "big"), payload, link))

    def _advanced(self, link: bytes, data: bytes, code: int) -> int:
        if code:
            with suppress(OSError):  # half of it may stand there, and the next may be shorter
                os.ftruncate(self._handle, self._end)
            self._room_end = self._end
            raise Unavailable(f"the access log cannot be written: {os.strerror(code)}")
        self._link, self._end = link, self._end + len(data)
        if self._end + _ROOM // 2 > self._room_end:
            self._take_room()
        return self._end

    def _sync_here(self) -> None:
        """Wait for a disk that is quick: that takes less than an event in which another thread has to get its turn, too.

        One that is slow again and again is left to the kernel for a while, twice as long each time that it is found so.
        """
        begun = time.perf_counter()
        os.fdatasync(self._handle)
        if time.perf_counter() - begun <= QUICK_S:
            self._slowness = max(self._slowness - 1, 0)
            self._asides = max(self._asides - 1, LEAST_ASIDE)
            return
        self._slowness += SLOW_WEIGHS
        if self._slowness > 2 * SLOW_WEIGHS:
            self._slowness, self._asides = SLOW_WEIGHS, min(2 * self._asides, MOST_ASIDE)
            self._asides_left = self._asides

    async def _sync_aside(self) -> int:
        """The same as an event of the loop; 0, or the number of an error."""
        loop = asyncio.get_running_loop()
        if self._syncer is None:
            self._syncer = make_syncer(loop)
        synced: asyncio.Future[int] = loop.create_future()
        self._syncer.begin(self._handle, synced.set_result)
        return await to_its_end(synced)

    def close(self) -> None:
        """Close the file; the room that was taken ahead is given back. Blocking."""
        if self._syncer is not None:
            self._syncer.close()
            self._syncer = None
        if self._handle >= 0:
            os.ftruncate(self._handle, self._end)
            os.close(self._handle)
            self._handle = -1

    def _take_room(self) -> None:
        # Zeros that stand there: to write over them changes no metadata, so no group waits for the file system's own journal and for
        # what others have in it. Nothing is synced here; the next group becomes durable together with them.
        start = max(self._end, self._room_end)
        self._room_end = start + _ROOM
        with suppress(OSError):  # a full disk shows at the next group
            _write(self._handle, bytes(_ROOM), start)


def _locked(path: Path) -> int:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise
    return handle


def aside(path: Path) -> Path:
    """Where a damaged file is kept."""
    return path.with_name(path.name + ".damaged")


def _write(handle: int, data: bytes, at: int) -> None:
    view = memoryview(data)
    while view:
        done = os.pwrite(handle, view, at)
        view, at = view[done:], at + done

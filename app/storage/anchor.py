"""The anchor: the largest size and root ever signed, kept in a file outside the database (protocol §3.6, schemas §6).

It is written, and durable, before a checkpoint leaves the node. So a database that comes back smaller, or with another history,
is recognised at start and nothing more is signed. Put it on other storage to catch a restored data directory too.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from app.domain.canonical import b64_decode, read_decimal
from app.domain.errors import Betrayed, Malformed
from app.domain.note import to_base64
from app.storage.syncing import Syncer, make_syncer
from app.storage.wholly import to_its_end

_PAUSE_S = 0.001


@dataclass(frozen=True, slots=True)
class Anchored:
    """What was signed last: `root` is 32 bytes."""

    origin: str
    size: int
    root: bytes


class AnchorFile:
    """One small file, replaced atomically; the only state of a log that does not live in its database."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fresh = path.with_name(path.name + ".new")
        self._folder = path.parent
        self._syncer: Syncer | None = None

    def read(self) -> Anchored | None:
        """What the file says; None if there is none yet. A file that cannot be read in full is evidence, not absence."""
        try:
            text = self._path.read_bytes().decode("ascii", "replace")
        except FileNotFoundError:
            return None
        lines = text.split("\n")
        try:
            if len(lines) != 4 or lines[3]:
                raise Malformed("three lines are expected")
            root = b64_decode(lines[2])
            if len(root) != 32:
                raise Malformed("the root is 32 bytes")
            return Anchored(lines[0], read_decimal(lines[1]), root)
        except Malformed as error:
            raise Betrayed(
                f"the anchor file {self._path} is damaged ({error.detail}): compare the log with a peer, then write it anew"
            ) from error

    def write(self, anchored: Anchored) -> None:
        """Replace the file and make it durable; a size below the one it holds leaves it as it is.

        A crash in between leaves the old file, which is smaller and so still true. The workers of one node take turns: the lock
        ends with the process.
        """
        for handle in self._steps(anchored):
            if handle is None:
                time.sleep(_PAUSE_S)
            else:
                os.fsync(handle)

    async def settle(self, anchored: Anchored) -> None:
        """`write` by an event loop that goes on while the disk takes its time; always by the same one, until `close`.

        In a thread each of a dozen calls to the system would wait for a busy loop to give the interpreter back.
        """
        with closing(self._steps(anchored)) as steps:
            for handle in steps:
                await (asyncio.sleep(_PAUSE_S) if handle is None else self._sync(handle))

    async def _sync(self, handle: int) -> None:
        loop = asyncio.get_running_loop()
        if self._syncer is None:
            self._syncer = make_syncer(loop)
        synced: asyncio.Future[int] = loop.create_future()
        self._syncer.begin(handle, synced.set_result, whole=True)
        code = await to_its_end(synced)  # the next may begin when this has ended, and not before
        if code:
            raise OSError(code, os.strerror(code), str(self._path))

    def close(self) -> None:
        """Give back what `settle` needs. Nothing may be under way."""
        if self._syncer is not None:
            self._syncer.close()
            self._syncer = None

    def _steps(self, anchored: Anchored) -> Generator[int | None, None, None]:
        """Replace the file; from one handle that is to be made durable to the next, or None to wait for another worker."""
        directory = self._open_folder()
        try:
            while not _is_locked(directory):
                yield None
            before = self.read()
            if before is None or before.origin != anchored.origin or before.size <= anchored.size:
                fresh = os.open(self._fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
                try:
                    text = f"{anchored.origin}\n{anchored.size}\n{to_base64(anchored.root)}\n".encode("ascii")
                    if os.write(fresh, text) < len(text):
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._fresh))
                    yield fresh
                finally:
                    os.close(fresh)
                self._fresh.replace(self._path)
                yield directory
        finally:
            os.close(directory)

    def _open_folder(self) -> int:
        try:
            return os.open(self._folder, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            return os.open(self._folder, os.O_RDONLY | os.O_CLOEXEC)


def _is_locked(directory: int) -> bool:
    try:
        fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

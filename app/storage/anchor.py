"""The anchor: the largest size and root ever signed, kept in a file outside the database (protocol §3.6, schemas §6).

It is written, and durable, before a checkpoint leaves the node. So a database that comes back smaller, or with another history,
is recognised at start and nothing more is signed. Put it on other storage to catch a restored data directory too.
"""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

from app.domain.canonical import b64_decode, read_decimal
from app.domain.errors import Betrayed, Malformed
from app.domain.note import to_base64


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

    def read(self) -> Anchored | None:
        """What the file says; None if there is none yet. A file that cannot be read in full is evidence, not absence."""
        try:
            text = self._path.read_text("ascii")
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
        self._path.parent.mkdir(parents=True, exist_ok=True)
        directory = os.open(self._path.parent, os.O_RDONLY)
        try:
            fcntl.flock(directory, fcntl.LOCK_EX)
            before = self.read()
            if before is None or before.origin != anchored.origin or before.size <= anchored.size:
                self._replace(anchored)
                os.fsync(directory)
        finally:
            os.close(directory)

    def _replace(self, anchored: Anchored) -> None:
        temporary = self._path.with_name(self._path.name + ".new")
        with temporary.open("w", encoding="ascii") as file:
            file.write(f"{anchored.origin}\n{anchored.size}\n{to_base64(anchored.root)}\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)

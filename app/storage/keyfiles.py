"""Private keys and the node's own name on disk: each key a file with mode 0600, never overwritten."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from app.domain.errors import BadRequest, Unavailable


def write_secret(path: Path, text: str) -> None:
    """Create `path` with mode 0600 and `text`; refuse to overwrite a key."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise BadRequest(f"{path} exists already and is not overwritten: move it away or choose another name") from error
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def read_secret(path: Path) -> str:
    """The text of a key file; refuses one that others may read."""
    try:
        mode = path.stat().st_mode & 0o777
        text = path.read_text("utf-8")
    except OSError as error:
        raise BadRequest(f"cannot read the key file {path}: {error.strerror}") from error
    if mode & 0o077:
        raise BadRequest(f"{path} can be read by others (mode {mode:o}): chmod 600 {path}")
    return text


class DataDirLock:
    """Holds a data directory for one node: a second node on the same keys would fork the log (trust-and-ops F-10)."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / "lock"
        self._handle: int | None = None

    def acquire(self) -> None:
        """Take the lock or say who has it. It ends with the process, however that ends."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(handle)
            raise Unavailable(f"another process holds {self._path.parent}: stop that node first, or talk to it with --node URL") from error
        self._handle = handle

    def release(self) -> None:
        """Give the directory back."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

"""Protected identifiers: the local list of what must never be listed (exchange hot wallets, bridges, token and burn addresses).

Local policy, never federated (schemas §2). A listing that names one is held; a lookup of one answers `protected`. What agencies of this
jurisdiction say must not be blocked protects, too (rule 3): the gate reads that with its other facts.
"""

from __future__ import annotations

from pathlib import Path

from app.domain.errors import BadRequest, InvalidAddress
from app.domain.identifiers import read_subject
from app.storage.database import Database


class Guards:
    """The ids under guard, in memory."""

    def __init__(self, database: Database, *, file: Path | None) -> None:
        self._database = database
        self._file = file
        self._ids: frozenset[str] = frozenset()

    async def load(self) -> None:
        """Read the shelf and the file anew."""
        async with self._database.reading() as tx:
            ids = {id_ for id_, _, _ in await tx.protected.all()}
        if self._file is not None:
            ids |= {id_ for id_, _, _ in read_guard_file(self._file)}
        self._ids = frozenset(ids)

    @property
    def ids(self) -> frozenset[str]:
        """All of them."""
        return self._ids

    def is_listed_here(self, subject: str) -> bool:
        """On the local list: for everybody, whatever he may read."""
        return subject in self._ids


def read_guard_file(path: Path) -> list[tuple[str, str, str]]:
    """(id, reason, source) from one id or address a line, `#` begins a comment; BadRequest names the first line that is neither."""
    found: list[tuple[str, str, str]] = []
    try:
        lines = path.read_text("utf-8").splitlines()
    except OSError as error:
        raise BadRequest(f"cannot read the list of protected ids {path}: {error.strerror}") from error
    for number, line in enumerate(lines, 1):
        text, _, comment = line.partition("#")
        if not text.strip():
            continue
        try:
            subject = read_subject(text.strip())
        except InvalidAddress as error:
            raise BadRequest(f"{path}, line {number}: {error.detail} ({error.code})") from error
        found.append((subject.id, comment.strip() or "protected", path.name))
    return found

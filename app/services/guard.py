"""Protected identifiers: the local list of what must never be listed (exchange hot wallets, bridges, token and burn addresses).

Local policy, never federated (schemas §2). A listing that names one is held; a lookup of one answers `protected`.
"""

from __future__ import annotations

from pathlib import Path

from app.domain.answer import is_guard
from app.domain.errors import BadRequest, InvalidAddress
from app.domain.identifiers import read_subject
from app.index.listings import ListingIndex
from app.storage.database import Database


class Guards:
    """The ids under guard, in memory. `own_origin`: guards listed by agencies of this jurisdiction protect, too (rule 3)."""

    def __init__(self, database: Database, index: ListingIndex, *, own_origin: str, file: Path | None) -> None:
        self._database = database
        self._index = index
        self._own_origin = own_origin
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

    def protects(self, subject: str) -> bool:
        """Whether a listing of this id must wait: on the local list, or said to be benign by an agency of this jurisdiction."""
        if subject in self._ids:
            return True
        listed = self._index.find(subject)
        return bool(listed) and any(x.origin == self._own_origin and is_guard(x.item) for x in listed)


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

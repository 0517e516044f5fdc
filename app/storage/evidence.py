"""What was found wrong: entries of peers that are carried inert, and evidence that convinces others (protocol §3.9, schemas §5)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, func, select, tuple_, update

from app.storage.events import clean
from app.storage.peer_tables import evidence, poison
from app.storage.session import Session
from app.storage.sql import Query, Row, insertion_if_absent, one_of

_P, _E = poison.c, evidence.c
_PUT_POISON = insertion_if_absent(poison)
_AFTER = tuple_(_P.origin, _P.idx) > tuple_(bindparam("after"), bindparam("index"))
_POISON = select(poison).where(_AFTER).order_by(_P.origin, _P.idx).limit(bindparam("most"))
_PAGES = {
    (False, False): Query(_POISON),
    (False, True): Query(_POISON.where(_P.reported == 0)),
    (True, False): Query(_POISON.where(_P.origin == bindparam("origin"))),
    (True, True): Query(_POISON.where(_P.origin == bindparam("origin"), _P.reported == 0)),
}
_REPORTED = Query(update(poison).where(_P.origin == bindparam("of"), one_of(_P.idx, "indices")).values(reported=1))
_NOT_POISON = Query(delete(poison).where(_P.origin == bindparam("origin"), one_of(_P.idx, "indices")))
_COUNT = Query(select(func.count()).where(_P.origin == bindparam("origin")))
_PUT = insertion_if_absent(evidence)
_GET = Query(select(evidence).where(_E.sha256 == bindparam("sha256")))
_ALL = Query(select(evidence).order_by(_E.found_ms, _E.sha256))
_LOGGED = Query(update(evidence).where(_E.sha256 == bindparam("which")).values(logged=1))


@dataclass(frozen=True, slots=True)
class PoisonRow:
    """An entry whose hash is in the log and whose contents break a rule; `entry` None where they are not kept."""

    origin: str
    index: int
    reason: str
    entry: bytes | None
    found_ms: int
    reported: bool = False


@dataclass(frozen=True, slots=True)
class EvidenceRow:
    """One document of evidence by the hex SHA-256 of its text; `form`: fork, bad_entry, withheld_head or receipt; `logged` in our log."""

    sha256: str
    form: str
    origin: str
    text: str
    found_ms: int
    logged: bool = False


class EvidenceShelf:
    """Poison and proof."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    async def put_poison(self, rows: Sequence[PoisonRow]) -> None:
        """Keep bad entries; one that is there keeps its first reason."""
        values = [(r.origin, r.index, clean(r.reason), r.entry, r.found_ms, int(r.reported)) for r in rows]
        await self._session.run_many(_PUT_POISON, values)

    async def poison_page(
        self, origin: str | None = None, *, after: tuple[str, int] = ("", -1), limit: int = 100, unreported: bool = False
    ) -> list[PoisonRow]:
        """Bad entries of a log or of all, by place, after (origin, index); `unreported`: only what no evidence names yet."""
        values = {"origin": origin, "after": after[0], "index": after[1], "most": limit}
        rows = await self._session.rows(_PAGES[origin is not None, unreported], **values)
        return [_poison(row) for row in rows]

    async def count_poison(self, origin: str) -> int:
        """How many entries of a log are carried inert."""
        return int((await self._session.rows(_COUNT, origin=origin))[0][0])

    async def drop_poison(self, origin: str, indices: Collection[int]) -> int:
        """These are not bad after all: what they rest on came later than they did. How many were."""
        return await self._session.run(_NOT_POISON, origin=origin, indices=indices) if indices else 0

    async def mark_reported(self, origin: str, indices: Collection[int]) -> None:
        """Evidence names these now."""
        if indices:
            await self._session.run(_REPORTED, of=origin, indices=indices)

    async def put(self, row: EvidenceRow) -> bool:
        """Keep evidence; False if it is known."""
        values = (row.sha256, row.form, row.origin, row.text, row.found_ms, int(row.logged))
        return await self._session.run_many(_PUT, [values]) == 1

    async def get(self, sha256: str) -> EvidenceRow | None:
        """One document."""
        rows = await self._session.rows(_GET, sha256=sha256)
        return _evidence(rows[0]) if rows else None

    async def all(self) -> list[EvidenceRow]:
        """Every document, oldest first."""
        return [_evidence(row) for row in await self._session.rows(_ALL)]

    async def mark_logged(self, sha256: str) -> bool:
        """A statement of ours names it now; False if there is no such document."""
        return await self._session.run(_LOGGED, which=sha256) == 1


def _poison(row: Row) -> PoisonRow:
    origin, index, reason, entry, found_ms, reported = row
    return PoisonRow(origin, index, reason, entry, found_ms, bool(reported))


def _evidence(row: Row) -> EvidenceRow:
    sha256, form, origin, text, found_ms, logged = row
    return EvidenceRow(sha256, form, origin, text, found_ms, bool(logged))

"""The told-index: who was told of which statement about which id, and what he has acknowledged (trust-and-ops §1.5, CP-1). Hits only, ids only."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from app.storage.session import Session
from app.storage.sql import POSTGRESQL, SQLITE, Query, one_of, upsertion
from app.storage.watch_tables import correction_ack, told

_T, _A = told.c, correction_ack.c


def _put() -> Query:
    """The first time stays."""
    return Query(
        {
            dialect: (statement := insert(told)).on_conflict_do_update(
                index_elements=[_T.owner, _T.origin, _T.sid, _T.subject],
                set_={"word": statement.excluded.word, "last_ms": statement.excluded.last_ms},
            )
            for dialect, insert in ((SQLITE, sqlite_insert), (POSTGRESQL, postgresql_insert))
        }
    )


_PUT = _put()
_OF = Query(select(told).where(one_of(_T.sid, "sids")))
_SET = Query(
    update(told)
    .where(_T.owner == bindparam("who"), _T.origin == bindparam("of"), _T.sid == bindparam("which"), _T.subject == bindparam("what"))
    .values(word=bindparam("now"))
)
_FORGET = Query(delete(told).where(_T.last_ms < bindparam("before")))
_ACK = upsertion(correction_ack)
_ACKED = Query(select(_A.seq).where(_A.owner == bindparam("owner")))


class Told(NamedTuple):
    """One client was told of one statement about one id. `word`: what he knows of it now."""

    owner: str
    origin: str
    sid: str
    subject: str
    word: str
    first_ms: int
    last_ms: int


class ToldShelf:
    """Who was told what."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    async def put(self, rows: Iterable[Told]) -> None:
        """Note what is about to be told."""
        await self._session.run_many(_PUT, list(rows))

    async def of(self, sids: Collection[str]) -> list[Told]:
        """Everybody who was told of one of these statements."""
        return [Told(*row) for row in await self._session.rows(_OF, sids=sids)] if sids else []

    async def set_word(self, one: Told, word: str) -> None:
        """What this client knows of it from now on."""
        await self._session.run(_SET, who=one.owner, of=one.origin, which=one.sid, what=one.subject, now=word)

    async def forget(self, before_ms: int) -> int:
        """Drop what was last told before a moment; how many."""
        return await self._session.run(_FORGET, before=before_ms)

    async def acknowledge(self, owner: str, seq: int, now_ms: int) -> None:
        """A client has acted on his corrections up to this event."""
        await self._session.run_many(_ACK, [(owner, seq, now_ms)])

    async def acknowledged(self, owner: str) -> int:
        """Up to which event a client has; 0 for none."""
        rows = await self._session.rows(_ACKED, owner=owner)
        return int(rows[0][0]) if rows else 0

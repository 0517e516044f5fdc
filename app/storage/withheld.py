"""Which entries of mirrors are held as a hash only, or without some of their parts: what to ask for again (protocol §3.7, healing)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, func, select

from app.storage.peer_tables import withheld
from app.storage.session import Session
from app.storage.sql import Query, one_of, upsertion

STUB, PARTS = "stub", "parts"

_W = withheld.c
_PUT = upsertion(withheld)
_DROP = Query(delete(withheld).where(_W.origin == bindparam("origin"), one_of(_W.idx, "indices")))
_ASKED = Query(withheld.update().where(_W.origin == bindparam("of"), one_of(_W.idx, "indices")).values(asked_ms=bindparam("ms")))
_PAGE = Query(
    select(withheld)
    .where(_W.origin == bindparam("origin"), _W.what == bindparam("what"), _W.asked_ms < bindparam("before"))
    .order_by(_W.asked_ms, _W.idx)
    .limit(bindparam("most"))
)
_BETWEEN = Query(
    select(withheld).where(_W.origin == bindparam("origin"), _W.idx >= bindparam("first"), _W.idx < bindparam("last")).order_by(_W.idx)
)
_COUNT = Query(select(_W.what, func.count()).where(_W.origin == bindparam("origin")).group_by(_W.what))


@dataclass(frozen=True, slots=True)
class WithheldRow:
    """An entry that is not held in full. `what`: `stub` (only its hash) or `parts`; `asked_ms`: when it was last asked for."""

    origin: str
    index: int
    what: str
    asked_ms: int


class WithheldShelf:
    """What is missing, by place."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    async def put_many(self, rows: Sequence[WithheldRow]) -> None:
        """Say what is missing; a place that is there gets the new words (a stub came without its parts, say)."""
        await self._session.run_many(_PUT, [(r.origin, r.index, r.what, r.asked_ms) for r in rows])

    async def drop(self, origin: str, indices: Collection[int]) -> int:
        """Nothing is missing there any more; how many places that were."""
        return await self._session.run(_DROP, origin=origin, indices=indices) if indices else 0

    async def asked(self, origin: str, indices: Collection[int], ms: int) -> None:
        """These were asked for just now, in vain or not: others come first next time."""
        if indices:
            await self._session.run(_ASKED, of=origin, indices=indices, ms=ms)

    async def page(self, origin: str, what: str, limit: int, before_ms: int) -> list[WithheldRow]:
        """Up to `limit` places where `what` is missing that were not asked for since a moment, the longest waiting first."""
        rows = await self._session.rows(_PAGE, origin=origin, what=what, most=limit, before=before_ms)
        return [WithheldRow(*row) for row in rows]

    async def between(self, origin: str, first: int, last: int) -> list[WithheldRow]:
        """What is missing in [first, last), in order."""
        return [WithheldRow(*row) for row in await self._session.rows(_BETWEEN, origin=origin, first=first, last=last)]

    async def counts(self, origin: str) -> dict[str, int]:
        """How many places lack what."""
        return dict(await self._session.rows(_COUNT, origin=origin))

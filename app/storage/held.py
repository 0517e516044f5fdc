"""Statements kept outside the log until somebody else of the same issuer approves them (schemas §2, `held`)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import orjson
from sqlalchemy import bindparam, delete, func, select, tuple_

from app.domain.labels import Label
from app.storage.events import pack_label, unpack_label
from app.storage.session import Session
from app.storage.sql import Query, Row, insertion_if_absent, one_of
from app.storage.tables import held

_H = held.c
_PUT = insertion_if_absent(held)
_GET = Query(select(held).where(one_of(_H.sid, "sids")))
_AFTER = tuple_(_H.received_ms, _H.sid) > tuple_(bindparam("ms"), bindparam("after"))
_PAGE = select(held).where(_AFTER).order_by(_H.received_ms, _H.sid).limit(bindparam("limit"))
_PAGES = {False: Query(_PAGE), True: Query(_PAGE.where(_H.issuer == bindparam("issuer")))}
_OLD = Query(select(held).where(_H.received_ms < bindparam("before")).order_by(_H.received_ms, _H.sid))
_COUNT = Query(select(func.count()).where(_H.issuer == bindparam("issuer"), _H.received_ms >= bindparam("since")))
_DROP = Query(delete(held).where(one_of(_H.sid, "sids")))


@dataclass(frozen=True, slots=True)
class Held:
    """A statement that waits: `wire` byte for byte as sent, `reason` protected or four_eyes."""

    sid: str
    wire: str
    issuer: str
    kid: str
    kind: str
    label: Label
    reason: str
    received_ms: int


class HeldShelf:
    """What waits for a second key."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    async def put(self, one: Held) -> None:
        """Keep a statement; one that waits already keeps its first time of receipt."""
        await self._session.run_many(_PUT, [_row(one)])

    async def get(self, sid: str) -> Held | None:
        """One that waits."""
        return (await self.find([sid])).get(sid)

    async def find(self, sids: Collection[str]) -> dict[str, Held]:
        """Which of `sids` wait."""
        return {row[0]: _held(row) for row in await self._session.rows(_GET, sids=sids)} if sids else {}

    async def page(self, issuer: str | None = None, *, after: tuple[int, str] = (-1, ""), limit: int = 100) -> list[Held]:
        """Those of an issuer (or of all), oldest first; `after`: (received_ms, sid) of the last one seen."""
        ms, sid = after
        rows = await self._session.rows(_PAGES[issuer is not None], ms=ms, after=sid, limit=limit, issuer=issuer)
        return [_held(row) for row in rows]

    async def older_than(self, before_ms: int) -> list[Held]:
        """Those received before a moment: to be dropped, with notice."""
        return [_held(row) for row in await self._session.rows(_OLD, before=before_ms)]

    async def count_since(self, issuer: str, since_ms: int) -> int:
        """How many of an issuer's statements wait that were received since a moment (for its quota)."""
        return int((await self._session.rows(_COUNT, issuer=issuer, since=since_ms))[0][0])

    async def drop(self, *sids: str) -> int:
        """Forget statements; the number that were there."""
        return await self._session.run(_DROP, sids=sids) if sids else 0


def _row(one: Held) -> Row:
    label = orjson.dumps(pack_label(one.label))
    return one.sid, one.wire, one.issuer, one.kid, str(one.kind), label, str(one.reason), one.received_ms


def _held(row: Row) -> Held:
    sid, wire, issuer, kid, kind, label, reason, received_ms = row
    return Held(sid, wire, issuer, kid, kind, unpack_label(orjson.loads(label)), reason, received_ms)

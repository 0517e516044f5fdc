"""What views are built from: of each item in force the few columns that decide over it, in pages by place, or of some ids.

Nothing is parsed and no listing is put together: a million rows are read in little more than the time of their fetching. What these
columns cannot say is `is_odd`: somebody disputes the statement, or its end stands nowhere. Such an id is read whole
(`SubjectShelf.listings`).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple, cast

from sqlalchemy import and_, bindparam, case, exists, func, or_, select, tuple_

from app.domain.claims import Kind
from app.domain.folding import State
from app.domain.reach import CLEAR, GREEN
from app.storage.holding import HELD
from app.storage.listing_rows import JOINED
from app.storage.peer_tables import dormant, mirror
from app.storage.session import Session
from app.storage.sql import Query, in_words, one_of
from app.storage.tables import edge, item, statement

NO_EMBARGO = -1
SEVERITY, FLAGS, IS_GREEN, IS_ODD = 1 << 8, 1 << 16, 1 << 24, 1 << 25
"""What the parts of `ViewedRow.glance` are multiplied with; below them stands the category."""

_I, _S, _E = item.c, statement.c, edge.c
_by = statement.alias("disputing")
_NAMES_IT = and_(_E.target == _S.sid, _by.c.origin == _E.origin, _by.c.idx == _E.idx, _by.c.kind == Kind.DISPUTE.value)
_IS_ODD = or_(_S.until_s.is_(None), exists().where(_NAMES_IT))
_OF_ITEM = _I.category + (_I.severity * SEVERITY) + (_I.flags * FLAGS)
_OF_STATEMENT = case((_S.reach == GREEN, IS_GREEN), else_=0) + case((_IS_ODD, IS_ODD), else_=0)
_EMBARGO, _UNTIL = func.coalesce(_I.embargo_ms, NO_EMBARGO), func.coalesce(_S.until_s, 0)
_IN_FORCE = (
    _S.state == State.ACTIVE.value,
    in_words(_S.reach, (CLEAR, GREEN)),
    or_(_S.until_s > bindparam("now"), _S.until_s.is_(None)),
)
_STRETCH = (_S.origin == bindparam("origin"), _S.idx >= bindparam("first"), _S.idx <= bindparam("last"))
# What is HELD of a stretch of one log, asked once and not with every row.
_DORMANT = select(dormant.c.idx).where(
    dormant.c.origin == bindparam("origin"), dormant.c.idx >= bindparam("first"), dormant.c.idx <= bindparam("last")
)
_COUNTS = (~exists().where(mirror.c.origin == bindparam("origin"), mirror.c.quarantined == 1), _S.idx.not_in(_DORMANT))
_NEXT = (_I.origin == bindparam("origin"), tuple_(_I.idx, _I.number) > tuple_(bindparam("index"), bindparam("number")))
# Two queries: a statement with many items is not read with each of them.
_ITEMS = Query(select(_I.idx, _I.number, _I.subject, _EMBARGO, _OF_ITEM).where(*_NEXT).order_by(_I.idx, _I.number).limit(bindparam("page")))
_STATEMENTS = Query(select(_S.idx, _S.sid, _S.accepted_ms, _UNTIL, _OF_STATEMENT).where(*_STRETCH, *_IN_FORCE, *_COUNTS).order_by(_S.idx))
_OF_IDS = Query(
    select(_I.origin, _I.idx, _I.subject, _S.sid, _EMBARGO, _S.accepted_ms, _UNTIL, _OF_ITEM + _OF_STATEMENT)
    .select_from(JOINED)
    .where(one_of(_I.subject, "ids"), *_IN_FORCE, ~HELD)
)
_IDS_AT = Query(select(_I.subject).where(_I.origin == bindparam("origin"), one_of(_I.idx, "indices")).distinct())


class ViewedItem(NamedTuple):
    """An item of any statement. `glance`: its small numbers in one, by the constants above."""

    index: int  # type: ignore[assignment]  # it hides tuple.index, which nobody asks of a row
    number: int
    subject: str
    embargo_ms: int
    glance: int


class ViewedStatement(NamedTuple):
    """A listing in force that some tier may show; `glance` adds to that of its items."""

    index: int  # type: ignore[assignment]  # it hides tuple.index, which nobody asks of a row
    sid: str
    accepted_ms: int
    until_s: int
    glance: int


class ViewedRow(NamedTuple):
    """An item with its statement."""

    origin: str
    index: int  # type: ignore[assignment]  # it hides tuple.index, which nobody asks of a row
    subject: str
    sid: str
    embargo_ms: int
    accepted_ms: int
    until_s: int
    glance: int


class ViewedShelf:
    """Items as views see them. `now_s`: what ended before is left out. Plain tuples in fact, as a million of them are made."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    async def page(self, origin: str, after: tuple[int, int], now_s: int, *, page: int) -> tuple[list[ViewedItem], list[ViewedStatement]]:
        """The next items of a log after one (index, number), whatever has become of them; and those of their statements that are in force.

        Fewer items than `page`: these are the last.
        """
        index, number = after
        items = await self._session.rows(_ITEMS, origin=origin, index=index, number=number, page=page)
        if not items:
            return [], []
        statements = await self._session.rows(_STATEMENTS, origin=origin, first=items[0][0], last=items[-1][0], now=now_s)
        return cast("list[ViewedItem]", items), cast("list[ViewedStatement]", statements)

    async def of_ids(self, ids: Collection[str], now_s: int) -> list[ViewedRow]:
        """The items in force that name one of the ids."""
        return cast("list[ViewedRow]", await self._session.rows(_OF_IDS, now=now_s, ids=ids)) if ids else []

    async def ids_at(self, origin: str, indices: Collection[int]) -> list[str]:
        """The ids that statements at these places of a log name in their items."""
        return [subject for (subject,) in await self._session.rows(_IDS_AT, origin=origin, indices=indices)] if indices else []

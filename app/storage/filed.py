"""What the index file is filled from, and what a lookup reads when that file says "look": live listings and links by id, kin by key.

Live: the fold says `active`. For filing whatever else is so counts too; what is told leaves out what does not count here (`holding`).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import ColumnElement, bindparam, func, literal, literal_column, or_, select, union_all

from app.domain.answer import Link, Listing
from app.domain.folding import State
from app.domain.glance import GUARD
from app.storage.holding import HELD
from app.storage.listing_rows import LINKS, LISTINGS, read_link
from app.storage.session import Session
from app.storage.sql import POSTGRESQL, SQLITE, Query, one_of
from app.storage.subjects import read_listings
from app.storage.tables import item, kin, link, statement

_I, _L, _K, _S = item.c, link.c, kin.c, statement.c
_OF_ITEM = (_S.origin == _I.origin) & (_S.idx == _I.idx)
_OF_LINK = (_S.origin == _L.origin) & (_S.idx == _L.idx)
_IS_ACTIVE = _S.state == State.ACTIVE.value
_IS_LIVE = _IS_ACTIVE & ~HELD
_IN_ORDER = (_S.accepted_ms, _I.origin, _I.idx, _I.number)
_LIVE = Query(LISTINGS.where(one_of(_I.subject, "ids"), _IS_LIVE).order_by(*_IN_ORDER))
_LIVE_OF_ONE = Query(LISTINGS.where(_I.subject == bindparam("id"), _IS_LIVE).order_by(*_IN_ORDER))
# Here and for the ids of statements the log is not asked for: given one, SQLite would walk all of its items.
_GUARDED = Query(
    select(_I.origin, _I.subject)
    .select_from(item.join(statement, _OF_ITEM))
    .where(one_of(_I.subject, "ids"), _I.flags.bitwise_and(literal(GUARD)) != 0, _IS_LIVE)
)
_LINKS_ORDER = (_S.accepted_ms, _L.origin, _L.idx, _L.number)
_LINKS = Query(LINKS.where(or_(one_of(_L.from_id, "ids"), one_of(_L.to_id, "ids")), _IS_LIVE).order_by(*_LINKS_ORDER))
_LINKS_OF_ONE = Query(LINKS.where(or_(_L.from_id == bindparam("id"), _L.to_id == bindparam("id")), _IS_LIVE).order_by(*_LINKS_ORDER))
_KIN = Query(
    select(_K.key, _I.subject)
    .select_from(kin.join(item, (_K.origin == _I.origin) & (_K.idx == _I.idx) & (_K.number == _I.number)).join(statement, _OF_ITEM))
    .where(one_of(_K.key, "keys"), _IS_LIVE)
    .distinct()
    .order_by(_I.subject)
)
_STRETCH = (
    _S.origin == bindparam("origin"),
    _S.idx >= bindparam("first"),
    _S.idx < bindparam("last"),
    _IS_ACTIVE,
    _S.reach.is_not(None),
)
# Written out: of a function of SQLite's nobody knows that it says the same for each row.
_LINE_FEED: ColumnElement[str] = literal_column("'\n'")
# Not joined: SQLite would look through all items of the stretch for each statement in it.
_REACH = Query(select(_S.idx, _S.reach).where(*_STRETCH))
_IN_ITEMS = (_I.origin == bindparam("origin"), _I.idx >= bindparam("first"), _I.idx < bindparam("last"))
_TEXTS = Query(
    {
        dialect: select(_I.idx, joined(_I.subject, _LINE_FEED)).where(*_IN_ITEMS).group_by(_I.origin, _I.idx)
        for dialect, joined in ((SQLITE, func.group_concat), (POSTGRESQL, func.string_agg))
    }
)
_ENDS = Query(select(_S.reach, _L.from_id, _L.to_id).select_from(statement.join(link, _OF_LINK)).where(*_STRETCH))
_PLACES = Query(select(_I.idx, _I.number, _I.subject).where(*_IN_ITEMS))
_AT = Query(select(_I.subject).where(_I.origin == bindparam("origin"), _I.idx == bindparam("index"), _I.number == bindparam("number")))
_BY_SID = one_of(_S.sid, "sids")
_NAMED = (_S.origin, _S.reach, _S.state)
_OF_SIDS = Query(
    union_all(
        select(*_NAMED, _I.subject).select_from(statement.join(item, _OF_ITEM)).where(_BY_SID),
        select(*_NAMED, _L.from_id).select_from(statement.join(link, _OF_LINK)).where(_BY_SID),
        select(*_NAMED, _L.to_id).select_from(statement.join(link, _OF_LINK)).where(_BY_SID),
    )
)


class Filed(NamedTuple):
    """An id that a statement names. `reach`: the column; `is_live`: whether it is to be found."""

    reach: str
    is_live: bool
    id: str


class FiledShelf:
    """Ids as the index asks for them."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    async def texts(self, origin: str, first: int, last: int) -> list[tuple[str, str]]:
        """(reach, ids parted by line feeds) of live listings and links in a stretch of a log; an id may come more than once."""
        where = {"origin": origin, "first": first, "last": last}
        reach_at: dict[int, str] = dict(await self._session.rows(_REACH, **where))
        found = [(reach_at[index], text) for index, text in await self._session.rows(_TEXTS, **where) if index in reach_at]
        return found + [(reach, f"{one}\n{other}") for reach, one, other in await self._session.rows(_ENDS, **where)]

    async def places(self, origin: str, first: int, last: int) -> list[tuple[int, int, str]]:
        """(index, number, id) of the items in a stretch of a log, whatever has become of them."""
        return [(index, number, id_) for index, number, id_ in await self._session.rows(_PLACES, origin=origin, first=first, last=last)]

    async def ids_at(self, places: Collection[tuple[str, int, int]]) -> list[str]:
        """The ids at (origin, index, number), one query each: for a few hundred."""
        found = [await self._session.rows(_AT, origin=origin, index=index, number=number) for origin, index, number in places]
        return [id_ for rows in found for (id_,) in rows]

    async def of_sids(self, origin: str, sids: Collection[str]) -> list[Filed]:
        """Every id that statements of a log name: as an item, or as the end of a link."""
        if not sids:
            return []
        rows = await self._session.rows(_OF_SIDS, sids=sids)
        return [Filed(reach, state == State.ACTIVE, id_) for where, reach, state, id_ in rows if where == origin and reach is not None]

    async def listings(self, ids: Collection[str]) -> list[Listing]:
        """The live listings of ids, oldest first."""
        if len(ids) == 1:
            (one,) = ids
            return await read_listings(self._session, await self._session.rows(_LIVE_OF_ONE, id=one))
        return await read_listings(self._session, await self._session.rows(_LIVE, ids=ids)) if ids else []

    async def guarded(self, origin: str, ids: Collection[str]) -> frozenset[str]:
        """Those ids of which a live listing in the log `origin` says that they must not be blocked."""
        rows = await self._session.rows(_GUARDED, ids=ids) if ids else ()
        return frozenset(id_ for where, id_ in rows if where == origin)

    async def links(self, ids: Collection[str]) -> list[Link]:
        """The live links from or to any of the ids, oldest first."""
        if len(ids) == 1:
            (one,) = ids
            return [read_link(row) for row in await self._session.rows(_LINKS_OF_ONE, id=one)]
        return [read_link(row) for row in await self._session.rows(_LINKS, ids=ids)] if ids else []

    async def kin(self, keys: Collection[str]) -> list[tuple[str, str]]:
        """(key in hex, id) of the listed wallets that are kept under these keys."""
        return [(key, subject) for key, subject in await self._session.rows(_KIN, keys=keys)] if keys else []

"""Watchlists: ids and buckets that somebody watches, and how a change finds them (schemas §4.5)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import bindparam, delete, func, select, update

from app.storage.session import Session
from app.storage.sql import Query, insertion, insertion_if_absent, one_of, upsertion
from app.storage.watch_tables import watch_counter, watch_item, watch_key, watch_sent, watchlist

_L, _I, _K, _S, _C = watchlist.c, watch_item.c, watch_key.c, watch_sent.c, watch_counter.c
_TURN = "watchers"
_PUT = insertion(watchlist)
_RENAME = Query(update(watchlist).where(_L.id == bindparam("which")).values(name=bindparam("called")))
_GET = Query(select(watchlist).where(_L.id == bindparam("id")))
_OF_OWNER = Query(select(watchlist).where(_L.owner == bindparam("owner")).order_by(_L.created_ms, _L.id))
_COUNT = Query(select(func.count()).select_from(watch_item.join(watchlist, _L.id == _I.watchlist)).where(_L.owner == bindparam("owner")))
_PUT_ITEM = upsertion(watch_item, kept=("since",))
_ADD_KEY = insertion_if_absent(watch_key)
_ITEMS = Query(
    select(_I.watched, _I.reference)
    .where(_I.watchlist == bindparam("of"), _I.watched > bindparam("after"))
    .order_by(_I.watched)
    .limit(bindparam("most"))
)
_WATCHERS = Query(
    select(_K.key, _K.watchlist, _K.watched, _L.owner, _I.reference, func.coalesce(_I.since, 0))
    .select_from(
        watch_key.join(watchlist, _L.id == _K.watchlist).join(watch_item, (_I.watchlist == _K.watchlist) & (_I.watched == _K.watched))
    )
    .where(one_of(_K.key, "keys"))
)
_ANY = Query(select(_L.id).limit(1))
_DROP = tuple(
    Query(delete(table).where(table.c.watchlist == bindparam("of"), one_of(table.c.watched, "gone")))
    for table in (watch_item, watch_key, watch_sent)
)
_END = (
    *(Query(delete(table).where(table.c.watchlist == bindparam("of"))) for table in (watch_item, watch_key, watch_sent)),
    Query(delete(watchlist).where(_L.id == bindparam("of"))),
)
_START_COUNTER = upsertion(watch_counter)
_BUMP = Query(update(watch_counter).where(_C.name == bindparam("which")).values(value=_C.value + 1))


@dataclass(frozen=True, slots=True)
class Watchlist:
    """One list; `owner` is `<member>/<tier>`."""

    id: str
    owner: str
    name: str
    created_ms: int


class Watched(NamedTuple):
    """One thing that is watched: the id of a wallet or indicator, or a bucket of four hex digits."""

    watched: str
    reference: str | None = None


class Watcher(NamedTuple):
    """Somebody whom a key of a change concerns; those up to number `since` were before he began."""

    key: str
    watchlist: str
    watched: str
    owner: str
    reference: str | None
    since: int = 0


class WatchShelf:
    """Watchlists and their items."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    async def take_turn(self) -> None:
        """Before watchlists are changed, or changes are matched with them: one after the other, or a change could fall between."""
        if await self._session.run(_BUMP, which=_TURN) == 0:
            await self._session.run_many(_START_COUNTER, [(_TURN, 1)])

    async def put(self, one: Watchlist) -> None:
        """Keep a new list."""
        await self._session.run_many(_PUT, [(one.id, one.owner, one.name, one.created_ms)])

    async def rename(self, list_id: str, name: str) -> None:
        """Give a list another name."""
        await self._session.run(_RENAME, which=list_id, called=name)

    async def get(self, list_id: str) -> Watchlist | None:
        """A list by its id."""
        rows = await self._session.rows(_GET, id=list_id)
        return Watchlist(*rows[0]) if rows else None

    async def of_owner(self, owner: str) -> list[Watchlist]:
        """The lists of an owner, oldest first."""
        return [Watchlist(*row) for row in await self._session.rows(_OF_OWNER, owner=owner)]

    async def count(self, owner: str) -> int:
        """How many items an owner watches, in all lists."""
        rows = await self._session.rows(_COUNT, owner=owner)
        return int(rows[0][0])

    async def add(self, list_id: str, items: Iterable[Watched], keys: Iterable[tuple[str, str]], *, since: int = 0) -> None:
        """Put items into a list, or change their reference. `keys`: (key, watched), by which changes find them; `since`: the newest change
        that is none for those who were not there yet (`OutboxShelf.last_change`).
        """
        await self._session.run_many(_PUT_ITEM, [(list_id, *item, since) for item in items])
        await self._session.run_many(_ADD_KEY, [(key, list_id, watched) for key, watched in keys])

    async def remove(self, list_id: str, gone: Collection[str]) -> None:
        """Take items out of a list."""
        for query in _DROP:
            await self._session.run(query, of=list_id, gone=gone)

    async def end(self, list_id: str) -> None:
        """Drop a list with all that is in it."""
        for query in _END:
            await self._session.run(query, of=list_id)

    async def items(self, list_id: str, *, after: str = "", limit: int = 1_000) -> list[Watched]:
        """The items of a list in the order of what is watched."""
        return [Watched(*row) for row in await self._session.rows(_ITEMS, of=list_id, after=after, most=limit)]

    async def watchers(self, keys: Collection[str]) -> list[Watcher]:
        """Everybody who watches one of the keys."""
        return [Watcher(*row) for row in await self._session.rows(_WATCHERS, keys=keys)] if keys else []

    async def is_anybody_watching(self) -> bool:
        """Whether there is any list."""
        return bool(await self._session.rows(_ANY))

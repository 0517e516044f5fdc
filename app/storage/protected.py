"""Protected identifiers: exchange hot wallets, bridges, token contracts, burn addresses, and what local guards add (protocol §3.5)."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from sqlalchemy import bindparam, delete, select

from app.storage.session import Session
from app.storage.sql import Query, one_of, upsertion
from app.storage.tables import protected

_P = protected.c
_PUT = upsertion(protected)
_CONTAINS = Query(select(_P.id).distinct().where(one_of(_P.id, "ids")))
_ALL = Query(select(_P.id, _P.reason, _P.source).order_by(_P.id, _P.source))
_REMOVE = Query(delete(protected).where(one_of(_P.id, "ids")))
_REMOVE_OF = Query(delete(protected).where(one_of(_P.id, "ids"), _P.source == bindparam("source")))


class ProtectedShelf:
    """Ids that must never be listed here. An id may be protected by several sources; it is as long as one of them says so."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    async def add(self, rows: Iterable[tuple[str, str, str]]) -> None:
        """Protect ids: (id, reason, source)."""
        await self._session.run_many(_PUT, [(id_, source, reason) for id_, reason, source in rows])

    async def remove(self, ids: Collection[str], *, source: str | None = None) -> int:
        """No longer protect ids, by one source or by any; the number of entries taken out."""
        if not ids:
            return 0
        if source is None:
            return await self._session.run(_REMOVE, ids=ids)
        return await self._session.run(_REMOVE_OF, ids=ids, source=source)

    async def contains(self, ids: Collection[str]) -> set[str]:
        """Which of `ids` are protected."""
        return {id_ for (id_,) in await self._session.rows(_CONTAINS, ids=ids)} if ids else set()

    async def all(self) -> list[tuple[str, str, str]]:
        """Every entry as (id, reason, source), sorted."""
        return [(id_, reason, source) for id_, reason, source in await self._session.rows(_ALL)]

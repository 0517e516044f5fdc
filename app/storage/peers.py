"""The peers: nodes of other jurisdictions that a human has pinned by the hash of their first root document (protocol §3.2)."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from app.storage.peer_tables import peer
from app.storage.session import Session
from app.storage.sql import POSTGRESQL, SQLITE, Query, Row

_P = peer.c


def _put() -> Query:
    """A peer that is there keeps its pin, its jurisdiction and its day: only where it is and whether it rests may change."""
    return Query(
        {
            dialect: (statement := insert(peer)).on_conflict_do_update(
                index_elements=[_P.node],
                set_={"url": statement.excluded.url, "paused": statement.excluded.paused},
                where=(_P.pin == statement.excluded.pin) & (_P.jurisdiction == statement.excluded.jurisdiction),
            )
            for dialect, insert in ((SQLITE, sqlite_insert), (POSTGRESQL, postgresql_insert))
        }
    )


_PUT = _put()
_GET = Query(select(peer).where(_P.node == bindparam("node")))
_BY_JURISDICTION = Query(select(peer).where(_P.jurisdiction == bindparam("jurisdiction")))
_ALL = Query(select(peer).order_by(_P.node))
_PAUSE = Query(update(peer).where(_P.node == bindparam("which")).values(paused=bindparam("rests")))
_REMOVE = Query(delete(peer).where(_P.node == bindparam("node")))


@dataclass(frozen=True, slots=True)
class PeerRow:
    """One peer. `pin`: hex SHA-256 of its root document 1; `paused`: kept, and not asked."""

    node: str
    jurisdiction: str
    url: str
    pin: str
    paused: bool = False
    added_ms: int = 0


class PeerShelf:
    """Whom this node follows."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    async def put(self, row: PeerRow) -> bool:
        """Keep a peer, or change the url and the pause of one; False, and nothing kept, if it is there with another pin or jurisdiction.

        A second node of one jurisdiction is a LostRace: ask `by_jurisdiction` first.
        """
        values = (row.node, row.jurisdiction, row.url, row.pin, int(row.paused), row.added_ms)
        return await self._session.run_many(_PUT, [values]) == 1

    async def get(self, node: str) -> PeerRow | None:
        """A peer by the id of its node."""
        rows = await self._session.rows(_GET, node=node)
        return _peer(rows[0]) if rows else None

    async def by_jurisdiction(self, jurisdiction: str) -> PeerRow | None:
        """The peer of a jurisdiction."""
        rows = await self._session.rows(_BY_JURISDICTION, jurisdiction=jurisdiction)
        return _peer(rows[0]) if rows else None

    async def all(self) -> list[PeerRow]:
        """Every peer, by node."""
        return [_peer(row) for row in await self._session.rows(_ALL)]

    async def set_paused(self, node: str, paused: bool) -> bool:
        """Let a peer rest, or go on with it; False if there is no such peer."""
        return await self._session.run(_PAUSE, which=node, rests=int(paused)) == 1

    async def remove(self, node: str) -> bool:
        """Forget a peer; its mirrors are another shelf's. False if there was none."""
        return await self._session.run(_REMOVE, node=node) == 1


def _peer(row: Row) -> PeerRow:
    node, jurisdiction, url, pin, paused, added_ms = row
    return PeerRow(node, jurisdiction, url, pin, bool(paused), added_ms)

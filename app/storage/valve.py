"""The valve of each origin: how many items came into force in which hour, and which listings wait behind it (protocol §4)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, func, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from app.storage.peer_tables import dormant, valve
from app.storage.session import Session
from app.storage.sql import POSTGRESQL, SQLITE, Query, insertion_if_absent, one_of
from app.storage.tables import statement as stated

_D, _V = dormant.c, valve.c
_PUT = insertion_if_absent(dormant)
_OF = _D.origin == bindparam("origin")
_RELEASE = Query(delete(dormant).where(_OF, one_of(_D.idx, "indices")))
_RELEASE_ALL = Query(delete(dormant).where(_OF))
_COUNT = Query(select(func.count()).where(_OF))
_PAGE = Query(select(dormant).where(_OF, _D.idx > bindparam("after")).order_by(_D.idx).limit(bindparam("most")))
_COME = Query(
    select(_D.origin, _D.idx)
    .join(stated, (stated.c.origin == _D.origin) & (stated.c.idx == _D.idx))
    .where(_D.reason == bindparam("reason"), stated.c.accepted_ms <= bindparam("until"))
    .order_by(_D.origin, _D.idx)
    .limit(bindparam("most"))
)
_WHICH = Query(select(_D.idx).where(_OF, one_of(_D.idx, "indices")))
_ADDED = Query(select(func.coalesce(func.sum(_V.added), 0)).where(_V.origin == bindparam("origin"), _V.hour >= bindparam("since")))
_ADD = Query(
    {
        dialect: (statement := insert(valve)).on_conflict_do_update(
            index_elements=[_V.origin, _V.hour], set_={"added": _V.added + statement.excluded.added}
        )
        for dialect, insert in ((SQLITE, sqlite_insert), (POSTGRESQL, postgresql_insert))
    }
)


@dataclass(frozen=True, slots=True)
class DormantRow:
    """A listing that is mirrored and does not count yet; `reason`: which limit it met."""

    origin: str
    index: int
    reason: str
    since_ms: int


class ValveShelf:
    """What was let in, and what waits."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    async def put(self, rows: Sequence[DormantRow]) -> None:
        """Let listings wait; one that waits already keeps its first day and reason."""
        await self._session.run_many(_PUT, [(r.origin, r.index, r.reason, r.since_ms) for r in rows])

    async def release(self, origin: str, indices: Collection[int] | None = None) -> int:
        """Let the named listings count, or all of a log; how many waited. What counts them is `add`."""
        if indices is None:
            return await self._session.run(_RELEASE_ALL, origin=origin)
        return await self._session.run(_RELEASE, origin=origin, indices=indices) if indices else 0

    async def count(self, origin: str) -> int:
        """How many listings of a log wait."""
        return int((await self._session.rows(_COUNT, origin=origin))[0][0])

    async def page(self, origin: str, *, after: int = -1, limit: int = 1000) -> list[DormantRow]:
        """Listings of a log that wait, by index, beyond `after`."""
        return [DormantRow(*row) for row in await self._session.rows(_PAGE, origin=origin, after=after, most=limit)]

    async def come(self, reason: str, until_ms: int, *, limit: int = 1000) -> dict[str, list[int]]:
        """What waits for this reason although its log accepted it by `until_ms`: indices, upwards, by origin."""
        found: dict[str, list[int]] = {}
        for origin, index in await self._session.rows(_COME, reason=reason, until=until_ms, most=limit):
            found.setdefault(origin, []).append(index)
        return found

    async def waiting(self, origin: str, indices: Collection[int]) -> set[int]:
        """Which of the indices wait."""
        return {index for (index,) in await self._session.rows(_WHICH, origin=origin, indices=indices)} if indices else set()

    async def added(self, origin: str, since_hour: int) -> int:
        """How many items came into force from an hour on (hours since 1970)."""
        return int((await self._session.rows(_ADDED, origin=origin, since=since_hour))[0][0])

    async def add(self, origin: str, hour: int, n: int) -> None:
        """Count items that come into force; others that count at the same time are not lost."""
        await self._session.run_many(_ADD, [(origin, hour, n)])

    async def total(self, origin: str) -> int:
        """How many items of a log ever came into force."""
        return await self.added(origin, 0)

"""The outbox: what changed, the events made of it, and what each watcher knows (schemas §4.5).

Numbers come from a row that is locked from then to the end of the transaction: whoever reads `seq` up to n has seen everything up to
n, on either engine. A change is taken out in the transaction that writes its events: after a crash both are there, or neither.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import bindparam, delete, func, literal_column, select, update

from app.storage.session import Session
from app.storage.sql import Query, insertion_if_absent, one_of, upsertion
from app.storage.watch_tables import correction_ack, watch_change, watch_counter, watch_due, watch_event, watch_sent

_H, _D, _E, _S, _C = watch_change.c, watch_due.c, watch_event.c, watch_sent.c, watch_counter.c
_CHANGES = "changes"
_OF_EVENTS = "events of "
_MORE = Query(update(watch_counter).where(_C.name == bindparam("which")).values(value=_C.value + bindparam("more")))
_START = insertion_if_absent(watch_counter)
_VALUE = Query(select(_C.value).where(_C.name == bindparam("which")))
_MOVED = Query(select(watch_change).where(_H.before != literal_column("''")).order_by(_H.seq).limit(bindparam("most")))
_PAGE = Query(select(watch_change).order_by(_H.seq).limit(bindparam("most")))
_SAME = Query(select(watch_change).where(one_of(_H.sid, "sids")).order_by(_H.seq))
_DROP = Query(delete(watch_change).where(one_of(_H.seq, "seqs")))
_PUT_DUE = insertion_if_absent(watch_due)
_DUE = Query(
    select(watch_due).where(_D.due_ms <= bindparam("now")).order_by(_D.due_ms, _D.origin, _D.sid, _D.before).limit(bindparam("most"))
)
_DROP_DUE = Query(
    delete(watch_due).where(
        _D.due_ms == bindparam("at"), _D.origin == bindparam("of"), _D.sid == bindparam("which"), _D.before == bindparam("was")
    )
)
_AFTER = select(_E.seq, _E.at_ms, _E.type, _E.urgent, _E.watchlist, _E.data).where(_E.owner == bindparam("owner"))
_EVENTS = Query(_AFTER.where(_E.seq > bindparam("after")).order_by(_E.seq).limit(bindparam("most")))
_URGENT = Query(_AFTER.where(_E.urgent == 1, _E.seq > bindparam("after")).order_by(_E.seq).limit(bindparam("most")))
_SOME = Query(_AFTER.where(one_of(_E.seq, "seqs")).order_by(_E.seq))
_SENT = Query(select(watch_sent).where(one_of(_S.sid, "sids")))
_PUT_SENT = upsertion(watch_sent)
_OVERDUE = Query(
    select(_E.owner, func.count())
    .select_from(watch_event.outerjoin(correction_ack, correction_ack.c.owner == _E.owner))
    .where(_E.urgent == 1, _E.at_ms < bindparam("before"), _E.seq > func.coalesce(correction_ack.c.seq, 0))
    .group_by(_E.owner)
)
_FORGET = Query(delete(watch_event).where(_E.at_ms < bindparam("before")))


class Change(NamedTuple):
    """A listing that moved. `before`: its state until then, empty if it was not there."""

    seq: int
    at_ms: int
    origin: str
    sid: str
    before: str


class Due(NamedTuple):
    """A listing that looks otherwise from a moment on."""

    due_ms: int
    origin: str
    sid: str
    before: str


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One event of a client: `seq` counts from 1 without holes; `data` is canonical JSON."""

    seq: int
    at_ms: int
    type: str
    urgent: bool
    watchlist: str
    data: bytes


class Sent(NamedTuple):
    """What a watcher knows of a statement."""

    watchlist: str
    watched: str
    origin: str
    sid: str
    word: str
    at_ms: int


class OutboxShelf:
    """Changes, due moments, events."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    async def _take(self, name: str, count: int) -> int:
        """The first of `count` fresh numbers."""
        if await self._session.run(_MORE, which=name, more=count) == 0:
            await self._session.run_many(_START, [(name, 0)])
            await self._session.run(_MORE, which=name, more=count)
        rows = await self._session.rows(_VALUE, which=name)
        return int(rows[0][0]) - count + 1

    # --- changes -----------------------------------------------------------------------------------------------------

    async def put_changes(self, at_ms: int, changes: Sequence[tuple[str, str, str]]) -> None:
        """Keep what moved, (origin, sid, before) each. The last step of a transaction: others who number wait for its end."""
        if changes:
            first = await self._take(_CHANGES, len(changes))
            await self._session.load(watch_change, [(seq, at_ms, *change) for seq, change in enumerate(changes, first)])

    async def last_change(self) -> int:
        """The number of the newest change that was kept, whether it still waits or not; 0 before the first."""
        rows = await self._session.rows(_VALUE, which=_CHANGES)
        return int(rows[0][0]) if rows else 0

    async def has_work(self, now_ms: int) -> bool:
        """Whether anything moved or is due."""
        return bool(await self._session.rows(_PAGE, most=1) or await self._session.rows(_DUE, now=now_ms, most=1))

    async def changes(self, *, limit: int) -> list[Change]:
        """What to look at next, in order: listings that were there before go first (corrections must not wait for an import).

        Of each statement every change that waits, so that it is looked at once.
        """
        rows = await self._session.rows(_MOVED, most=limit) or await self._session.rows(_PAGE, most=limit)
        sids = {row[3] for row in rows}
        return [Change(*row) for row in await self._session.rows(_SAME, sids=sids)] if rows else []

    async def drop_changes(self, seqs: Collection[int]) -> None:
        """Forget changes whose events are written."""
        await self._session.run(_DROP, seqs=seqs)

    async def put_due(self, rows: Iterable[Due]) -> None:
        """Look at listings again at their time."""
        await self._session.run_many(_PUT_DUE, list(rows))

    async def due(self, now_ms: int, *, limit: int) -> list[Due]:
        """What is to be looked at by now."""
        return [Due(*row) for row in await self._session.rows(_DUE, now=now_ms, most=limit)]

    async def drop_due(self, rows: Iterable[Due]) -> None:
        """Forget what was looked at."""
        for row in rows:
            await self._session.run(_DROP_DUE, at=row.due_ms, of=row.origin, which=row.sid, was=row.before)

    # --- events ------------------------------------------------------------------------------------------------------

    async def put_events(self, owner: str, events: Sequence[WatchEvent]) -> list[WatchEvent]:
        """Keep events of a client; their `seq` is given here."""
        first = await self._take(_OF_EVENTS + owner, len(events))
        numbered = [WatchEvent(seq, e.at_ms, e.type, e.urgent, e.watchlist, e.data) for seq, e in enumerate(events, first)]
        await self._session.load(watch_event, [(owner, e.seq, e.at_ms, e.type, int(e.urgent), e.watchlist, e.data) for e in numbered])
        return numbered

    async def last(self, owner: str) -> int:
        """The number of the newest event of a client; 0 before the first."""
        rows = await self._session.rows(_VALUE, which=_OF_EVENTS + owner)
        return int(rows[0][0]) if rows else 0

    async def events(self, owner: str, *, after: int, limit: int, urgent: bool = False) -> list[WatchEvent]:
        """Events of a client in order; `urgent`: only those that correct what he was told."""
        return [_event(row) for row in await self._session.rows(_URGENT if urgent else _EVENTS, owner=owner, after=after, most=limit)]

    async def events_at(self, owner: str, seqs: Collection[int]) -> dict[int, WatchEvent]:
        """Events of a client by number."""
        return {row[0]: _event(row) for row in await self._session.rows(_SOME, owner=owner, seqs=seqs)} if seqs else {}

    async def forget_events(self, before_ms: int) -> int:
        """Drop events older than a moment; how many."""
        return await self._session.run(_FORGET, before=before_ms)

    async def unacknowledged(self, before_ms: int) -> dict[str, int]:
        """Who has not acknowledged corrections older than a moment, and how many."""
        return {owner: int(count) for owner, count in await self._session.rows(_OVERDUE, before=before_ms)}

    # --- what is known -----------------------------------------------------------------------------------------------

    async def sent(self, sids: Collection[str]) -> list[Sent]:
        """What watchers know of statements."""
        return [Sent(*row) for row in await self._session.rows(_SENT, sids=sids)] if sids else []

    async def put_sent(self, rows: Iterable[Sent]) -> None:
        """Keep what watchers know from now on."""
        await self._session.run_many(_PUT_SENT, list(rows))


def _event(row: tuple[int, int, str, int, str, bytes]) -> WatchEvent:
    seq, at_ms, kind, urgent, watchlist, data = row
    return WatchEvent(seq, at_ms, kind, bool(urgent), watchlist, data)

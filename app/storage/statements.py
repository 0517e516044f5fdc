"""Statements as rows: the stub's claims that queries need, the edges, the state that the fold gave, and the parts.

A statement is found by its place (origin, index) or by its sid; a sid may stand at two indices of a peer's log, then the lower
counts. Disclosures are erasable: a tombstone row keeps that there was one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import bindparam, func, literal_column, null, select, tuple_, update

from app.domain.claims import CONTROL_KINDS, FOREIGN_EDGE_KINDS
from app.domain.folding import Event, Key, ShownState
from app.domain.labels import Label
from app.domain.statement import ohash_of
from app.storage.events import pack_event, unpack_event, unpack_labels
from app.storage.records import Labelled, PartRow, StatementRecord, StatementRow, Stored
from app.storage.session import Session
from app.storage.sql import Query, Row, one_of
from app.storage.statement_rows import BRIEF, PLACE, as_row, edges_of, read_brief
from app.storage.tables import control, edge, log_entry, part, statement

_S, _E, _P = statement.c, edge.c, part.c
_BY_SID = (_S.origin == bindparam("origin"), one_of(_S.sid, "sids"))
# Not ordered here: SQLite would walk the whole log by index instead of looking up the sids.
_EVENTS = Query(select(*PLACE, _S.event).where(*_BY_SID))
_AT = Query(select(*PLACE, _S.event).where(_S.origin == bindparam("origin"), one_of(_S.idx, "indices")).order_by(_S.idx))
_LABELLED = select(_S.idx, _S.sid, _S.issuer, _S.event).where(_S.origin == bindparam("origin"))
_LABELLED_BETWEEN = Query(_LABELLED.where(_S.idx >= bindparam("first"), _S.idx < bindparam("last")))
_LABELLED_AT = Query(_LABELLED.where(one_of(_S.idx, "indices")))
_ALL_EVENTS = Query(
    select(*PLACE, _S.event)
    .where(_S.origin == bindparam("origin"), _S.idx >= bindparam("first"), _S.idx < bindparam("last"))
    .order_by(_S.idx)
)
_OF_KINDS = Query(
    select(*PLACE, _S.event)
    .where(
        _S.origin == bindparam("origin"),
        _S.idx.in_(select(control.c.idx).where(control.c.origin == bindparam("origin"))),
        one_of(_S.kind, "kinds"),
    )
    .order_by(_S.idx)
)
_INBOUND = Query(
    select(*PLACE, _S.event)
    .select_from(edge)
    .join(statement, (_S.origin == _E.origin) & (_S.idx == _E.idx))
    .where(one_of(_E.target, "sids"))
    .distinct()
    .order_by(_S.origin, _S.idx)
)
_LABELS = Query(
    select(_S.idx, _S.event)
    .where(_S.origin == bindparam("origin"), _S.idx >= bindparam("first"), _S.idx < bindparam("last"))
    .order_by(_S.idx)
)
_BRIEFS = Query(select(*BRIEF).where(*_BY_SID))
_BY_KID = Query(
    select(_S.sid)
    .where(_S.issuer == bindparam("issuer"), _S.origin == bindparam("origin"), _S.idx >= bindparam("first"), _S.kid == bindparam("kid"))
    .order_by(_S.idx)
)
_RECORD = Query(
    select(*BRIEF, _S.jti, _S.issued_s, log_entry.c.entry)
    .join(log_entry, (log_entry.c.origin == _S.origin) & (log_entry.c.idx == _S.idx))
    .where(_S.sid == bindparam("sid"))
    .order_by(_S.origin, _S.idx)
)
_AFTER = tuple_(_S.accepted_ms, _S.origin, _S.idx) > tuple_(bindparam("ms"), bindparam("after"), bindparam("index"))
_PAGE = select(*BRIEF).where(_AFTER).order_by(_S.accepted_ms, _S.origin, _S.idx).limit(bindparam("limit"))
_PAGES = {
    (False, False): Query(_PAGE),
    (False, True): Query(_PAGE.where(_S.kind == bindparam("kind"))),
    (True, False): Query(_PAGE.where(_S.issuer == bindparam("issuer"))),
    (True, True): Query(_PAGE.where(_S.issuer == bindparam("issuer"), _S.kind == bindparam("kind"))),
}
_STATE = Query(
    update(statement)
    .where(_S.origin == bindparam("of"), _S.sid == bindparam("which"))
    .values(state=bindparam("s"), contested=bindparam("c"), until_s=bindparam("u"), superseded_by=bindparam("b"))
)
# The origin is compared by us: given it too, SQLite would walk the log instead.
_PLACED = update(statement).where(_S.origin == bindparam("of"), _S.idx == bindparam("place"))
_CONTEXT = Query(_PLACED.values(context=bindparam("said")))
_EVENT = Query(_PLACED.values(event=bindparam("said"), jti=bindparam("own")))
_JTI = Query(
    select(_S.origin, _S.jti, _S.sid)
    .where(_S.issuer == bindparam("issuer"), _S.jti.is_not(None), one_of(_S.jti, "jtis"))
    .order_by(_S.idx.desc())
)
_COUNT = Query(
    select(_S.origin, literal_column("accepted_ms / 1000").label("second"), func.count())
    .where(_S.issuer == bindparam("issuer"), _S.accepted_ms >= bindparam("since"))
    .group_by(_S.origin, literal_column("second"))
)
_PARTS = Query(select(part).where(_P.origin == bindparam("origin"), one_of(_P.idx, "indices")).order_by(_P.idx, _P.number))
_TEXTS = select(_P.idx, _P.part, _P.disclosures).where(_P.origin == bindparam("origin")).order_by(_P.idx, _P.number)
_TEXTS_BETWEEN = Query(_TEXTS.where(_P.idx >= bindparam("first"), _P.idx < bindparam("last")))
_TEXTS_AT = Query(_TEXTS.where(one_of(_P.idx, "indices")))
_STANDING = Query(
    select(part).where(
        _P.origin == bindparam("origin"),
        _P.idx.in_(select(_S.idx).where(*_BY_SID)),
        one_of(_P.part, "parts"),
        _P.disclosures.is_not(None),
    )
)
_ERASE = Query(
    update(part)
    .where(_P.origin == bindparam("of"), _P.idx == bindparam("place"), _P.number == bindparam("which"))
    .values(disclosures=null(), digests=bindparam("kept"))
)


class StatementShelf:
    """What was stated, by whom, and what has become of it."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    # --- writing ----------------------------------------------------------------------------------------------------

    async def put(self, rows: Sequence[StatementRow]) -> None:
        """Keep statements and their edges; their log entries must be there."""
        await self._session.load(statement, [as_row(row) for row in rows])
        registry = [(row.event.origin, row.event.index) for row in rows if row.event.kind in CONTROL_KINDS]
        if registry:
            await self._session.load(control, registry)
        edges = [place for row in rows if row.event.targets for place in edges_of(row.event)]
        if edges:
            await self._session.load(edge, edges)

    async def put_parts(self, rows: Sequence[PartRow]) -> None:
        """Keep disclosures, in the order of the wire."""
        await self._session.load(part, rows)

    async def set_states(self, states: Mapping[Key, ShownState]) -> None:
        """What the fold, without a clock, says of statements now."""
        values = [
            {"s": s.state.value, "c": int(s.contested), "u": s.expires_at, "b": s.superseded_by, "of": origin, "which": sid}
            for (origin, sid), s in states.items()
        ]
        names = _STATE.render(self._session.dialect).names
        await self._session.run_many(_STATE, [tuple(value[name] for name in names) for value in values])

    async def set_contexts(self, contexts: Mapping[tuple[str, int], bytes]) -> None:
        """Keep the contexts of statements, by place, whose parts came later than they did."""
        names = _CONTEXT.render(self._session.dialect).names
        values = [{"of": origin, "place": index, "said": said} for (origin, index), said in contexts.items()]
        await self._session.run_many(_CONTEXT, [tuple(value[name] for name in names) for value in values])

    async def set_events(self, rows: Sequence[StatementRow]) -> None:
        """Judge statements anew, by place: what the registry knew too late makes good, or bad, what was there before."""
        names = _EVENT.render(self._session.dialect).names
        values = [{"of": r.event.origin, "place": r.event.index, "said": pack_event(r.event, r.handling), "own": r.jti} for r in rows]
        await self._session.run_many(_EVENT, [tuple(value[name] for name in names) for value in values])

    async def erase_parts(self, origin: str, sids: Collection[str], parts: Collection[str]) -> int:
        """Delete disclosures, value and salt, of the named parts; their digests stay. The number deleted. Afterwards: `Database.forget`."""
        if not sids or not parts:
            return 0
        rows = [PartRow(*row) for row in await self._session.rows(_STANDING, origin=origin, sids=sids, parts=parts)]
        names = _ERASE.render(self._session.dialect).names
        values = [{"of": row.origin, "place": row.index, "which": row.number, "kept": b"".join(row.hashes())} for row in rows]
        await self._session.run_many(_ERASE, [tuple(value[name] for name in names) for value in values])
        return sum(row.size for row in rows)

    # --- events for the fold ----------------------------------------------------------------------------------------

    async def events(self, origin: str, sids: Collection[str]) -> list[Event]:
        """The statements of a log by sid, in log order."""
        return sorted(await self._read_events(_EVENTS, origin=origin, sids=sids), key=_index_of_event) if sids else []

    async def events_between(self, origin: str, first: int, last: int) -> list[Event]:
        """The statements of [first, last), in log order: for a full fold."""
        return await self._read_events(_ALL_EVENTS, origin=origin, first=first, last=last)

    async def events_at(self, origin: str, indices: Collection[int]) -> list[Event]:
        """The statements at `indices` that are there, in log order."""
        return await self._read_events(_AT, origin=origin, indices=indices) if indices else []

    async def inbound(self, origin: str, sids: Collection[str]) -> list[Event]:
        """The statements of any log whose `t` names one of `sids` of `origin`, in order of their place."""
        if not sids:
            return []
        found = await self._read_events(_INBOUND, sids=sids)
        wanted, far = frozenset(sids), frozenset(f"{ohash_of(origin)}/{sid}" for sid in sids)
        return [event for event in found if _names(event, origin, wanted, far)]

    async def control_statements(self, origin: str, kinds: Collection[str] = CONTROL_KINDS) -> list[Event]:
        """The statements of control kinds (member, key-revoke, group, policy, root), in log order."""
        return await self._read_events(_OF_KINDS, origin=origin, kinds=[str(kind) for kind in kinds])

    async def by_kid(self, origin: str, kid: str, from_index: int) -> list[str]:
        """The sids of what a key has signed from an index on: what its revocation touches."""
        issuer = kid.partition("#")[0]
        return [sid for (sid,) in await self._session.rows(_BY_KID, issuer=issuer, origin=origin, kid=kid, first=from_index)]

    # --- reading ----------------------------------------------------------------------------------------------------

    async def labels(self, origin: str, first: int, last: int) -> list[Label]:
        """The stub labels of [first, last) that are there, in log order; a mirror may have holes: see `labels_by_index`."""
        return list((await self.labels_by_index(origin, first, last)).values())

    async def labels_by_index(self, origin: str, first: int, last: int) -> dict[int, Label]:
        """The same by index: what is withheld from us, or was no statement, is absent."""
        rows = await self._session.rows(_LABELS, origin=origin, first=first, last=last)
        return {index: unpack_labels(event).stub for index, event in rows}

    async def labelled(self, origin: str, indices: Sequence[int]) -> dict[int, Labelled]:
        """Of the statements at `indices` (a range is read as one) that are there: who said them and for whom they are."""
        if isinstance(indices, range):
            rows = await self._session.rows(_LABELLED_BETWEEN, origin=origin, first=indices.start, last=indices.stop)
        else:
            rows = await self._session.rows(_LABELLED_AT, origin=origin, indices=indices)
        return {index: Labelled(index, sid, issuer, unpack_labels(event)) for index, sid, issuer, event in rows}

    async def locate(self, origin: str, sid: str) -> Stored | None:
        """Where a statement stands and what it is, in short."""
        rows = await self._session.rows(_BRIEFS, origin=origin, sids=[sid])
        return read_brief(min(rows, key=_index)) if rows else None

    async def locate_all(self, origin: str, sids: Collection[str]) -> dict[str, Stored]:
        """The same for many; what the log does not have is left out."""
        rows = await self._session.rows(_BRIEFS, origin=origin, sids=sids) if sids else []
        return {found.sid: found for found in map(read_brief, sorted(rows, key=_index, reverse=True))}

    async def record(self, sid: str, origin: str | None = None) -> StatementRecord | None:
        """A statement with all that is kept of it; without `origin` from the log in which it is right.

        Another log may carry a copy, which is bad there: it must not hide the statement.
        """
        rows = [(read_brief(row[:-3]), row[-3:]) for row in await self._session.rows(_RECORD, sid=sid) if origin in (None, row[0])]
        if not rows:
            return None
        stored, (jti, issued_s, entry) = min(rows, key=lambda one: one[0].event.bad)
        parts = await self.parts_of(stored.origin, [stored.index])
        return StatementRecord(
            stored=stored,
            entry=entry,
            jti=jti,
            issued_at=issued_s,
            parts=tuple(parts),
            edges=tuple(await self.inbound(stored.origin, [sid])),
        )

    async def page(
        self,
        *,
        issuer: str | None = None,
        kind: str | None = None,
        since_ms: int = 0,
        after: tuple[int, str, int] | None = None,
        limit: int = 100,
    ) -> list[Stored]:
        """Statements by time of acceptance; `after`: (accepted_ms, origin, index) of the last one seen."""
        ms, origin, index = after or (since_ms, "", -1)
        values = {"ms": ms, "after": origin, "index": index, "limit": limit, "issuer": issuer, "kind": kind}
        rows = await self._session.rows(_PAGES[issuer is not None, kind is not None], **values)
        return [read_brief(row) for row in rows]

    async def parts_of(self, origin: str, indices: Collection[int]) -> list[PartRow]:
        """The disclosures of statements, by index and in the order of the wire."""
        return [PartRow(*row) for row in await self._session.rows(_PARTS, origin=origin, indices=indices)]

    async def texts_of(self, origin: str, indices: Collection[int]) -> dict[int, list[tuple[str, str | None]]]:
        """The disclosures at `indices` (a range is read as one) as (part, `<D1>~…~<Dn>~`), in the order of the wire; None: erased."""
        if isinstance(indices, range):
            rows = await self._session.rows(_TEXTS_BETWEEN, origin=origin, first=indices.start, last=indices.stop)
        else:
            rows = await self._session.rows(_TEXTS_AT, origin=origin, indices=indices) if indices else []
        texts: dict[int, list[tuple[str, str | None]]] = {}
        for index, name, text in rows:
            texts.setdefault(index, []).append((name, text))
        return texts

    async def find_jti(self, origin: str, issuer: str, jtis: Collection[str]) -> dict[str, str]:
        """Which of an issuer's idempotency keys are used in a log, with the sid of the first use.

        In one log, as a peer's may hold anything under any issuer's name, inert.
        """
        rows = await self._session.rows(_JTI, issuer=issuer, jtis=jtis) if jtis else []
        return {jti: sid for where, jti, sid in rows if where == origin}

    async def counts_since(self, origin: str, issuer: str, since_ms: int) -> dict[int, int]:
        """How many statements of an issuer a log has accepted since a moment, by second (for its quota)."""
        rows = await self._session.rows(_COUNT, issuer=issuer, since=since_ms)
        return {second: count for where, second, count in rows if where == origin}

    async def _read_events(self, query: Query, **values: object) -> list[Event]:
        return [unpack_event(row[:6], row[6]) for row in await self._session.rows(query, **values)]


def _index(row: Row) -> int:
    return int(row[1])


def _index_of_event(event: Event) -> int:
    return event.index


def _names(event: Event, origin: str, sids: frozenset[str], far: frozenset[str]) -> bool:
    if event.kind in FOREIGN_EDGE_KINDS:
        return not far.isdisjoint(event.targets)
    return event.origin == origin and not sids.isdisjoint(event.targets)

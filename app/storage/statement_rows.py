"""Between statement rows and values: column orders are written here and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from app.domain.claims import Kind
from app.domain.folding import Event, ShownState, State
from app.domain.labels import Label
from app.domain.reach import reach_of, write_reach
from app.storage.events import clean, pack_event, read_packed, unpack_event
from app.storage.holding import HELD
from app.storage.records import StatementRow, Stored
from app.storage.sql import Row
from app.storage.tables import statement

_S = statement.c
PLACE = (_S.origin, _S.idx, _S.sid, _S.kind, _S.issuer, _S.kid)
STATE = (_S.state, _S.until_s, _S.superseded_by, _S.contested)
BRIEF = (*PLACE, _S.accepted_ms, *STATE, _S.event, HELD.label("held"))


def as_row(row: StatementRow) -> Row:
    """The columns of `statement`, in the order of the table."""
    event, state = row.event, row.state
    until = state.expires_at if state.expires_at is not None else event.expires_at
    return (
        event.origin,
        event.index,
        event.sid,
        clean(event.kind),
        clean(event.issuer),
        clean(event.kid),
        row.accepted_ms,
        row.issued_at,
        clean(row.jti) if row.jti is not None else None,
        state.state.value,
        int(state.contested),
        until,
        state.superseded_by,
        pack_event(event, row.handling),
        row.context,
        reach_text(event.label, event.parts.get("core", event.label), event.issuer) if event.kind == Kind.LISTING else None,
    )


@lru_cache(1024)
def reach_text(label: Label, core: Label, issuer: str) -> str:
    """The column `reach` of a listing."""
    return clean(write_reach(reach_of(label, core, issuer)))


def edges_of(event: Event) -> Iterator[Row]:
    """The columns of `edge`: one row a distinct target sid."""
    for target in dict.fromkeys(target.rpartition("/")[2] for target in event.targets):
        yield clean(target), event.origin, event.index


def read_brief(row: Row) -> Stored:
    """A row of BRIEF."""
    origin, index, sid, kind, issuer, kid, accepted_ms, state, until, superseded_by, contested, packed, held = row
    event = unpack_event((origin, index, sid, kind, issuer, kid), packed)
    return Stored(
        origin=origin,
        index=index,
        sid=sid,
        kind=kind,
        issuer=issuer,
        kid=kid,
        accepted_ms=accepted_ms,
        label=event.label,
        handling=tuple(read_packed(packed).get("h", ())),
        state=ShownState(State(state), until, superseded_by, bool(contested)),
        event=event,
        held=bool(held),
    )

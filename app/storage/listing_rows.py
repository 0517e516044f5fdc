"""Between item rows and listings: the one join that puts them together, and its column order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from sqlalchemy import exists, select
from sqlalchemy.sql import literal

from app.domain.answer import Annotation, Link, Listing
from app.domain.folding import ANNOTATION_KINDS, State
from app.domain.labels import Label, at_least_as_visible
from app.domain.registry import MemberClass
from app.domain.statement import ohash_of
from app.storage.events import read_packed, unpack_label
from app.storage.holding import HELD, IS_QUARANTINED, state_here
from app.storage.part_rows import value_at
from app.storage.sql import Query, Row, in_words, one_of
from app.storage.tables import edge, item, link, part, registered, statement

_S, _I, _P, _K, _M, _E = statement.c, item.c, part.c, link.c, registered.c, edge.c

_OF_ITEM = (_S.origin == _I.origin) & (_S.idx == _I.idx)
_DISCLOSED = (_P.origin == _I.origin) & (_P.idx == _I.idx) & (_P.number == _I.run) & _P.disclosures.is_not(None)
_OF_LINK = (_S.origin == _K.origin) & (_S.idx == _K.idx)
_ISSUER = (_M.origin == _S.origin) & (_M.kind == literal("member")) & (_M.id == _S.issuer)

JOINED = item.join(statement, _OF_ITEM)
_IS_ANNOTATED = exists().where(_E.target == _S.sid).label("annotated")
LISTINGS = select(
    _I.origin,
    _I.idx,
    _I.number,
    _I.subject,
    _P.disclosures,
    _I.start,
    _S.sid,
    _S.issuer,
    _S.accepted_ms,
    _S.state,
    _S.contested,
    _S.until_s,
    _S.superseded_by,
    _S.event,
    _S.context,
    _M.name,
    _M.country,
    HELD.label("held"),
    _IS_ANNOTATED,
).select_from(JOINED.join(part, _DISCLOSED).outerjoin(registered, _ISSUER))

LINKS = select(
    _K.origin,
    _K.idx,
    _K.number,
    _S.sid,
    _S.issuer,
    _S.accepted_ms,
    _S.state,
    _S.until_s,
    _S.event,
    _K.body,
    HELD.label("held"),
).select_from(link.join(statement, _OF_LINK))

ANNOTATIONS = Query(
    select(_E.target, _S.kind, _S.sid, _S.origin, _S.issuer, _S.accepted_ms, _S.event, _S.context, _M["class"])
    .select_from(edge.join(statement, (_S.origin == _E.origin) & (_S.idx == _E.idx)).outerjoin(registered, _ISSUER))
    .where(one_of(_E.target, "sids"), in_words(_S.kind, ANNOTATION_KINDS), _S.state == State.ACTIVE.value, ~IS_QUARANTINED)
    .order_by(_S.accepted_ms, _S.origin, _S.idx)
)

Notes = Mapping[str, list[tuple[frozenset[str], bool, Annotation]]]
"""By target sid: the targets as written, whether the issuer is a redress member, and the annotation."""


def read_listing(row: Row, notes: Notes) -> Listing:
    """A row of LISTINGS; its state is `held` if it would be active and does not count here."""
    (
        origin,
        index,
        number,
        subject,
        disclosures,
        start,
        sid,
        issuer,
        accepted_ms,
        state,
        contested,
        until,
        superseded_by,
        event,
        context,
        name,
        country,
        held,
        _,
    ) = row
    packed = read_packed(event)
    label = unpack_label(packed["l"])
    return Listing(
        origin=origin,
        index=index,
        sid=sid,
        number=number,
        subject=subject,
        item=value_at(disclosures, start),
        context=orjson.loads(context) if context is not None else {},
        issuer=issuer,
        issuer_name=name if name is not None else issuer,
        country=country,
        label=label,
        core_label=_core(packed, label),
        handling=tuple(packed.get("h", ())),
        accepted_ms=accepted_ms,
        expires_at=_expiry(until, packed),
        state=state_here(state, held),
        superseded_by=superseded_by,
        contested=bool(contested),
        annotations=_annotations(origin, sid, notes) if sid in notes else (),
    )


def read_link(row: Row) -> Link:
    """A row of LINKS, with its state as a listing has it."""
    origin, index, number, sid, issuer, accepted_ms, state, until, event, body, held = row
    packed = read_packed(event)
    label = unpack_label(packed["l"])
    return Link(
        origin=origin,
        index=index,
        number=number,
        sid=sid,
        issuer=issuer,
        label=label,
        core_label=_core(packed, label),
        accepted_ms=accepted_ms,
        expires_at=_expiry(until, packed),
        state=state_here(state, held),
        item=orjson.loads(body),
    )


def annotations_by_target(rows: Iterable[Row]) -> Notes:
    """Rows of ANNOTATIONS by the sid they name."""
    found: dict[str, list[tuple[frozenset[str], bool, Annotation]]] = {}
    for target, kind, sid, origin, issuer, accepted_ms, event, context, member_class in rows:
        packed = read_packed(event)
        label = unpack_label(packed["l"])
        said = orjson.loads(context) if context is not None and _is_as_open(packed, label) else {}
        note = Annotation(
            kind=kind,
            sid=sid,
            origin=origin,
            issuer=issuer,
            label=label,
            accepted_ms=accepted_ms,
            ground=_word(said, "ground"),
            stage=_word(said, "stage"),
            since=_word(said, "since"),
        )
        found.setdefault(target, []).append((frozenset(packed.get("t", ())), member_class == MemberClass.REDRESS, note))
    return found


def _annotations(origin: str, sid: str, notes: Notes) -> tuple[Annotation, ...]:
    """Those that really name this statement; a redress member binds in its own jurisdiction, which is its own log."""
    named = f"{ohash_of(origin)}/{sid}"
    return tuple(
        _binding(note) if is_redress and note.origin == origin else note for targets, is_redress, note in notes[sid] if named in targets
    )


def _binding(note: Annotation) -> Annotation:
    return Annotation(
        note.kind,
        note.sid,
        note.origin,
        note.issuer,
        note.label,
        note.accepted_ms,
        binding=True,
        ground=note.ground,
        stage=note.stage,
        since=note.since,
    )


def _is_as_open(packed: Mapping[str, Any], label: Label) -> bool:
    """What a dispute says is told only where its content is as visible as its stub: an annotation has one label."""
    return at_least_as_visible(_core(packed, label), label)


def _core(packed: Mapping[str, Any], label: Label) -> Label:
    core = packed.get("p", {}).get("core")
    return label if core is None else unpack_label(core)


def _expiry(until: int | None, packed: Mapping[str, Any]) -> int:
    if until is not None:
        return until
    return int(packed.get("x", 0))


def _word(said: Mapping[str, Any], name: str) -> str | None:
    value = said.get(name)
    return value if isinstance(value, str) else None

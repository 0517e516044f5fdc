"""From one judged statement to the rows that keep it, whichever log it stands in; and to the ids that the index must know of.

The home gate and the gate for what peers logged write the same rows: a statement of a peer is read by the same queries.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from app.domain.canonical import write_json
from app.domain.folding import ANNOTATION_KINDS, Event, ShownState, State
from app.domain.items import CheckedItems
from app.domain.statement import Disclosure, Kind, Stub
from app.services.admit.facts import freezes_of
from app.storage.part_rows import part_rows_of
from app.storage.records import PartRow, StatementRow
from app.storage.subjects import ItemRow

_new = tuple.__new__  # of rows that come by the hundred: the constructor of a named tuple would check names that are right here
ACTIVE = ShownState(State.ACTIVE)
WAITING = ShownState(State.WAITING)
INERT = ShownState(State.INERT)


@dataclass(frozen=True, slots=True)
class Logged:
    """One statement with its place; `state` is what the fold says of it as long as nothing points at it.

    `disclosures` are to be kept; of one whose other parts are kept already they are those that are new, from `first_place` on.
    """

    stub: Stub
    event: Event
    accepted_ms: int
    disclosures: tuple[Disclosure, ...]
    items: CheckedItems
    state: ShownState = ACTIVE
    first_place: int = 0


def event_of(stub: Stub, origin: str, index: int, *, bad: bool = False) -> Event:
    """The stub as the fold sees it in the log `origin`; a `bad` one is carried and does nothing."""
    claims = stub.claims
    erased, kid_target, from_index, reason = claims.get("del"), None, None, None
    if stub.kind == Kind.KEY_REVOKE:
        kid_target, from_index, reason = claims.get("kid"), claims.get("from_index"), claims.get("reason")
    return Event(
        origin=origin,
        index=index,
        sid=stub.sid,
        kind=stub.kind,
        issuer=stub.issuer,
        kid=stub.kid,
        label=stub.label,
        parts=stub.parts,
        targets=stub.targets,
        expires_at=stub.expires_at,
        must=stub.must,
        erased_parts=tuple(str(part) for part in erased) if isinstance(erased, list) else (),
        kid_target=kid_target if isinstance(kid_target, str) else None,
        from_index=from_index if isinstance(from_index, int) else None,
        reason=reason if isinstance(reason, str) else None,
        bad=bad,
    )


def statement_row(one: Logged) -> StatementRow:
    """The statement itself. A bad one takes no `jti`: it says nothing, so it uses nothing up."""
    return StatementRow(
        event=one.event,
        accepted_ms=one.accepted_ms,
        issued_at=one.stub.issued_at,
        jti=None if one.event.bad else one.stub.jti,
        handling=one.stub.handling,
        context=context_of(one),
        state=one.state,
    )


def context_of(one: Logged) -> bytes | None:
    """The one item that colours the others: a listing's context, the item of a dispute or endorsement."""
    if one.stub.kind in ANNOTATION_KINDS:
        core = [d for d in one.disclosures if d.part == "core"]
        return write_json(core[0].value) if core else None
    if one.stub.kind != Kind.LISTING:
        return None
    context = one.items.context
    return None if context is None else write_json(dict(context))


def content_rows(one: Logged) -> tuple[list[PartRow], list[ItemRow]]:
    """The disclosures that are to be kept, and what can be looked up: wallets, indicators, entities and links of a listing."""
    origin, index = one.event.origin, one.event.index
    parts, spots = part_rows_of(origin, index, one.disclosures, first=one.first_place)
    items = [ItemRow.of(origin, index, row.number, row.value, spots[row.number]) for row in one.items.rows]
    return parts, items + [ItemRow.of_link(origin, index, link.number, link.value, body=link.body) for link in one.items.links]


def freeze_rows(one: Logged) -> Iterable[ItemRow]:
    """The ids that a freeze request of our own names: they bind what its issuer may say at home."""
    if one.event.kind == Kind.REQUEST:
        yield from freezes_of(one.items, one.event.origin, one.event.index)


def named_ids(one: Logged) -> list[str]:
    """Every id that a listing names: as an item, or as the end of a link."""
    return [row.id for row in one.items.rows] + [str(link.value[end]) for link in one.items.links for end in ("from", "to")]

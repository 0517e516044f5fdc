"""From judged statements to rows: entries, tiles, stubs, parts, items, and the states that the fold gives, in the open transaction.

A plain new listing is `active` on arrival without any folding. Whatever points at something, or changes what keys mean, makes the
statements it touches be folded again from their small history (`domain/folding_scope`), so what is stored equals the pure fold.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from app.domain.answer import Link, Listing
from app.domain.canonical import write_json
from app.domain.folding import ANNOTATION_KINDS, Event, Folded, Key, OriginState, ShownState, State, fold
from app.domain.folding_scope import Gathering, affected
from app.domain.labels import EVERYTHING
from app.domain.merkle import leaf_hash
from app.domain.statement import Kind, Stub
from app.domain.tiles import Grown
from app.seal.keyring import Keyring
from app.services.admit.facts import freezes_of
from app.services.admit.outcome import HeldReason, entry_bytes
from app.services.admit.prepared import Prepared
from app.storage.database import Transaction
from app.storage.log import Head, LogEntry
from app.storage.records import PartRow, StatementRow, Stored
from app.storage.subjects import ItemRow

FORGET_DUE = "forget_due"
"""Name of the value in `meta` that says: content was erased, and its bytes may still be in the files (trust-and-ops ER-4)."""
_WAITING = ShownState(State.WAITING)
_ACTIVE = ShownState(State.ACTIVE)


@dataclass(frozen=True, slots=True)
class Logged:
    """One statement of a batch with its place."""

    prepared: Prepared
    stub: Stub
    event: Event
    waits: bool


@dataclass(slots=True)
class Batch:
    """What one transaction appends: all at one moment, at indices from `first` on."""

    origin: str
    first: int
    accepted_ms: int
    logged: list[Logged] = field(default_factory=list)
    entries: list[LogEntry] = field(default_factory=list)

    @property
    def next_index(self) -> int:
        """The place of the next statement."""
        return self.first + len(self.entries)

    def add(self, prepared: Prepared, stub: Stub, reason: HeldReason | None) -> int:
        """Append a judged statement; its index."""
        index = self.next_index
        entry = entry_bytes(self.accepted_ms, prepared.token.jws)
        self.entries.append(LogEntry(self.origin, index, stub.sid, entry, leaf_hash(entry)))
        self.logged.append(Logged(prepared, stub, event_of(stub, index), reason is HeldReason.NEEDS2))
        return index


Face = tuple[str, str | None, str]
"""How a member looks in answers: name, country, class."""


@dataclass(frozen=True, slots=True)
class Moved:
    """Statements whose listings the index must take in anew."""

    statements: frozenset[Key] = frozenset()
    listings: Sequence[Listing] = ()
    links: Sequence[Link] = ()
    erased: bool = False
    """Content was deleted: the database should forget the bytes too."""
    faces: Mapping[str, Face] | None = None
    """How members look from now on, if that was asked."""


def event_of(stub: Stub, index: int) -> Event:
    """The stub as the fold sees it."""
    claims = stub.claims
    erased, kid_target, from_index, reason = claims.get("del"), None, None, None
    if stub.kind == Kind.KEY_REVOKE:
        kid_target, from_index, reason = claims.get("kid"), claims.get("from_index"), claims.get("reason")
    return Event(
        origin=stub.origin,
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
    )


async def project(tx: Transaction, batch: Batch, *, keyring: Keyring, grown: Grown) -> Moved:
    """Write the batch and what follows from it; the head is swapped last, as whoever comes second must change nothing."""
    if not batch.entries:
        return Moved()
    await tx.log.append(batch.entries)
    await tx.log.write_tiles(batch.origin, grown.changed)
    await tx.statements.put([_statement_row(one, batch.accepted_ms) for one in batch.logged])
    await tx.statements.put_parts([row for one in batch.logged for row in _part_rows(one)])
    await tx.subjects.put_items([row for one in batch.logged for row in _item_rows(one)])
    refolded, erased = await _refold(tx, batch, keyring)
    if erased:
        await tx.meta.set(FORGET_DUE, b"1")
    await tx.registry.refresh(batch.origin, [one.event for one in batch.logged])
    await tx.log.swap_head(batch.first, Head(batch.origin, grown.size, grown.root, batch.accepted_ms))
    moved = await _moved(tx, batch.origin, refolded, erased=erased)
    plain = [one for one in batch.logged if one.stub.kind == Kind.LISTING and (batch.origin, one.stub.sid) not in refolded]
    listings = [listing for one in plain for listing in _fresh_listings(one, batch.accepted_ms, keyring)]
    links = [link for one in plain for link in _fresh_links(one, batch.accepted_ms)]
    statements = moved.statements | {(batch.origin, one.stub.sid) for one in plain}
    return Moved(statements, [*moved.listings, *listings], [*moved.links, *links], erased)


def _fresh_listings(one: Logged, accepted_ms: int, keyring: Keyring) -> Iterable[Listing]:
    """The items of a listing that nothing points at yet, as storage would give them back: the index need not ask for them."""
    stub, checked = one.stub, one.prepared.items
    assert checked is not None
    member = keyring.member(stub.issuer)
    for row in checked.rows:
        yield Listing(
            origin=stub.origin,
            index=one.event.index,
            sid=stub.sid,
            number=row.number,
            subject=row.id,
            item=row.value,
            context=checked.context or {},
            issuer=stub.issuer,
            issuer_name=member.name if member else stub.issuer,
            country=member.country if member else None,
            label=stub.label,
            core_label=stub.parts.get("core", stub.label),
            handling=stub.handling,
            accepted_ms=accepted_ms,
            expires_at=stub.expires_at or 0,
            state=State.WAITING.value if one.waits else State.ACTIVE.value,
        )


def _fresh_links(one: Logged, accepted_ms: int) -> Iterable[Link]:
    stub, checked = one.stub, one.prepared.items
    assert checked is not None
    for link in checked.links:
        yield Link(
            origin=stub.origin,
            index=one.event.index,
            number=link.number,
            sid=stub.sid,
            issuer=stub.issuer,
            label=stub.label,
            core_label=stub.parts.get("core", stub.label),
            accepted_ms=accepted_ms,
            expires_at=stub.expires_at or 0,
            state=State.WAITING.value if one.waits else State.ACTIVE.value,
            item=link.value,
        )


async def moved_between(tx: Transaction, origin: str, first: int, end: int) -> Moved:
    """What the entries first…end−1 have moved, for an index that stands at `first`: another worker has logged them."""
    events = await tx.statements.events_between(origin, first, end)
    moving = [event for event in events if event.targets or event.kind == Kind.KEY_REVOKE]
    touched = await _touched(tx, moving) if moving else set()
    return await _moved(tx, origin, touched | {(origin, event.sid) for event in events if event.kind == Kind.LISTING})


async def faces_of(tx: Transaction, origin: str) -> dict[str, Face]:
    """The members of a log as they are shown."""
    return {one.id: (one.name, one.country, one.member_class) for one in await tx.registry.members() if one.origin == origin}


async def moved_by_members(tx: Transaction, origin: str, *, before: Mapping[str, Face]) -> Moved:
    """Whatever shows a member who looks otherwise than `before`: his listings, and those that he has disputed or endorsed."""
    statements: set[Key] = set()
    faces = await faces_of(tx, origin)
    for member in [one for one in before.keys() | faces.keys() if before.get(one) != faces.get(one)]:
        for kind in (Kind.LISTING, *ANNOTATION_KINDS):
            async for one in _said_by(tx, member, kind):
                targets = [(origin, sid.rpartition("/")[2]) for sid in one.event.targets]
                statements.update([(one.origin, one.sid)] if kind == Kind.LISTING else targets)
    return replace(await _moved(tx, origin, statements), faces=faces)


async def _said_by(tx: Transaction, member: str, kind: str, page: int = 1_000) -> AsyncIterator[Stored]:
    after = None
    while True:
        rows = await tx.statements.page(issuer=member, kind=kind, after=after, limit=page)
        for row in rows:
            yield row
        if len(rows) < page:
            return
        after = (rows[-1].accepted_ms, rows[-1].origin, rows[-1].index)


async def _moved(tx: Transaction, origin: str, statements: Collection[Key], *, erased: bool = False) -> Moved:
    own = [sid for where, sid in statements if where == origin]
    if not own:
        return Moved(erased=erased)
    listings = await tx.subjects.listings_of_sids(origin, own)
    links = await tx.subjects.links_of_sids(origin, own)
    return Moved(frozenset(statements), listings, links, erased)


# --- rows ----------------------------------------------------------------------------------------------------------


def _statement_row(one: Logged, accepted_ms: int) -> StatementRow:
    return StatementRow(
        event=one.event,
        accepted_ms=accepted_ms,
        issued_at=one.stub.issued_at,
        jti=one.stub.jti,
        handling=one.stub.handling,
        context=_context(one),
        state=_WAITING if one.waits else _ACTIVE,
    )


def _context(one: Logged) -> bytes | None:
    """The one item that colours the others: a listing's context, the item of a dispute or endorsement."""
    if one.stub.kind in ANNOTATION_KINDS:
        core = [d for d in one.prepared.disclosures if d.part == "core"]
        return write_json(core[0].value) if core else None
    if one.stub.kind != Kind.LISTING:
        return None
    assert one.prepared.items is not None
    context = one.prepared.items.context
    return None if context is None else write_json(dict(context))


def _part_rows(one: Logged) -> Iterable[PartRow]:
    place = one.event
    for number, d in enumerate(one.prepared.disclosures):
        yield PartRow(place.origin, place.index, number, d.part, d.name, d.digest, d.text)


def _item_rows(one: Logged) -> Iterable[ItemRow]:
    """What can be looked up: wallets, indicators, entities and links of a listing; ids that a freeze request names."""
    checked, place = one.prepared.items, one.event
    assert checked is not None
    for row in checked.rows:
        yield ItemRow.of(place.origin, place.index, row.number, row.value)
    for link in checked.links:
        yield ItemRow.of(place.origin, place.index, link.number, link.value)
    if place.kind == Kind.REQUEST:
        yield from freezes_of(checked, place.origin, place.index)


# --- folding what was touched --------------------------------------------------------------------------------------


async def _refold(tx: Transaction, batch: Batch, keyring: Keyring) -> tuple[set[Key], bool]:
    """Fold again what the batch touches: the statements whose state was set anew, and whether content was destroyed."""
    moving = [one.event for one in batch.logged if one.event.targets or one.event.kind == Kind.KEY_REVOKE]
    if not moving:
        return set(), False
    touched = await _touched(tx, moving)
    folded = await _fold(tx, touched, batch, keyring)
    states = {key: folded.states[key] for key in touched if key in folded.states}
    await tx.statements.set_states(states)
    for gone in folded.destroyed:
        await tx.statements.erase_parts(gone.origin, [gone.sid], [gone.part])
        if gone.part == "core":
            await tx.subjects.erase_items(gone.origin, [gone.sid])
    return set(states), bool(folded.destroyed)


async def _touched(tx: Transaction, events: Collection[Event]) -> set[Key]:
    """Every statement whose state may change, followed through approvals, withdrawals and revoked keys."""
    origins = await tx.log.origins()
    refold: set[Key] = set()
    followed: set[Key] = set()
    keys: set[tuple[str, str, int]] = set()
    fresh: Collection[Event] = events
    while fresh:
        found = affected(fresh, origins=origins)
        refold |= found.refold
        ask = found.follow - followed
        followed |= ask
        for origin, kid, start in found.keys - keys:
            ask |= {(origin, sid) for sid in await tx.statements.by_kid(origin, kid, start)}
        keys |= found.keys
        followed |= ask
        fresh = [event for key in _by_origin(ask) for event in await tx.statements.events(*key)]
    return refold


async def _fold(tx: Transaction, asked: Collection[Key], batch: Batch, keyring: Keyring) -> Folded:
    gathering = Gathering()
    statements = [event for key in _by_origin(asked) for event in await tx.statements.events(*key)]
    revocations = await tx.statements.control_statements(batch.origin, [Kind.KEY_REVOKE])
    keys = gathering.start(statements, revocations)
    while keys:
        keys = gathering.take([event for key in _by_origin(keys) for event in await tx.statements.inbound(*key)])
    origins = {event.origin for event in gathering.events}
    return fold(
        gathering.events,
        vector={origin: OriginState("live", batch.next_index) for origin in origins},
        reader=EVERYTHING,
        as_of=None,
        registrar_kids={batch.origin: keyring.registrar_kids},
        needs2=lambda _origin, index: keyring.policy_at(index).needs2,
    )


def _by_origin(keys: Iterable[Key]) -> list[tuple[str, list[str]]]:
    grouped: dict[str, list[str]] = {}
    for origin, sid in keys:
        grouped.setdefault(origin, []).append(sid)
    return list(grouped.items())

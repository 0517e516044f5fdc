"""What comes out of its turn: a stub for an entry that was withheld, parts for a stub, and what a late key statement makes of the rest.

Whatever came late ends as if it had come in its turn. Parts go beside those that are held, unless they were erased meanwhile: the fold
destroys them in the same transaction. A control statement that comes late changes how everything above it is judged: it is judged
again, from the entries as they are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.domain.canonical import b64u_decode, b64u_encode_digests, read_json
from app.domain.errors import CordonError, Refused, UnknownKid
from app.domain.folding import Event, Key
from app.domain.statement import Disclosure, Kind, Stub, read_stub
from app.seal.keyrings import Keyrings
from app.services.admit.changes import note_changes
from app.services.admit.foreign_judge import Offered, Opened, covered_items, judge, open_entry
from app.services.admit.foreign_page import NO_ITEMS, Page, first_state
from app.services.admit.refold import refold
from app.services.admit.rows import INERT, Logged, event_of, statement_row
from app.storage.database import Transaction
from app.storage.evidence import PoisonRow
from app.storage.log import LogEntry
from app.storage.part_rows import CORE
from app.storage.records import PartRow
from app.storage.withheld import PARTS, STUB, WithheldRow

CHUNK = 512


@dataclass(frozen=True, slots=True)
class Lacking:
    """One offer that brings what is missing. `offered`: as to be opened, the entry as the log has it; `held`: parts that are here."""

    what: str
    offered: Offered
    leaf: bytes
    held: tuple[PartRow, ...] = ()


async def read_lacking(tx: Transaction, origin: str, offers: Sequence[Offered], *, size: int) -> list[Lacking]:
    """Those of the offers that bring what is missing below `size`, in log order."""
    by_index = {one.index: one for one in offers if 0 <= one.index < size}
    if not by_index:
        return []
    rows = [row for row in await tx.withheld.between(origin, min(by_index), max(by_index) + 1) if row.index in by_index]
    entries = {entry.index: entry for entry in await tx.log.entries_at(origin, [row.index for row in rows if row.what == PARTS])}
    parts: dict[int, list[PartRow]] = {}
    for part in await tx.statements.parts_of(origin, list(entries)):
        parts.setdefault(part.index, []).append(part)
    found: list[Lacking] = []
    for row in rows:
        offered, entry = by_index[row.index], entries.get(row.index)
        if row.what == STUB and offered.entry is not None:
            leaf = await tx.log.leaves(origin, row.index, row.index + 1)
            found.append(Lacking(STUB, offered, leaf[0]))
        elif row.what == PARTS and entry is not None:
            found.append(_with_held(offered, entry, tuple(parts.get(row.index, ()))))
    return found


def _with_held(offered: Offered, entry: LogEntry, held: tuple[PartRow, ...]) -> Lacking:
    """The offer together with what is here: only both can tell whether anything is still missing."""
    texts = dict.fromkeys([*(text for part in held for text in part.texts), *offered.disclosures])
    erased = offered.erased | {part.part for part in held if part.is_erased}
    return Lacking(PARTS, Offered(entry.index, entry.entry, tuple(texts), erased), entry.leaf, held)


async def late_parts(tx: Transaction, page: Page, lacking: Sequence[Lacking], opened: Sequence[Opened]) -> list[Logged]:
    """Say what is missing no more. The statements as they are to be folded again, with the parts that are new and are to be written."""
    events = {event.index: event for event in await tx.statements.events_at(page.origin, [one.index for one in opened])}
    lowest = await _lowest(tx, page.origin, [event.sid for event in events.values()])
    late: list[Logged] = []
    for one, found in zip(lacking, opened, strict=True):
        event = events.get(found.index)
        if event is None or event.bad or found.stub is None:
            continue
        known = {digest for part in one.held for digest in b64u_encode_digests(part.hashes())}
        fresh = tuple(d for d in found.disclosures if d.digest not in known)
        if not found.is_missing:
            await tx.withheld.drop(page.origin, [found.index])
        if found.parts_fault is not None:
            page.accuse(found, found.parts_fault)
        elif fresh:
            first = max((part.number + part.size for part in one.held), default=0)
            late.append(_late(page, found, found.stub, event, fresh, first_place=first, is_first=lowest[event.sid] == found.index))
    return late


async def _lowest(tx: Transaction, origin: str, sids: Sequence[str]) -> dict[str, int]:
    lowest: dict[str, int] = {}
    for event in await tx.statements.events(origin, sids):
        if not event.bad:
            lowest.setdefault(event.sid, event.index)
    return lowest


def _late(
    page: Page, found: Opened, stub: Stub, event: Event, fresh: tuple[Disclosure, ...], *, first_place: int, is_first: bool
) -> Logged:
    """The statement with the parts and items that are new; no items where its content stands at a lower index."""
    numbers = {d.number for d in fresh if d.part == CORE}
    items = found.items if is_first and numbers else NO_ITEMS
    try:
        items = covered_items(stub, items, page.keyring, index=event.index)
    except Refused as error:
        items = NO_ITEMS
        page.accuse(found, error.slug)
    if stub.kind == Kind.LISTING:
        rows = tuple(row for row in items.rows if row.number in numbers)
        items = replace(items, rows=rows, links=tuple(link for link in items.links if link.number in numbers))
    state = first_state(event, page.state, page.keyring)
    return Logged(stub, event, found.accepted_ms, fresh, items, state, first_place)


# --- judging again -------------------------------------------------------------------------------------------------------


async def reconsider(tx: Transaction, page: Page, first: int, size: int, keyrings: Keyrings) -> set[Key]:
    """Judge and fold again everything from `first` on, under a registry worked through anew; the statements that were folded.

    Leaves the page with that registry. For the rare control statement, or root document, that came after what rests on it.
    """
    page.keyring, page.is_trial = page.keyring.copy(before=first), True
    folded: set[Key] = set()
    before: dict[Key, str] = {}
    for start in range(first, size, CHUNK):
        entries = await tx.log.entries(page.origin, start, min(start + CHUNK, size))
        events = {event.index: event for event in await tx.statements.events_between(page.origin, start, min(start + CHUNK, size))}
        for entry in entries:
            await _again(tx, page, entry, events.get(entry.index))
        there = await tx.statements.events_between(page.origin, start, min(start + CHUNK, size))
        moving = [event for event in there if event.targets or event.kind == Kind.KEY_REVOKE]
        also = {(page.origin, event.sid) for event in there}
        refolded = await refold(tx, moving, keyrings=keyrings.beside(page.keyring), also=also)
        folded |= refolded.states.keys()
        before = {**refolded.before, **before}
        await tx.registry.refresh(page.origin, there)
    await note_changes(tx, page.now_ms, before=before)
    return folded


async def _again(tx: Transaction, page: Page, entry: LogEntry, event: Event | None) -> None:
    opened = _reopened(page, entry, event)
    stub = opened.stub
    if stub is None:
        return
    fault = judge(stub, page.keyring, index=entry.index, accepted_ms=opened.accepted_ms)
    if event is None and fault == UnknownKid.slug:
        return
    bad = fault is not None
    if event is None or event.bad != bad:
        now = event_of(stub, page.origin, entry.index, bad=bad)
        state = INERT if bad else first_state(now, page.state, page.keyring)
        row = statement_row(Logged(stub, now, opened.accepted_ms, (), NO_ITEMS, state))
        await (tx.statements.put([row]) if event is None else tx.statements.set_events([row]))
        await tx.evidence.drop_poison(page.origin, [entry.index])
        if fault is not None:
            await tx.subjects.erase_items(page.origin, [entry.sid])
            await tx.evidence.put_poison([PoisonRow(page.origin, entry.index, fault, entry.entry, page.now_ms)])
        elif stub.parts:
            await tx.withheld.put_many([WithheldRow(page.origin, entry.index, PARTS, 0)])
    if not bad:
        page.learn(entry.index, stub)


def _reopened(page: Page, entry: LogEntry, event: Event | None) -> Opened:
    """The entry read again; a signature that was verified once stands, as a kid never gets another key."""
    offered = Offered(entry.index, entry.entry)
    if event is None:
        return open_entry(offered, page.keyring.public_key, from_relay=False)
    time, _, jws = entry.entry.partition(b" ")
    try:
        claims = read_json(b64u_decode(jws.split(b".")[1].decode("ascii")))
        stub = read_stub(claims, kid=event.kid, sid=event.sid, lenient=True) if isinstance(claims, dict) else None
    except CordonError:
        stub = None
    return Opened(entry.index, entry.entry, int(time), entry.sid, stub)

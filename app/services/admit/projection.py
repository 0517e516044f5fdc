"""From judged statements to rows: entries, tiles, stubs, parts, items, and the states that the fold gives, in the open transaction.

A plain new listing is `active` on arrival without any folding. Whatever points at something, is pointed at already, or changes what
keys mean, makes the statements it touches be folded again from their small history (`refold`), so what is stored equals the pure fold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from app.domain.folding import Event, Key, State
from app.domain.merkle import leaf_hash
from app.domain.statement import Kind, Stub
from app.domain.tiles import Grown
from app.seal.keyrings import Keyrings
from app.services.admit.changes import note_changes
from app.services.admit.moving import Moved, merged, read_moved
from app.services.admit.outcome import HeldReason, entry_bytes
from app.services.admit.prepared import Prepared
from app.services.admit.refold import by_origin, refold
from app.services.admit.rows import ACTIVE, WAITING, Logged, content_rows, event_of, freeze_rows, named_ids
from app.services.admit.rows import statement_row as _statement_row
from app.storage.database import Transaction
from app.storage.log import Head, LogEntry
from app.storage.statement_rows import reach_text


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
        assert prepared.items is not None
        self.entries.append(LogEntry(self.origin, index, stub.sid, entry, leaf_hash(entry)))
        state = WAITING if reason is HeldReason.NEEDS2 else ACTIVE
        event = event_of(stub, self.origin, index)
        self.logged.append(Logged(stub, event, self.accepted_ms, prepared.disclosures, prepared.items, state))
        return index


async def project(tx: Transaction, batch: Batch, *, keyrings: Keyrings, grown: Grown) -> Moved:
    """Write the batch and what follows from it; the head is swapped last, as whoever comes second must change nothing."""
    if not batch.entries:
        return Moved()
    await tx.log.append(batch.entries)
    await tx.log.write_tiles(batch.origin, grown.changed)
    await put_statements(tx, batch.logged, freezes=True)
    # An annotation in the log of a peer may have been here before what it is about.
    early = await pointed_at(tx, [one.event for one in batch.logged]) if len(keyrings) > 1 else set()
    moving = [one.event for one in batch.logged if one.event.targets or one.event.kind == Kind.KEY_REVOKE]
    refolded = await refold(tx, moving, keyrings=keyrings, also=early)
    await tx.registry.refresh(batch.origin, [one.event for one in batch.logged])
    await tx.log.swap_head(batch.first, Head(batch.origin, grown.size, grown.root, batch.accepted_ms))
    await note_changes(tx, batch.accepted_ms, fresh=batch.logged, before=refolded.before)
    moved = await read_moved(tx, refolded.states, gone=refolded.gone, erased=refolded.destroyed)
    plain = [one for one in batch.logged if one.stub.kind == Kind.LISTING and (batch.origin, one.stub.sid) not in refolded.states]
    return with_fresh(moved, plain)


async def put_statements(tx: Transaction, logged: Sequence[Logged], *, freezes: bool) -> None:
    """Write statements with their parts and items; their entries must be there. `freezes`: they bind what is said here."""
    await tx.statements.put([_statement_row(one) for one in logged])
    await put_content(tx, logged)
    if freezes:
        await tx.subjects.put_items([row for one in logged for row in freeze_rows(one)])


async def put_content(tx: Transaction, logged: Sequence[Logged]) -> None:
    """Write what statements say: their disclosures and items."""
    rows = [content_rows(one) for one in logged]
    await tx.statements.put_parts([row for parts, _ in rows for row in parts])
    await tx.subjects.put_items([row for _, items in rows for row in items])


async def pointed_at(tx: Transaction, events: Sequence[Event]) -> set[Key]:
    """Which of these statements some statement of any log names already."""
    found: set[Key] = set()
    for origin, sids in by_origin((event.origin, event.sid) for event in events):
        named = {target.rpartition("/")[2] for edge in await tx.statements.inbound(origin, sids) for target in edge.targets}
        found |= {(origin, sid) for sid in sids if sid in named}
    return found


def with_fresh(moved: Moved, plain: Sequence[Logged]) -> Moved:
    """What moved, and new listings that nothing points at: storage need not be asked for them."""
    filing: dict[str, list[str]] = {}
    for one in plain:
        if one.state.state is State.ACTIVE:
            filing.setdefault(reach_text(one.stub.label, one.stub.parts.get("core", one.stub.label), one.stub.issuer), []).extend(
                named_ids(one)
            )
    return merged([moved, Moved(list(filing.items()), [id_ for ids in filing.values() for id_ in ids])])

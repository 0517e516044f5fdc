"""What moved, for those who watch: written in the transaction of the fold, so that no crash loses it (schemas §4.5).

Nothing is matched here: a gate must not wait for watchers. Whoever reads it finds the statement as it is then; a listing that moved
twice is looked at twice and told once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from app.domain.folding import Key
from app.domain.statement import Kind
from app.services.admit.rows import Logged
from app.storage.database import Transaction

HELD = "held"
"""The state before of what was mirrored and did not count here."""


async def note_changes(tx: Transaction, at_ms: int, *, fresh: Iterable[Logged] = (), before: Mapping[Key, str] | None = None) -> None:
    """Note listings that are new, and those whose state before is given. The last step of a transaction: see `OutboxShelf.put_changes`."""
    new = {(one.event.origin, one.event.sid): "" for one in fresh if one.stub.kind == Kind.LISTING}
    moved = {**(before or {}), **new}
    await tx.outbox.put_changes(at_ms, [(origin, sid, state) for (origin, sid), state in moved.items()])

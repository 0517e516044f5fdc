"""What the index must be told around a commit: the ids of statements that moved, in any log."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from app.domain.folding import ANNOTATION_KINDS, Key
from app.domain.statement import Kind, ohash_of
from app.services.admit.refold import by_origin, touched_by, vector_of
from app.storage.database import Transaction
from app.storage.records import Stored

Face = tuple[str, str | None, str]
"""How a member looks in answers: name, country, class."""


MOST_TOUCHED = 20_000
"""Ids that are named one by one; where more moved it may be any."""
_PORTION = 512
"""Statements that are asked for at a time."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What the index must know of a change: before its commit the ids to file, by reach; after it those of which something else is said.

    `touched` None: it may be any id.
    """

    filing: Sequence[tuple[str, Sequence[str]]] = ()
    touched: Collection[str] | None = ()
    erased: bool = False
    """Content was deleted: the database should forget the bytes too."""
    faces: Mapping[str, Face] | None = None
    """How members look from now on, if that was asked."""


def merged(moves: Iterable[Moved]) -> Moved:
    """Several changes as one."""
    filing: list[tuple[str, Sequence[str]]] = []
    touched: dict[str, None] | None = {}
    erased, faces = False, None
    for one in moves:
        filing += one.filing
        touched = None if touched is None or one.touched is None else touched | dict.fromkeys(one.touched)
        erased, faces = erased or one.erased, one.faces or faces
    return Moved(filing, touched, erased, faces)


async def read_moved(tx: Transaction, statements: Collection[Key], *, gone: Collection[str] = (), erased: bool = False) -> Moved:
    """What storage says of these statements now. `gone`: ids that they named and that were destroyed."""
    filing: dict[str, dict[str, None]] = {}
    touched: dict[str, None] | None = dict.fromkeys(gone)
    for origin, sids in by_origin(statements):
        for start in range(0, len(sids), _PORTION):
            for one in await tx.filed.of_sids(origin, sids[start : start + _PORTION]):
                if one.is_live:
                    filing.setdefault(one.reach, {})[one.id] = None
                if touched is not None:
                    touched[one.id] = None
            if touched is not None and len(touched) > MOST_TOUCHED:
                touched = None
    return Moved([(reach, list(ids)) for reach, ids in filing.items()], touched, erased)


async def moved_between(tx: Transaction, origin: str, first: int, end: int) -> Moved:
    """What the entries first…end−1 have moved, for an index that stands at `first`: another worker has logged them."""
    moves: list[Moved] = []
    for start in range(first, end, _PORTION):
        events = await tx.statements.events_between(origin, start, min(start + _PORTION, end))
        moving = [event for event in events if event.targets or event.kind == Kind.KEY_REVOKE]
        touched = await touched_by(tx, moving, await vector_of(tx)) if moving else set()
        moves.append(await read_moved(tx, touched | {(origin, event.sid) for event in events if event.kind == Kind.LISTING}))
        if any(event.kind == Kind.ERASE for event in events):  # what they named cannot be asked any more
            moves.append(Moved(touched=None))
    return merged(moves)


async def faces_of(tx: Transaction, origin: str) -> dict[str, Face]:
    """The members of a log as they are shown."""
    return {one.id: (one.name, one.country, one.member_class) for one in await tx.registry.members() if one.origin == origin}


async def moved_by_members(tx: Transaction, origin: str, *, before: Mapping[str, Face]) -> Moved:
    """Whatever shows a member who looks otherwise than `before`: his listings, and those that he has disputed or endorsed anywhere."""
    statements: set[Key] = set()
    faces = await faces_of(tx, origin)
    changed = [one for one in before.keys() | faces.keys() if before.get(one) != faces.get(one)]
    logs = {ohash_of(log): log for log in await tx.log.origins()} if changed else {}
    for member in changed:
        for kind in (Kind.LISTING, *ANNOTATION_KINDS):
            async for one in _said_by(tx, member, kind):
                if len(statements) > MOST_TOUCHED:
                    return Moved(touched=None, faces=faces)
                if one.origin != origin:
                    continue
                pairs = [target.partition("/") for target in one.event.targets]
                targets = [(logs[ohash], sid) for ohash, _, sid in pairs if ohash in logs]
                statements.update([(one.origin, one.sid)] if kind == Kind.LISTING else targets)
    return Moved(touched=(await read_moved(tx, statements)).touched, faces=faces)


async def _said_by(tx: Transaction, member: str, kind: str, page: int = 1_000) -> AsyncIterator[Stored]:
    after = None
    while True:
        rows = await tx.statements.page(issuer=member, kind=kind, after=after, limit=page)
        for row in rows:
            yield row
        if len(rows) < page:
            return
        after = (rows[-1].accepted_ms, rows[-1].origin, rows[-1].index)

"""What the index in memory must take in anew after a commit: listings and links of statements that moved, in any log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from app.domain.answer import Link, Listing
from app.domain.folding import ANNOTATION_KINDS, Key
from app.domain.statement import Kind, ohash_of
from app.index.listings import ListingIndex
from app.services.admit.refold import by_origin, touched_by, vector_of
from app.storage.database import Database, Transaction
from app.storage.records import Stored

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


async def read_moved(tx: Transaction, statements: Collection[Key], *, erased: bool = False) -> Moved:
    """What storage says of these statements now."""
    listings: list[Listing] = []
    links: list[Link] = []
    for origin, sids in by_origin(statements):
        listings += await tx.subjects.listings_of_sids(origin, sids)
        links += await tx.subjects.links_of_sids(origin, sids)
    return Moved(frozenset(statements), listings, links, erased)


async def moved_between(tx: Transaction, origin: str, first: int, end: int) -> Moved:
    """What the entries first…end−1 have moved, for an index that stands at `first`: another worker has logged them."""
    events = await tx.statements.events_between(origin, first, end)
    moving = [event for event in events if event.targets or event.kind == Kind.KEY_REVOKE]
    touched = await touched_by(tx, moving, await vector_of(tx)) if moving else set()
    return await read_moved(tx, touched | {(origin, event.sid) for event in events if event.kind == Kind.LISTING})


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
                if one.origin != origin:
                    continue
                pairs = [target.partition("/") for target in one.event.targets]
                targets = [(logs[ohash], sid) for ohash, _, sid in pairs if ohash in logs]
                statements.update([(one.origin, one.sid)] if kind == Kind.LISTING else targets)
    return replace(await read_moved(tx, statements), faces=faces)


async def _said_by(tx: Transaction, member: str, kind: str, page: int = 1_000) -> AsyncIterator[Stored]:
    after = None
    while True:
        rows = await tx.statements.page(issuer=member, kind=kind, after=after, limit=page)
        for row in rows:
            yield row
        if len(rows) < page:
            return
        after = (rows[-1].accepted_ms, rows[-1].origin, rows[-1].index)


async def fill_index(database: Database, index: ListingIndex) -> None:
    """Fill an empty index from storage, to the places of the heads before the first row was read."""
    async with database.reading() as tx:
        heads = [await tx.log.head(origin) for origin in await tx.log.origins()]
        batch = []
        async for listing in tx.subjects.live_listings():
            batch.append(listing)
            if len(batch) == 1_000:
                index.replace((), batch)
                batch = []
                await asyncio.sleep(0)
        index.replace((), batch)
        index.replace((), (), [link async for link in tx.subjects.live_links()])
    index.positions |= {head.origin: head.size for head in heads if head is not None}

"""A log of another jurisdiction as a node holds it: copied row by row from the database of its own node, whole or with holes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from pathlib import Path

from app.domain.folding import Event
from app.domain.tiles import TileKey, widths
from app.services.node import Node
from app.storage.database import Database
from app.storage.log import Head
from app.storage.mirrors import MirrorRow
from app.storage.peers import PeerRow
from app.storage.records import StatementRow
from app.storage.upgrade import upgrade
from tests.factories import Town, accept


@asynccontextmanager
async def foreign_node(folder: Path, clock: Callable[[], int], code: str = "fr") -> AsyncIterator[tuple[Town, Node]]:
    """A running node of another jurisdiction on SQLite, its members enrolled."""
    town = Town.found(folder / code, code=code, clock=clock)
    url = f"sqlite+aiosqlite:///{folder / f'{code}.sqlite3'}"
    upgrade(url)
    async with town.open(url) as node:
        await accept(node, *town.settled())
        yield town, node


def all_tiles(size: int) -> list[TileKey]:
    """The keys of every hash tile of a log."""
    return [(level, number) for level, (full, width) in enumerate(widths(size)) for number in range(full + bool(width))]


async def copy_log(source: Node, target: Database, *, without: Collection[int] = (), processed: int | None = None) -> str:
    """Mirror the own log of `source`: all tiles, and the entries below `processed` that are not in `without`. Its origin."""
    origin = source.identity.origin
    async with source.database.reading() as tx:
        head = await tx.log.head(origin)
        assert head is not None
        end = head.size if processed is None else processed
        entries = [one for one in await tx.log.entries(origin, 0, end) if one.index not in without]
        events = [one for one in await tx.statements.events_between(origin, 0, end) if one.index not in without]
        parts = await tx.statements.parts_of(origin, [one.index for one in events])
        tiles = await tx.log.read_tiles(origin, all_tiles(head.size))
        times = {one.index: int(one.entry.partition(b" ")[0]) for one in entries}
    async with target.transaction() as tx:
        await tx.peers.put(PeerRow(source.identity.node_id, source.identity.jurisdiction, "https://fr.example", "0" * 64))
        await tx.log.create(origin, 0)
        await tx.mirrors.create(MirrorRow(origin, source.identity.node_id))
        await tx.log.write_tiles(origin, tiles)
        assert await tx.mirrors.set_tree(origin, head.size, head.root, head.note)
        await tx.log.append(entries)
        await tx.statements.put([_row(event, times[event.index]) for event in events])
        await tx.statements.put_parts(parts)
        await tx.log.swap_head(0, Head(origin, end, head.root, head.accepted_ms))
    return origin


def _row(event: Event, accepted_ms: int) -> StatementRow:
    return StatementRow(event, accepted_ms, accepted_ms // 1000)

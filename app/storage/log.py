"""The log: entries by dense index, hash tiles, and the head that is swapped, never just set (protocol §3.6).

The head row is the lock: whoever changes the size from what it was has the indices in between, and whoever comes second changes
no row. Take it last, in the transaction that wrote the entries. The own log is dense; a mirror has no row where an entry is
withheld, while its tiles have every hash, also beyond its head. Ranges are half-open: `first` belongs, `last` does not.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, func, select, update

from app.domain.merkle import EMPTY_ROOT, HASH_BYTES
from app.domain.tiles import TILE_WIDTH
from app.storage.faults import LostRace
from app.storage.session import Session
from app.storage.sql import Query, Row, insertion_if_absent, one_of, upsertion
from app.storage.tables import log_entry, log_head, log_tile, statement

TileKey = tuple[int, int]
"""(level, number) of a hash tile."""

_E, _H, _T, _S = log_entry.c, log_head.c, log_tile.c, statement.c
_CREATE = insertion_if_absent(log_head)
_HEAD = Query(select(log_head).where(_H.origin == bindparam("origin")))
_HEADS = Query(select(log_head).order_by(_H.origin))
_ORIGINS = Query(select(_H.origin).order_by(_H.origin))
_SWAP = Query(
    update(log_head)
    .where(_H.origin == bindparam("of"), _H.size == bindparam("old"))
    .values(size=bindparam("new"), root=bindparam("hash"), accepted_ms=bindparam("ms"))
)
_NOTE = Query(
    update(log_head)
    .where(_H.origin == bindparam("of"), _H.size == bindparam("old"))
    .values(note=bindparam("text"), note_size=bindparam("old"))
)
_RANGE = Query(
    select(log_entry).where(_E.origin == bindparam("origin"), _E.idx >= bindparam("first"), _E.idx < bindparam("last")).order_by(_E.idx)
)
_BYTES = select(_E.idx, _E.entry).where(_E.origin == bindparam("origin"))
_BYTES_BETWEEN = Query(_BYTES.where(_E.idx >= bindparam("first"), _E.idx < bindparam("last")))
_BYTES_AT = Query(_BYTES.where(one_of(_E.idx, "indices")))
_SOME = Query(select(log_entry).where(_E.origin == bindparam("origin"), one_of(_E.idx, "indices")).order_by(_E.idx))
_WALK = Query(
    select(_E.idx, _E.entry, _E.leaf)
    .where(_E.origin == bindparam("origin"), _E.idx >= bindparam("first"))
    .order_by(_E.idx)
    .limit(bindparam("page"))
)
_FIND = Query(select(_S.sid, func.min(_S.idx)).where(_S.origin == bindparam("origin"), one_of(_S.sid, "sids")).group_by(_S.sid))
_TILES = Query(select(_T.slot, _T.hashes).where(_T.origin == bindparam("origin"), one_of(_T.slot, "slots")))
_PUT_TILES = upsertion(log_tile)
_NUMBER_BITS = 48


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a log: `size` entries under `root`; `accepted_ms` of the last one; `note`: the checkpoint signed at `note_size`."""

    origin: str
    size: int
    root: bytes
    accepted_ms: int
    note: str = ""
    note_size: int = 0


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One entry as logged: `entry` = `<accepted_ms> <JWS>`, `leaf` its RFC 6962 leaf hash."""

    origin: str
    index: int
    sid: str
    entry: bytes
    leaf: bytes


class LogShelf:
    """The logs that this node holds: its own and mirrors of its peers', by origin."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    async def create(self, origin: str, now_ms: int) -> None:
        """Begin a log with no entry; nothing happens to one that is there."""
        await self._session.run_many(_CREATE, [(origin, 0, EMPTY_ROOT, 0, 0, "", now_ms)])

    async def origins(self) -> list[str]:
        """Every log held, sorted."""
        return [origin for (origin,) in await self._session.rows(_ORIGINS)]

    async def head(self, origin: str) -> Head | None:
        """The head, or None for a log that was never created."""
        rows = await self._session.rows(_HEAD, origin=origin)
        return _head(rows[0]) if rows else None

    async def heads(self) -> list[Head]:
        """The heads of every log held, by origin."""
        return [_head(row) for row in await self._session.rows(_HEADS)]

    async def swap_head(self, old_size: int, head: Head) -> None:
        """Move the head from `old_size` to `head` (its note stays as it is). Raises LostRace if the log was no longer `old_size` long."""
        changed = await self._session.run(_SWAP, of=head.origin, old=old_size, new=head.size, hash=head.root, ms=head.accepted_ms)
        if changed != 1:
            raise LostRace(f"the log moved on from size {old_size}: read its head again")

    async def set_note(self, origin: str, size: int, note: str) -> bool:
        """Keep the checkpoint signed at `size`; False, and nothing kept, if the log has grown since."""
        return await self._session.run(_NOTE, of=origin, old=size, text=note) == 1

    async def append(self, entries: Sequence[LogEntry]) -> None:
        """Add entries at their indices; LostRace if one of them is taken. The head is swapped separately, last."""
        await self._session.load(log_entry, [(e.origin, e.index, e.sid, e.entry, e.leaf) for e in entries])

    async def entries(self, origin: str, first: int, last: int) -> list[LogEntry]:
        """The entries of [first, last) that are there, in order."""
        return [LogEntry(*row) for row in await self._session.rows(_RANGE, origin=origin, first=first, last=last)]

    async def entries_at(self, origin: str, indices: Collection[int]) -> list[LogEntry]:
        """The entries at `indices` that are there, in order."""
        return [LogEntry(*row) for row in await self._session.rows(_SOME, origin=origin, indices=indices)]

    async def bytes_of(self, origin: str, indices: Collection[int]) -> dict[int, bytes]:
        """The entries at `indices` (a range is read as one) that are there, as their bytes alone."""
        if isinstance(indices, range):
            return dict(await self._session.rows(_BYTES_BETWEEN, origin=origin, first=indices.start, last=indices.stop))
        return dict(await self._session.rows(_BYTES_AT, origin=origin, indices=indices)) if indices else {}

    async def entry(self, origin: str, index: int) -> LogEntry | None:
        """One entry."""
        found = await self.entries(origin, index, index + 1)
        return found[0] if found else None

    async def walk(self, origin: str, *, first: int = 0, page: int = 1024) -> AsyncIterator[tuple[int, bytes, bytes]]:
        """Every entry from `first` on that is there as (index, entry, leaf), for re-hashing; memory for one page."""
        while True:
            rows = await self._session.rows(_WALK, origin=origin, first=first, page=page)
            for index, entry, leaf in rows:
                yield index, entry, leaf
            if len(rows) < page:
                return
            first = rows[-1][0] + 1

    async def find_sids(self, origin: str, sids: Collection[str]) -> dict[str, int]:
        """Which of `sids` the log has, with their (lowest) index."""
        return dict(await self._session.rows(_FIND, origin=origin, sids=sids)) if sids else {}

    async def read_tiles(self, origin: str, keys: Iterable[TileKey]) -> dict[TileKey, bytes]:
        """The tiles that are there, as far as they are filled."""
        slots = [_slot(key) for key in keys]
        rows = await self._session.rows(_TILES, origin=origin, slots=slots) if slots else []
        return {_key(slot): hashes for slot, hashes in rows}

    async def leaves(self, origin: str, first: int, last: int) -> list[bytes]:
        """The leaf hashes of [first, last) from the tiles, also of entries that are withheld; fewer where the tree ends before `last`."""
        if first >= last:
            return []
        number = first // TILE_WIDTH
        tiles = await self.read_tiles(origin, [(0, n) for n in range(number, (last - 1) // TILE_WIDTH + 1)])
        found: list[bytes] = []
        while (hashes := tiles.get((0, number), b"")) and first + len(found) < last:
            at = (first + len(found)) % TILE_WIDTH
            width = min(len(hashes) // HASH_BYTES, at + last - first - len(found))
            found += [hashes[n * HASH_BYTES : (n + 1) * HASH_BYTES] for n in range(at, width)]
            number += 1
        return found

    async def write_tiles(self, origin: str, tiles: Mapping[TileKey, bytes]) -> None:
        """Put tiles; one that is there is replaced by its longer self."""
        await self._session.run_many(_PUT_TILES, [(origin, _slot(key), hashes) for key, hashes in tiles.items()])


def _head(row: Row) -> Head:
    origin, size, root, accepted_ms, note_size, note, _created = row
    return Head(origin, size, root, accepted_ms, note, note_size)


def _slot(key: TileKey) -> int:
    level, number = key
    return level << _NUMBER_BITS | number


def _key(slot: int) -> TileKey:
    return slot >> _NUMBER_BITS, slot & ((1 << _NUMBER_BITS) - 1)

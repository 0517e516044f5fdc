"""The public face of the logs that this node holds: checkpoints, hash tiles, entry bundles, entries one by one, and proofs.

The own log and the mirrors of peers look alike (C2SP tlog-tiles and its mirror layout, protocol §3.8). Serves what is committed and
signed, never more: sizes are cut to the checkpoint that went out. Entries go by their labels; of a mirror only what is CLEAR or GREEN
is relayed, the rest comes from its origin alone, and what is withheld shows that it is there and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from app.domain.answer import is_own
from app.domain.errors import LogFrozen, NotFound
from app.domain.labels import Label, Reader, ReaderClass, Tlp, can_read
from app.domain.merkle import inclusion_path
from app.domain.registry import node_of_origin
from app.domain.statement import ohash_of
from app.domain.tiles import TILE_WIDTH, TilePath, TileReader, encode_bundle, needed_tiles
from app.seal.notes import add_lines, make_receipt
from app.services.admit import receipt_extra
from app.storage.database import Database, Transaction
from app.storage.log import LogEntry
from app.storage.records import Labelled, PartRow, Stored

PAGE_LINES = 1_024
PAGE_BYTES = 4 * 1024 * 1024
PARTS_MOST = 256
STRETCH = 128
"""Entries that are read and written in one go: between stretches the loop belongs to lookups, and memory stays bounded."""

_RELAYED = frozenset({Tlp.CLEAR, Tlp.GREEN})


@dataclass(frozen=True, slots=True)
class Published:
    """The newest signed checkpoint of a log, with the cosignatures known so far, and the size it stands for."""

    origin: str
    size: int
    note: str


@dataclass(slots=True)
class Page:
    """Lines of NDJSON for consecutive or named indices; `sids`: the statements that were shown."""

    lines: list[bytes] = field(default_factory=list)
    sids: list[str] = field(default_factory=list)
    length: int = 0

    @property
    def body(self) -> bytes:
        """The lines, each with its end."""
        return b"\n".join([*self.lines, b""]) if self.lines else b""

    def take(self, line: bytes, sid: str) -> bool:
        """Add a line; False, and nothing is added, if the page is full. One line always fits."""
        if self.lines and (len(self.lines) == PAGE_LINES or self.length + len(line) >= PAGE_BYTES):
            return False
        self.lines.append(line)
        self.length += len(line) + 1
        if sid:
            self.sids.append(sid)
        return True


class Publisher:
    """Reads the logs of a node for those who follow or audit them; `origin` is its own."""

    def __init__(self, database: Database, origin: str) -> None:
        self._database = database
        self._origin = origin
        self._ohash = ohash_of(origin)
        self._origins = {self._ohash: origin}
        self._reached: dict[str, int] = {}  # sizes that were once signed: a tile below them needs no look at the head

    # --- heads --------------------------------------------------------------------------------------------------------

    async def origin_of(self, ohash: str) -> str:
        """The log of this hash; NotFound if it is not held here."""
        origin = self._origins.get(ohash)
        if origin is None:
            self._origins = {ohash_of(one): one for one in (self._origin, *await self._database.quick.log.origins())}
            origin = self._origins.get(ohash)
        if origin is None:
            raise NotFound("this node holds no log of this hash")
        return origin

    async def checkpoint(self, ohash: str | None = None) -> Published:
        """The newest signed checkpoint of the own log, or of the one of this hash: unavailable while nothing was signed yet."""
        origin = self._origin if ohash is None else await self.origin_of(ohash)
        published = await self._published(self._database.quick, origin)
        if published is None and origin == self._origin:
            raise LogFrozen("this log has not signed a checkpoint yet: see /readyz")
        if published is None:
            raise NotFound("no verified checkpoint of this log is held yet")
        return published

    async def heads(self) -> list[Published]:
        """The newest checkpoint of every log that has one: what the board of heads is filled with."""
        async with self._database.reading() as tx:
            found = [await self._published(tx, origin) for origin in await tx.log.origins()]
        return [one for one in found if one is not None]

    async def _published(self, tx: Transaction, origin: str) -> Published | None:
        if origin == self._origin:
            head = await tx.log.head(origin)
            size, note = (head.note_size, head.note) if head else (0, "")
        else:
            mirror = await tx.mirrors.get(origin)
            size, note = (mirror.tree_size, mirror.tree_note) if mirror else (0, "")
        if not note:
            return None
        self._reached[origin] = size
        return Published(origin, size, await _cosigned(tx, origin, size, note))

    # --- C2SP ---------------------------------------------------------------------------------------------------------

    async def tile(self, path: TilePath, ohash: str | None = None) -> bytes:
        """A hash tile or its first `width` hashes; not found beyond the signed size."""
        assert path.level != "entries"
        origin = self._origin if ohash is None else await self.origin_of(ohash)
        await self._check_reach(origin, 8 * path.level, path)
        key = (path.level, path.index)
        data = (await self._database.quick.log.read_tiles(origin, [key])).get(key, b"")
        if len(data) < 32 * path.width:
            raise NotFound("the signed log does not reach this tile")
        return data[: 32 * path.width]

    async def bundle(self, path: TilePath, reader: Reader, ohash: str | None = None) -> bytes:
        """Up to 256 entries; not found if any of their stubs is above the reader, or of a mirror withheld or above GREEN (§3.8)."""
        origin = self._origin if ohash is None else await self.origin_of(ohash)
        await self._check_reach(origin, 0, path)
        first = path.index * TILE_WIDTH
        async with self._database.reading() as tx:
            entries = await tx.log.entries(origin, first, first + path.width)
            labels = await tx.statements.labels(origin, first, first + path.width)
        may = self._judge(origin, reader)
        if len(entries) != path.width or len(labels) != path.width or not all(may.see_stub(label) for label in labels):
            raise NotFound("no such bundle for this caller: ask for hash tiles, or for entries one by one")
        return encode_bundle([entry.entry for entry in entries])

    async def _check_reach(self, origin: str, shift: int, path: TilePath) -> None:
        if _reaches(self._reached.get(origin, 0) >> shift, path):
            return
        published = await self._published(self._database.quick, origin)
        if published is None and origin == self._origin:
            raise LogFrozen("this log has not signed a checkpoint yet: see /readyz")
        if published is None or not _reaches(published.size >> shift, path):
            raise NotFound("the signed log does not reach this tile")

    # --- entries one by one ---------------------------------------------------------------------------------------------

    async def entries(self, ohash: str, first: int, end: int, reader: Reader) -> Page:
        """The entries of [first, end) as `reader` may have them: a line each, without holes, at most a page (protocol §3.8).

        Fewer lines than asked for: ask again from the next index; none: the log has no more yet.
        """
        origin = await self.origin_of(ohash)
        page, may = Page(), self._judge(origin, reader)
        async with self._database.reading() as tx:
            end = min(end, await self._processed(tx, origin), first + PAGE_LINES)
            for start in range(first, end, STRETCH):
                indices = range(start, min(start + STRETCH, end))
                entries = await tx.log.entries(origin, indices.start, indices.stop)
                if not await self._write(tx, page, _Stretch(indices, entries), may):
                    break
                await asyncio.sleep(0)
        return page

    async def parts(self, ohash: str, indices: Sequence[int], reader: Reader) -> Page:
        """The same for single indices, ascending: after an entitlement that came late, or to fetch again what was lost."""
        origin = await self.origin_of(ohash)
        page, may = Page(), self._judge(origin, reader)
        async with self._database.reading() as tx:
            if indices and indices[-1] >= await self._processed(tx, origin):
                raise NotFound("the log held here does not reach the last of these indices")
            for start in range(0, len(indices), STRETCH):
                some = indices[start : start + STRETCH]
                entries = await tx.log.entries_at(origin, some)
                if not await self._write(tx, page, _Stretch(some, entries), may):
                    break
                await asyncio.sleep(0)
        return page

    async def _processed(self, tx: Transaction, origin: str) -> int:
        """How far entries are served: as signed of the own log, as judged of a mirror."""
        head = await tx.log.head(origin)
        if head is None:
            return 0
        return head.note_size if origin == self._origin else head.size

    async def _write(self, tx: Transaction, page: Page, stretch: _Stretch, may: _Judge) -> bool:
        """Add the lines of a stretch; False if the page is full."""
        entry_at = {one.index: one for one in stretch.entries}
        stated = await tx.statements.labelled(may.origin, stretch.indices)
        shown = {index: one for index, one in stated.items() if index in entry_at and may.see(one)}
        with_parts = [index for index, one in shown.items() if one.parts and may.see_any_part(one)]
        parts_at: dict[int, list[PartRow]] = {}
        for row in await tx.statements.parts_of(may.origin, with_parts) if with_parts else ():
            parts_at.setdefault(row.index, []).append(row)
        for index in stretch.indices:
            found = shown.get(index)
            if found is None:
                line, sid = b'{"i":%d,"w":"stub"}' % index, ""
            else:
                line, sid = _line(entry_at[index], may.parts_of(found, parts_at.get(index, ()))), found.sid
            if not page.take(line, sid):
                return False
        return True

    def _judge(self, origin: str, reader: Reader) -> _Judge:
        # A node may have back what it logged itself: after a loss that is where its entries are (protocol §3.6).
        is_home = reader.reader_class is ReaderClass.NODE and reader.id == node_of_origin(origin)
        return _Judge(reader, origin, relays=origin != self._origin and not is_home, is_home=is_home)

    # --- proofs ---------------------------------------------------------------------------------------------------------

    async def receipt(self, sid: str, reader: Reader) -> str:
        """A tlog-proof of a statement of any log held here, under its newest checkpoint with the cosignatures so far.

        Its `extra` line is that of the first receipt.
        """
        async with self._database.reading() as tx:
            for origin in dict.fromkeys((self._origin, *await tx.log.origins())):
                found = await tx.statements.locate(origin, sid)
                if found is None or not _may_read(found, reader):
                    continue
                published = await self._published(tx, origin)
                if published is None and origin == self._origin:
                    raise LogFrozen("this log has not signed a checkpoint yet: see /readyz")
                if published is None or found.index >= published.size:
                    continue
                tiles = await tx.log.read_tiles(origin, needed_tiles(found.index, published.size))
                return _prove(found, published, tiles)
        raise NotFound("no such statement for this caller")


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Places of a log, and the entries that are held of them."""

    indices: Sequence[int]
    entries: Sequence[LogEntry]


@dataclass(frozen=True, slots=True)
class _Judge:
    """What one reader is shown of one log. `relays`: it is another's, and only CLEAR and GREEN go further (protocol §3.8)."""

    reader: Reader
    origin: str
    relays: bool
    is_home: bool = False

    def see_stub(self, label: Label) -> bool:
        """A stub whose place and issuer do not matter: for whole bundles."""
        return (not self.relays or label.tlp in _RELAYED) and can_read(label, self.reader)

    def see(self, stated: Labelled) -> bool:
        """The stub of one statement."""
        if self.is_home:
            return True
        if self.relays or stated.label.tlp in _RELAYED:
            return self.see_stub(stated.label)
        return is_own(stated.issuer, self.reader) or can_read(stated.label, self.reader.at(self.origin, stated.index))

    def see_any_part(self, stated: Labelled) -> bool:
        """Whether there is a part to show, judged cheaply and never too narrowly."""
        if self.reader.reader_class is ReaderClass.PUBLIC:
            return False  # the public's answers are delayed and embargoed: parts in bulk would undo both
        return not self.relays or any(label.tlp in _RELAYED for label in stated.parts.values())

    def parts_of(self, stated: Labelled, rows: Iterable[PartRow]) -> tuple[list[str], list[str]]:
        """(disclosures, names of erased parts) of what is shown, in the order of the wire."""
        shown: list[str] = []
        erased: dict[str, None] = {}
        readable: dict[str, bool] = {}
        for row in rows:
            name = row.part
            if name not in readable:
                readable[name] = self._see_part(stated, stated.parts.get(name))
            if not readable[name]:
                continue
            if row.disclosure is None:
                erased[name] = None
            else:
                shown.append(row.disclosure)
        return shown, [*erased]

    def _see_part(self, stated: Labelled, label: Label | None) -> bool:
        if self.is_home:
            return True
        if label is None or (self.relays and label.tlp not in _RELAYED):
            return False
        return (not self.relays and is_own(stated.issuer, self.reader)) or can_read(label, self.reader.at(self.origin, stated.index))


def _line(entry: LogEntry, parts: tuple[list[str], list[str]]) -> bytes:
    disclosures, erased = parts
    words: dict[str, object] = {"i": entry.index, "e": entry.entry.decode("ascii")}
    if disclosures:
        words["d"] = disclosures
    if erased:
        words["x"] = erased
    return orjson.dumps(words)


async def _cosigned(tx: Transaction, origin: str, size: int, note: str) -> str:
    """The note with the lines of witnesses that came in since, none twice."""
    lines = [one.line.removesuffix("\n") + "\n" for one in await tx.witnesses.of(origin, size)]
    return add_lines(note, *(line for line in lines if f"\n{line}" not in note))


def _may_read(found: Stored, reader: Reader) -> bool:
    return is_own(found.issuer, reader) or can_read(found.label, reader.at(found.origin, found.index))


def _prove(found: Stored, published: Published, tiles: Mapping[tuple[int, int], bytes]) -> str:
    path = inclusion_path(found.index, published.size, TileReader(lambda level, index: tiles[level, index]))
    return make_receipt(found.index, path, checkpoint_note=published.note, extra=receipt_extra(found.accepted_ms, found.sid))


def _reaches(width_of_level: int, path: TilePath) -> bool:
    """Whether the log has so many nodes at the level of this tile. A partial width below today's stays served: it is a prefix."""
    return path.index * TILE_WIDTH + path.width <= width_of_level

"""The public face of the logs that this node holds: checkpoints, hash tiles, entry bundles, entries one by one, and proofs.

The own log and the mirrors of peers look alike (C2SP tlog-tiles and its mirror layout, protocol §3.8). Serves what is committed and
signed, never more: sizes are cut to the checkpoint that went out. Entries go by their labels; of a mirror only what is CLEAR or GREEN
is relayed, the rest comes from its origin alone, and what is withheld shows that it is there and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Container, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
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
from app.storage.records import Labelled, Labels, Stored

PAGE_LINES = 1_024
PAGE_BYTES = 4 * 1024 * 1024
PARTS_MOST = 256
STRETCH = 256
"""Entries that are read and written in one go: between stretches the loop belongs to lookups, and memory stays bounded."""
SHORT = 16
"""Entries that are asked for at once and read without a transaction of their own: what is new, in other words."""

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
        async with self._reading(origin, path.width, first + path.width) as tx:
            entries = await tx.log.entries(origin, first, first + path.width)
            labels = await tx.statements.labels(origin, first, first + path.width)
        may = _Judge.of(reader, origin, own=self._origin)
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
        page, may = Page(), _Judge.of(reader, origin, own=self._origin)
        async with self._reading(origin, end - first, end) as tx:
            end = min(end, await self._processed(tx, origin), first + PAGE_LINES)
            for start in range(first, end, STRETCH):
                if not await self._write(tx, page, range(start, min(start + STRETCH, end)), may):
                    break
                await asyncio.sleep(0)
        return page

    async def parts(self, ohash: str, indices: Sequence[int], reader: Reader) -> Page:
        """The same for single indices, ascending: after an entitlement that came late, or to fetch again what was lost."""
        origin = await self.origin_of(ohash)
        page, may = Page(), _Judge.of(reader, origin, own=self._origin)
        async with self._reading(origin, len(indices), indices[-1] + 1 if indices else 0) as tx:
            if indices and indices[-1] >= await self._processed(tx, origin):
                raise NotFound("the log held here does not reach the last of these indices")
            for start in range(0, len(indices), STRETCH):
                if not await self._write(tx, page, indices[start : start + STRETCH], may):
                    break
                await asyncio.sleep(0)
        return page

    @asynccontextmanager
    async def _reading(self, origin: str, count: int, end: int) -> AsyncIterator[Transaction]:
        """For a few rows no transaction: an entry never changes, and what is erased meanwhile was asked for before. For many those of a
        replica, if it has them.
        """
        if count <= SHORT:
            yield self._database.quick
            return
        async with AsyncExitStack() as stack:
            tx = await stack.enter_async_context(self._database.reading_near())
            if self._database.replica is not None and await self._processed(tx, origin) < end:
                tx = await stack.enter_async_context(self._database.reading())
            yield tx

    async def _processed(self, tx: Transaction, origin: str) -> int:
        """How far entries are served: as signed of the own log, as judged of a mirror."""
        head = await tx.log.head(origin)
        if head is None:
            return 0
        return head.note_size if origin == self._origin else head.size

    async def _write(self, tx: Transaction, page: Page, indices: Sequence[int], may: _Judge) -> bool:
        """Add the lines of a stretch; False if the page is full."""
        entries = await tx.log.bytes_of(may.origin, indices)
        stated = await tx.statements.labelled(may.origin, indices)
        shown = {index: may.parts_with(one) for index, one in stated.items() if index in entries}
        with_parts = [index for index, parts in shown.items() if parts]
        texts = await tx.statements.texts_of(may.origin, indices if len(with_parts) == len(indices) else with_parts)
        for index in indices:
            parts = shown.get(index)
            if parts is None:
                line, sid = b'{"i":%d,"w":"stub"}' % index, ""
            else:
                line, sid = _line(index, entries[index], texts.get(index, ()), parts), stated[index].sid
            if not page.take(line, sid):
                return False
        return True

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


@dataclass(slots=True)
class _Judge:
    """What one reader is shown of one log. `relays`: it is another's, and only CLEAR and GREEN go further (protocol §3.8)."""

    reader: Reader
    origin: str
    relays: bool
    is_home: bool
    known: dict[Labels, frozenset[str] | None] = field(default_factory=dict)

    @classmethod
    def of(cls, reader: Reader, origin: str, *, own: str) -> _Judge:
        """Of `reader` and a log that is held by the node whose own log is `own`."""
        # A node may have back what it logged itself: after a loss that is where its entries are (protocol §3.6).
        is_home = reader.reader_class is ReaderClass.NODE and reader.id == node_of_origin(origin)
        return cls(reader, origin, relays=origin != own and not is_home, is_home=is_home)

    def see_stub(self, label: Label) -> bool:
        """A stub whose place and issuer do not matter: for whole bundles."""
        return (not self.relays or label.tlp in _RELAYED) and can_read(label, self.reader)

    def parts_with(self, stated: Labelled) -> frozenset[str] | None:
        """The names of the parts that are shown with the stub; None if not even that is."""
        labels = stated.labels
        if labels in self.known:
            return self.known[labels]
        parts = self._parts(stated) if self._see(stated) else None
        if all(label.tlp in _RELAYED for label in (labels.stub, *labels.parts.values())):
            self.known[labels] = parts  # neither place nor issuer have a say in what is CLEAR or GREEN
        return parts

    def _see(self, stated: Labelled) -> bool:
        label = stated.labels.stub
        if self.is_home:
            return True
        if self.relays or label.tlp in _RELAYED:
            return self.see_stub(label)
        return is_own(stated.issuer, self.reader) or can_read(label, self.reader.at(self.origin, stated.index))

    def _parts(self, stated: Labelled) -> frozenset[str]:
        if self.reader.reader_class is ReaderClass.PUBLIC:
            return frozenset()  # the public's answers are delayed and embargoed: parts in bulk would undo both
        return frozenset(name for name, label in stated.labels.parts.items() if self._see_part(stated, label))

    def _see_part(self, stated: Labelled, label: Label) -> bool:
        if self.is_home:
            return True
        if self.relays and label.tlp not in _RELAYED:
            return False
        return (not self.relays and is_own(stated.issuer, self.reader)) or can_read(label, self.reader.at(self.origin, stated.index))


def _line(index: int, entry: bytes, rows: Iterable[tuple[str, str | None]], parts: Container[str]) -> bytes:
    """One line. What a statement row stands for was read strictly: base64url and dots, which JSON writes as they are."""
    shown = [texts for part, texts in rows if texts is not None and part in parts]
    erased = dict.fromkeys(part for part, texts in rows if texts is None and part in parts)
    gone = b',"x":%b' % orjson.dumps([*erased]) if erased else b""
    if not shown:
        return b'{"i":%d,"e":"%b"%b}' % (index, entry, gone)
    return b'{"i":%d,"e":"%b","d":["%b"]%b}' % (index, entry, "".join(shown)[:-1].replace("~", '","').encode("ascii"), gone)


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

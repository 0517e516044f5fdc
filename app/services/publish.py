"""The public face of the log: checkpoint, hash tiles, entry bundles and proofs (C2SP tlog-tiles, protocol §3.8).

Serves what is committed and signed, never more: sizes are cut to the checkpoint that went out.
"""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.answer import is_own
from app.domain.errors import LogFrozen, NotFound
from app.domain.labels import Reader, can_read
from app.domain.merkle import inclusion_path
from app.domain.tiles import TILE_WIDTH, TilePath, TileReader, encode_bundle, needed_tiles
from app.seal.notes import make_receipt
from app.services.admit import receipt_extra
from app.storage.database import Database


@dataclass(frozen=True, slots=True)
class Published:
    """The newest signed checkpoint and the size it stands for."""

    size: int
    note: str


class Publisher:
    """Reads one own log for those who follow or audit it."""

    def __init__(self, database: Database, origin: str) -> None:
        self._database = database
        self._origin = origin

    async def checkpoint(self) -> Published:
        """The newest signed checkpoint; unavailable while nothing was signed yet."""
        async with self._database.reading() as tx:
            head = await tx.log.head(self._origin)
        if head is None or not head.note:
            raise LogFrozen("this log has not signed a checkpoint yet: see /readyz")
        return Published(head.note_size, head.note)

    async def tile(self, path: TilePath) -> bytes:
        """A hash tile or its first `width` hashes; not found beyond the signed size."""
        assert path.level != "entries"
        published = await self.checkpoint()
        if not _reaches(published.size >> 8 * path.level, path):
            raise NotFound("the signed log does not reach this tile")
        async with self._database.reading() as tx:
            tiles = await tx.log.read_tiles(self._origin, [(path.level, path.index)])
        data = tiles.get((path.level, path.index), b"")
        return data[: 32 * path.width]

    async def bundle(self, path: TilePath, reader: Reader) -> bytes:
        """Up to 256 entries; not found if any of their stubs is above the reader (protocol §3.8)."""
        published = await self.checkpoint()
        if not _reaches(published.size, path):
            raise NotFound("the signed log does not reach this bundle")
        first = path.index * TILE_WIDTH
        async with self._database.reading() as tx:
            entries = await tx.log.entries(self._origin, first, first + path.width)
            labels = await tx.statements.labels(self._origin, first, first + path.width)
        if not all(can_read(label, reader) for label in labels):
            raise NotFound("no such bundle for this caller: ask for hash tiles, or for entries one by one")
        return encode_bundle([entry.entry for entry in entries])

    async def receipt(self, sid: str, reader: Reader) -> str:
        """A tlog-proof of a statement under the newest checkpoint, its `extra` line as in the first receipt."""
        published = await self.checkpoint()
        async with self._database.reading() as tx:
            found = await tx.statements.locate(self._origin, sid)
            if (
                found is None
                or found.index >= published.size
                or not (is_own(found.issuer, reader) or can_read(found.label, reader.at(found.origin, found.index)))
            ):
                raise NotFound("no such statement for this caller")
            keys = needed_tiles(found.index, published.size)
            tiles = await tx.log.read_tiles(self._origin, keys)
        read_node = TileReader(lambda level, index: tiles[level, index])
        path = inclusion_path(found.index, published.size, read_node)
        return make_receipt(found.index, path, checkpoint_note=published.note, extra=receipt_extra(found.accepted_ms, sid))


def _reaches(width_of_level: int, path: TilePath) -> bool:
    """Whether the log has so many nodes at the level of this tile. A partial width below today's stays served: it is a prefix."""
    return path.index * TILE_WIDTH + path.width <= width_of_level

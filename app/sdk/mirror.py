"""Growing the own copy of another log's tree, and recomputing its root on the way: that *is* the consistency check (protocol §3.7).

From above: the tiles of the new right edge give the root, which must be the signed one; then every tile below is the hash that a verified
tile above it holds. So no tile is handed out before it is verified, only the tiles that are missing are fetched, and what is held at a
time is the upper levels (1/256 of the tree) and the tiles under way: a million entries are 15 tiles, not 32 MB.

    InvalidProof   tiles that are of no tree the checkpoint signs
    Diverged       the tree is the signed one, but not a continuation of ours: with both checkpoints that is a fork
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence

from ..domain.checkpoint import Checkpoint
from ..domain.errors import InvalidProof, NotFound
from ..domain.merkle import HASH_BYTES, leaf_hash, root_of
from ..domain.tiles import TILE_BYTES, TILE_WIDTH, Edge, Grown, TileKey, split_hashes, tile_path, widths

FetchTile = Callable[[str], Awaitable[bytes]]
"""The bytes of a hash tile by its path (`tile/0/x001/234.p/7`): PeerClient.tile."""

IN_FLIGHT = 8
BATCH = 64


class Diverged(InvalidProof):
    """The signed tree is not a continuation of the one that was verified before."""


class MirrorTree:
    """A tree whose right edge is verified against its checkpoint; what is missing below comes from `batches()`."""

    def __init__(self, fetch_tile: FetchTile, old: Edge, edge: Edge, *, in_flight: int = IN_FLIGHT) -> None:
        self._fetch_tile = fetch_tile
        self._old = old
        self._in_flight = in_flight
        self.edge = edge

    @classmethod
    async def open(cls, fetch_tile: FetchTile, old: Edge, checkpoint: Checkpoint, *, in_flight: int = IN_FLIGHT) -> MirrorTree:
        """Fetch the new right edge; InvalidProof unless it gives the root of `checkpoint`, which is not smaller than `old`."""
        size = checkpoint.size
        if size < old.frontier.size:
            raise InvalidProof(f"the checkpoint of size {size} is smaller than the tree of {old.frontier.size} that was verified")
        wanted = [((level, full), width) for level, (full, width) in enumerate(widths(size)) if width]
        tiles = await _all(fetch_exactly(fetch_tile, key, width) for key, width in wanted)
        edge = Edge.load(size, {key: tile for (key, _), tile in zip(wanted, tiles, strict=True)})
        if edge.frontier.root() != checkpoint.root:
            raise InvalidProof(f"the tiles at size {size} do not give the root that the log signed")
        return cls(fetch_tile, old, edge, in_flight=in_flight)

    async def batches(self) -> AsyncIterator[Mapping[TileKey, bytes]]:
        """Every tile that is new or has grown, upper levels first, in batches of at most 64, each verified before it is handed out."""
        levels = widths(self.edge.frontier.size)
        known: dict[TileKey, bytes] = {}
        for level in range(len(levels) - 1, -1, -1):
            above, known = known, {}
            async for batch in self._level(level, levels[level], above):
                if level:
                    known |= batch
                yield batch

    async def _level(self, level: int, filled: tuple[int, int], above: Mapping[TileKey, bytes]) -> AsyncIterator[dict[TileKey, bytes]]:
        """The tiles of one level from the old edge to the new one; `above` holds the level over it from there on."""
        full, width = filled
        first = (self._old.frontier.size >> 8 * level) // TILE_WIDTH
        for begin in range(first, full, BATCH):
            keys = [(level, index) for index in range(begin, min(begin + BATCH, full))]
            yield await self._full_tiles(keys, above)
        if width:
            key = (level, full)
            tile = self.edge.tiles[key]
            self._check_continues(key, tile)
            if tile != self._old.tiles.get(key):
                yield {key: tile}

    async def _full_tiles(self, keys: Sequence[TileKey], above: Mapping[TileKey, bytes]) -> dict[TileKey, bytes]:
        turns = asyncio.Semaphore(self._in_flight)

        async def fetch(key: TileKey) -> bytes:
            async with turns:
                tile = await fetch_exactly(self._fetch_tile, key, TILE_WIDTH)
            level, index = key
            parent, at = divmod(index, TILE_WIDTH)
            upper = above.get((level + 1, parent)) or self.edge.tiles[level + 1, parent]
            if root_of(split_hashes(tile)) != upper[at * HASH_BYTES : (at + 1) * HASH_BYTES]:
                raise InvalidProof(f"{tile_path(level, index)} does not hash to its place in the signed tree")
            self._check_continues(key, tile)
            return tile

        return dict(zip(keys, await _all(fetch(key) for key in keys), strict=True))

    def _check_continues(self, key: TileKey, tile: bytes) -> None:
        """The old edge stands in the new tiles as it was: its tiles hold, or hash, every leaf there was before."""
        if not tile.startswith(self._old.tiles.get(key, b"")):
            raise Diverged(f"the signed tree of size {self.edge.frontier.size} does not continue the one of {self._old.frontier.size}")


async def _all(fetches: Iterable[Coroutine[None, None, bytes]]) -> list[bytes]:
    """Every result in order; at the first fault the others are given up, and it is raised as it is."""
    tasks = [asyncio.create_task(fetch) for fetch in fetches]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def fetch_exactly(fetch_tile: FetchTile, key: TileKey, width: int) -> bytes:
    """A tile cut to `width`. A log may drop a partial tile once the full one is there: then that one is asked (C2SP tlog-tiles)."""
    try:
        tile = await fetch_tile(tile_path(*key, width))
    except NotFound:
        if width == TILE_WIDTH:
            raise
        tile = (await fetch_tile(tile_path(*key)))[: width * HASH_BYTES]
    if len(tile) != width * HASH_BYTES:
        raise InvalidProof(f"{tile_path(*key, width)} has {len(tile)} bytes: a tile of that width has {width * HASH_BYTES} of {TILE_BYTES}")
    return tile


async def grow_tree(fetch_tile: FetchTile, old: Edge, checkpoint: Checkpoint, *, in_flight: int = IN_FLIGHT) -> Grown:
    """The tree of `checkpoint` with all tiles that are new; for a growth whose tiles fit into memory (32 MB a million entries)."""
    tree = await MirrorTree.open(fetch_tile, old, checkpoint, in_flight=in_flight)
    changed: dict[TileKey, bytes] = {}
    async for batch in tree.batches():
        changed |= batch
    return Grown(tree.edge, changed)


def leaves_from_entries(old: Edge, entries: Iterable[bytes], checkpoint: Checkpoint) -> Grown:
    """The quick way, without a tile: all entries from the old size to that of `checkpoint`; InvalidProof unless they give its root."""
    grown = old.append(leaf_hash(entry) for entry in entries)
    if grown.size != checkpoint.size or grown.root != checkpoint.root:
        raise InvalidProof(f"the entries up to {grown.size} do not give the root that the log signed at {checkpoint.size}")
    return grown

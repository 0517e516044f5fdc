"""The verified tree of a followed log, and how far its entries were taken in: two edges over one set of stored tiles."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.checkpoint import Checkpoint
from app.domain.errors import DamagedEntry, InvalidProof, NotFound
from app.domain.merkle import HASH_BYTES, root_at
from app.domain.tiles import TILE_WIDTH, Edge, TileReader, edge_tiles, needed_for_root, widths
from app.storage.database import Database, Transaction
from app.storage.mirrors import MirrorRow


@dataclass(slots=True)
class Tree:
    """`edge`: the tree of the newest checkpoint that was recomputed; `done`: the same cut to the entries taken in."""

    origin: str
    edge: Edge
    done: Edge
    note: str

    @property
    def size(self) -> int:
        """Leaves verified."""
        return self.edge.frontier.size

    @property
    def taken(self) -> int:
        """Entries taken in: the cursor."""
        return self.done.frontier.size

    @property
    def checkpoint(self) -> Checkpoint:
        """The newest checkpoint that this node has recomputed."""
        return Checkpoint(self.origin, self.size, self.edge.frontier.root())


async def load_tree(database: Database, origin: str) -> Tree:
    """The tree as stored; DamagedEntry if its tiles do not give the roots that were written beside them."""
    async with database.reading() as tx:
        mirror, head = await tx.mirrors.get(origin), await tx.log.head(origin)
        if mirror is None or head is None:
            raise NotFound(f"no log {origin} is followed")
        edge = await _edge(tx, origin, mirror.tree_size, mirror.tree_root)
        done = edge if head.size == mirror.tree_size else await _edge(tx, origin, head.size, head.root)
        return Tree(origin, edge, done, mirror.tree_note)


async def _edge(tx: Transaction, origin: str, size: int, root: bytes) -> Edge:
    stored = await tx.log.read_tiles(origin, edge_tiles(size))
    # A tile grows in place: of one that has grown since, the first hashes are what stood at the edge then.
    cut = {(level, full): stored.get((level, full), b"")[: width * HASH_BYTES] for level, (full, width) in enumerate(widths(size)) if width}
    try:
        edge = Edge.load(size, cut)
    except InvalidProof as error:
        raise DamagedEntry(origin, max(size - 1, 0), f"the mirrored tiles of {origin} are damaged: {error.detail}") from error
    if size and edge.frontier.root() != root:
        raise DamagedEntry(origin, size - 1, f"the mirrored tiles of {origin} do not give the root that was verified")
    return edge


async def root_of(database: Database, origin: str, size: int) -> bytes:
    """The root that our own copy of the tree had at `size`, which it has reached."""
    async with database.reading() as tx:
        tiles = await tx.log.read_tiles(origin, needed_for_root(size))
    return root_at(size, TileReader(lambda level, index: tiles[level, index]))


async def leaves_between(database: Database, origin: str, first: int, end: int) -> list[bytes]:
    """The verified leaf hashes first…end−1 from the stored tiles."""
    numbers = range(first // TILE_WIDTH, (end + TILE_WIDTH - 1) // TILE_WIDTH)
    async with database.reading() as tx:
        tiles = await tx.log.read_tiles(origin, [(0, number) for number in numbers])
    data = b"".join(tiles.get((0, number), b"") for number in numbers)
    start = (first - numbers.start * TILE_WIDTH) * HASH_BYTES
    cut = data[start : start + (end - first) * HASH_BYTES]
    if len(cut) != (end - first) * HASH_BYTES:
        raise DamagedEntry(origin, end - 1, f"the mirrored tiles of {origin} end before entry {end - 1}")
    return [cut[at : at + HASH_BYTES] for at in range(0, len(cut), HASH_BYTES)]


def as_mirror(row: MirrorRow | None, origin: str) -> MirrorRow:
    """The row, or NotFound."""
    if row is None:
        raise NotFound(f"no log {origin} is followed")
    return row

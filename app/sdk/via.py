"""A way to a log: which node is asked for it, and what only two trees together can tell."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from ..domain.merkle import HASH_BYTES
from ..domain.statement import ohash_of
from ..domain.tiles import TILE_HEIGHT, TILE_WIDTH, TileKey, needed_for_root, tile_path, widths
from .peer import PeerClient

GetTile = Callable[[int, int, int], Awaitable[bytes]]
"""(level, number, width) -> at least the first `width` hashes of a tile."""


@dataclass(frozen=True, slots=True)
class Via:
    """The node asked and the connection to it. `is_origin`: it is the log's own node, which may show what no relay may."""

    node: str
    client: PeerClient
    is_origin: bool


async def tiles_at(via: Via, origin: str, size: int, keys: Iterable[TileKey]) -> dict[TileKey, bytes]:
    """The tiles `keys`, and those of the edge, of the tree of `size` leaves that `via` shows; nothing about them is checked here."""
    filled = dict(enumerate(widths(size)))
    found: dict[TileKey, bytes] = {}
    for level, number in {*keys, *needed_for_root(size)}:
        full, width = filled.get(level, (0, 0))
        found[level, number] = await via.client.tile(tile_path(level, number, width if number == full else TILE_WIDTH), ohash_of(origin))
    return found


async def common_prefix(size: int, ours: GetTile, theirs: GetTile) -> int:
    """How many leaves two trees share that both have at least `size`: one tile a level, from the top down."""
    level = max((level for level, _ in enumerate(widths(size))), default=0)
    number = 0
    while True:
        width = min(TILE_WIDTH, max((size >> TILE_HEIGHT * level) - number * TILE_WIDTH, 0))
        same = _equal_hashes(await ours(level, number, width), await theirs(level, number, width), width) if width else 0
        number = number * TILE_WIDTH + same
        if level == 0:
            return min(number, size)
        level -= 1


def _equal_hashes(a: bytes, b: bytes, width: int) -> int:
    for at in range(width):
        place = slice(at * HASH_BYTES, (at + 1) * HASH_BYTES)
        if a[place] != b[place]:
            return at
    return width

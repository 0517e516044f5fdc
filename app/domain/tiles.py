"""Tiles: how a log's tree is stored and served (C2SP tlog-tiles), their paths, their growth, and entry bundles.

A hash tile holds up to 256 nodes of one level side by side, 32 bytes each: tile (level l, index n) holds the nodes
`n·256 … n·256+255` at tree level 8·l. The last tile of a level may be partial, of width `⌊size / 256^l⌋ mod 256`; it only
ever grows at its end. A bundle holds up to 256 entries, each after its length in two bytes, big end first.
Protocol §1.2. Pure: whoever stores tiles is told which to load (`edge_tiles`, `needed_tiles`) and which changed (`Edge.append`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from .errors import InvalidProof, Malformed, TooLarge
from .merkle import HASH_BYTES, MAX_SIZE, Frontier, Growth, ReadNode, consistency_path, inclusion_path, parents

TILE_WIDTH = 256
TILE_HEIGHT = 8
TILE_BYTES = TILE_WIDTH * HASH_BYTES
MAX_ENTRY = 65_535
MAX_LEVEL = 63
MAX_INDEX = MAX_SIZE // TILE_WIDTH

TileKey = tuple[int, int]  # (level, index)
Level = int | Literal["entries"]

_PATH = re.compile(r"tile/(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")


@dataclass(frozen=True, slots=True)
class TilePath:
    """What a path names; `width` is 256 for a full tile."""

    level: Level
    index: int
    width: int


# --- names and numbers ---------------------------------------------------------------------------------------------


def tile_path(level: Level, index: int, width: int = TILE_WIDTH) -> str:
    """The path relative to the log's prefix: `tile/0/x001/234.p/7`, `tile/entries/000`."""
    if not 0 <= index <= MAX_INDEX or not 1 <= width <= TILE_WIDTH:
        raise ValueError(f"no tile has the index {index} and the width {width}")
    groups = f"{index % 1000:03}"
    while index := index // 1000:
        groups = f"x{index % 1000:03}/{groups}"
    return f"tile/{level}/{groups}" + ("" if width == TILE_WIDTH else f".p/{width}")


def parse_tile_path(path: str) -> TilePath:
    """The reverse of `tile_path`; Malformed for every other spelling."""
    found = _PATH.fullmatch(path)
    if found is None:
        raise Malformed("this is not the path of a tile: see c2sp.org/tlog-tiles")
    level, groups, width = found.groups()
    index = int(groups.replace("x", "").replace("/", "")) if len(groups) < 32 else MAX_INDEX + 1
    parsed = TilePath("entries" if level == "entries" else int(level), index, int(width or TILE_WIDTH))
    if parsed.index > MAX_INDEX or (parsed.level != "entries" and parsed.level > MAX_LEVEL) or parsed.width > TILE_WIDTH:
        raise Malformed("the level, index or width of this tile path is out of range")
    if tile_path(parsed.level, parsed.index, parsed.width) != path:
        raise Malformed("a tile path has one spelling: no padding in front, no width on a full tile")
    return parsed


def widths(size: int) -> tuple[tuple[int, int], ...]:
    """Per level, from 0: the number of full tiles, and the width of the partial one (0: there is none)."""
    levels = []
    while size:
        levels.append(divmod(size, TILE_WIDTH))
        size >>= TILE_HEIGHT
    return tuple(levels)


def edge_tiles(size: int) -> tuple[TileKey, ...]:
    """The partial tiles of a log of `size`: all that must be loaded to go on appending, or to know its root."""
    return tuple((level, full) for level, (full, width) in enumerate(widths(size)) if width)


def node_tile(level: int, index: int) -> TileKey:
    """The tile from which the tree node (level, index) is read."""
    return level // TILE_HEIGHT, (index << level % TILE_HEIGHT) // TILE_WIDTH


def split_hashes(tile: bytes) -> list[bytes]:
    """The hashes of a tile, in order; Malformed if the bytes are no tile."""
    if len(tile) % HASH_BYTES or not 0 < len(tile) <= TILE_BYTES:
        raise Malformed(f"a tile is 1 to 256 hashes of 32 bytes, not {len(tile)} bytes")
    return [tile[at : at + HASH_BYTES] for at in range(0, len(tile), HASH_BYTES)]


# --- growing -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Grown:
    """A log after an append: its new edge, and each tile that changed with its full content so far.

    `growth`: what appending made; None of a tree that was fetched as tiles.
    """

    edge: Edge
    changed: Mapping[TileKey, bytes]
    growth: Growth | None = field(default=None, compare=False, repr=False)

    @property
    def size(self) -> int:
        return self.edge.frontier.size

    @property
    def root(self) -> bytes:
        return self.edge.frontier.root()


@dataclass(frozen=True, slots=True)
class Edge:
    """The right edge of a tiled log: its frontier, and the content of its partial tiles. A value: appending makes a new one."""

    frontier: Frontier = field(default_factory=Frontier)
    tiles: Mapping[TileKey, bytes] = field(default_factory=dict)

    @classmethod
    def load(cls, size: int, tiles: Mapping[TileKey, bytes]) -> Edge:
        """The edge of a stored log, from (at least) its `edge_tiles`; InvalidProof if one is absent or not of its width."""
        edge: dict[TileKey, bytes] = {}
        for level, (full, width) in enumerate(widths(size)):
            if not width:
                continue
            tile = tiles.get((level, full), b"")
            if len(tile) != width * HASH_BYTES:
                raise InvalidProof(f"{tile_path(level, full, width)} holds {len(tile)} bytes: the stored log does not fit its size")
            edge[level, full] = tile
        return cls(Frontier.at(size, TileReader(lambda level, index: edge[level, index])), edge)

    def append(self, leaf_hashes: Iterable[bytes]) -> Grown:
        """The log after these leaf hashes; linear in their number, at most one tile a level is rewritten."""
        growth = self.frontier.grow(leaf_hashes)
        changed: dict[TileKey, bytes] = {}
        for level, fresh in enumerate(growth.rows[::TILE_HEIGHT]):
            if fresh:
                changed |= self._filled(level, fresh)
        after = {key: changed.get(key) or self.tiles[key] for key in edge_tiles(growth.frontier.size)}
        return Grown(Edge(growth.frontier, after), changed, growth)

    def _filled(self, level: int, fresh: Sequence[bytes]) -> dict[TileKey, bytes]:
        index, width = divmod(self.frontier.size >> TILE_HEIGHT * level, TILE_WIDTH)
        data = (self.tiles[level, index] if width else b"") + b"".join(fresh)
        starts = range(0, len(data), TILE_BYTES)
        return {(level, index + nth): data[at : at + TILE_BYTES] for nth, at in enumerate(starts)}


def new_tiles(old_size: int, leaf_hashes: Iterable[bytes], *, edge: Mapping[TileKey, bytes]) -> Grown:
    """What appending to a stored log changes, from its `edge_tiles`; one who appends again keeps `Grown.edge` instead."""
    return Edge.load(old_size, edge).append(leaf_hashes)


# --- reading -------------------------------------------------------------------------------------------------------


class TileReader:
    """`read_node` over stored tiles, for proofs and roots. It keeps what it has read: make a new one when the log has grown."""

    __slots__ = ("_get_tile", "_rows")

    def __init__(self, get_tile: Callable[[int, int], bytes]) -> None:
        """`get_tile(level, index)` gives the bytes of a tile, full or partial; KeyError where there is none (a plain mapping's way)."""
        self._get_tile = get_tile
        self._rows: dict[TileKey, list[list[bytes]]] = {}

    def __call__(self, level: int, index: int) -> bytes:
        """The node (level, index); InvalidProof if its tile is absent or does not reach so far."""
        key = node_tile(level, index)
        rows = self._rows.get(key)
        if rows is None:
            rows = self._rows[key] = self._load(key)
        row, at = rows[level % TILE_HEIGHT], index - (key[1] * TILE_WIDTH >> level % TILE_HEIGHT)
        if at >= len(row):
            raise InvalidProof(f"tile {key[1]} of level {key[0]} ends before the node that the proof needs")
        return row[at]

    def _load(self, key: TileKey) -> list[list[bytes]]:
        try:
            return _rows_of(self._get_tile(*key))
        except KeyError as error:
            raise InvalidProof(f"tile {key[1]} of level {key[0]} is absent: load what needed_tiles names") from error


def _rows_of(tile: bytes) -> list[list[bytes]]:
    rows = [split_hashes(tile)]
    for _ in range(TILE_HEIGHT - 1):
        rows.append(parents(rows[-1]))
    return rows


def needed_tiles(index: int, size: int) -> tuple[TileKey, ...]:
    """The tiles that hold every node of the inclusion path of `index` at `size`; InvalidProof if there is none."""
    return _asked(lambda read_node: inclusion_path(index, size, read_node))


def needed_for_consistency(old_size: int, new_size: int) -> tuple[TileKey, ...]:
    """The tiles that hold every node of the consistency path between two sizes; InvalidProof if there is none."""
    return _asked(lambda read_node: consistency_path(old_size, new_size, read_node))


def needed_for_root(size: int) -> tuple[TileKey, ...]:
    """The tiles that hold every node of the root at `size`: its edge then, although those tiles may have grown since."""
    return edge_tiles(size)


def _asked(make: Callable[[ReadNode], object]) -> tuple[TileKey, ...]:
    """Run the maker of a proof on blank nodes and note what it asks for: so the two can never disagree."""
    asked: dict[TileKey, None] = {}

    def note(level: int, index: int) -> bytes:
        asked[node_tile(level, index)] = None
        return b""

    make(note)
    return tuple(asked)


# --- entry bundles -------------------------------------------------------------------------------------------------


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """The bundle of up to 256 entries of at most 65,535 bytes each; TooLarge beyond."""
    if len(entries) > TILE_WIDTH or any(len(entry) > MAX_ENTRY for entry in entries):
        raise TooLarge("a bundle holds at most 256 entries of at most 65,535 bytes")
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def parse_bundle(data: bytes, width: int) -> tuple[bytes, ...]:
    """The `width` entries that the bundle's path promised; Malformed if the bytes hold another number or do not come out even."""
    entries: list[bytes] = []
    at = 0
    for _ in range(width):
        begin = at + 2
        at = begin + int.from_bytes(data[at:begin], "big")
        if at > len(data):
            raise Malformed(f"the bundle ends inside entry {len(entries)} of {width}")
        entries.append(data[begin:at])
    if at != len(data):
        raise Malformed(f"{len(data) - at} bytes follow the {width} entries of the bundle")
    return tuple(entries)

"""Growing the copy of another log's tree: from whatever size, only what is missing, and never from tiles that are not of the signed tree."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.checkpoint import Checkpoint
from app.domain.errors import InvalidProof, NotFound
from app.domain.merkle import leaf_hash
from app.domain.tiles import Edge, TileKey, parse_tile_path, tile_path, widths
from app.sdk.mirror import BATCH, Diverged, MirrorTree, grow_tree, leaves_from_entries

ORIGIN = "fr.example/log"


def entry(index: int, branch: str = "") -> bytes:
    return f"{index}{branch}".encode()


@cache
def grown(size: int, branch: str = "", fork: int = 0) -> Mapping[TileKey, bytes]:
    """All tiles of the log at `size`; on a branch the entries from `fork` on are others."""
    return Edge().append(leaf_hash(entry(n, branch if n >= fork else "")) for n in range(size)).changed


@cache
def edge_at(size: int, branch: str = "", fork: int = 0) -> Edge:
    return Edge.load(size, grown(size, branch, fork))


def signed(size: int, branch: str = "", fork: int = 0) -> Checkpoint:
    return Checkpoint(ORIGIN, size, edge_at(size, branch, fork).frontier.root())


class Log:
    """Serves the tiles of a log as it stands at `size`, and writes down what was asked; `dropped` partial tiles are not there any more."""

    def __init__(self, size: int, branch: str = "", fork: int = 0, dropped: bool = False) -> None:
        self._tiles = dict(grown(size, branch, fork))
        self._dropped = dropped
        self.asked: list[str] = []
        self.under_way = 0
        self.most = 0

    def spoil(self, key: TileKey, at: int) -> None:
        """One bit of a tile."""
        tile = self._tiles[key]
        self._tiles[key] = tile[:at] + bytes([tile[at] ^ 1]) + tile[at + 1 :]

    async def __call__(self, path: str) -> bytes:
        self.asked.append(path)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(0)
        self.under_way -= 1
        tile = parse_tile_path(path)
        assert tile.level != "entries"
        full = self._tiles.get((tile.level, tile.index), b"")
        if len(full) < tile.width * 32 or (self._dropped and tile.width < 256 and len(full) == 8192):
            raise NotFound("no such tile")
        return full[: tile.width * 32]


def after(tiles: Iterable[Mapping[TileKey, bytes]]) -> dict[TileKey, bytes]:
    stored: dict[TileKey, bytes] = {}
    for batch in tiles:
        stored |= batch
    return stored


SIZES = st.one_of(st.integers(0, 1200), st.sampled_from([0, 1, 255, 256, 257, 512, 65_535, 65_536, 65_537]))


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(SIZES, SIZES)
async def test_a_tree_grows_from_any_size_to_any_size(one: int, other: int):
    """What was stored and what is new are the tiles of the log; the edge is the one that goes on growing."""
    old, new = sorted((one, other))
    result = await grow_tree(Log(new), edge_at(old), signed(new))
    assert (result.size, result.root, result.edge) == (new, signed(new).root, edge_at(new))
    assert {**grown(old), **result.changed} == grown(new)


@pytest.mark.parametrize(("old", "new"), [(0, 1), (5, 6), (255, 256), (256, 257), (65_536, 65_600), (70_000, 70_000), (66_000, 70_000)])
async def test_only_the_missing_tiles_are_fetched(old: int, new: int):
    """No full tile that was there before, and no tile twice."""
    log = Log(new)
    await grow_tree(log, edge_at(old), signed(new))
    assert len(log.asked) == len(set(log.asked))
    before = {tile_path(level, index) for level, (full, _) in enumerate(widths(old)) for index in range(full)}
    assert before.isdisjoint(log.asked)
    assert len(log.asked) <= (new - old) // 256 + 2 * len(widths(new))


async def test_few_fetches_are_under_way_at_a_time():
    """As many as was said, however many tiles are missing."""
    log = Log(66_000)
    await grow_tree(log, Edge(), signed(66_000), in_flight=4)
    assert 1 < log.most <= 4


async def test_a_tree_comes_in_batches_that_are_not_kept():
    """The upper levels first; no batch holds more than its bound, together they are the tree."""
    tree = await MirrorTree.open(Log(66_000), Edge(), signed(66_000))
    batches = [batch async for batch in tree.batches()]
    assert max(map(len, batches)) <= BATCH
    assert after(batches) == grown(66_000)
    levels = [key[0] for batch in batches for key in batch]
    assert levels == sorted(levels, reverse=True)


async def test_a_partial_tile_that_was_dropped_is_cut_from_the_full_one():
    """A log may keep only the full tile once it is there; it has grown past the checkpoint that is followed."""
    result = await grow_tree(Log(700, dropped=True), edge_at(10), signed(300))
    assert result.root == signed(300).root
    with pytest.raises(NotFound):
        await grow_tree(Log(300), edge_at(10), signed(700))


@pytest.mark.parametrize("at", [0, 31, 32, 4096, 8191])
@pytest.mark.parametrize("key", [(0, 0), (0, 3), (0, 250), (0, 256), (1, 0), (1, 1), (2, 0)])
async def test_one_flipped_bit_in_any_tile_is_found_before_it_is_handed_out(key: TileKey, at: int):
    """In full and partial tiles on every level; what was handed out until then is true."""
    log = Log(65_800)
    if at >= len(grown(65_800)[key]):
        at = 0
    log.spoil(key, at)
    handed: list[Mapping[TileKey, bytes]] = []

    async def take() -> None:
        batches = (await MirrorTree.open(log, Edge(), signed(65_800))).batches()
        while (batch := await anext(batches, None)) is not None:
            handed.append(batch)

    with pytest.raises(InvalidProof) as found:
        await take()
    assert not isinstance(found.value, Diverged)
    assert after(handed).items() <= grown(65_800).items()


async def test_a_tile_of_another_width_is_found():
    """Too short or too long."""
    for change in (lambda tile: tile[:-1], lambda tile: tile + b"x", lambda tile: tile[:0]):
        log = Log(300)

        async def fetch(path: str, log: Log = log, change=change) -> bytes:
            return change(await log(path))

        with pytest.raises(InvalidProof):
            await grow_tree(fetch, Edge(), signed(300))


@pytest.mark.parametrize(
    ("old", "new", "fork"), [(5, 9, 3), (256, 300, 255), (256, 300, 0), (300, 600, 10), (600, 600, 599), (66_000, 66_001, 7)]
)
async def test_another_history_is_told_from_wrong_tiles(old: int, new: int, fork: int):
    """The tiles make the tree that the log signed, but it is not ours: that is a fork, and said so, whichever entry differs."""
    with pytest.raises(Diverged):
        await grow_tree(Log(new, "b", fork), edge_at(old), signed(new, "b", fork))
    with pytest.raises(InvalidProof) as found:
        await grow_tree(Log(new, "b", fork), edge_at(old), signed(new))
    assert not isinstance(found.value, Diverged)


async def test_a_smaller_checkpoint_is_no_growth():
    """Nothing is fetched for it."""
    log = Log(5)
    with pytest.raises(InvalidProof):
        await grow_tree(log, edge_at(6), signed(5))
    assert log.asked == []


async def test_the_first_fault_ends_the_fetching():
    """When one of many tiles fails, no further one is begun."""
    log = Log(66_000)
    log.spoil((0, 0), 0)
    with pytest.raises(InvalidProof):
        await grow_tree(log, Edge(), signed(66_000), in_flight=2)
    asked = len(log.asked)
    await asyncio.sleep(0.01)
    assert len(log.asked) == asked < 100


def test_entries_alone_give_the_tree():
    """The quick way: all entries since, and nothing else."""
    result = leaves_from_entries(edge_at(250), [entry(n) for n in range(250, 300)], signed(300))
    assert (result.edge, {**grown(250), **result.changed}) == (edge_at(300), grown(300))


@pytest.mark.parametrize(
    "entries",
    [
        [entry(n) for n in range(250, 299)],
        [entry(n) for n in range(250, 301)],
        [entry(n) for n in range(251, 301)],
        [entry(n, "b" if n == 270 else "") for n in range(250, 300)],
        [],
    ],
    ids=["too few", "too many", "shifted", "changed", "none"],
)
def test_entries_that_are_not_the_signed_ones_are_refused(entries: list[bytes]):
    """By number, place and bytes."""
    with pytest.raises(InvalidProof):
        leaves_from_entries(edge_at(250), entries, signed(300))

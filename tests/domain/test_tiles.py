"""Tiles: what to load, what changes, what is read, and what damaged storage looks like."""

from __future__ import annotations

import pytest

from app.domain.errors import InvalidProof, Malformed, TooLarge
from app.domain.merkle import EMPTY_ROOT, consistency_path, inclusion_path, leaf_hash, root_at, root_of
from app.domain.tiles import (
    Edge,
    TileReader,
    edge_tiles,
    encode_bundle,
    needed_for_consistency,
    needed_for_root,
    needed_tiles,
    new_tiles,
    node_tile,
    parse_bundle,
    parse_tile_path,
    split_hashes,
    tile_path,
    widths,
)

LEAVES = [leaf_hash(b"%d" % number) for number in range(66_000)]
TILES = dict(Edge().append(LEAVES).changed)


def test_an_empty_log_has_no_tiles():
    """A log begins without anything to load, and with the root of the empty tree."""
    assert (widths(0), edge_tiles(0), Edge.load(0, {})) == ((), (), Edge())
    grown = new_tiles(0, [], edge={})
    assert (grown.size, grown.root, grown.changed) == (0, EMPTY_ROOT, {})


def test_the_edge_is_the_partial_tiles():
    """66,000 leaves: 257 full tiles and one of 208, one full tile of the level above and one of one hash, and one on top."""
    assert widths(66_000) == ((257, 208), (1, 1), (0, 1))
    assert edge_tiles(66_000) == ((0, 257), (1, 1), (2, 0))
    assert edge_tiles(65_536) == ((2, 0),)


def test_an_append_changes_the_edge_and_what_follows():
    """From 250 to 520 leaves the first tile is filled, a second is full, a third begins, and the level above gets two."""
    first = Edge().append(LEAVES[:250])
    grown = new_tiles(250, LEAVES[250:520], edge=first.changed)
    assert {key: len(tile) // 32 for key, tile in grown.changed.items()} == {(0, 0): 256, (0, 1): 256, (0, 2): 8, (1, 0): 2}
    assert grown.changed[0, 0] == b"".join(LEAVES[:256])
    assert grown.changed[1, 0] == root_of(LEAVES[:256]) + root_of(LEAVES[256:512])
    assert (grown.size, grown.root) == (520, root_of(LEAVES[:520]))
    assert grown.edge == first.edge.append(LEAVES[250:520]).edge
    assert set(grown.edge.tiles) == set(edge_tiles(520))


def test_an_append_that_does_not_reach_a_level_leaves_its_tile_unwritten():
    """Ten more leaves touch one tile of level 0; the tile above stays, and stays part of the edge."""
    first = Edge().append(LEAVES[:300])
    grown = first.edge.append(LEAVES[300:310])
    assert set(grown.changed) == {(0, 1)}
    assert grown.edge.tiles[1, 0] == first.edge.tiles[1, 0]


@pytest.mark.parametrize("damage", ["absent", "short", "long", "cut"])
def test_an_edge_that_does_not_fit_its_size_is_not_loaded(damage):
    """A tile that is absent, or of another width than the size asks for, stops the start."""
    tiles = {key: TILES[key] for key in edge_tiles(66_000)}
    tile = tiles.pop((0, 257))
    if damage != "absent":
        tiles[0, 257] = {"short": tile[:-32], "long": tile + tile[:32], "cut": tile[:-1]}[damage]
    with pytest.raises(InvalidProof, match="tile/0/257"):
        Edge.load(66_000, tiles)


@pytest.mark.parametrize(("index", "size"), [(0, 1), (5, 66_000), (65_999, 66_000), (65_535, 65_536), (300, 600)])
def test_exactly_the_needed_tiles_are_needed(index, size):
    """A storage that loads `needed_tiles` in one query has all that the proof reads, and nothing beside."""
    read: set[tuple[int, int]] = set()
    needed = needed_tiles(index, size)

    def get(level, number):
        read.add((level, number))
        return {key: TILES[key] for key in needed}[level, number]

    assert inclusion_path(index, size, TileReader(get)) == inclusion_path(index, size, TileReader(lambda *key: TILES[key]))
    assert read == set(needed)


def test_needed_for_consistency():
    """The same for a consistency path."""
    needed = needed_for_consistency(300, 66_000)
    loaded = {key: TILES[key] for key in needed}
    assert consistency_path(300, 66_000, TileReader(lambda *key: loaded[key]))
    assert len(needed) == len(set(needed)) <= 6
    with pytest.raises(InvalidProof):
        needed_for_consistency(0, 5)
    with pytest.raises(InvalidProof):
        needed_tiles(5, 5)


def test_roots_of_the_past_are_read_from_larger_tiles():
    """Tiles that have grown on still give the root of every earlier size."""
    read = TileReader(lambda *key: TILES[key])
    for size in (1, 255, 256, 257, 511, 65_535, 65_536, 65_537, 66_000):
        assert root_at(size, read) == root_of(LEAVES[:size])


def test_a_tile_is_read_once():
    """A reader keeps what it has expanded: a batch of receipts costs one expansion a tile."""
    asked = []

    def get(level, number):
        asked.append((level, number))
        return TILES[level, number]

    read = TileReader(get)
    for index in range(65_800, 66_000):
        inclusion_path(index, 66_000, read)
    assert len(asked) == len(set(asked))


def test_nodes_live_in_the_tile_of_their_eighth_level():
    """Levels 0 to 7 are read from tiles of level 0, level 8 begins the next."""
    assert [node_tile(0, 511), node_tile(7, 3), node_tile(8, 255), node_tile(15, 2)] == [(0, 1), (0, 1), (1, 0), (1, 1)]


def test_a_tile_that_ends_too_soon_gives_no_node():
    """A stored tile that is shorter than the log says is named, not read past its end."""
    with pytest.raises(InvalidProof, match="tile 257 of level 0"):
        inclusion_path(65_999, 66_000, TileReader(lambda level, number: TILES[level, number][: 32 * 100]))


def test_an_absent_tile_is_named():
    """A tile that was not loaded is a proof that cannot be made, not a crash."""
    with pytest.raises(InvalidProof, match="tile 0 of level 1 is absent"):
        inclusion_path(
            5, 600, TileReader(lambda level, number: {(0, 0): TILES[0, 0], (0, 1): TILES[0, 1], (0, 2): TILES[0, 2]}[level, number])
        )


@pytest.mark.parametrize("size", [0, 1, 255, 256, 300, 65_535, 65_536, 65_537, 66_000])
def test_needed_for_root(size):
    """The tiles named for the root of a past size are enough, as they stand today."""
    loaded = {key: TILES[key] for key in needed_for_root(size)}
    assert root_at(size, TileReader(lambda *key: loaded[key])) == root_of(LEAVES[:size])


@pytest.mark.parametrize("length", [0, 31, 33, 8_193, 8_224])
def test_bytes_that_are_no_tile(length):
    """A tile is 1 to 256 whole hashes."""
    with pytest.raises(Malformed):
        split_hashes(bytes(length))


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile",
        "tile/0",
        "tile/0/",
        "/tile/0/000",
        "tile/0/000/",
        "tile/0/X001/000",
        "tile/-1/000",
        "tile/0/000.p/",
        "tile/0/000.p/1/",
        "tile/0/000.p/257",
        "tile/0/000.p/999",
        "tile/0/000.p/１",
        "tile/100/000",
        "tile/data/000",
        "tile/entries/x000/000",
        "tile/0/" + "x999/" * 6 + "999",
        "tile/0/" + "x999/" * 5000 + "999",
    ],
)
def test_paths_that_name_no_tile(path):
    """Nothing but the one spelling is read, however long it is."""
    with pytest.raises(Malformed):
        parse_tile_path(path)


@pytest.mark.parametrize(("index", "width"), [(-1, 256), (2**55, 256), (0, 0), (0, 257)])
def test_tiles_that_cannot_be_have_no_path(index, width):
    """A tile outside the numbers of a log has no path."""
    with pytest.raises(ValueError, match="no tile"):
        tile_path(0, index, width)


def test_bundles_have_bounds():
    """256 entries of 65,535 bytes are the most; an empty bundle holds no entries."""
    largest = [bytes(65_535)] * 256
    assert parse_bundle(encode_bundle(largest), 256) == tuple(largest)
    assert parse_bundle(b"", 0) == ()
    with pytest.raises(TooLarge):
        encode_bundle([bytes(65_536)])
    with pytest.raises(TooLarge):
        encode_bundle([b""] * 257)


@pytest.mark.parametrize(("data", "width"), [(b"", 1), (b"\x00", 1), (b"\x00\x01", 1), (b"\x00\x00\x00", 1), (b"\x00\x00", 0)])
def test_bundles_that_do_not_come_out_even(data, width):
    """A bundle cut anywhere, or going on after its entries, is refused."""
    with pytest.raises(Malformed):
        parse_bundle(data, width)

"""Tile paths, widths, contents and entry bundles against the protocol vectors."""

from __future__ import annotations

import json
from functools import cache
from hashlib import sha256

import pytest

from app.domain.errors import Malformed
from app.domain.merkle import leaf_hash
from app.domain.tiles import Edge, TilePath, encode_bundle, parse_bundle, parse_tile_path, tile_path, widths
from tests.paths import VECTORS, needs

CASES = json.loads(needs(VECTORS / "tiles.json").read_bytes())["cases"]


def cases(kind: str) -> list[object]:
    return [pytest.param(case, id=case["name"]) for case in CASES if case["kind"] == kind]


@cache
def tiles_of(prefix: str, size: int) -> dict[tuple[int, int], bytes]:
    return dict(Edge().append(leaf_hash(f"{prefix}{number}".encode()) for number in range(size)).changed)


def test_no_kind_is_left_out():
    """Each kind of case in the file has a test here."""
    assert {case["kind"] for case in CASES} == {"path", "path_parse", "widths", "tile", "bundle", "bundle_parse"}


@pytest.mark.parametrize("case", cases("path"))
def test_paths(case):
    """A tile has the expected path, and that path names that tile."""
    assert tile_path(case["level"], case["index"], case["width"]) == case["expected"]["path"]
    assert parse_tile_path(case["expected"]["path"]) == TilePath(case["level"], case["index"], case["width"])


@pytest.mark.parametrize("case", cases("path_parse"))
def test_parsed_paths(case):
    """A path in its one spelling is read, every other refused."""
    expected = case["expected"]
    if expected["ok"]:
        assert parse_tile_path(case["path"]) == TilePath(expected["level"], expected["index"], expected["width"])
    else:
        with pytest.raises(Malformed):
            parse_tile_path(case["path"])


@pytest.mark.parametrize("case", cases("widths"))
def test_widths(case):
    """Full tiles and the width of the partial one, per level."""
    levels = [{"level": level, "full_tiles": full, "partial_width": width} for level, (full, width) in enumerate(widths(case["size"]))]
    assert levels == case["expected"]["levels"]


@pytest.mark.parametrize("case", cases("tile"))
def test_contents(case):
    """Appending writes exactly the expected bytes of a tile."""
    tile = tiles_of(case["prefix"], case["size"])[case["level"], case["index"]]
    expected = case["expected"]
    assert tile_path(case["level"], case["index"], len(tile) // 32) == expected["path"]
    assert len(tile) == 32 * expected["width"]
    assert sha256(tile).hexdigest() == expected["sha256"]
    assert tile.hex() == expected.get("bytes", tile.hex())


@pytest.mark.parametrize("case", cases("bundle"))
def test_bundles(case):
    """Entries are bundled as expected, and hash to the expected leaves."""
    entries = [bytes.fromhex(entry) for entry in case["entries"]]
    assert encode_bundle(entries).hex() == case["expected"]["bytes"]
    assert [leaf_hash(entry).hex() for entry in entries] == case["expected"]["leaf_hashes"]
    assert parse_bundle(encode_bundle(entries), len(entries)) == tuple(entries)


@pytest.mark.parametrize("case", cases("bundle_parse"))
def test_parsed_bundles(case):
    """A bundle is read only if it holds what its path promised, to the last byte."""
    data = bytes.fromhex(case["bytes"])
    if case["expected"]["ok"]:
        assert [entry.hex() for entry in parse_bundle(data, case["width"])] == case["expected"]["entries"]
    else:
        with pytest.raises(Malformed):
            parse_bundle(data, case["width"])

"""A real signed tiled log of another implementation, read in place: our reader and our writer agree with it."""

from __future__ import annotations

from itertools import combinations

import pytest

from app.domain.checkpoint import Checkpoint
from app.domain.errors import InvalidProof
from app.domain.merkle import (
    EMPTY_ROOT,
    consistency_path,
    inclusion_path,
    leaf_hash,
    root_at,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from app.domain.tiles import Edge, TileReader, encode_bundle, parse_bundle, tile_path
from app.seal.notes import read_checkpoint, read_vkeys
from tests.paths import DATA, needs

LOG = needs(DATA / "vectors" / "tlog" / "log")
ORIGIN = "example.com/log/testdata"
KEYS = read_vkeys([f"{ORIGIN}+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"])
SIZES = range(16)


def checkpoint(name: str) -> Checkpoint:
    return read_checkpoint((LOG / name).read_bytes(), ORIGIN, verifiers=KEYS)


def signed(size: int) -> Checkpoint:
    return checkpoint(f"checkpoint.{size}")


def stored(size: int) -> TileReader:
    return TileReader(lambda level, index: (LOG / tile_path(level, index, size)).read_bytes())


def entries(size: int) -> tuple[bytes, ...]:
    return parse_bundle((LOG / tile_path("entries", 0, size)).read_bytes(), size) if size else ()


@pytest.mark.parametrize("size", SIZES)
def test_every_checkpoint_is_the_root_of_its_tile_and_of_its_bundle(size):
    """The signed root, the root from the stored tile and the root from the stored entries are one."""
    root = signed(size).root
    assert signed(size).size == size
    assert root_of([leaf_hash(entry) for entry in entries(size)]) == root
    assert (root_at(size, stored(size)) if size else EMPTY_ROOT) == root


@pytest.mark.parametrize("size", SIZES[1:])
def test_appending_writes_the_stored_bytes(size):
    """Appending the entries one by one gives the very tile and bundle that the other implementation stored."""
    edge = Edge()
    for entry in entries(size):
        edge = edge.append([leaf_hash(entry)]).edge
    assert edge.tiles == {(0, 0): (LOG / tile_path(0, 0, size)).read_bytes()}
    assert encode_bundle(entries(size)) == (LOG / tile_path("entries", 0, size)).read_bytes()


@pytest.mark.parametrize(("old", "new"), list(combinations(SIZES[1:], 2)))
def test_any_two_checkpoints_are_consistent(old, new):
    """Each checkpoint is shown to be a prefix of each later one, and of none with another root."""
    path = consistency_path(old, new, stored(new))
    a, b = signed(old), signed(new)
    verify_consistency(path, old_size=old, old_root=a.root, new_size=new, new_root=b.root)
    with pytest.raises(InvalidProof):
        verify_consistency(path, old_size=old, old_root=signed(old - 1).root, new_size=new, new_root=b.root)


def test_every_entry_is_proved_under_the_latest_checkpoint():
    """The checkpoint without a number is the latest, and every entry stands in it."""
    latest = checkpoint("checkpoint")
    assert latest == signed(15)
    for index, entry in enumerate(entries(15)):
        path = inclusion_path(index, latest.size, stored(15))
        verify_inclusion(leaf_hash(entry), path, index=index, size=latest.size, root=latest.root)

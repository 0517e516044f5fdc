"""Merkle trees: the frontier as a value, and what proofs refuse beyond the shared vectors."""

from __future__ import annotations

import pytest

from app.domain.errors import InvalidProof
from app.domain.merkle import (
    EMPTY_ROOT,
    MAX_SIZE,
    Frontier,
    consistency_path,
    consistency_roots,
    inclusion_path,
    leaf_hash,
    node_hash,
    old_subtrees,
    root_at,
    root_of,
    shared_prefix,
    verify_consistency,
    verify_inclusion,
)

LEAVES = [leaf_hash(b"%d" % number) for number in range(7)]


def test_an_empty_tree_has_the_hash_of_nothing():
    """The root of no leaves is SHA-256 of no bytes, by either way."""
    assert Frontier().root() == root_of([]) == EMPTY_ROOT
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_appending_leaves_the_old_frontier_alone():
    """A frontier is a value: who holds the old one can still go on from it."""
    before = Frontier().append(LEAVES[:3])
    after = before.append(LEAVES[3:])
    assert (before.size, before.root()) == (3, root_of(LEAVES[:3]))
    assert (after.size, after.root()) == (7, root_of(LEAVES))
    assert before.append([]) == before


def test_growth_names_every_node_that_became_complete():
    """From 3 to 7 leaves: four leaves, the pairs 1 and 2, and the subtree of four."""
    growth = Frontier().append(LEAVES[:3]).grow(LEAVES[3:])
    pair_1, pair_2 = node_hash(LEAVES[2], LEAVES[3]), node_hash(LEAVES[4], LEAVES[5])
    four = node_hash(node_hash(LEAVES[0], LEAVES[1]), pair_1)
    assert growth.rows == (LEAVES[3:], [pair_1, pair_2], [four])


@pytest.mark.parametrize(("size", "peaks"), [(3, 1), (4, 2), (-1, 0), (MAX_SIZE + 1, 1)])
def test_a_frontier_that_cannot_be_is_not_made(size, peaks):
    """Size and number of peaks belong together, and sizes end at 2^63-1."""
    with pytest.raises(ValueError, match="one peak for each"):
        Frontier(size, (LEAVES[0],) * peaks)


def test_a_leaf_hash_has_32_bytes():
    """Data handed over in place of its hash does not get into the tree."""
    with pytest.raises(ValueError, match="32 bytes"):
        Frontier().append([LEAVES[0], b"data"])


def nothing(level: int, index: int) -> bytes:
    raise AssertionError(f"node {level}/{index} was read")


@pytest.mark.parametrize(("index", "size"), [(7, 7), (0, 0), (-1, 7), (1, MAX_SIZE + 1)])
def test_no_path_for_an_entry_that_is_not_there(index, size):
    """Asking for an entry outside the tree is refused before anything is read, and so is a proof of it."""
    with pytest.raises(InvalidProof):
        inclusion_path(index, size, nothing)
    with pytest.raises(InvalidProof):
        verify_inclusion(LEAVES[0], [], index=index, size=size, root=LEAVES[0])


@pytest.mark.parametrize(("old", "new"), [(0, 0), (0, 7), (8, 7), (-1, 7)])
def test_no_path_between_sizes_that_do_not_run_upwards(old, new):
    """Consistency runs from size 1 upwards; from 0, also 0 to 0, it would say nothing."""
    with pytest.raises(InvalidProof):
        consistency_path(old, new, nothing)
    with pytest.raises(InvalidProof):
        verify_consistency([], old_size=old, old_root=EMPTY_ROOT, new_size=new, new_root=EMPTY_ROOT)


def test_equal_sizes_need_no_path():
    """The path between equal sizes is empty, and only the empty one is accepted."""
    root = root_of(LEAVES)
    assert consistency_path(7, 7, nothing) == []
    verify_consistency([], old_size=7, old_root=root, new_size=7, new_root=root)
    with pytest.raises(InvalidProof):
        verify_consistency([LEAVES[0]], old_size=7, old_root=root, new_size=7, new_root=root)


def test_a_full_path_leads_to_both_roots():
    """From 4 to 7 in full: the old root first, then what was added."""
    old, added = root_of(LEAVES[:4]), root_of(LEAVES[4:])
    assert consistency_roots([old, added], old_size=4, new_size=7) == (old, root_of(LEAVES))
    for path in ([], [old], [old, added, added], [old, added[:31]]):
        with pytest.raises(InvalidProof):
            consistency_roots(path, old_size=4, new_size=7)


def reader(leaves):
    """`read_node` over all complete nodes of a tree."""
    rows = [leaves]
    while len(rows[-1]) > 1:
        rows.append([node_hash(*rows[-1][at : at + 2]) for at in range(0, len(rows[-1]) - 1, 2)])
    return lambda level, index: rows[level][index]


@pytest.mark.parametrize("new", [8, 9, 13, 16, 21])
def test_a_path_shows_what_another_branch_surely_shares(new):
    """Of every size and every place where the branches part: never more than they share, and no less than the trees before that place."""
    ours = [leaf_hash(b"%d" % number) for number in range(new)]
    for old in range(1, new):
        for parting in range(old):
            theirs = [*ours[:parting], *(leaf_hash(b"other %d" % number) for number in range(parting, new))]
            path = consistency_path(old, new, reader(theirs))
            full = path if old & (old - 1) else [root_at(old, reader(theirs)), *path]
            consistency_roots(full, old_size=old, new_size=new)
            found = shared_prefix(old_subtrees(full, old_size=old, new_size=new), size=old, read_node=reader(ours))
            whole = [bit for bit in (16, 8, 4, 2, 1) if bit & old]
            assert found == max((sum(whole[:n]) for n in range(len(whole) + 1) if sum(whole[:n]) <= parting), default=0)

"""Laws of the log: every proof made verifies and no altered one does; a log grown in any batches has one root and one set of tiles."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.checkpoint import Checkpoint, hash_lines, path_texts
from app.domain.errors import InvalidProof, Refused
from app.domain.fork import check_contradiction, make_evidence
from app.domain.merkle import (
    EMPTY_ROOT,
    Frontier,
    consistency_path,
    consistency_roots,
    inclusion_path,
    inclusion_paths,
    leaf_hash,
    node_hash,
    root_at,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from app.domain.note import KeyType
from app.domain.tiles import Edge, TileReader, edge_tiles, encode_bundle, parse_bundle, parse_tile_path, tile_path, widths
from app.seal.notes import NoteKey, cosign, open_note, read_vkeys, sign_note

MAX = 1_200
LEAVES = [leaf_hash(b"%d" % number) for number in range(MAX)]
TILES = dict(Edge().append(LEAVES).changed)
SIZES = st.integers(1, MAX)


def read(level: int, index: int) -> bytes:
    return TileReader(lambda *key: TILES[key])(level, index)


@cache
def recursive_root(begin: int, end: int) -> bytes:
    """RFC 6962 §2.1 word for word: the oracle."""
    if end == begin:
        return EMPTY_ROOT
    if end - begin == 1:
        return LEAVES[begin]
    split = 1
    while split * 2 < end - begin:
        split *= 2
    return node_hash(recursive_root(begin, begin + split), recursive_root(begin + split, end))


@st.composite
def altered_paths(draw: st.DrawFn, path: list[bytes]) -> list[bytes]:
    """A path with one fault: a bit flipped, a hash lost, doubled, added or cut, two exchanged."""
    changed = list(path)
    how = draw(st.sampled_from(["flip", "lose", "double", "cut", "exchange"] if path else ["add"]))
    at = draw(st.integers(0, len(path) - 1)) if path else 0
    match how:
        case "flip":
            changed[at] = flipped(changed[at], draw(st.integers(0, 255)))
        case "lose":
            del changed[at]
        case "double":
            changed.insert(at, changed[at])
        case "cut":
            changed[at] = changed[at][:31]
        case "exchange":
            other = draw(st.integers(0, len(path) - 1))
            changed[at], changed[other] = changed[other], changed[at]
        case "add":
            changed.append(LEAVES[0])
    return changed


def flipped(value: bytes, bit: int) -> bytes:
    return (int.from_bytes(value, "big") ^ 1 << bit).to_bytes(32, "big")


@given(st.integers(0, MAX))
def test_all_ways_to_a_root_agree(size):
    """Level by level, along the edge, from tiles, and by the recursive definition."""
    expected = recursive_root(0, size)
    assert root_of(LEAVES[:size]) == expected
    assert Frontier().append(LEAVES[:size]).root() == expected
    assert root_at(size, read) == expected
    assert Frontier.at(size, read) == Frontier().append(LEAVES[:size])


@given(st.lists(st.integers(0, 400), max_size=6), st.booleans())
def test_a_log_grown_in_any_batches_has_one_root(batches, restart):
    """The same leaves give the same root, edge and tiles however they come, with restarts from storage or without."""
    stored: dict[tuple[int, int], bytes] = {}
    edge, size = Edge(), 0
    for batch in batches:
        grown = edge.append(LEAVES[size : size + batch])
        stored |= grown.changed
        size = grown.size
        edge = Edge.load(size, stored) if restart else grown.edge
    once = Edge().append(LEAVES[:size])
    assert stored == once.changed
    assert edge == once.edge
    assert edge.frontier.root() == recursive_root(0, size)
    assert all(len(edge.tiles[key]) == 32 * widths(size)[key[0]][1] for key in edge_tiles(size))


@given(st.integers(0, MAX - 1), st.data())
def test_what_was_appended_is_proved_from_what_appending_made(old_size, data):
    """Paths of the new leaves need no tile; a node that is neither new nor was a peak is not there, rather than another."""
    size = data.draw(st.integers(old_size + 1, min(MAX, old_size + 300)))
    growth = Frontier().append(LEAVES[:old_size]).grow(LEAVES[old_size:size])
    for index in {old_size, size - 1, data.draw(st.integers(old_size, size - 1))}:
        assert inclusion_path(index, size, growth.read_node) == inclusion_path(index, size, read)
    level = data.draw(st.integers(0, 11))
    for index in range(size >> level):
        try:
            found = growth.read_node(level, index)
        except InvalidProof:
            assert (index + 1) << level <= old_size
        else:
            assert found == read(level, index)


@given(st.data(), SIZES)
def test_paths_of_many_are_those_of_each(data, size):
    """Walked down together or alone, as hashes and as the lines of receipts; an index beyond the tree is refused."""
    indices = data.draw(st.lists(st.integers(0, size - 1), max_size=40))
    alone = {index: inclusion_path(index, size, read) for index in indices}
    assert inclusion_paths(indices, size, read, join=lambda one, path: [one, *path], end=[]) == alone
    assert path_texts(indices, size, read) == {index: hash_lines(path) for index, path in alone.items()}
    with pytest.raises(InvalidProof):
        inclusion_paths([*indices, size], size, read, join=lambda _, path: path, end="")


@given(st.data(), SIZES)
def test_every_inclusion_proof_verifies_and_no_altered_one(data, size):
    """The path made verifies; with a fault in path, leaf, root or index it does not."""
    index = data.draw(st.integers(0, size - 1))
    path, root = inclusion_path(index, size, read), recursive_root(0, size)
    verify_inclusion(LEAVES[index], path, index=index, size=size, root=root)
    bad_path = data.draw(altered_paths(path))
    bit = data.draw(st.integers(0, 255))
    other = data.draw(st.integers(0, size))
    faults = [
        (LEAVES[index], bad_path, index, root),
        (flipped(LEAVES[index], bit), path, index, root),
        (LEAVES[index], path, index, flipped(root, bit)),
        (LEAVES[index], path, other, root),
    ]
    for leaf, steps, place, top in faults:
        if (leaf, steps, place, top) == (LEAVES[index], path, index, root):
            continue  # an exchange of a hash with itself, or the same index again, alters nothing
        with pytest.raises(InvalidProof):
            verify_inclusion(leaf, steps, index=place, size=size, root=top)


@given(st.data(), SIZES)
def test_every_consistency_proof_verifies_and_no_altered_one(data, new):
    """The path made verifies; with a fault in path or roots it does not."""
    old = data.draw(st.integers(1, new))
    path, roots = consistency_path(old, new, read), (recursive_root(0, old), recursive_root(0, new))

    def verify(steps, old_root, new_root):
        verify_consistency(steps, old_size=old, old_root=old_root, new_size=new, new_root=new_root)

    verify(path, *roots)
    bit = data.draw(st.integers(0, 255))
    bad_path = data.draw(altered_paths(path))
    if bad_path != path:
        with pytest.raises(InvalidProof):
            verify(bad_path, *roots)
    with pytest.raises(InvalidProof):
        verify(path, flipped(roots[0], bit), roots[1])
    with pytest.raises(InvalidProof):
        verify(path, roots[0], flipped(roots[1], bit))


@given(st.data(), st.integers(2, MAX))
def test_an_honest_log_cannot_be_framed(data, new):
    """Whatever path is offered between two checkpoints of one history, it is no evidence of a fork."""
    old = data.draw(st.integers(1, new - 1))
    a, b = (Checkpoint("de.example/log", size, recursive_root(0, size)) for size in (old, new))
    steps = consistency_path(old, new, read)
    full = steps if old & (old - 1) else [a.root, *steps]
    assert consistency_roots(full, old_size=old, new_size=new) == (a.root, b.root)
    for path in (full, data.draw(altered_paths(full))):
        with pytest.raises(InvalidProof):
            check_contradiction(a, b, path)


@given(st.data(), st.integers(1, MAX))
@settings(max_examples=40)
def test_every_fork_can_be_proved(data, new):
    """A history rewritten before the smaller checkpoint is evidence, at every pair of sizes."""
    old = data.draw(st.integers(1, new))
    rewritten = data.draw(st.integers(0, old - 1))
    other = [*LEAVES[:rewritten], leaf_hash(b"rewritten"), *LEAVES[rewritten + 1 : old]]
    a = Checkpoint("de.example/log", old, root_of(other))
    b = Checkpoint("de.example/log", new, recursive_root(0, new))
    evidence = make_evidence((a, "note a\n"), (b, "note b\n"), read_node=read)
    check_contradiction(a, b, evidence.path)


@given(st.integers(0, 2**55 - 1), st.integers(1, 256), st.one_of(st.integers(0, 63), st.just("entries")))
def test_every_tile_has_one_path(index, width, level):
    """A path is read back as what it was made from."""
    parsed = parse_tile_path(tile_path(level, index, width))
    assert (parsed.level, parsed.index, parsed.width) == (level, index, width)


@given(st.lists(st.binary(max_size=300), max_size=256), st.binary(min_size=1, max_size=3))
def test_a_bundle_is_read_back_and_nothing_longer(entries, more):
    """Entries come back byte for byte; a bundle that goes on, or ends before, is refused."""
    bundle = encode_bundle(entries)
    assert parse_bundle(bundle, len(entries)) == tuple(entries)
    for broken, width in ((bundle + more, len(entries)), (bundle, len(entries) + 1)):
        with pytest.raises(Refused):
            parse_bundle(broken, width)


LOG = NoteKey.from_seed("de.example/log", b"\x01" * 32)
WITNESS = NoteKey.from_seed("fr.example/witness", b"\x02" * 32, key_type=KeyType.COSIGNATURE)
NOTE = sign_note("de.example/log\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n", LOG).encode()
COSIGNED = NOTE.partition(b"\n\n")[0] + b"\n\n" + cosign(NOTE.decode().partition("\n\n")[0] + "\n", WITNESS, time=1_790_000_000).encode()
NOTE_KEYS = read_vkeys([LOG.vkey, WITNESS.vkey])


@given(st.sampled_from([NOTE, COSIGNED]), st.data())
@settings(max_examples=300)
def test_no_altered_note_opens(note, data):
    """A note with one byte changed, lost or added anywhere is refused, in its text and in its signature line alike."""
    assert open_note(note, NOTE_KEYS).verified
    at, byte = data.draw(st.integers(0, len(note) - 1)), data.draw(st.binary(min_size=1, max_size=1))
    how = data.draw(st.sampled_from(["change", "lose", "add"]))
    changed = note[:at] + (b"" if how == "lose" else byte) + note[at + (how != "add") :]
    if changed != note:
        with pytest.raises(Refused):
            open_note(changed, NOTE_KEYS)

"""RFC 6962 Merkle trees: hashes, roots, inclusion and consistency proofs, and the right edge that grows.

Leaf `SHA-256(0x00 ‖ data)`, node `SHA-256(0x01 ‖ left ‖ right)`, the empty tree `SHA-256("")`; a tree splits at the largest
power of two below its size. Verification is the iterative one of RFC 9162 §2.1.3.2 and §2.1.4.2. Nothing here holds a tree:
whoever asks for a path brings `read_node(level, index)`, which gives the root of the perfect subtree over the leaves
`index·2^level … (index+1)·2^level − 1`. Protocol §1.1; consistency from size 0 is refused, also 0 to 0.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TypeVar

from .errors import InvalidProof

P = TypeVar("P")

HASH_BYTES = 32
MAX_SIZE = 2**63 - 1
MAX_PATH = 63
EMPTY_ROOT = sha256(b"").digest()

ReadNode = Callable[[int, int], bytes]


def leaf_hash(data: bytes) -> bytes:
    """The 32-byte hash of one leaf's bytes."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The 32-byte hash of an inner node over its two children."""
    return sha256(b"\x01" + left + right).digest()


def parents(row: Sequence[bytes]) -> list[bytes]:
    """The level above `row`; a last node without a sibling has no parent yet."""
    return [sha256(b"\x01" + row[at] + row[at + 1]).digest() for at in range(0, len(row) - 1, 2)]


def nodes_over(row: Sequence[bytes], numbers: Iterable[int]) -> list[bytes]:
    """Of the level above `row` the nodes with these numbers."""
    return [sha256(b"\x01" + row[2 * number] + row[2 * number + 1]).digest() for number in numbers]


def root_of(hashes: Sequence[bytes]) -> bytes:
    """The root of the tree over these leaf hashes."""
    row = list(hashes)
    while len(row) > 1:
        # An odd last node goes up unhashed: that is what the split at a power of two comes to.
        row = parents(row) + row[len(row) & ~1 :]
    return row[0] if row else EMPTY_ROOT


# --- the growing edge ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Growth:
    """What appending made: the new frontier, and by level the nodes that became complete (first at old size >> level).

    `before`: the frontier that grew.
    """

    before: Frontier
    frontier: Frontier
    rows: tuple[list[bytes], ...]

    def read_node(self, level: int, index: int) -> bytes:
        """The node (level, index), if the path of a new leaf needs it: it became complete, or was a peak before. InvalidProof for others."""
        first = self.before.size >> level
        if level < len(self.rows) and 0 <= index - first < len(self.rows[level]):
            return self.rows[level][index - first]
        if first & 1 and index == first - 1:
            return self.before.peaks[(first >> 1).bit_count()]
        raise InvalidProof(f"node {index} of level {level} is no part of what was appended")


@dataclass(frozen=True, slots=True)
class Frontier:
    """All that a log needs to grow: its size and the roots of its perfect subtrees, the largest first (one per 1 bit of size)."""

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.size <= MAX_SIZE or len(self.peaks) != self.size.bit_count():
            raise ValueError(f"a tree of {self.size} leaves has one peak for each 1 bit of its size, not {len(self.peaks)}")

    @classmethod
    def at(cls, size: int, read_node: ReadNode) -> Frontier:
        """The frontier of the first `size` leaves of a tree that is stored somewhere."""
        return cls(size, tuple(read_node(level, index) for level, index in _perfect(0, size)))

    def root(self) -> bytes:
        """The root of the whole tree."""
        return _fold(self.peaks)

    def append(self, leaves: Iterable[bytes]) -> Frontier:
        """The frontier after these leaf hashes; this one stays as it is, so a failed transaction leaves nothing behind."""
        return self.grow(leaves).frontier

    def grow(self, leaves: Iterable[bytes]) -> Growth:
        """`append`, telling also every node that became complete: the rows at levels 0, 8, 16 … are what the tiles gain."""
        row = list(leaves)
        if any(len(leaf) != HASH_BYTES for leaf in row):
            raise ValueError("a leaf hash has 32 bytes")
        total, left = self.size + len(row), self.size
        peaks, edge = list(self.peaks), list[bytes]()
        rows: list[list[bytes]] = []
        while left or row:
            rows.append(row)
            if left & 1:
                row = [peaks.pop(), *row]
            if len(row) & 1:
                edge.append(row[-1])
            row = parents(row)
            left >>= 1
        return Growth(self, Frontier(total, tuple(reversed(edge))), tuple(rows))


def _perfect(begin: int, end: int) -> list[tuple[int, int]]:
    """(level, index) of the perfect subtrees that tile the leaves begin…end−1 from the left, the largest first.

    `begin` must be where the tree itself would split, that is, a multiple of the first (largest) subtree.
    """
    nodes = []
    while begin < end:
        level = (end - begin).bit_length() - 1
        nodes.append((level, begin >> level))
        begin += 1 << level
    return nodes


def _fold(peaks: Sequence[bytes]) -> bytes:
    if not peaks:
        return EMPTY_ROOT
    root = peaks[-1]
    for peak in reversed(peaks[:-1]):
        root = node_hash(peak, root)
    return root


def _root_between(begin: int, end: int, read_node: ReadNode) -> bytes:
    width = end - begin
    if not width & (width - 1) and width:  # a perfect subtree, as nearly all siblings are
        level = width.bit_length() - 1
        return read_node(level, begin >> level)
    return _fold([read_node(level, index) for level, index in _perfect(begin, end)])


def root_at(size: int, read_node: ReadNode) -> bytes:
    """The root that a stored tree had when it held `size` leaves (at most what it holds now)."""
    return _root_between(0, size, read_node)


# --- making proofs -------------------------------------------------------------------------------------------------


def inclusion_path(index: int, size: int, read_node: ReadNode) -> list[bytes]:
    """Sibling hashes from the leaf `index` to the root of the tree of `size`; InvalidProof if there is no such leaf."""
    if not 0 <= index < size <= MAX_SIZE:
        raise InvalidProof(f"a log of {size} entries has no entry {index}: ask for an index below its size")
    path: list[bytes] = []
    begin, end = 0, size
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if index < middle:
            path.append(_root_between(middle, end, read_node))
            end = middle
        else:
            path.append(_root_between(begin, middle, read_node))
            begin = middle
    path.reverse()
    return path


def inclusion_paths(indices: Iterable[int], size: int, read_node: ReadNode, *, join: Callable[[bytes, P], P], end: P) -> dict[int, P]:
    """The paths of many leaves of one tree, by index, in one walk down: what leads to a subtree is put together once for all in it.

    `join(hash, path)` puts a hash in front of the path that goes on from there, `end` is the path that leads nowhere. InvalidProof as above.
    """
    wanted = sorted(set(indices))
    if wanted and not 0 <= wanted[0] <= wanted[-1] < size <= MAX_SIZE:
        raise InvalidProof(f"a log of {size} entries does not have all of the entries {wanted[0]} to {wanted[-1]}")
    paths: dict[int, P] = {}
    subtrees = [(0, size, 0, len(wanted), end)] if wanted else []
    while subtrees:
        begin, stop, first, last, path = subtrees.pop()
        if stop - begin == 1:
            paths[begin] = path
            continue
        middle = begin + _split(stop - begin)
        cut = bisect_left(wanted, middle, first, last)
        if first < cut:
            subtrees.append((begin, middle, first, cut, join(_root_between(middle, stop, read_node), path)))
        if cut < last:
            subtrees.append((middle, stop, cut, last, join(_root_between(begin, middle, read_node), path)))
    return paths


def consistency_path(old_size: int, new_size: int, read_node: ReadNode) -> list[bytes]:
    """The RFC 6962 §2.1.2 path from `old_size` to `new_size` (old root left out when `old_size` is a power of two).

    InvalidProof unless 1 ≤ old_size ≤ new_size; the path between equal sizes is empty.
    """
    if not 1 <= old_size <= new_size <= MAX_SIZE:
        raise InvalidProof(f"no consistency proof leads from size {old_size} to {new_size}: sizes run upwards from 1")
    path: list[bytes] = []
    begin, end = 0, new_size
    while old_size != end:
        middle = begin + _split(end - begin)
        if old_size <= middle:
            path.append(_root_between(middle, end, read_node))
            end = middle
        else:
            path.append(_root_between(begin, middle, read_node))
            begin = middle
    if begin:  # else the old tree stands there whole, and the reader knows its root
        path.append(_root_between(begin, end, read_node))
    path.reverse()
    return path


def _split(width: int) -> int:
    """The largest power of two below `width` (2 or more)."""
    return 1 << ((width - 1).bit_length() - 1)


# --- checking proofs -----------------------------------------------------------------------------------------------


def verify_inclusion(leaf: bytes, path: Sequence[bytes], *, index: int, size: int, root: bytes) -> None:
    """InvalidProof unless `path` puts the leaf hash at `index` of the tree of `size` with this root."""
    if not 0 <= index < size <= MAX_SIZE:
        raise InvalidProof(f"a log of {size} entries has no entry {index}")
    _check_hashes(leaf, root, *path)
    at, last, found = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            raise InvalidProof("the inclusion path is longer than the tree is high")
        if at & 1 or at == last:
            found = node_hash(sibling, found)
            at, last = _rise(at, last)
        else:
            found = node_hash(found, sibling)
        at, last = at >> 1, last >> 1
    if last != 0 or found != root:
        raise InvalidProof(f"the inclusion path does not lead from this entry at index {index} to the root at size {size}")


def verify_consistency(path: Sequence[bytes], *, old_size: int, old_root: bytes, new_size: int, new_root: bytes) -> None:
    """InvalidProof unless `path` (RFC 6962 form) shows that the tree of `old_size` is a prefix of the one of `new_size`."""
    if not 1 <= old_size <= new_size <= MAX_SIZE:
        raise InvalidProof(f"no consistency proof leads from size {old_size} to {new_size}")
    if old_size == new_size:
        if path or old_root != new_root:
            raise InvalidProof(f"two roots of one size {old_size} must be equal, and the path between them empty")
        return
    full = path if old_size & (old_size - 1) else [old_root, *path]
    if consistency_roots(full, old_size=old_size, new_size=new_size) != (old_root, new_root):
        raise InvalidProof(f"the tree of size {old_size} is not shown to be a prefix of the one of size {new_size}")


def consistency_roots(path: Sequence[bytes], *, old_size: int, new_size: int) -> tuple[bytes, bytes]:
    """The two roots (old, new) that a consistency path *in full* leads to, for 1 ≤ old_size < new_size.

    In full: the old root stands in front also where `old_size` is a power of two (protocol §3.7). InvalidProof if its length is wrong.
    """
    if not 1 <= old_size < new_size <= MAX_SIZE or not path:
        raise InvalidProof(f"a consistency path of {len(path)} hashes does not lead from size {old_size} to {new_size}")
    _check_hashes(*path)
    at, last = old_size - 1, new_size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise InvalidProof("the consistency path is longer than the tree is high")
        if at & 1 or at == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            at, last = _rise(at, last)
        else:
            new = node_hash(new, sibling)
        at, last = at >> 1, last >> 1
    if last != 0:
        raise InvalidProof("the consistency path ends below the root")
    return old, new


def old_subtrees(path: Sequence[bytes], *, old_size: int, new_size: int) -> list[bytes]:
    """The hashes of the perfect trees that make up the first `old_size` leaves of the larger tree, largest first.

    Of a consistency path in full that `consistency_roots` has accepted: it holds each of them.
    """
    if not old_size & (old_size - 1):
        return [path[0]]
    at, last = old_size - 1, new_size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    found = [path[0]]
    for sibling in path[1:]:
        if at & 1 or at == last:
            found.append(sibling)
            at, last = _rise(at, last)
        at, last = at >> 1, last >> 1
    return found[::-1]


def shared_prefix(subtrees: Sequence[bytes], *, size: int, read_node: ReadNode) -> int:
    """How many of the first `size` leaves are surely those of our own tree, which `read_node` reads; `subtrees` as of `old_subtrees`."""
    begin = 0
    for (level, index), theirs in zip(_perfect(0, size), subtrees, strict=True):
        if read_node(level, index) != theirs:
            return begin
        begin = (index + 1) << level
    return begin


def _rise(at: int, last: int) -> tuple[int, int]:
    """On the right edge a node without a right sibling goes up unhashed: skip those levels."""
    while at and not at & 1:
        at, last = at >> 1, last >> 1
    return at, last


def _check_hashes(*hashes: bytes) -> None:
    if any(len(value) != HASH_BYTES for value in hashes):
        raise InvalidProof("every hash of a proof has 32 bytes")

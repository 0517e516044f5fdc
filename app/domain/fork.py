"""Fork evidence: one text that proves to anyone that a log signed two histories (`cordon-fork/v1`, protocol §3.7, §9).

It holds two signed checkpoints, A of size m and B of size n ≥ m, and for m < n the consistency path in B's tree in full (old
root in front where m is a power of two). It is evidence iff both notes are signed by the log (`seal/notes.verify_fork`), 1 ≤ m ≤ n,
and either m = n with two roots, or the path leads to B's root at n and at m to another root than A's. An honest log cannot be
framed: that would take a collision of SHA-256. A of size 0 is never evidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .canonical import read_decimal
from .checkpoint import Checkpoint, hash_lines, read_hash
from .errors import InvalidProof, Malformed, TooLarge
from .merkle import MAX_PATH, ReadNode, consistency_path, consistency_roots, root_at
from .note import MAX_NOTE

HEADER = "cordon-fork/v1"


@dataclass(frozen=True, slots=True)
class ForkEvidence:
    """Evidence taken apart: two notes as signed, and the full path (empty for equal sizes)."""

    note_a: str
    note_b: str
    path: tuple[bytes, ...]

    def text(self) -> str:
        """The evidence as text."""
        notes = "".join(f"{side} {note.count(chr(10))}\n{note}" for side, note in (("a", self.note_a), ("b", self.note_b)))
        return f"{HEADER}\n{notes}path {len(self.path)}\n{hash_lines(self.path)}"


@dataclass(frozen=True, slots=True)
class Bounds:
    """Where the branches of a forked log part: they share `common` entries for certain, and at most `heard`."""

    common: int
    heard: int

    def told(self) -> str:
        """In words."""
        if self.common == self.heard:
            return f"two histories after entry {self.common}"
        return f"two histories somewhere after entry {self.common} and at the latest {self.heard}: nobody shows the other one"


def parse_evidence(text: str) -> ForkEvidence:
    """Read the form of the evidence, whatever it proves; Malformed for another form, also for anything after the last line."""
    if len(text) > 2 * MAX_NOTE:
        raise TooLarge("fork evidence above 2 MB is not read")
    lines = text.split("\n")
    if lines.pop() != "" or lines[:1] != [HEADER]:
        raise Malformed(f"fork evidence begins with the line {HEADER} and ends in a line end")
    note_a, at = _block(lines, 1, "a")
    note_b, at = _block(lines, at, "b")
    path, at = _block(lines, at, "path")
    if at != len(lines) or len(path) > MAX_PATH + 1:
        raise Malformed("nothing follows the path of fork evidence, and a path has at most 64 hashes")
    return ForkEvidence(_joined(note_a), _joined(note_b), tuple(read_hash(line) for line in path))


def _block(lines: Sequence[str], at: int, name: str) -> tuple[Sequence[str], int]:
    """The lines that a `<name> <count>` line at `at` announces, and where the next block begins (past the end if they are too few)."""
    head, _, count = (lines[at] if at < len(lines) else "").partition(" ")
    if head != name:
        raise Malformed(f"fork evidence has a line '{name} <count>' here")
    end = at + 1 + read_decimal(count)
    return lines[at + 1 : end], end


def _joined(lines: Sequence[str]) -> str:
    return "".join(line + "\n" for line in lines)


def check_contradiction(a: Checkpoint, b: Checkpoint, path: Sequence[bytes]) -> None:
    """InvalidProof unless the two checkpoints, both taken as signed by one log, cannot both be of one honest log."""
    if a.origin != b.origin:
        raise InvalidProof("the two checkpoints are of different logs")
    if not 1 <= a.size <= b.size:
        raise InvalidProof("fork evidence has the smaller checkpoint first, and none of size 0")
    if a.size == b.size:
        if path:
            raise InvalidProof("checkpoints of one size need no path between them")
        old_root = b.root
    else:
        old_root, new_root = consistency_roots(path, old_size=a.size, new_size=b.size)
        if new_root != b.root:
            raise InvalidProof("the path does not lead to the root of B: it proves nothing about the tree of B")
    if old_root == a.root:
        raise InvalidProof("the two checkpoints agree: this is no fork")


def make_evidence(smaller: tuple[Checkpoint, str], larger: tuple[Checkpoint, str], *, read_node: ReadNode) -> ForkEvidence:
    """Evidence from two (checkpoint, note) pairs and the tree of the larger one; InvalidProof if they do not contradict."""
    (a, note_a), (b, note_b) = smaller, larger
    path: tuple[bytes, ...] = ()
    if a.size < b.size:
        steps = consistency_path(a.size, b.size, read_node)
        power_of_two = not a.size & (a.size - 1)
        path = (root_at(a.size, read_node), *steps) if power_of_two else tuple(steps)
    check_contradiction(a, b, path)
    return ForkEvidence(note_a, note_b, path)

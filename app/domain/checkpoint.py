"""The texts a log gives out: checkpoints (C2SP tlog-checkpoint) and receipts (`c2sp.org/tlog-proof@v1`).

A checkpoint is three lines, origin, size and base64 root; extension lines are read over, an empty line is malformed, and size 0
goes with the root of the empty tree only. A receipt is a header, an optional `extra`, the index, the inclusion path, an empty
line and the signed checkpoint. Numbers are ASCII digits without sign or leading zero, base64 is padded and canonical.
Protocol §1.2; `seal/notes.py` checks signatures and proofs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .canonical import b64_decode, read_decimal
from .errors import Malformed
from .merkle import EMPTY_ROOT, HASH_BYTES, MAX_PATH, ReadNode, inclusion_paths
from .note import MAX_NOTE, check_name, to_base64

PROOF_HEADER = "c2sp.org/tlog-proof@v1"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log says of itself: its tree of `size` entries has this 32-byte root."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """The text that is signed, with its last line end; extension lines that were read are not kept."""
        return f"{self.origin}\n{self.size}\n{to_base64(self.root)}\n"


@dataclass(frozen=True, slots=True)
class TlogProof:
    """A receipt taken apart: the path shows that an entry stands at `index` of the tree in the signed `checkpoint` note."""

    index: int
    path: tuple[bytes, ...]
    checkpoint: str
    extra: bytes | None = None

    def text(self) -> str:
        """The receipt as text; empty `extra` is left out."""
        return proof_text(self.index, hash_lines(self.path), self.checkpoint, self.extra)


def proof_text(index: int, path: str, checkpoint: str, extra: bytes | None) -> str:
    """A receipt as text; `path`: its lines."""
    said = f"extra {to_base64(extra)}\n" if extra else ""
    return f"{PROOF_HEADER}\n{said}index {index}\n{path}\n{checkpoint}"


def path_texts(indices: Iterable[int], size: int, read_node: ReadNode) -> dict[int, str]:
    """The lines of the inclusion paths of many entries of one tree, by index."""
    return inclusion_paths(indices, size, read_node, join=_before, end="")


def _before(value: bytes, path: str) -> str:
    return f"{to_base64(value)}\n{path}"


def parse_checkpoint(text: str) -> Checkpoint:
    """Read the text of a checkpoint note; Malformed for another form."""
    lines = text.split("\n")
    if len(lines) < 4 or lines.pop() != "" or "" in lines:
        raise Malformed("a checkpoint is three lines, origin, size and root, and no line of it is empty")
    check_name(lines[0])
    checkpoint = Checkpoint(lines[0], read_decimal(lines[1]), read_hash(lines[2]))
    check_empty(checkpoint.size, checkpoint.root)
    return checkpoint


def parse_proof(text: str) -> TlogProof:
    """Read a receipt; Malformed for another form. The checkpoint note in it is not looked into."""
    if len(text) > MAX_NOTE:
        raise Malformed("a receipt above 1 MB is not read")
    head, gap, checkpoint = text.partition("\n\n")
    lines = iter(head.split("\n"))
    if not gap or next(lines) != PROOF_HEADER:
        raise Malformed(f"a receipt begins with the line {PROOF_HEADER} and has an empty line before its checkpoint")
    line = next(lines, "")
    extra = None
    if line.startswith("extra "):
        extra = b64_decode(line.removeprefix("extra "))
        line = next(lines, "")
    if extra == b"" or not line.startswith("index "):
        raise Malformed("a receipt names its index, after an extra that is not empty or none")
    path = tuple(read_hash(line) for line in lines)
    if len(path) > MAX_PATH:
        raise Malformed(f"an inclusion path has at most {MAX_PATH} hashes")
    return TlogProof(read_decimal(line.removeprefix("index ")), path, checkpoint, extra)


def read_hash(text: str) -> bytes:
    """32 bytes from their base64 text; Malformed otherwise."""
    data = b64_decode(text)
    if len(data) != HASH_BYTES:
        raise Malformed(f"a hash has 32 bytes, not {len(data)}")
    return data


def hash_lines(path: Iterable[bytes]) -> str:
    """A path as text: one base64 hash a line, each with its line end."""
    return "".join(f"{to_base64(value)}\n" for value in path)


def check_empty(size: int, root: bytes) -> None:
    """Malformed if `size` is 0 and the root is not that of the empty tree."""
    if size == 0 and root != EMPTY_ROOT:
        raise Malformed("size 0 goes with the root of the empty tree, SHA-256 of nothing")

"""Of many lines the few that need a look: the rest is well formed and nothing is said of it (performance §2).

A piece is so large that the fixed cost of arrays is small against it, and so small that a single lookup need not wait longer than a few
milliseconds behind it; the caller lets others in between two pieces.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from app.domain.labels import Reader, ReaderClass
from app.index.listed import ListedIds
from app.index.shapes import PAD, gather, without_zeros
from app.index.vector import I64

PIECE = 10_240
"""Lines looked at in one go."""
_EDGE = b"\n" * PAD
_BRACE, _QUOTE, _BLANK = ord("}"), ord('"'), 0x20


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands before the first row, between two and behind the last, where that is always the same. `between` has one `}`."""

    opening: bytes
    between: bytes
    closing: bytes


@dataclass(frozen=True, slots=True)
class Lines:
    """Rows of a text. `clean`: the buffer without zero bytes, as `Shapes.read` wants it."""

    buffer: bytes
    clean: bytes
    starts: I64
    lengths: I64

    @classmethod
    def of(cls, text: bytes) -> Lines:
        """The lines of a text, parted by line feeds, of which the last has none."""
        buffer = b"".join((_EDGE, text, _EDGE))
        ends = np.flatnonzero(np.frombuffer(buffer, np.uint8, len(text) + 1, PAD) == 10) + PAD
        starts = np.empty_like(ends)
        starts[0], starts[1:] = PAD, ends[:-1] + 1
        return cls(buffer, without_zeros(buffer), starts, ends - starts)

    @classmethod
    def framed(cls, text: bytes, frame: Frame) -> Lines | None:
        """What stands in the frame as JSON texts that mean what they look like; None if the frame does not fit, or a row needs a JSON reader."""
        opening, between, closing = frame.opening, frame.between, frame.closing
        if not text.startswith(opening) or not text.endswith(closing) or len(text) < len(opening) + len(closing) or b"\\" in text:
            return None
        buffer = b"".join((_EDGE, text, _EDGE))
        letters = np.frombuffer(buffer, np.uint8)
        first, last = PAD + len(opening), PAD + len(text) - len(closing)
        parts = np.flatnonzero(letters[first:last] == _BRACE) + (first - between.index(b"}"))
        inner = letters[first:last]
        quotes, controls = np.count_nonzero(inner == _QUOTE), np.count_nonzero(inner < _BLANK)
        # A quote, a control character or a brace too many stands in some row.
        if (
            quotes != between.count(b'"') * len(parts)
            or controls != between.count(b"\n") * len(parts)
            or not _stand(buffer, parts, between)
        ):
            return None
        starts, ends = np.empty(len(parts) + 1, np.int64), np.empty(len(parts) + 1, np.int64)
        starts[0], starts[1:] = first, parts + len(between)
        ends[-1], ends[:-1] = last, parts
        return cls(buffer, buffer, starts, ends - starts)

    def __len__(self) -> int:
        return len(self.starts)

    def line(self, number: int) -> bytes:
        """One of them."""
        start = int(self.starts[number])
        return self.buffer[start : start + int(self.lengths[number])]

    def some(self, numbers: Sequence[int]) -> list[bytes]:
        """Those of these numbers."""
        starts = self.starts[numbers]
        ends = starts + self.lengths[numbers]
        return [self.buffer[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]


def _stand(buffer: bytes, places: I64, words: bytes) -> bool:
    """Whether these words stand at all of the places."""
    return gather(buffer, places, len(words)) == words * len(places)


def count_ends(text: bytes) -> int:
    """How many line feeds; `bytes.count` takes ten times as long where they are many."""
    return int(np.count_nonzero(np.frombuffer(text, np.uint8) == 10))


def holds_controls(text: bytes) -> bool:
    """Whether control characters other than line feeds are among the bytes."""
    return bool(np.count_nonzero(np.frombuffer(text, np.uint8) < 0x20) != count_ends(text))


def pieces(lines: Lines) -> Iterator[range]:
    """The numbers of the lines in equal pieces."""
    count = max(1, -(-len(lines) // PIECE))
    size = -(-len(lines) // count)
    for start in range(0, len(lines), size):
        yield range(start, min(start + size, len(lines)))


def to_look_at(listed: ListedIds, lines: Lines, piece: range, *, reader: Reader, checksums: bool, is_current: bool) -> list[int]:
    """Numbers of the lines in `piece` that are not plainly well-formed addresses of which nothing is said that the reader may see.

    `is_current`: everything logged so far is in the file; else all of them are looked at, as for a reader of everything.
    """
    shapes = listed.shapes()
    if not is_current or not listed.is_ready or reader.reader_class is ReaderClass.ALL:
        return list(piece)
    turns = listed.turns(reader)
    starts, lengths = lines.starts[piece.start : piece.stop], lines.lengths[piece.start : piece.stop]
    rows = shapes.read(lines.clean, starts, lengths, checksums=checksums)
    found = listed.probe(np.concatenate((rows.digests, rows.second)), turns)
    chosen = rows.slow | found[: len(piece)]
    chosen[rows.second_rows[found[len(piece) :]]] = True
    numbers: list[int] = (np.flatnonzero(chosen) + piece.start).tolist()
    return numbers

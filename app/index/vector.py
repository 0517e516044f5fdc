"""Digests, probes and additions for many at once, on numpy arrays: the same values as `keys` and `buckets` give one by one.

Arrays are contiguous and work goes in pieces that stay in the second-level cache. `take` along rows is several times faster than
indexing, and rows of booleans are joined as 64-bit words (performance §2, numpy notes).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from app.index.buckets import BUCKET_BYTES, HEAD_BYTES, SLOTS, Buckets, Full
from app.index.keys import Digester

U8 = npt.NDArray[np.uint8]
U16 = npt.NDArray[np.uint16]
U32 = npt.NDArray[np.uint32]
U64 = npt.NDArray[np.uint64]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

PIECE = 16_384

_U = np.uint64
_HIGH = _U(0xFFFFFFFF00000000)
_LOW = _U(0xFFFFFFFF)
_HALF = _U(32)
_ONE = _U(1)
_UNUSED = np.uint32(1)
"""In place of the fingerprint 0, which would say that a place was never used."""
_MIX_1, _MIX_2, _TURN = _U(0x9E3779B97F4A7C15), _U(0xBF58476D1CE4E5B9), _U(29)


def lanes(digester: Digester) -> tuple[U64, U64]:
    """The secret multipliers as arrays."""
    return np.array(digester.lane_a, np.uint64), np.array(digester.lane_b, np.uint64)


def digest_words(both: tuple[U64, U64], tag: int | U64, words: Sequence[U32] | U32 | U64) -> U64:
    """Digests of keys of one kind: `words[i]` holds the i-th word of every key, `tag` is kind | size << 8 (one, or one for each)."""
    sums = []
    columns = [column.astype(np.uint64, copy=False) for column in words]
    product = np.empty(len(columns[0]), np.uint64)
    for lane in both:
        if isinstance(tag, int):
            total = np.full(len(product), int(lane[0]) + int(lane[1]) * tag & 0xFFFFFFFFFFFFFFFF, np.uint64)
        else:
            total = tag * lane[1] + lane[0]
        for column, multiplier in zip(columns, lane[2:], strict=False):
            np.multiply(column, multiplier, out=product)
            total += product
        sums.append(total)
    x = sums[0] & _HIGH
    x |= sums[1] >> _HALF
    x ^= x >> _HALF
    x *= _MIX_1
    x ^= x >> _TURN
    x *= _MIX_2
    x ^= x >> _HALF
    return x


def digest_rows(both: tuple[U64, U64], tag: int | U64, rows: U8) -> U64:
    """The same from payload bytes, one row a key, padded with zeros to whole words."""
    words = np.ascontiguousarray(rows).view(np.uint32)
    return digest_words(both, tag, words.T.astype(np.uint64, order="C"))


def table_of(buckets: Buckets) -> U32:
    """The places as an array of rows; it lives as long as the mapping."""
    return np.frombuffer(buckets.area, np.uint32, buckets.size * SLOTS, HEAD_BYTES).reshape(-1, SLOTS)


def split(digests: U64, size: int) -> tuple[I64, U32]:
    """Bucket and fingerprint of each digest."""
    homes = _pairs(digests, size) << 1 | (digests & _ONE).view(np.int64)
    return homes, _marks(digests)


def _pairs(digests: U64, size: int) -> I64:
    pairs = digests & _LOW
    pairs *= _U(size >> 1)
    pairs >>= _HALF
    return pairs.view(np.int64)


def _marks(digests: U64) -> U32:
    marks = (digests >> _HALF).astype(np.uint32)
    return np.maximum(marks, _UNUSED, out=marks)


def probe(table: U32, digests: U64, turns: Sequence[int] = (0,)) -> Bools:
    """Whether a fingerprint of each, turned by any of `turns`, is there; never wrong when it says no."""
    is_paired = len(turns) > 1 and (turns[0] ^ turns[1]) & 0xFFFFFFFF == 1
    alone = turns[2:] if is_paired else turns
    found = np.zeros(len(digests), np.bool_)
    for start in range(0, len(digests), PIECE):
        some, hit = digests[start : start + PIECE], found[start : start + PIECE]
        if is_paired:
            hit |= _probe_pairs(table, some ^ _U(turns[0]) if turns[0] else some, (turns[0] ^ turns[1]) >> 32)
        for turn in alone:
            hit |= _probe(table, some ^ _U(turn) if turn else some)
    return found


def _probe(table: U32, digests: U64) -> Bools:
    homes, marks = split(digests, len(table))
    rows = table.take(homes, axis=0)
    found = _holds(rows, marks)
    open_ = np.flatnonzero(_goes_on(rows, found))
    found[open_] = _probe_on(table, homes[open_], marks[open_])
    return found


def _probe_pairs(table: U32, digests: U64, turn: int) -> Bools:
    """Of both buckets of a pair: in the one that the last bit names the fingerprint itself, in the other one what it is turned to."""
    pairs, sides = _pairs(digests, len(table)), (digests & _ONE).astype(np.uint32)
    marks = np.empty((len(digests), 2), np.uint32)
    marks[:, 0] = (digests >> _HALF).astype(np.uint32) ^ sides * np.uint32(turn)
    np.bitwise_xor(marks[:, 0], np.uint32(turn), out=marks[:, 1])
    flat = np.maximum(marks, _UNUSED, out=marks).reshape(-1)
    rows = table.reshape(-1, 2 * SLOTS).take(pairs, axis=0).reshape(-1, SLOTS)
    found = _holds(rows, flat)
    open_ = np.flatnonzero(_goes_on(rows, found))
    found[open_] = _probe_on(table, pairs[open_ >> 1] << 1 | open_ & 1, flat[open_])
    return np.asarray(found.view(np.uint16) != 0)


def _probe_on(table: U32, homes: I64, marks: U32) -> Bools:
    """Past a full bucket the search goes on in the next pair."""
    found = np.zeros(len(homes), np.bool_)
    left = np.arange(len(homes))
    for _ in range(len(table) >> 1):
        if not len(left):
            break
        homes = homes + 2
        homes[homes >= len(table)] &= 1
        rows = table.take(homes, axis=0)
        hit = _holds(rows, marks)
        found[left] = hit
        on = np.flatnonzero(_goes_on(rows, hit))
        left, homes, marks = left[on], homes[on], marks[on]
    return found


def _goes_on(rows: U32, found: Bools) -> Bools:
    """Whether a search that has not found its mark goes past a full bucket."""
    return np.asarray((rows[:, SLOTS - 1] != 0) & ~found)


def _holds(rows: U32, marks: U32) -> Bools:
    """Whether a row holds its mark; compared without broadcasting, which goes through sixteen places at a time."""
    words = (rows == np.repeat(marks, SLOTS).reshape(-1, SLOTS)).view(np.uint64)
    return np.asarray((words[:, 0] | words[:, 1]) != 0)


def add(buckets: Buckets, digests: U64) -> int:
    """Put those fingerprints in that are not there; how many. Full before anything is written if there might be no room for all."""
    if len(digests) > buckets.room:
        raise Full(f"{len(digests)} more would fill the index beyond three quarters")
    buckets.begin()
    table = table_of(buckets)
    count = plain = placed = 0
    for start in range(0, len(digests), PIECE):
        piece = by_home(digests[start : start + PIECE].copy())
        homes, marks = split(piece[~_probe(table, piece)], len(table))
        more_plain, more_placed = _place(table, homes, marks)
        count += len(marks)
        plain += more_plain
        placed += more_placed
    buckets.settle(count, plain, placed)
    return count


def by_home(digests: U64) -> U64:
    """Each of them once, in the order of their buckets, whatever the size of the file: by the lower half first. They are used up: the array
    that is given is sorted where it stands, as each further one of millions costs as much in fresh memory as in work.

    Not `np.unique`, which hashes: 16 times as long for a million, more beyond.
    """
    for piece in _pieces(digests):
        _turn(piece)
    digests.sort()
    count, last = 0, None
    for piece in _pieces(digests):
        is_first = np.empty(len(piece), np.bool_)
        is_first[0] = piece[0] != last
        np.not_equal(piece[1:], piece[:-1], out=is_first[1:])
        last = piece[-1]
        kept = piece[is_first]
        _turn(kept)
        digests[count : count + len(kept)] = kept  # at most as far as it was read
        count += len(kept)
    return digests[:count]


def _pieces(digests: U64) -> Iterator[U64]:
    return (digests[start : start + PIECE] for start in range(0, len(digests), PIECE))


def _turn(digests: U64) -> None:
    """Let the halves of each change places."""
    digests[:] = digests << _HALF | digests >> _HALF


def fill(buckets: Buckets, digests: U64) -> None:
    """`add` of what is certainly not there; given in the order of `by_home`, it goes through the file from one end to the other."""
    if len(digests) > buckets.room:
        raise Full(f"{len(digests)} more would fill the index beyond three quarters")
    buckets.begin()
    homes, marks = split(digests, buckets.size)
    plain, placed = _place(table_of(buckets), homes, marks)
    buckets.settle(len(marks), plain, placed)


def _place(table: U32, homes: I64, marks: U32) -> tuple[int, int]:
    plain, placed = int(marks.sum(dtype=np.uint64)), 0
    for _ in range(len(table) >> 1):
        if not len(homes):
            return plain, placed
        order = np.argsort(homes, kind="stable")
        homes, marks = homes[order], marks[order]
        first = np.flatnonzero(np.concatenate(([True], homes[1:] != homes[:-1])))
        counts = np.diff(np.append(first, len(homes)))
        rank = np.arange(len(homes)) - np.repeat(first, counts)
        used = (table.take(homes[first], axis=0) != 0).sum(axis=1)
        slot = rank + np.repeat(used, counts)
        fits = slot < SLOTS
        table[homes[fits], slot[fits]] = marks[fits]
        with np.errstate(over="ignore"):
            placed += int((marks[fits].astype(np.uint64) * (homes[fits] + 1).astype(np.uint64)).sum(dtype=np.uint64))
        homes, marks = (homes[~fits] + 2) % len(table), marks[~fits]
    raise Full("no place is free")


def sums_of(buckets: Buckets) -> tuple[int, int, int]:
    """The count and the sums that the places come to."""
    table = table_of(buckets)
    count = plain = placed = 0
    for start in range(0, len(table), PIECE):
        rows = table[start : start + PIECE]
        sums = rows.sum(axis=1, dtype=np.uint64)
        plain += int(sums.sum(dtype=np.uint64))
        with np.errstate(over="ignore"):
            placed += int((sums * np.arange(start + 1, start + 1 + len(rows), dtype=np.uint64)).sum(dtype=np.uint64))
        count += int(np.count_nonzero(rows))
    return count, plain & 0xFFFFFFFFFFFFFFFF, placed & 0xFFFFFFFFFFFFFFFF


def verify(buckets: Buckets) -> bool:
    """`Buckets.verify`, at the speed of memory."""
    return not buckets.is_dirty and sums_of(buckets) == buckets.counts()


__all__ = [
    "BUCKET_BYTES",
    "add",
    "by_home",
    "digest_rows",
    "digest_words",
    "fill",
    "lanes",
    "probe",
    "split",
    "sums_of",
    "table_of",
    "verify",
]

"""A file of fingerprints, mapped into every process: 64-byte buckets of sixteen 32-bit fingerprints (performance, recommended index).

Buckets stand in pairs. The lower half of a digest chooses the pair and, by its last bit, the bucket, the upper half is the fingerprint,
which goes into the first free place of that bucket or of the ones on the same side of the next pairs. So two digests that differ in that
bit are looked for in neighbouring lines of the cache, and never in each other's way (`Digester.turn`). A place is 0 (never used) or a
fingerprint, and never changes again, so a bucket whose last place is in use is the only one that a search goes past. What is there is not
added a second time.

One process writes at a time, any number read without locks: an addition is one aligned store of four bytes, seen by all at once, and
nothing is ever moved or removed. More than three quarters full is refused: the owner builds a larger file aside, renames it over this one
and marks this one as moved (`listed.py`). Two running sums over all places stand in the head, and a mark while a batch is written:
whatever a crash, a torn page or a flipped bit leaves behind differs from them, and the file is built anew. This module needs the standard
library only; `vector.py` does the same for many at once.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from zlib import crc32

import orjson

from app.domain.errors import Unavailable
from app.index.keys import SECRET_BYTES, Digester

HEAD_BYTES = 32_768
BUCKET_BYTES = 64
SLOTS = 16
LIVE, MOVED = 1, 2

_MAGIC = b"CORDONIX"
_VERSION = 3
_FIXED = struct.Struct(f"<8sIIQ{SECRET_BYTES}s")
_CRC_AT = _FIXED.size
_STATE_AT, _DIRTY_AT = 64, 68
_COUNTS = struct.Struct("<QQQ")
_COUNTS_AT = 72
_MOVES_AT = 96
_CHOICE_AT, _CLASSES_AT = 104, 108
_PULSE_END = 112
_PLACES = (512, 512 + 16_000)
_PLACES_MOST = 15_000
_ATTEMPTS = 1_000
_PLACE_HEAD = struct.Struct("<II")
_WORD = struct.Struct("<I")
_LONG_WORD = struct.Struct("<Q")
_BUCKET = struct.Struct("<16I")
_M64 = (1 << 64) - 1


class Damaged(Exception):
    """The file is not what its head says: build it anew."""


class Full(Exception):
    """Three quarters of the places are in use: build a larger file."""


def buckets_for(count: int, *, load: float = 0.66) -> int:
    """Buckets in which so many fingerprints fill the given share of the places: an even number."""
    return max(64, 2 * -(-int(count / load) // (2 * SLOTS)))


class Buckets:
    """One open file, or the same in memory alone (`path` None)."""

    def __init__(self, area: mmap.mmap, *, writable: bool) -> None:
        self.area = area
        self.writable = writable
        _, _, self.size, self.generation, secret = _FIXED.unpack_from(area, 0)
        self.digester = Digester(secret)
        self._words: memoryview = memoryview(area).cast("I") if writable else memoryview(b"").cast("B")

    # --- open and close ----------------------------------------------------------------------------------------------

    @classmethod
    def create(cls, path: Path | None, buckets: int, *, generation: int = 1, secret: bytes | None = None) -> Buckets:
        """A new, empty file; what stood at `path` is replaced at once, so give a name that nobody reads yet."""
        if buckets & 1:
            raise ValueError("the buckets of an index file stand in pairs")
        total = HEAD_BYTES + buckets * BUCKET_BYTES
        if path is None:
            area = mmap.mmap(-1, total)
        else:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
            try:
                # The whole length is asked of the disk now: a full one refuses here, and not by a signal in the middle of a store.
                os.posix_fallocate(handle, 0, total)
                area = mmap.mmap(handle, total, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
            except OSError as error:
                raise Unavailable(f"no room for the index: {error.strerror}") from error
            finally:
                os.close(handle)
        _FIXED.pack_into(area, 0, _MAGIC, _VERSION, buckets, generation, secret or os.urandom(SECRET_BYTES))
        _WORD.pack_into(area, _CRC_AT, crc32(area[:_CRC_AT]))
        _WORD.pack_into(area, _STATE_AT, LIVE)
        made = cls(area, writable=True)
        made.set_places({})
        return made

    @classmethod
    def open(cls, path: Path, *, writable: bool = False) -> Buckets:
        """Map a file; Damaged if its head is not whole or its length is not what the head says. The places: `verify`."""
        try:
            handle = os.open(path, os.O_RDWR if writable else os.O_RDONLY)
        except OSError as error:
            raise Damaged(f"there is no index at {path.name}: {error.strerror}") from error
        try:
            length = os.fstat(handle).st_size
            if length < HEAD_BYTES + BUCKET_BYTES:
                raise Damaged("the index is shorter than its head")
            area = mmap.mmap(handle, length, mmap.MAP_SHARED, mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0))
        finally:
            os.close(handle)
        magic, version, buckets, _, _ = _FIXED.unpack_from(area, 0)
        if (magic, version) != (_MAGIC, _VERSION) or _WORD.unpack_from(area, _CRC_AT)[0] != crc32(area[:_CRC_AT]):
            raise Damaged("the head of the index is of another version or damaged")
        if length != HEAD_BYTES + buckets * BUCKET_BYTES:
            raise Damaged("the index was cut")
        return cls(area, writable=writable)

    def close(self) -> None:
        """Give the mapping back; views of it must be gone."""
        self._words.release()
        self.area.close()

    def flush(self) -> None:
        """Write to the disk what stands in memory (the system does so in its own time)."""
        self.area.flush()

    # --- the head ----------------------------------------------------------------------------------------------------

    @property
    def is_moved(self) -> bool:
        """Another file has taken this one's place: additions go there."""
        return bool(_WORD.unpack_from(self.area, _STATE_AT)[0] != LIVE)

    def mark_moved(self) -> None:
        """Tell all who have this file mapped to open the one that stands at its path."""
        _WORD.pack_into(self.area, _STATE_AT, MOVED)

    @property
    def is_dirty(self) -> bool:
        """A batch is being written, or its writer died."""
        return bool(_WORD.unpack_from(self.area, _DIRTY_AT)[0])

    def counts(self) -> tuple[int, int, int]:
        """Fingerprints, and the two sums."""
        count, plain, placed = _COUNTS.unpack_from(self.area, _COUNTS_AT)
        return count, plain, placed

    def __len__(self) -> int:
        return self.counts()[0]

    @property
    def load(self) -> float:
        """Share of the places that are in use."""
        return float(len(self) / (self.size * SLOTS))

    @property
    def room(self) -> int:
        """How many may still be added."""
        return int(self.size * (SLOTS * 3 // 4) - len(self))

    def pulse(self) -> bytes:
        """Other bytes whenever something in the head has changed: for those who keep what follows from it."""
        return self.area[_STATE_AT:_PULSE_END]

    @property
    def moves(self) -> int:
        """A number that is another one whenever what the database says may have changed: for those who keep what they read there."""
        moves: int = _LONG_WORD.unpack_from(self.area, _MOVES_AT)[0]
        return moves

    def note_move(self, moves: int | None = None) -> int:
        """Make it another (or this) number; the new one."""
        moves = self.moves + 1 if moves is None else moves
        _LONG_WORD.pack_into(self.area, _MOVES_AT, moves & _M64)
        return moves

    @property
    def classes(self) -> int:
        """Another number whenever something was filed under a class for the first time."""
        return int(_WORD.unpack_from(self.area, _CLASSES_AT)[0])

    def note_class(self) -> None:
        """Make it another number."""
        _WORD.pack_into(self.area, _CLASSES_AT, (self.classes + 1) & 0xFFFFFFFF)

    def places(self) -> dict[str, int]:
        """Up to which place of each log this file is; Damaged if that cannot be read."""
        for _ in range(_ATTEMPTS):
            at = _PLACES[_WORD.unpack_from(self.area, _CHOICE_AT)[0] & 1]
            check, length = _PLACE_HEAD.unpack_from(self.area, at)
            text = self.area[at + 8 : at + 8 + length] if length <= _PLACES_MOST else b""
            if text and crc32(text) == check:
                found = orjson.loads(text)
                return {str(name): int(place) for name, place in found.items()}
            # The writer went round both copies while we read one: read what it points at now.
        raise Damaged("the places of the index cannot be read")

    def set_places(self, places: Mapping[str, int]) -> None:
        """Write the places beside the old ones, then point at them: a crash leaves either the old or the new."""
        text = orjson.dumps(dict(places))
        if len(text) > _PLACES_MOST:
            raise Unavailable(f"{len(places)} logs are more than one index file can follow")
        other = 1 - (_WORD.unpack_from(self.area, _CHOICE_AT)[0] & 1)
        at = _PLACES[other]
        self.area[at + 8 : at + 8 + len(text)] = text
        _PLACE_HEAD.pack_into(self.area, at, crc32(text), len(text))
        _WORD.pack_into(self.area, _CHOICE_AT, other)

    # --- look --------------------------------------------------------------------------------------------------------

    def holds(self, digest: int) -> bool:
        """Whether the fingerprint of a digest is there. Never wrong when it says no."""
        wanted = fingerprint(digest)
        sought = _WORD.pack(wanted)
        bucket = self._home(digest)
        area = self.area
        for _ in range(self.size >> 1):
            start = HEAD_BYTES + bucket * BUCKET_BYTES
            end = start + BUCKET_BYTES
            at = area.find(sought, start, end)
            while at >= 0:
                if not at & 3:
                    return True
                at = area.find(sought, at + 1, end)
            if area[end - 4 : end] == b"\0\0\0\0":
                return False
            bucket = bucket + 2 if bucket + 2 < self.size else bucket & 1
        return False

    def _home(self, digest: int) -> int:
        """The bucket in which the search begins."""
        pair: int = (digest & 0xFFFFFFFF) * (self.size >> 1) >> 32
        return pair << 1 | digest & 1

    def verify(self) -> bool:
        """Whether the places are what the sums say and no batch was cut short. Reads the whole file; `vector.verify` is faster."""
        if self.is_dirty:
            return False
        count = plain = placed = 0
        for number in range(self.size):
            slots = _BUCKET.unpack_from(self.area, HEAD_BYTES + number * BUCKET_BYTES)
            used = sum(slots)
            plain += used
            placed += used * (number + 1)
            count += SLOTS - slots.count(0)
        return (count, plain & _M64, placed & _M64) == self.counts()

    # --- write -------------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Say that places and sums differ from now on."""
        _WORD.pack_into(self.area, _DIRTY_AT, 1)

    def settle(self, count: int, plain: int, placed: int, *, anew: bool = False) -> None:
        """Add to the count and the sums, or set them `anew`, and say that they hold again."""
        now = (0, 0, 0) if anew else self.counts()
        _COUNTS.pack_into(self.area, _COUNTS_AT, now[0] + count, (now[1] + plain) & _M64, (now[2] + placed) & _M64)
        _WORD.pack_into(self.area, _DIRTY_AT, 0)

    def add(self, digests: Iterable[int]) -> int:
        """Put those fingerprints in that are not there; how many. Full before anything is written if there might be no room for all."""
        wanted = list(digests)
        if len(wanted) > self.room:
            raise Full(f"{len(wanted)} more would fill the index beyond three quarters")
        count = plain = placed = 0
        self.begin()
        for digest in wanted:
            mark = fingerprint(digest)
            place = self._free(mark, self._home(digest))
            if place is not None:
                at, bucket = place
                self._words[at] = mark
                count += 1
                plain += mark
                placed += mark * (bucket + 1)
        self.settle(count, plain, placed)
        return count

    def _free(self, mark: int, bucket: int) -> tuple[int, int] | None:
        """The first place never used from a bucket on, and its bucket; None if the mark stands before it. The caller has seen that there
        is room.
        """
        words, size = self._words, self.size
        for _ in range(size >> 1):
            start = (HEAD_BYTES + bucket * BUCKET_BYTES) // 4
            for at in range(start, start + SLOTS):
                here = words[at]
                if here == mark:
                    return None
                if not here:
                    return at, bucket
            bucket = bucket + 2 if bucket + 2 < size else bucket & 1
        raise Full("no place is free")


def fingerprint(digest: int) -> int:
    """The upper half; 0, which means that a place is free, is moved by one."""
    return digest >> 32 or 1

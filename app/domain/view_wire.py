"""How views travel besides the head: one bucket as JSON, a segment of 256 buckets as bytes, what changed since a root as bytes.

    bucket     {"tier","bucket","bytes","path","head","pad"}: base64 of the bytes and of 16 hashes, the note; a multiple of 1,024 bytes
    segment    u32be length ‖ head note ‖ 8 hashes, from the segment to the root ‖ 256 × (u32be length ‖ bucket)
    delta      u32be length ‖ head note ‖ any number of (u16be number ‖ u32be length ‖ bucket), numbers ascending

Everything is proved under the head that comes with it, a delta by the root over all buckets after it. Protocol §3.10, schemas §4.4.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from .canonical import JsonValue, b64_decode, read_json, write_json
from .errors import Malformed
from .merkle import HASH_BYTES
from .view import BUCKET_BITS, BUCKETS, SEGMENT_BITS, SEGMENT_BUCKETS, BucketAnswer, bucket_text, read_bucket_text

STEP = 1_024
"""A bucket answer is a multiple of so many bytes: else its length would tell the bucket."""
SEGMENT_PATH = BUCKET_BITS - SEGMENT_BITS
BUCKETS_A_PART = 16
MOST_NOTE = 256 * 1024
MOST_BUCKET = 16 * 1024 * 1024
_MEMBERS = frozenset({"tier", "bucket", "bytes", "path", "head", "pad"})


@dataclass(frozen=True, slots=True)
class BucketWords:
    """A bucket answer as it was sent; nothing in it is believed before `head` is opened and the path checked."""

    tier: str
    answer: BucketAnswer
    head: str


def write_bucket(tier: str, answer: BucketAnswer, note: str) -> bytes:
    """The answer for one bucket as it goes out, padded."""
    body = write_json(
        {
            "tier": tier,
            "bucket": bucket_text(answer.number),
            "bytes": b64encode(answer.data).decode("ascii"),
            "path": b64encode(b"".join(answer.path)).decode("ascii"),
            "head": note,
            "pad": "",
        }
    )
    return body[:-2] + b"." * (-len(body) % STEP) + b'"}'


def read_bucket(body: bytes) -> BucketWords:
    """A bucket answer; Malformed or BadJson if it is none."""
    words = read_json(body)
    if not isinstance(words, dict) or words.keys() != _MEMBERS:
        raise Malformed("a bucket answer is an object of tier, bucket, bytes, path, head and pad")
    path = b64_decode(_text(words, "path"))
    if len(path) != BUCKET_BITS * HASH_BYTES:
        raise Malformed(f"the path of a bucket has {BUCKET_BITS} hashes")
    answer = BucketAnswer(read_bucket_text(_text(words, "bucket")), b64_decode(_text(words, "bytes")), _hashes(path))
    return BucketWords(_text(words, "tier"), answer, _text(words, "head"))


def _text(words: Mapping[str, JsonValue], name: str) -> str:
    value = words[name]
    if not isinstance(value, str):
        raise Malformed(f"`{name}` of a bucket answer is text")
    return value


def _hashes(data: bytes) -> tuple[bytes, ...]:
    return tuple(data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES))


@dataclass(frozen=True, slots=True)
class Segment:
    """256 neighbouring buckets with their path, and the head that they are proved under."""

    head: str
    path: tuple[bytes, ...]
    buckets: tuple[bytes, ...]


def write_segment(note: str, path: Sequence[bytes], buckets: Sequence[bytes]) -> Iterator[bytes]:
    """The bytes of a segment in parts, each made when it is taken: the whole may have megabytes, all of which are at hand as buckets."""
    yield b"".join([framed(note.encode("utf-8")), *path])
    for first in range(0, len(buckets), BUCKETS_A_PART):
        yield b"".join(map(framed, buckets[first : first + BUCKETS_A_PART]))


def segment_length(note: str, path: Sequence[bytes], buckets: Sequence[bytes]) -> int:
    """How many bytes `write_segment` gives."""
    framed_ones = (note.encode("utf-8"), *buckets)
    return 4 * len(framed_ones) + sum(map(len, framed_ones)) + sum(map(len, path))


def read_segment(body: bytes) -> Segment:
    """A segment; Malformed if it is none. Check it by `view.verify_segment` under the opened head."""
    reader = Reader(body)
    note = reader.text()
    path = _hashes(reader.take(SEGMENT_PATH * HASH_BYTES))
    buckets = tuple(reader.framed(MOST_BUCKET) for _ in range(SEGMENT_BUCKETS))
    reader.end()
    return Segment(note, path, buckets)


def write_delta(note: str, buckets: Mapping[int, bytes]) -> bytes:
    """The bytes of a delta: these buckets as they are under this head."""
    changed = [part for number in sorted(buckets) for part in (number.to_bytes(2, "big"), framed(buckets[number]))]
    return b"".join([framed(note.encode("utf-8")), *changed])


def read_delta(body: bytes) -> tuple[str, dict[int, bytes]]:
    """The head note, and the buckets that changed; Malformed for another form."""
    reader = Reader(body)
    note = reader.text()
    changed = dict(_changes(reader))
    return note, changed


def _changes(reader: Reader) -> Iterator[tuple[int, bytes]]:
    last = -1
    while not reader.is_at_end:
        number = int.from_bytes(reader.take(2), "big")
        if not last < number < BUCKETS:
            raise Malformed("the buckets of a delta stand in ascending order, each once")
        last = number
        yield number, reader.framed(MOST_BUCKET)


def framed(data: bytes) -> bytes:
    """The bytes after their length."""
    return len(data).to_bytes(4, "big") + data


class Reader:
    """Bytes in frames. Reads on from where it is; Malformed where the bytes end too soon."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def is_at_end(self) -> bool:
        """Whether all was read."""
        return self._at == len(self._data)

    def rest(self) -> bytes:
        """Everything that is left."""
        return self.take(len(self._data) - self._at)

    def take(self, count: int) -> bytes:
        """The next bytes."""
        found = self._data[self._at : self._at + count]
        if len(found) != count:
            raise Malformed("the answer ends too soon: ask for it again")
        self._at += count
        return found

    def framed(self, most: int) -> bytes:
        """The next bytes after their length."""
        length = int.from_bytes(self.take(4), "big")
        if length > most:
            raise Malformed(f"a part of the answer claims {length} bytes, at most {most} are read")
        return self.take(length)

    def text(self) -> str:
        """The head note that stands in front."""
        try:
            return self.framed(MOST_NOTE).decode("utf-8")
        except UnicodeDecodeError as error:
            raise Malformed("the head note is not UTF-8") from error

    def end(self) -> None:
        """Nothing may follow."""
        if not self.is_at_end:
            raise Malformed("something follows where the answer should end")

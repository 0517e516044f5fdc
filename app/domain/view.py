"""Screening views: what a tier lists, in 65,536 buckets under one signed head, so that *not listed* can be proved too.

The key of an id (`identifiers.id_key`, 32 bytes) opens with its bucket number. A bucket is its entries one after the other:
`key32 ‖ severity u8 ‖ category u8 ‖ n u8 ‖ n × sid16`, one entry an id, keys and sids strictly ascending. Bucket leaf
`SHA-256(0x00 ‖ u16be(number) ‖ bytes)`, over all leaves an RFC 6962 tree. The head names the root, the moment, the policy and
the vector of logs that it was computed from; anyone with the same entitlement can compute it again. Protocol §3.10, §9.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import lt

from .canonical import b64u_decode, read_decimal
from .checkpoint import check_empty, read_hash
from .errors import InvalidProof, Malformed
from .merkle import HASH_BYTES, leaf_hash, node_hash, nodes_over, parents, verify_inclusion
from .note import check_name, to_base64

BUCKET_BITS = 16
BUCKETS = 1 << BUCKET_BITS
SEGMENT_BITS = 8
SEGMENT_BUCKETS = 1 << SEGMENT_BITS
"""A segment is 256 neighbouring buckets: the unit in which a mirror fetches a view."""
SEGMENTS = BUCKETS >> SEGMENT_BITS
SID_BYTES = 16
MAX_SIDS = 255
MAX_SEVERITY = 4
HEADER = "cordon-view/v1"
_FIXED = HASH_BYTES + 3
_SINGLE = _FIXED + SID_BYTES
_HEX = frozenset("0123456789abcdef")


# --- entries and buckets -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ListedItem:
    """One item of one active listing: the key of its id, its judgement, and the statement that it stands in."""

    key: bytes
    severity: int
    category: int  # vocabulary number of its first typology; 0: none
    sid: str


@dataclass(frozen=True, slots=True)
class BucketEntry:
    """All that a view says of one id; `sids` are the first 16 bytes of each decoded sid, ascending, at most the lowest 255."""

    key: bytes
    severity: int
    category: int
    sids: tuple[bytes, ...]

    @property
    def bucket(self) -> int:
        return bucket_number(self.key)

    def encode(self) -> bytes:
        return b"".join((self.key, bytes((self.severity, self.category, len(self.sids))), *self.sids))


def bucket_number(key: bytes) -> int:
    """The bucket of a 32-byte key: its first 16 bits."""
    return int.from_bytes(key[:2], "big")


def bucket_text(number: int) -> str:
    """The four hex digits by which a bucket is asked for."""
    return f"{number:04x}"


def read_bucket_text(text: str, *, digits: int = BUCKET_BITS // 4) -> int:
    """The number of a bucket (with 2 digits: of a segment); Malformed for anything but so many lower-case hex digits."""
    if len(text) != digits or not _HEX.issuperset(text):
        raise Malformed(f"a number here is written with {digits} lower-case hex digits")
    return int(text, 16)


def entries_of(items: Iterable[ListedItem]) -> list[BucketEntry]:
    """One entry a key, sorted by key, whatever the order of the items."""
    by_key: dict[bytes, list[ListedItem]] = {}
    for item in items:
        by_key.setdefault(item.key, []).append(item)
    return [_entry(key, by_key[key]) for key in sorted(by_key)]


def _entry(key: bytes, items: Sequence[ListedItem]) -> BucketEntry:
    severity = max(item.severity for item in items)
    category = min(item.category for item in items if item.severity == severity)
    sids = sorted({b64u_decode(item.sid)[:SID_BYTES] for item in items})
    return BucketEntry(key, severity, category, tuple(sids[:MAX_SIDS]))


def encode_bucket(entries: Iterable[BucketEntry]) -> bytes:
    """The bytes of one bucket, from its entries in ascending order of key."""
    return b"".join(entry.encode() for entry in entries)


def parse_bucket(data: bytes, number: int) -> tuple[BucketEntry, ...]:
    """The entries of bucket `number`; Malformed for any other form than the one that `encode_bucket` writes."""
    entries: list[BucketEntry] = []
    at = 0
    while at < len(data):
        begin = at + _FIXED
        if begin > len(data):
            raise Malformed("the bucket ends inside an entry")
        severity, category, count = data[at + HASH_BYTES : begin]
        end = begin + count * SID_BYTES
        sids = tuple(data[sid : sid + SID_BYTES] for sid in range(begin, end, SID_BYTES))
        entry = BucketEntry(data[at : at + HASH_BYTES], severity, category, sids)
        if end > len(data) or severity > MAX_SEVERITY or not sids or not _ascending(sids) or entry.bucket != number:
            raise Malformed(f"entry {len(entries)} of the bucket has a form that no honest node writes")
        entries.append(entry)
        at = end
    if not _ascending([entry.key for entry in entries]):
        raise Malformed("the entries of a bucket stand in ascending order, one an id")
    return tuple(entries)


def check_bucket(data: bytes, number: int) -> None:
    """Malformed for what `parse_bucket` refuses; several times as fast for the usual bucket, whose entries have one sid each."""
    if not _is_plain(data, number):
        parse_bucket(data, number)


def _is_plain(data: bytes, number: int) -> bool:
    """Whether these are entries with one sid each in good form; False decides nothing."""
    if not _has_single_sids(data):
        return False
    keys, own = _single_keys(data), number.to_bytes(2, "big")
    # Between ascending keys that open with the same bytes every key does.
    return not keys or (
        keys[0].startswith(own) and keys[-1].startswith(own) and max(data[HASH_BYTES::_SINGLE]) <= MAX_SEVERITY and _ascending(keys)
    )


def keys_in(data: bytes) -> list[bytes]:
    """The keys of a bucket of good form, ascending."""
    if _has_single_sids(data):
        return _single_keys(data)
    return [data[at : at + HASH_BYTES] for at in _starts(data)]


def count_entries(data: bytes) -> int:
    """How many ids a bucket of good form lists."""
    return len(data) // _SINGLE if _has_single_sids(data) else sum(1 for _ in _starts(data))


def holds(data: bytes, key: bytes) -> bool:
    """Whether a bucket of good form has an entry for the key."""
    return _find(data, key) >= 0


def find_entry(data: bytes, key: bytes) -> BucketEntry | None:
    """The entry of the key in a bucket of good form."""
    at = _find(data, key)
    if at < 0:
        return None
    severity, category, count = data[at + HASH_BYTES : at + _FIXED]
    begin = at + _FIXED
    return BucketEntry(
        key, severity, category, tuple(data[sid : sid + SID_BYTES] for sid in range(begin, begin + count * SID_BYTES, SID_BYTES))
    )


def place_of(data: bytes, key: bytes) -> tuple[int, int]:
    """From where to where the entry of the key stands in a bucket of good form; twice the same place if there is none: there it would."""
    if not _has_single_sids(data):
        ends = [*_starts(data), len(data)]
        for at, end in pairwise(ends):
            here = data[at : at + HASH_BYTES]
            if here >= key:
                return at, end if here == key else at
        return len(data), len(data)
    low, high = 0, len(data) // _SINGLE
    while low < high:
        middle = (low + high) // 2
        at = middle * _SINGLE
        if data[at : at + HASH_BYTES] < key:
            low = middle + 1
        else:
            high = middle
    at = low * _SINGLE
    return at, at + _SINGLE if data.startswith(key, at) else at


def _find(data: bytes, key: bytes) -> int:
    at = data.find(key)
    # The bytes of a key may stand by chance across two other entries: only an entry counts.
    while at >= 0 and not (at % _SINGLE == 0 if _has_single_sids(data) else at in _starts(data)):
        at = data.find(key, at + 1)
    return at


def _has_single_sids(data: bytes) -> bool:
    """Whether the entries of a bucket have one sid each: then they all have the same length."""
    count, rest = divmod(len(data), _SINGLE)
    return not rest and data[_FIXED - 1 :: _SINGLE].count(1) == count


def _single_keys(data: bytes) -> list[bytes]:
    return [data[at : at + HASH_BYTES] for at in range(0, len(data), _SINGLE)]


def _starts(data: bytes) -> Iterator[int]:
    at = 0
    while at < len(data):
        yield at
        at += _FIXED + data[at + _FIXED - 1] * SID_BYTES


def _ascending(values: Sequence[bytes]) -> bool:
    return all(map(lt, values, values[1:]))


def bucket_leaf(number: int, data: bytes) -> bytes:
    """The leaf hash of a bucket; each empty bucket has one of its own."""
    return leaf_hash(number.to_bytes(2, "big") + data)


# --- the tree over all buckets -------------------------------------------------------------------------------------


class BucketTree:
    """The tree over the 65,536 bucket leaves of one tier. A value: `updated` gives a new one, so answers and their head agree."""

    __slots__ = ("_rows",)

    def __init__(self, rows: Sequence[list[bytes]]) -> None:
        self._rows = rows

    @classmethod
    def build(cls, buckets: Mapping[int, bytes]) -> BucketTree:
        """From the bytes of each bucket that is not empty."""
        growth = cls.grow([buckets.get(number, b"") for number in range(BUCKETS)])
        for _ in growth.steps():
            pass
        return growth.tree()

    @classmethod
    def grow(cls, buckets: Sequence[bytes], *, like: Like | None = None) -> Growth:
        """The same from all 65,536 buckets, in steps between which others may work."""
        return Growth(buckets, range(BUCKETS), [[b""] * (BUCKETS >> level) for level in range(BUCKET_BITS + 1)], like=like)

    @property
    def root(self) -> bytes:
        return self._rows[-1][0]

    def updated(self, buckets: Mapping[int, bytes]) -> BucketTree:
        """The tree after these buckets took these bytes; only the paths above them are hashed again."""
        growth = self.updating(buckets)
        for _ in growth.steps():
            pass
        return growth.tree()

    def updating(self, buckets: Mapping[int, bytes], *, like: Like | None = None) -> Growth:
        """The same in steps between which others may work."""
        return Growth(buckets, sorted(buckets), [list(row) for row in self._rows], like=like)

    @property
    def rows(self) -> Sequence[Sequence[bytes]]:
        """The hashes, leaves first, the root alone in the last row."""
        return self._rows

    def path(self, number: int) -> tuple[bytes, ...]:
        """The 16 sibling hashes from the leaf of the bucket to the root."""
        return tuple(row[number >> level ^ 1] for level, row in enumerate(self._rows[:-1]))

    def segment(self, number: int) -> tuple[bytes, tuple[bytes, ...]]:
        """The hash over the 256 buckets whose numbers begin with these 8 bits, and its 8 sibling hashes up to the root."""
        path = tuple(row[number >> level ^ 1] for level, row in enumerate(self._rows[SEGMENT_BITS:-1]))
        return self._rows[SEGMENT_BITS][number], path


Like = tuple[Sequence[bytes], BucketTree]
"""All buckets of another tier, and the tree over them."""


class Growth:
    """A tree in the making; `steps` hashes a part at each turn, `tree` is the tree after the last."""

    def __init__(
        self, buckets: Mapping[int, bytes] | Sequence[bytes], numbers: Sequence[int], rows: list[list[bytes]], *, like: Like | None
    ) -> None:
        """`numbers`: of the buckets that are hashed, ascending; `rows`: of the tree before, which become those of this one; `like`: a tree
        from which hashes over the very same objects are taken.
        """
        self._buckets = buckets
        self._numbers = numbers
        self._rows = rows
        self._like = like

    def steps(self, size: int = 1024) -> Iterator[None]:
        """Hash the next `size` nodes, again and again."""
        leaves, numbers = self._rows[0], self._numbers
        theirs: Sequence[bytes]
        theirs, rows = ((), ()) if self._like is None else (self._like[0], self._like[1].rows)
        for first in range(0, len(numbers), size):
            for number in numbers[first : first + size]:
                data = self._buckets[number]
                leaves[number] = rows[0][number] if rows and data is theirs[number] else bucket_leaf(number, data)
            yield
        for level, (below, row) in enumerate(pairwise(self._rows)):
            numbers = range(len(row)) if len(numbers) == len(below) else list(dict.fromkeys([number >> 1 for number in numbers]))
            for first in range(0, len(numbers), size):
                some = numbers[first : first + size]
                nodes = _nodes_like(below, some, rows[level], rows[level + 1]) if rows else nodes_over(below, some)
                for number, node in zip(some, nodes, strict=True):
                    row[number] = node
                yield

    def tree(self) -> BucketTree:
        """What has grown."""
        return BucketTree(self._rows)


def _nodes_like(below: Sequence[bytes], numbers: Iterable[int], theirs: Sequence[bytes], above: Sequence[bytes]) -> list[bytes]:
    """The nodes with these numbers, and where the two below are those of the other tree, its own."""
    return [
        above[number]
        if below[2 * number] is theirs[2 * number] and below[2 * number + 1] is theirs[2 * number + 1]
        else node_hash(below[2 * number], below[2 * number + 1])
        for number in numbers
    ]


def segment_hash(number: int, buckets: Sequence[bytes]) -> bytes:
    """The hash over the 256 buckets of a segment."""
    row = [bucket_leaf(number << SEGMENT_BITS | place, data) for place, data in enumerate(buckets)]
    while len(row) > 1:
        row = parents(row)
    return row[0]


def verify_segment(number: int, buckets: Sequence[bytes], path: Sequence[bytes], *, root: bytes) -> None:
    """InvalidProof unless these are the 256 buckets of the segment under the root of an opened head; Malformed for a bucket that no
    honest node writes.
    """
    if len(buckets) != SEGMENT_BUCKETS:
        raise Malformed(f"a segment has {SEGMENT_BUCKETS} buckets, not {len(buckets)}")
    verify_inclusion(segment_hash(number, buckets), path, index=number, size=SEGMENTS, root=root)
    for place, data in enumerate(buckets):
        check_bucket(data, number << SEGMENT_BITS | place)


# --- the head ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ViewOrigin:
    """One log in the vector of a view; `age_s` is how old its newest cosignature was, in seconds."""

    origin: str
    size: int
    root: bytes
    age_s: int


@dataclass(frozen=True, slots=True)
class ViewHead:
    """What a view key signs: `name` is that of the key, `as_of` in seconds, `policy` the SHA-256 of the consumption policy."""

    name: str
    as_of: int
    root: bytes
    policy: bytes
    origins: tuple[ViewOrigin, ...]

    def text(self) -> str:
        """The text that is signed, origins sorted whatever their order here."""
        fixed = [HEADER, self.name, str(self.as_of), to_base64(self.root), f"policy {to_base64(self.policy)}"]
        origins = sorted(self.origins, key=lambda one: one.origin.encode())
        lines = fixed + [f"{one.origin} {one.size} {to_base64(one.root)} {one.age_s}" for one in origins]
        return "\n".join(lines) + "\n"


def parse_head(text: str) -> ViewHead:
    """Read the text of a view head; Malformed for another form, also for origins that are not sorted or not unique."""
    lines = text.split("\n")
    if len(lines) < 6 or lines.pop() != "" or lines[0] != HEADER or not lines[4].startswith("policy "):
        raise Malformed(f"a view head is {HEADER}, name, as_of, root, policy, then a line an origin")
    _, name, as_of, root, policy, *rest = lines
    check_name(name)
    origins = tuple(_parse_origin(line) for line in rest)
    if not _ascending([one.origin.encode() for one in origins]):
        raise Malformed("the origins of a view head are sorted, each once")
    return ViewHead(name, read_decimal(as_of), read_hash(root), read_hash(policy.removeprefix("policy ")), origins)


def _parse_origin(line: str) -> ViewOrigin:
    fields = line.split(" ")
    if len(fields) != 4:
        raise Malformed("an origin line of a view head is: origin, size, root, age in seconds")
    origin, size, root, age_s = fields
    check_name(origin)
    one = ViewOrigin(origin, read_decimal(size), read_hash(root), read_decimal(age_s))
    check_empty(one.size, one.root)
    return one


# --- answers -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BucketAnswer:
    """What a node answers for a bucket, beside the head: proves every id of it listed or not listed, offline."""

    number: int
    data: bytes
    path: tuple[bytes, ...]


def verify_answer(key: bytes, answer: BucketAnswer, *, root: bytes) -> BucketEntry | None:
    """The entry of the key, or None for *not listed*, as proved under the root of an opened head.

    InvalidProof if the answer is for another bucket or its path does not lead to the root; Malformed if it does,
    but the bytes have a form that no honest node writes.
    """
    if answer.number != bucket_number(key):
        raise InvalidProof(f"the answer is for bucket {answer.number:04x}, the id is in {bucket_number(key):04x}")
    leaf = bucket_leaf(answer.number, answer.data)
    verify_inclusion(leaf, answer.path, index=answer.number, size=BUCKETS, root=root)
    for entry in parse_bucket(answer.data, answer.number):
        if entry.key == key:
            return entry
    return None

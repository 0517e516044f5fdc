r"""A verified copy of a view on disk: a snapshot, the deltas since, and what was removed. Used by `view_sync`, read by `offline`.

    <dir>/<tier>/view.bin          "cordon-mirror/v1\n" ‖ u64be number of the last delta in it ‖ framed policy ‖ framed head ‖ 65,536 framed buckets
    <dir>/<tier>/delta-<number>    framed policy ‖ a delta as it came (domain/view_wire)
    <dir>/<tier>/tombstones        a line an id that was listed and is no more: hex key, second of the head without it
    <dir>/<tier>/part/…            a snapshot that is still being fetched

Every file is written aside and renamed, so a crash leaves the old state or the new one. Nothing read from disk is believed: the buckets
must give the root of the head, the head must be signed, the policy must be the one that the head names. "framed": u32be length, bytes.

A `Store` keeps what it has verified: the next `load` takes the deltas from there, and of a snapshot that was written anew it hashes the
buckets that differ. A copy on disk that was damaged since is noticed by whoever opens it next.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from ..domain.canonical import read_json
from ..domain.errors import BadJson, InvalidProof, Malformed, NotFound
from ..domain.merkle import HASH_BYTES
from ..domain.view import BUCKETS, BucketTree, ViewHead, check_bucket, keys_in
from ..domain.view_wire import MOST_BUCKET, MOST_NOTE, Reader, framed, read_delta
from ..seal.notes import Verifier, read_view_head

MAGIC = b"cordon-mirror/v1\n"
VALID_S = 86_400
"""How long a copy may be used at most, whatever its policy says."""
COMPACT_AFTER = 64


@dataclass(frozen=True, slots=True)
class Copy:
    """A view that was verified: every bucket, the head over them, the policy that the head names."""

    tier: str
    buckets: Sequence[bytes]
    tree: BucketTree
    head: ViewHead
    note: str
    policy: bytes
    number: int

    @property
    def not_after(self) -> int:
        """The second after which it must not be used any more (trust-and-ops CP-4)."""
        return self.head.as_of + valid_s(self.policy)

    def changed(self, note: str, head: ViewHead, policy: bytes, buckets: Mapping[int, bytes]) -> Copy:
        """The copy with these buckets under the next head; InvalidProof if they do not give its root."""
        for number, data in buckets.items():
            check_bucket(data, number)
        tree = self.tree.updated(buckets)
        check_root(tree, head)
        after = list(self.buckets)
        for number, data in buckets.items():
            after[number] = data
        return Copy(self.tier, after, tree, head, note, policy, self.number + 1)

    def removed_by(self, buckets: Mapping[int, bytes]) -> set[bytes]:
        """The keys that are listed here and not in these buckets."""
        return {key for number, data in buckets.items() for key in set(keys_in(self.buckets[number])).difference(keys_in(data))}

    def added_by(self, buckets: Mapping[int, bytes]) -> set[bytes]:
        """The keys that are listed in these buckets and not here."""
        return {key for number, data in buckets.items() for key in set(keys_in(data)).difference(keys_in(self.buckets[number]))}

    def keys(self) -> set[bytes]:
        """The keys of all that is listed."""
        return {key for data in self.buckets for key in keys_in(data)}


def check_root(tree: BucketTree, head: ViewHead) -> None:
    """InvalidProof unless the buckets are those of the head."""
    if tree.root != head.root:
        raise InvalidProof("the buckets do not give the root of their head: the copy is damaged, or the node sent something else")


def check_policy(policy: bytes, head: ViewHead) -> None:
    """InvalidProof unless this is the policy that the head names."""
    if sha256(policy).digest() != head.policy:
        raise InvalidProof("the policy is not the one that the head names")


def valid_s(policy: bytes) -> int:
    """For how many seconds a copy may be used under a policy: what it says, a day at most."""
    try:
        words = read_json(policy)
    except BadJson:
        return 0
    said = words.get("valid_s") if isinstance(words, dict) else None
    return min(said, VALID_S) if isinstance(said, int) and not isinstance(said, bool) and said > 0 else VALID_S


@dataclass(frozen=True, slots=True)
class Parts:
    """What a copy is put together from, before anything of it is believed."""

    buckets: Sequence[bytes]
    note: str
    policy: bytes
    number: int

    def build(self, tier: str, keys: Sequence[Verifier], *, known: Copy | None = None) -> Copy:
        """The copy, checked; InvalidProof or Malformed. `known`: an earlier one; buckets that are as they were there are not checked again."""
        head = open_head(self.note, tier, keys)
        check_policy(self.policy, head)
        if known is None:
            changed, before = dict(enumerate(self.buckets)), None
        else:
            before = known.buckets
            changed = {place: data for place, data in enumerate(self.buckets) if data != before[place]}
        for place, data in changed.items():
            check_bucket(data, place)
        tree = BucketTree.build(changed) if known is None else known.tree.updated(changed)
        check_root(tree, head)
        # The old objects where they say the same: whoever follows a copy sees by them what has moved.
        buckets = self.buckets if before is None else [changed.get(place, data) for place, data in enumerate(before)]
        return Copy(tier, buckets, tree, head, self.note, self.policy, self.number)


def open_head(note: str, tier: str, keys: Sequence[Verifier]) -> ViewHead:
    """The head of this tier, signed by a view key."""
    head = read_view_head(note, keys)
    if not head.name.endswith(f"/view/{tier}"):
        raise InvalidProof(f"this is a head of {head.name}, not of the {tier} tier")
    return head


@dataclass(frozen=True, slots=True)
class _Known:
    """A copy that was verified under these keys, and the snapshot file that it began with."""

    snapshot: tuple[int, ...]
    keys: tuple[Verifier, ...]
    copy: Copy


def _identity(path: Path) -> tuple[int, ...]:
    """Which file stands there: another one after each `write`; empty if there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return ()
    return found.st_ino, found.st_size, found.st_mtime_ns


class Store:
    """The files of one tier below a folder, and what was verified of them. For one thread at a time."""

    def __init__(self, folder: Path, tier: str) -> None:
        self.tier = tier
        self.folder = folder / tier
        self.part = self.folder / "part"
        self._known: _Known | None = None
        self._removed: tuple[tuple[int, ...], Mapping[bytes, int]] = (), {}

    # --- read --------------------------------------------------------------------------------------------------------

    def load(self, keys: Sequence[Verifier]) -> Copy:
        """The newest copy, verified; NotFound if there is none, InvalidProof or Malformed if it is damaged."""
        snapshot, known = _identity(self.folder / "view.bin"), self._known
        if known is not None and known.keys != tuple(keys):
            known = None
        if known is not None and known.snapshot == snapshot:
            copy = known.copy
        else:
            copy = self._snapshot().build(self.tier, keys, known=None if known is None else known.copy)
        while (path := self._delta(copy.number + 1)).is_file():
            reader = Reader(path.read_bytes())
            policy = reader.framed(MOST_NOTE)
            note, buckets = read_delta(reader.rest())
            head = open_head(note, self.tier, keys)
            check_policy(policy, head)
            copy = copy.changed(note, head, policy, buckets)
        self._known = _Known(snapshot, tuple(keys), copy)
        return copy

    def _snapshot(self) -> Parts:
        try:
            data = (self.folder / "view.bin").read_bytes()
        except FileNotFoundError as error:
            raise NotFound(f"no copy of the {self.tier} view in {self.folder.parent}: `cordon mirror {self.folder.parent}`") from error
        reader = Reader(data)
        if reader.take(len(MAGIC)) != MAGIC:
            raise Malformed(f"{self.folder / 'view.bin'} is no copy of a view")
        number = int.from_bytes(reader.take(8), "big")
        policy, note = reader.framed(MOST_NOTE), reader.framed(MOST_NOTE).decode("utf-8", "replace")
        buckets = [reader.framed(MOST_BUCKET) for _ in range(BUCKETS)]
        reader.end()
        return Parts(buckets, note, policy, number)

    def version(self) -> tuple[int, ...]:
        """Changes whenever the copy on disk does."""
        found = [*self.folder.glob("delta-*"), self.folder / "view.bin"]
        return tuple(sorted(path.stat().st_mtime_ns for path in found if path.is_file()))

    def tombstones(self) -> Mapping[bytes, int]:
        """Keys that were listed and are no more, with the second of the first head without them."""
        path = self.folder / "tombstones"
        file = _identity(path)
        if file != self._removed[0]:
            lines = path.read_text("ascii").splitlines() if file else []
            self._removed = file, {bytes.fromhex(line[: 2 * HASH_BYTES]): int(line[2 * HASH_BYTES + 1 :]) for line in lines}
        return self._removed[1]

    # --- write -------------------------------------------------------------------------------------------------------

    def keep_snapshot(self, copy: Copy, removed: Mapping[bytes, int]) -> None:
        """Write a whole copy; the deltas up to it are gone then."""
        parts = [MAGIC, copy.number.to_bytes(8, "big"), framed(copy.policy), framed(copy.note.encode("utf-8"))]
        self._tombstones(removed)
        last = self._delta(copy.number).name
        self._drop_deltas(lambda name: name > last)  # of a copy that was damaged: they must not be taken for what follows this one
        write(self.folder / "view.bin", b"".join([*parts, *map(framed, copy.buckets)]))
        self._drop_deltas(lambda name: name <= last)

    def _drop_deltas(self, which: Callable[[str], bool]) -> None:
        for path in self.folder.glob("delta-*"):
            if which(path.name):
                path.unlink()

    def keep_delta(self, copy: Copy, body: bytes, removed: Mapping[bytes, int]) -> None:
        """Write the delta that led to this copy; from time to time the whole copy instead."""
        if copy.number % COMPACT_AFTER == 0:
            self.keep_snapshot(copy, removed)
            return
        self._tombstones(removed)
        write(self._delta(copy.number), framed(copy.policy) + body)

    def _tombstones(self, removed: Mapping[bytes, int]) -> None:
        write(self.folder / "tombstones", "".join(f"{key.hex()} {at}\n" for key, at in sorted(removed.items())).encode("ascii"))

    def _delta(self, number: int) -> Path:
        return self.folder / f"delta-{number:012d}"


def write(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Put a file in place whole, or not at all; `durable`: also if the power fails just after."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    aside = path.with_name(path.name + ".new")
    with aside.open("wb") as file:
        file.write(data)
        if durable:
            file.flush()
            os.fsync(file.fileno())
    aside.replace(path)

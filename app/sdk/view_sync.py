"""Keeping a copy of a view: a snapshot in 256 segments, then deltas; broken off anywhere, it goes on from there (`cordon mirror`).

Each segment is verified under the head that came with it before it is kept. Heads may change while segments are fetched: what is between
the oldest of them and the newest is fetched as a delta in the end, and the whole is kept only if it gives the root of a signed head.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..domain.canonical import b64u_decode, b64u_encode
from ..domain.errors import CordonError, Gone, InvalidProof, Malformed, NotFound
from ..domain.view import SEGMENTS, ViewHead, verify_segment
from ..domain.view_wire import read_delta, read_segment
from ..seal.notes import Verifier
from .view_store import Copy, Parts, Store, check_policy, open_head, write

ATTEMPTS = 3


class Source(Protocol):
    """Where views come from: `sdk.client.Client`."""

    def view_policy(self) -> bytes:
        """The policy document, byte for byte."""
        ...

    def view_segment(self, tier: str, number: int) -> bytes:
        """256 buckets with their proof."""
        ...

    def view_delta(self, tier: str, root: bytes) -> bytes:
        """What changed since a root; Gone if that is not remembered."""
        ...


@dataclass(frozen=True, slots=True)
class Synced:
    """The copy as it is now, and what this run did: `whole`: fetched anew; the number of ids that came and went."""

    copy: Copy
    whole: bool
    added: int
    removed: int


def sync_view(source: Source, store: Store, keys: Sequence[Verifier], *, progress: Callable[[int, int], None] | None = None) -> Synced:
    """Bring the copy up to the newest head. What is on disk and damaged is fetched anew. `progress` is told (done, of)."""
    try:
        copy = store.load(keys)
    except (NotFound, InvalidProof, Malformed):
        return _whole(source, store, keys, progress)
    try:
        return _follow(source, store, keys, copy)
    except Gone:
        return _whole(source, store, keys, progress)


def _follow(source: Source, store: Store, keys: Sequence[Verifier], copy: Copy) -> Synced:
    body = source.view_delta(store.tier, copy.tree.root)
    note, buckets = read_delta(body)
    head = open_head(note, store.tier, keys)
    if head.as_of < copy.head.as_of:
        raise InvalidProof("the node offers an older head than the one at hand: it was restored, or it does not tell all")
    if note == copy.note:
        return Synced(copy, whole=False, added=0, removed=0)
    after = copy.changed(note, head, _policy(source, head, copy.policy), buckets)
    removed = copy.removed_by(buckets)
    added = copy.added_by(buckets)
    store.keep_delta(after, body, _tombstones(store, removed, added, head))
    return Synced(after, whole=False, added=len(added), removed=len(removed))


def _tombstones(store: Store, removed: set[bytes], listed: set[bytes], head: ViewHead) -> dict[bytes, int]:
    return {**{key: at for key, at in store.tombstones().items() if key not in listed}, **dict.fromkeys(removed, head.as_of)}


def _policy(source: Source, head: ViewHead, known: bytes) -> bytes:
    """The policy that the head names: the one at hand, or the newest; it may have changed since, then the caller asks again."""
    try:
        check_policy(known, head)
    except InvalidProof:
        known = source.view_policy()
        check_policy(known, head)
    return known


# --- from nothing ----------------------------------------------------------------------------------------------------


def _whole(source: Source, store: Store, keys: Sequence[Verifier], progress: Callable[[int, int], None] | None) -> Synced:
    for attempt in range(ATTEMPTS):
        oldest = _fetch_segments(source, store, keys, progress)
        try:
            return _assemble(source, store, keys, oldest)
        except (Gone, InvalidProof):
            shutil.rmtree(store.part)
            if attempt == ATTEMPTS - 1:
                raise
    raise AssertionError("the last attempt returns or raises")


def _fetch_segments(source: Source, store: Store, keys: Sequence[Verifier], progress: Callable[[int, int], None] | None) -> bytes:
    """Fetch the segments that are missing; the root of the oldest head among all."""
    heads = _part_heads(store.part)
    for number in range(SEGMENTS):
        if number not in heads:
            body = source.view_segment(store.tier, number)
            segment = read_segment(body)
            head = open_head(segment.head, store.tier, keys)
            verify_segment(number, segment.buckets, segment.path, root=head.root)
            write(store.part / f"{number:02x}", body, durable=False)  # checked again by the root over all
            heads[number] = (head.as_of, head.root)
            _note_heads(store.part, heads)
        if progress is not None:
            progress(number + 1, SEGMENTS)
    # Of heads of one second the first that was fetched is the older one.
    return min(heads.values(), key=lambda head: head[0])[1]


def _part_heads(part: Path) -> dict[int, tuple[int, bytes]]:
    """Under which head each segment at hand was verified."""
    try:
        said = json.loads((part / "heads.json").read_text("ascii"))
        found = {int(number): (int(as_of), b64u_decode(root)) for number, (as_of, root) in said.items()}
    except (OSError, ValueError, CordonError):
        return {}
    return {number: head for number, head in found.items() if (part / f"{number:02x}").is_file()}


def _note_heads(part: Path, heads: dict[int, tuple[int, bytes]]) -> None:
    said = {str(number): (as_of, b64u_encode(root)) for number, (as_of, root) in heads.items()}
    write(part / "heads.json", json.dumps(said).encode("ascii"), durable=False)


def _assemble(source: Source, store: Store, keys: Sequence[Verifier], oldest: bytes) -> Synced:
    buckets = [data for number in range(SEGMENTS) for data in read_segment((store.part / f"{number:02x}").read_bytes()).buckets]
    note, changed = read_delta(source.view_delta(store.tier, oldest))
    head = open_head(note, store.tier, keys)
    for number, data in changed.items():
        buckets[number] = data
    before = _keys_at_hand(store, keys)
    number, known, policy = before if before is not None else (0, set(), b"")
    copy = Parts(buckets, note, _policy(source, head, policy), number + 1).build(store.tier, keys)
    listed = copy.keys()
    store.keep_snapshot(copy, _tombstones(store, known - listed, listed, head))
    shutil.rmtree(store.part)
    return Synced(copy, whole=True, added=len(listed - known), removed=len(known - listed))


def _keys_at_hand(store: Store, keys: Sequence[Verifier]) -> tuple[int, set[bytes], bytes] | None:
    """The number, the keys and the policy of the copy that is about to be replaced, if there is a sound one."""
    try:
        copy = store.load(keys)
    except (NotFound, InvalidProof, Malformed):
        return None
    return copy.number, copy.keys(), copy.policy

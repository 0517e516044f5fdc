"""Views: what each tier lists, published under signed heads; whoever asks, of whatever id, the answer and its proof agree (protocol §3.10).

The buckets follow the live listings: all of them are read at the start, then what was touched. A head is signed when they have changed,
and once in a while when not. Everything that a head says is taken while the index stands still: the last ids that were touched, read from
the snapshot at which it stands, the buckets of both tiers, and how far each log had come; the hashing comes after. A head speaks of a
whole second, so that whoever replays it can.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol, TypeVar

from app.domain.answer import Moment
from app.domain.canonical import JsonValue, write_json
from app.domain.errors import Gone, NotFound
from app.domain.merkle import root_at
from app.domain.statement import ohash_of
from app.domain.tiles import TileReader, needed_for_root
from app.domain.view import SEGMENT_BITS, SEGMENT_BUCKETS, ViewHead, ViewOrigin
from app.domain.view_wire import segment_length, write_bucket, write_delta, write_segment
from app.domain.viewing import TIERS, at_second
from app.index.listings import ListingIndex
from app.index.showing import Showing
from app.index.views import Frozen, Sealed
from app.seal.notes import NoteKey, sign_note
from app.services.admit import OwnLog
from app.storage.database import Database, Transaction

PAUSE_S = 0.2
"""Between two looks at whether anything changed: what comes together shares a head."""
VALID_S = 86_400
"""How long a copy of a view may be used (trust-and-ops CP-4); part of the policy, so that the head signs it."""
MOST_DELTA = 16_384
"""Buckets in one delta; who lacks more fetches segments."""
AT_ONCE = 512
"""How many ids are read again while the index stands still for a head; more are read before, while it moves."""

T = TypeVar("T")
Prepare = Callable[[Transaction], Awaitable[Callable[[Moment], T]]]
"""Reads from a snapshot what an answer rests on; what is answered at a moment."""


@dataclass(frozen=True, slots=True)
class Published:
    """One tier under one signed head. `digest` is the hex SHA-256 of the note, by which a receipt names it."""

    tier: str
    head: ViewHead
    note: str
    digest: str
    sealed: Sealed

    def bucket(self, number: int) -> bytes:
        """The answer for one bucket as it goes out (schemas §4.4), padded."""
        return write_bucket(self.tier, self.sealed.answer(number), self.note)

    def segment(self, number: int) -> tuple[Iterator[bytes], int]:
        """256 neighbouring buckets, proved together, in parts; and the length of the whole."""
        first = number << SEGMENT_BITS
        _, path = self.sealed.tree.segment(number)
        said = self.note, path, self.sealed.buckets[first : first + SEGMENT_BUCKETS]
        return write_segment(*said), segment_length(*said)

    def delta(self, numbers: Collection[int]) -> bytes:
        """These buckets, for whoever has the others already."""
        return write_delta(self.note, {number: self.sealed.buckets[number] for number in numbers})


class Guarded(Protocol):
    """Who knows what is under guard here (`services/guard`)."""

    @property
    def ids(self) -> frozenset[str]:
        """All of them."""
        ...


@dataclass(frozen=True, slots=True)
class Parts:
    """What views are made from."""

    database: Database
    index: ListingIndex
    own_log: OwnLog
    moment: Callable[[], Moment]
    guards: Guarded


@dataclass(frozen=True, slots=True)
class _Taken:
    """What a head will speak of, taken in one step."""

    moment: Moment
    positions: Mapping[str, int]
    frozen: Mapping[str, Frozen]


class Views:
    """The tiers of one node. `tick` it; ask `current`."""

    def __init__(self, parts: Parts, keys: Mapping[str, NoteKey], *, interval_s: int, is_federated: bool) -> None:
        """`keys`: one a tier; `interval_s`: how old a head may be; `is_federated`: whether mirrors have a say."""
        self._parts = parts
        self._keys = keys
        self._interval_s = interval_s
        self._is_federated = is_federated
        self._showing = Showing(TIERS)
        self._published: dict[str, Published] = {}
        self._policy = b""
        self._rules: tuple[object, ...] = ()
        self._guarded: frozenset[str] = frozenset()
        self._roots: dict[str, tuple[int, bytes]] = {}
        self._lock = asyncio.Lock()
        self._is_behind = True

    # --- ask ---------------------------------------------------------------------------------------------------------

    async def current(self, tier: str) -> Published:
        """The newest head of a tier with all that it stands for; NotFound for a tier that there is not."""
        if tier not in TIERS:
            raise NotFound(f"there is no such tier: {' or '.join(sorted(TIERS))}")
        if tier not in self._published:
            await self.tick()
        return self._published[tier]

    async def policy(self) -> bytes:
        """The document whose digest the newest heads name, as signed (schemas §2)."""
        if not self._policy:
            await self.tick()
        return self._policy

    async def delta(self, tier: str, root: bytes) -> bytes:
        """What has changed since the tree of this root; Gone if that is not remembered, or too much has."""
        await self.current(tier)
        async with self._lock:
            published, numbers = self._published[tier], self._showing.views[tier].changed_since(root)
        if numbers is None or len(numbers) > MOST_DELTA:
            raise Gone("what changed since that root is not remembered here, or is too much: fetch the segments")
        return published.delta(numbers)

    def age_s(self, tier: str) -> int | None:
        """Seconds since the newest head; None before the first."""
        published = self._published.get(tier)
        return None if published is None else self._parts.moment().now_s - published.head.as_of

    # --- keep in step ------------------------------------------------------------------------------------------------

    async def tick(self) -> None:
        """Publish anew if there is a reason to. Whoever comes while that goes on waits for it: afterwards there may be none."""
        async with self._lock:
            now_s = self._parts.moment().now_s
            oldest = min((one.head.as_of for one in self._published.values()), default=0)
            if now_s - oldest >= self._interval_s or not self._is_current(now_s):
                await self._refresh()

    async def refresh(self) -> None:
        """Publish a head of each tier as of now."""
        async with self._lock:
            await self._refresh()

    async def _refresh(self) -> None:
        taken, _ = await self._take(_nothing)
        await self._publish(taken)

    async def answer_under(self, tier: str, prepare: Prepare[T]) -> tuple[Published, T]:
        """What is said at a moment, and a published head that stands for the same: nothing comes between the two.

        `prepare` gets a snapshot at which the index stands still; what it returns is called once, with the moment, and must not wait.
        """
        await self.current(tier)
        async with self._lock:
            async with self._parts.index.still() as tx:
                answer = await prepare(tx)
                moment = self._moment()
                if self._is_current(moment.now_s):
                    return self._published[tier], answer(moment)
            taken, said = await self._take(prepare)
            await self._publish(taken)
            return self._published[tier], said

    def _moment(self) -> Moment:
        moment = self._parts.moment()
        return at_second(moment, moment.now_s)

    def _is_current(self, now_s: int) -> bool:
        if self._is_behind or self._parts.index.is_touched or self._is_ruled_anew():
            return False
        return self._showing.is_current(now_s)

    async def _take(self, prepare: Prepare[T]) -> tuple[_Taken, T]:
        """What a head will speak of, and what `prepare` has to say of the same moment."""
        index, showing = self._parts.index, self._showing
        while True:
            if self._touch():
                await self._build()
            elif showing.count(self._moment().now_s) > AT_ONCE:
                async with self._parts.database.reading() as tx:
                    await showing.look(tx, self._moment())
            else:
                async with index.still() as tx:
                    if self._touch():
                        continue
                    moment = self._moment()
                    while not await showing.look(tx, moment):
                        pass
                    answer = await prepare(tx)
                    if self._is_ruled_anew():  # between two turns: the answer would know, the buckets would not
                        continue
                    return _Taken(moment, dict(index.positions), showing.freeze()), answer(moment)

    def _touch(self) -> bool:
        """Take in what moved; whether it may be anything, as at the start and under other rules: then all is read anew."""
        ids = self._parts.index.take_touched()
        if ids is None or self._rules != _rules_at(self._parts.moment()):
            self._rules = ()
            return True
        self._guarded = self._parts.guards.ids
        self._showing.guard(self._guarded)
        self._showing.touch(ids)
        return False

    async def _build(self) -> None:
        moment = self._moment()
        await self._showing.build(self._parts.database, moment)
        self._rules = _rules_at(moment)

    def _is_ruled_anew(self) -> bool:
        return self._guarded != self._parts.guards.ids or self._rules != _rules_at(self._parts.moment())

    async def _publish(self, taken: _Taken) -> None:
        try:
            sealed = await self._showing.seal(taken.frozen)
            async with self._parts.database.reading() as tx:
                policy = write_json(await self._policy_words(tx, taken.moment))
                origins = [await self._origin(tx, origin, size, taken.moment) for origin, size in sorted(taken.positions.items())]
        except BaseException:
            self._is_behind = True
            for tier, view in self._showing.views.items():
                view.thaw(taken.frozen[tier])
            raise
        digest = sha256(policy).digest()
        published: dict[str, Published] = {}
        for tier, key in self._keys.items():
            head = ViewHead(key.name, taken.moment.now_s, sealed[tier].tree.root, digest, tuple(origins))
            note = sign_note(head.text(), key)
            published[tier] = Published(tier, head, note, sha256(note.encode("utf-8")).hexdigest(), sealed[tier])
        self._policy, self._published, self._is_behind = policy, published, False

    # --- what a head says --------------------------------------------------------------------------------------------

    async def _origin(self, tx: Transaction, origin: str, size: int, moment: Moment) -> ViewOrigin:
        own_log = self._parts.own_log
        if origin == own_log.origin:
            heard_s = own_log.signed_ms // 1000
        else:
            heard_s = max((one.heard_s for one in moment.sources if one.origin == origin), default=0)
        return ViewOrigin(origin, size, await self._root(tx, origin, size), max(moment.now_s - heard_s, 0))

    async def _root(self, tx: Transaction, origin: str, size: int) -> bytes:
        known = self._roots.get(origin)
        if known is None or known[0] != size:
            known = self._roots[origin] = (size, await root_of_log(tx, origin, size))
        return known[1]

    async def _policy_words(self, tx: Transaction, moment: Moment) -> dict[str, JsonValue]:
        origins: dict[str, JsonValue] = {moment.own_origin: {"state": "live", "added_per_hour": None, "total": None, "weight": 100}}
        excluded: list[JsonValue] = []
        for mirror in await tx.mirrors.all() if self._is_federated else ():
            state = "quarantined" if mirror.quarantined else mirror.state
            terms: dict[str, JsonValue] = {"added_per_hour": mirror.added_per_hour, "total": mirror.total, "weight": mirror.weight}
            origins[mirror.origin] = {"state": state, **terms}
            rows = await tx.valve.page(mirror.origin, limit=10_000)
            sids = await tx.log.entries_at(mirror.origin, [row.index for row in rows]) if rows else []
            excluded += [f"{ohash_of(mirror.origin)}/{entry.sid}" for entry in sids]
        return {
            "version": 1,
            "public_delay_h": moment.public_delay_ms // 3_600_000,
            "minimum_status": "suspected",
            "excluded": excluded,
            "guards_sha256": guards_digest(self._parts.guards.ids),
            "origins": origins,
            "valid_s": VALID_S,
        }


async def _nothing(_tx: Transaction) -> Callable[[Moment], None]:
    return lambda _moment: None


def _rules_at(moment: Moment) -> tuple[object, ...]:
    """What decides beside the listings, and not id by id."""
    return moment.public_delay_ms, moment.weightless


def guards_digest(ids: frozenset[str]) -> str:
    """Hex SHA-256 of the ids under guard, sorted, each with a line end: the list itself is nobody else's business."""
    return sha256("".join(f"{one}\n" for one in sorted(ids)).encode("utf-8")).hexdigest()


async def root_of_log(tx: Transaction, origin: str, size: int) -> bytes:
    """The root that a log held here had at a size; InvalidProof if its tiles do not go that far."""
    tiles = await tx.log.read_tiles(origin, needed_for_root(size))
    return root_at(size, TileReader(lambda level, index: tiles[level, index]))

"""What a lookup asks: the index file first, which knows of nearly every id that nothing is said of it; then the database.

Moved around each commit: before it the ids are added to the file (`announce`), after it whatever was read before is forgotten (`move`).
So nothing is shown that a crash could take back, and nothing that is committed is missed. While the file is not there, not believed or
behind, everything is looked up in the database.

Holds no listing for good: what was read lately is kept for a while, whoever may see it; the reader's filter comes in `domain/answer`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from app.domain.answer import Listing
from app.domain.errors import Unavailable
from app.domain.identifiers import EntityId, Subject, read_id
from app.domain.labels import EVERYTHING, Reader
from app.index.keys import keys_of_id
from app.index.known import NOTHING_KNOWN, Known, read_known
from app.index.listed import Filing, ListedIds
from app.index.turns import Turn
from app.storage.database import Database, Transaction

ATTEMPTS = 5
"""How often others' commits may come between before a still snapshot is given up."""
MOST_KEPT = 8_192
"""Subjects of which is kept what was read."""
_QUICK = 8
"""Up to so many subjects are read one by one without leaving the thread (SQLite), where that is quicker than one read transaction."""
_MANY = 256
"""From so many ids that moved at once, all that was kept is forgotten rather than sought."""

MOST_TOUCHED = 65_536
"""Ids that moved and are remembered one by one, or an eighth of what the file holds: beyond that reading all of it anew costs less."""

EPOCH = "@"
"""Under this name, and what tells one database from another, a file keeps the epoch: how often statements moved that were there."""

Follower = Callable[[Collection[str] | None], None]
"""Is told the ids of which something else is said, in the same step; None: it may be any."""


@dataclass(frozen=True, slots=True)
class Announced:
    """What was added to the file before its commit, and to which file."""

    filing: Filing
    generation: int


class ListingIndex:
    """The index of one process. `listed`: its file; without one every question goes to the database."""

    def __init__(self, database: Database, listed: ListedIds | None = None) -> None:
        self._database = database
        self._listed = listed
        self._lock = asyncio.Lock()
        self.catching_up: list[Callable[[], Awaitable[None]]] = []
        """What takes in the commits of other workers."""
        self.positions: dict[str, int] = {}
        """Per log, the index up to which its statements were taken in."""
        self.epoch = (EPOCH, 0)
        """Under which name the file keeps how often statements moved without their log growing, and how often that was here."""
        self.has_erased = False
        """Whether content was destroyed whose ids are still in the file."""
        self._is_current = False
        self._seen = -1
        self._pulse = b""
        self._kept: dict[str, Known] = {}
        self._under: dict[bytes, set[str]] = {}
        self._version = 0
        self._touched: dict[str, None] | None = None  # None: of every id
        self._followers: list[Follower] = []

    def start(self, positions: Mapping[str, int], epoch: tuple[str, int]) -> None:
        """Everything up to these places is taken in: it stands in the database."""
        self.positions = dict(positions)
        self.epoch = epoch

    # --- stand still -------------------------------------------------------------------------------------------------

    def turn(self) -> Turn:
        """For a gate: taken before its commit, left when the index has moved (`index/turns`)."""
        return Turn(self._lock)

    @asynccontextmanager
    async def still(self) -> AsyncIterator[Transaction]:
        """A snapshot of the database at exactly `positions`; nothing moves the index while it is open. For reading alone, and briefly.

        Unavailable if other workers log faster than this one can follow.
        """
        for _ in range(ATTEMPTS):
            async with self.turn() as turn:
                await turn.take()
                async with self._database.reading() as tx:
                    if await self._stands_at_heads(tx):
                        yield tx
                        return
            for catch_up in self.catching_up:
                await catch_up()
        raise Unavailable("other workers log without a pause: ask again in a moment")

    async def _stands_at_heads(self, tx: Transaction) -> bool:
        return all(head.size == self.positions.get(head.origin, 0) for head in await tx.log.heads())

    def take_touched(self) -> dict[str, None] | None:
        """The ids of which something else is said since the last call. None: it may be any, as at the first call, and the database has
        to be read from the start. For one caller: who keeps views.
        """
        found, self._touched = self._touched, {}
        return found

    @property
    def is_touched(self) -> bool:
        """Whether `take_touched` would give any."""
        return self._touched is None or bool(self._touched)

    def follow(self, told: Follower) -> None:
        """Tell somebody from now on what moves. He must be quick: a commit waits for him."""
        self._followers.append(told)

    # --- look --------------------------------------------------------------------------------------------------------

    @property
    def is_current(self) -> bool:
        """Whether the file knows of everything that was taken in here: its "nothing is said" counts."""
        return self._listed is not None and self._is_current_at(self._listed, self._listed.pulse())

    def _is_current_at(self, listed: ListedIds, pulse: bytes) -> bool:
        if pulse != self._pulse:
            if listed.moves != self._seen:
                self._look_again()
            self._pulse = pulse
        return self._is_current and listed.is_ready

    def may_know(self, subject: Subject, reader: Reader) -> bool:
        """False: nothing is said that the reader may see of it, its kin or its links. True: `known` has to tell."""
        listed = self._listed
        if listed is None or isinstance(subject, EntityId):
            return True  # entities are in no file: nobody screens them
        pulse = listed.pulse()
        return not self._is_current_at(listed, pulse) or listed.may_hold(subject, reader, pulse)

    def at_hand(self, subject: Subject, reader: Reader) -> Known | None:
        """What `known` would tell of one subject, if it can be told without asking the database; else None."""
        return self._kept.get(subject.id) if self.may_know(subject, reader) else NOTHING_KNOWN

    def standing(self) -> Mapping[str, Known]:
        """What was read lately and has not moved since, by id, whoever may see it; nothing while the file is behind."""
        return self._kept if self.is_current else {}

    async def known(self, subjects: Iterable[Subject], reader: Reader) -> Known:
        """What is said of the subjects, of their kin and of what they are linked with. Does not wait where nothing is."""
        wanted = [one for one in subjects if self.may_know(one, reader)]
        if not wanted:
            return NOTHING_KNOWN
        found = [self._kept[one.id] for one in wanted if one.id in self._kept]
        lacking = {one.id: one for one in wanted if one.id not in self._kept}
        if lacking:
            found += await self._read(list(lacking.values()))
        return found[0] if len(found) == 1 else NOTHING_KNOWN.and_also(found)

    async def known_in(self, tx: Transaction, subjects: Iterable[Subject], reader: Reader) -> Known:
        """The same as a snapshot has it that `still` gave."""
        wanted = {one.id: one for one in subjects if self.may_know(one, reader)}
        return NOTHING_KNOWN.and_also((await read_known(tx, list(wanted.values()))).values()) if wanted else NOTHING_KNOWN

    async def find(self, id_: str) -> tuple[Listing, ...]:
        """The live listings on one id, whoever may see them, oldest first."""
        return tuple((await self.known([read_id(id_)], EVERYTHING)).find(id_))

    async def _read(self, subjects: Sequence[Subject]) -> list[Known]:
        version, moves = self._version, self._moves
        found: dict[str, Known] = {}
        if len(subjects) <= _QUICK and self._database.dialect == "sqlite":
            for one in subjects:
                found |= await read_known(self._database.quick, [one])
        else:
            async with self._database.reading() as tx:
                found = await read_known(tx, subjects)
        if (version, moves) == (self._version, self._moves):  # else some of it may have been read before it moved
            self._keep(found)
        return list(found.values())

    def _keep(self, found: Mapping[str, Known]) -> None:
        if len(self._kept) + len(found) > MOST_KEPT:
            self._forget_all()
        if len(found) > MOST_KEPT:
            return
        for id_, known in found.items():
            self._kept[id_] = known
            for other in {id_, *known.listings, *_ends(known)}:
                for key in _keys(other):
                    self._under.setdefault(key, set()).add(id_)

    def _forget(self, ids: Collection[str]) -> None:
        if not self._kept:
            return
        if len(ids) >= _MANY:
            self._forget_all()
            return
        for id_ in ids:
            for key in _keys(id_):
                for kept in self._under.pop(key, ()):
                    self._kept.pop(kept, None)

    def _forget_all(self) -> None:
        self._kept, self._under = {}, {}

    @property
    def _moves(self) -> int:
        return 0 if self._listed is None else self._listed.moves

    def _look_again(self) -> None:
        """Something has moved in another process: what was read before may be read no more."""
        self._forget_all()
        self._compare()

    def _compare(self) -> None:
        """See whether the file has come as far as this process."""
        listed = self._listed
        assert listed is not None
        self._seen = listed.moves
        stands = listed.places()
        name, epoch = self.epoch
        behind = [origin for origin, size in self.positions.items() if size > stands.get(origin, 0)]
        self._is_current = listed.is_ready and not behind and stands.get(name, -1) >= epoch

    # --- keep in step ------------------------------------------------------------------------------------------------

    def announce(self, filing: Iterable[tuple[str, Sequence[str]]]) -> Announced:
        """Before a commit: what will be said, and for whom. It is in the file from now on, whatever becomes of the commit."""
        kept = [(reach, ids) for reach, ids in filing if ids]
        return Announced(kept, 0 if self._listed is None else self._listed.add(kept))

    def move(
        self,
        touched: Collection[str] | None,
        *,
        announced: Announced | None = None,
        places: Mapping[str, tuple[int, int]] | None = None,
        epoch: int | None = None,
    ) -> None:
        """After a commit: something else is said of these ids (None: it may be any).

        `places`: by log from which index to which it is taken in with this; `epoch`: the new one, if statements moved that were there.
        Without anything `announced`, not even nothing, it was another process that moved them, and the file is his to advance.
        """
        for origin, (_, end) in (places or {}).items():
            self.positions[origin] = max(end, self.positions.get(origin, 0))
        advances = dict(places or {})
        if epoch is not None and epoch > self.epoch[1]:
            name, before = self.epoch
            self.epoch = (name, epoch)
            if announced is not None:
                advances[name] = (before, epoch)
        self._version += 1
        if touched is None:
            self._touched = None
        elif self._touched is not None:
            self._touched |= dict.fromkeys(touched)
            if len(self._touched) > max(MOST_TOUCHED, 0 if self._listed is None else len(self._listed) // 8):
                self._touched = None
        self._move_file(touched, announced, advances)
        for told in self._followers:
            told(touched)

    def _move_file(self, touched: Collection[str] | None, announced: Announced | None, advances: Mapping[str, tuple[int, int]]) -> None:
        listed = self._listed
        if touched is None:
            self._forget_all()
        else:
            self._forget(touched)
        if listed is None:
            return
        try:
            # Another file may have taken the place of the one that was added to.
            if announced is not None and announced.generation != listed.generation:
                listed.add(announced.filing)
            is_alone = listed.moves == self._seen
            listed.advance(advances)
        except Unavailable:  # committed it is: without the file, then, until it has caught up
            self._seen, self._is_current = listed.moves, False
            return
        if not is_alone:
            self._forget_all()
        self._compare()


def _ends(known: Known) -> Iterable[str]:
    return (str(link.item[end]) for links in known.links_of.values() for link in links for end in ("from", "to"))


def _keys(id_: str) -> Iterable[bytes]:
    """Under which keys a move of an id is felt: those that it shares with its kin, and its text for what has none."""
    return keys_of_id(id_) or (id_.encode("utf-8"),)

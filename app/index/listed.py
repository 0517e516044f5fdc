"""Which ids something is said of, and for whom it could be: the index file of a node, shared by its workers.

Every worker maps the file and sees each addition at once; whoever adds holds the lock beside it for as long as that takes. Before a commit
makes anything known its ids are added (`add`), after it the file's places move on (`advance`): a crash in between leaves an id too many,
never one too few. Nothing is taken out again: what became of an id is read in the database, and a file built anew has what is live then.

The file is believed up to the places that its head names. It is built from the database when it is absent, damaged, full or for another
database: aside, then renamed, then the old one is marked as moved, so that every process opens the new one at its next look. What this
process adds meanwhile goes into both; what others add the builder reads from the database before he lets the new one take its place.

It answers "nothing is said that you may read" or "look". Every "look" is verified on the exact record before anything is told.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import time
from collections.abc import AsyncIterable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from app.domain.address import Wallet
from app.domain.errors import Unavailable
from app.domain.identifiers import Indicator
from app.domain.labels import Reader, ReaderClass
from app.domain.reach import CLEAR, classes_of, read_reach
from app.index import vector
from app.index.buckets import Buckets, Damaged, Full, buckets_for
from app.index.keys import SECRET_BYTES, Digester, keys_of_id
from app.index.shapes import Shapes
from app.index.vector import U32, U64, Bools
from app.storage.syncing import make_durable

log = logging.getLogger("cordon.index")

NAME, ASIDE, LOCK, BUILDING = "listed.idx", "listed.new", "listed.lock", "listed.building"
FULL_SOON = 0.73
"""Share in use from which the owner should build a larger file."""
_BATCH = 256
"""From so many ids on the arrays are worth their fixed cost."""
_SLICE = 16_384
"""Fingerprints that are put into a new file between two chances for others: a few milliseconds."""
_CUT = 1 << 18
"""Bytes of ids that are hashed between two chances for others: as long."""
_WAIT_S = 0.25
_PAUSE_S = 0.000_5
_READERS_KEPT = 4_096
_REOPEN_AFTER_S = 0.05
"""Between two looks for the file that takes the place of one that was given up."""

Filing = Iterable[tuple[str, Sequence[str]]]
"""(reach, ids): what is to be filed, for whom (`storage` column `reach`)."""
Page = Iterable[tuple[str, str]]
"""The same with the ids as one text, parted by line feeds, as the database joins them: no id of millions becomes an object."""


@dataclass(slots=True)
class Built:
    """A file that was built aside and has not taken its place yet."""

    digester: Digester
    shapes: Shapes
    handle: int | None
    buckets: Buckets | None = None
    marks: set[str] = field(default_factory=set)
    late: list[U64] = field(default_factory=list)

    async def gather(self, pages: AsyncIterable[Page]) -> list[U64]:
        """What is to be added for all that the pages name, marks of classes included."""
        gathered: list[U64] = []
        async for page in pages:
            for reach, text in page:
                for some in _cut(text.encode("utf-8")):
                    gathered += _turned(self.digester, self.shapes.ids_in(some), reach, self.marks)
                    await asyncio.sleep(0)
        return gathered

    def take(self, filing: Filing) -> None:
        """File these, too; a file that is full already will not be used."""
        digests = _digests(self.digester, self.shapes, filing, self.marks)
        if self.buckets is None:
            self.late.append(digests)
            return
        try:
            _add(self.buckets, digests)
        except Full:
            self.buckets.mark_moved()


class ListedIds:
    """The index file in `folder`, or the same in memory for one process (None)."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._lock: int | None = None
        self._built: Built | None = None
        self._readers: dict[Reader, tuple[int, ...]] = {}
        self._readers_at = (0, 0)
        self._marks: set[str] = set()
        self._pulse = b""
        self._asked: tuple[Reader | None, tuple[int, ...]] = (None, ())
        """Who asked last, and his turns, for as long as the head of the file stays as it is: most questions come from few."""
        self._reopen_s = 0.0
        self.is_ready = False
        """Whether the file is believed; before that every probe says "look"."""
        self._use(Buckets.create(None, buckets_for(0), generation=0))

    def _use(self, buckets: Buckets) -> None:
        # The old mapping goes when the last array that looks into it does.
        self._buckets = buckets
        self._table: U32 = vector.table_of(buckets)
        self._shapes = Shapes(buckets.digester)
        self._marks = set()

    # --- open --------------------------------------------------------------------------------------------------------

    def open(self) -> Mapping[str, int] | None:
        """Map the file that stands there and see whether it is whole; its places, or None if it is not to be believed.

        Also one that is not believed is added to from now on: another process may still look into it. `believe` it when its places are
        those of the database.
        """
        if self._folder is None:
            return None
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            with self._alone():
                found = Buckets.open(self._folder / NAME, writable=True)
                if found.is_moved:
                    raise Damaged("the index was given up in the middle of being replaced")
                self._use(found)
                if not vector.verify(found):
                    raise Damaged("the index is not what its sums say: a crash, or a fault of the disk")
                return found.places()
        except Damaged as why:
            log.info("index: %s", why)
            return None

    def believe(self) -> None:
        """Answer from the file that was opened."""
        self.is_ready = True

    def close(self) -> None:
        """Write what is in memory to the disk, and let go of the file."""
        if self._folder is not None and self.is_ready:
            self._buckets.flush()
        self.is_ready = False
        self._use(Buckets.create(None, buckets_for(0), generation=0))
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the lock beside the file; the system gives it back if the process dies. Unavailable if somebody keeps it."""
        if self._folder is None:
            yield
            return
        if self._lock is None:
            self._lock = _open_lock(self._folder / LOCK)
        until = time.monotonic() + _WAIT_S
        while True:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise Unavailable("another worker holds the index for too long: send this again in a moment") from None
                time.sleep(_PAUSE_S)
        try:
            yield
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)

    # --- build -------------------------------------------------------------------------------------------------------

    async def build(self, pages: AsyncIterable[Page], *, room: int = 0) -> Built | None:
        """A file of all that the pages name, beside the one in use, and with room for so many fingerprints more; `adopt` it. None if
        another process is building one, or just has.

        What `add` is told from now on goes into both. Unavailable if the disk has no room, Full if more came meanwhile than was made
        room for.
        """
        handle = self._may_build()
        if self._folder is not None and handle is None:
            return None
        digester = Digester(os.urandom(SECRET_BYTES))
        built = self._built = Built(digester, Shapes(digester), handle)
        try:
            gathered = await built.gather(pages)
            distinct = await asyncio.to_thread(_distinct, gathered)
            gathered.clear()
            count = len(distinct) + sum(map(len, built.late)) + room
            path = None if self._folder is None else self._folder / ASIDE
            generation = self._buckets.generation + 1
            built.buckets = made = Buckets.create(path, buckets_for(count), generation=generation, secret=digester.secret)
            for start in range(0, len(distinct), _SLICE):
                vector.fill(made, distinct[start : start + _SLICE])
                await asyncio.sleep(0)
            for some in built.late:
                for start in range(0, len(some), _SLICE):
                    vector.add(made, some[start : start + _SLICE])
                    await asyncio.sleep(0)
            if path is not None:
                await asyncio.to_thread(make_durable, path)
        except BaseException:
            self.give_up(built)
            raise
        return built

    def _may_build(self) -> int | None:
        if self._folder is None:
            return None
        handle = _open_lock(self._folder / BUILDING)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_replaced = any(one.generation > self._buckets.generation and not one.is_moved for one in _mapped(self._folder / NAME))
        except BlockingIOError:
            is_replaced = True
        if is_replaced:
            os.close(handle)
            return None
        return handle

    def give_up(self, built: Built) -> None:
        """Somebody else may build."""
        if self._built is built:
            self._built = None
        if built.handle is not None:
            os.close(built.handle)
            built.handle = None

    def adopt(self, built: Built, places: Mapping[str, int]) -> bool:
        """Let what was built take its place: true up to these places, for all processes. False if what came late had no room in it."""
        made = built.buckets
        assert made is not None
        try:
            if made.is_moved:
                return False
            with self._alone():
                made.set_places(places)
                made.note_move(self._buckets.moves + 1)
                old = [self._buckets]
                if self._folder is not None:
                    old += _mapped(self._folder / NAME)
                    (self._folder / ASIDE).replace(self._folder / NAME)
                self._use(made)
                self.is_ready = True
                for one in old:
                    one.mark_moved()
            return True
        finally:
            self.give_up(built)

    # --- look --------------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        """Fingerprints in the file: at least one an id."""
        return len(self._current())

    @property
    def load(self) -> float:
        """Share of the places that are in use."""
        return self._current().load

    def pulse(self) -> bytes:
        """Other bytes whenever something may have changed, in any process."""
        return self._buckets.pulse()

    @property
    def moves(self) -> int:
        """Another number whenever something moved, in any process."""
        return int(self._current().moves)

    @property
    def generation(self) -> int:
        """Which file is in use: what was added to an earlier one may not be in it."""
        return int(self._current().generation)

    def places(self) -> Mapping[str, int]:
        """Up to where the file is true; nothing if it is not believed."""
        buckets = self._current()
        try:
            return buckets.places() if self.is_ready else {}
        except Damaged as why:
            log.warning("index: %s", why)
            return {}

    def may_hold(self, subject: Wallet | Indicator, reader: Reader, pulse: bytes | None = None) -> bool:
        """False: nothing is said of it, its kin or its links that the reader may read. True: look. `pulse`: if it was just read."""
        buckets = self._buckets
        pulse = pulse or buckets.pulse()
        if pulse != self._pulse:
            buckets = self._current()
            self._pulse, self._asked = pulse, (None, ())
        if not self.is_ready or reader.reader_class is ReaderClass.ALL:
            return True
        if self._asked[0] is not reader:
            self._asked = (reader, self.turns(reader))
        turns, holds = self._asked[1], buckets.holds
        for digest in buckets.digester.digests(subject):
            for turn in turns:
                if holds(digest ^ turn):
                    return True
        return False

    def turns(self, reader: Reader) -> tuple[int, ...]:
        """What turns a digest for each class that a reader may read and that something is filed under; the first is 0, of what is for all.

        For a reader of everything there are none: nobody knows all classes.
        """
        buckets = self._current()
        at = (buckets.generation, buckets.classes)
        if at != self._readers_at or len(self._readers) > _READERS_KEPT:
            self._readers, self._readers_at = {}, at
        found = self._readers.get(reader)
        if found is None:
            digester = buckets.digester
            found = tuple([digester.turn(name) for name in classes_of(reader) if name == CLEAR or buckets.holds(digester.mark(name))])
            self._readers[reader] = found
        return found

    def shapes(self) -> Shapes:
        """The reader of the file that is in use now; probe with it before anything else is awaited."""
        self._current()
        return self._shapes

    def probe(self, digests: U64, turns: Sequence[int]) -> Bools:
        """Which digests of `shapes` are there in any of the classes (`turns`)."""
        if not self.is_ready:
            return np.ones(len(digests), np.bool_)
        return vector.probe(self._table, digests, turns)

    def _current(self) -> Buckets:
        """The file; the new one if it was replaced."""
        if self._buckets.is_moved and time.monotonic() >= self._reopen_s:
            self.is_ready = self._reopen()
            self._reopen_s = 0.0 if self.is_ready else time.monotonic() + _REOPEN_AFTER_S
        return self._buckets

    def _reopen(self) -> bool:
        if self._folder is None:
            return False
        try:
            found = Buckets.open(self._folder / NAME, writable=True)
        except Damaged as why:
            log.info("index: %s", why)
            return False
        if found.is_moved:
            return False
        self._use(found)
        return True

    # --- keep in step ------------------------------------------------------------------------------------------------

    def add(self, filing: Filing) -> int:
        """Something is about to be said of these; the generation that they went into. Unavailable if another process is in the way.

        A file without room for them is given up, for all processes: everything is looked at until a larger one was built.
        """
        filing = [(reach, ids) for reach, ids in filing if ids]
        if filing:
            with self._alone():
                buckets = self._current()
                self._put(buckets, filing)
            if self._built is not None:
                self._built.take(filing)
        return self.generation

    def _put(self, buckets: Buckets, filing: Sequence[tuple[str, Sequence[str]]]) -> None:
        if buckets.is_moved:
            return
        known = len(self._marks)
        try:
            if buckets.is_dirty:  # somebody was killed in the middle of a batch: what he added stands, his sums do not
                buckets.settle(*vector.sums_of(buckets), anew=True)
            _add(buckets, _digests(buckets.digester, self._shapes, filing, self._marks))
        except Full:
            log.info("the index is full: everything is looked up in the database until a larger one is built")
            self.is_ready = False
            buckets.mark_moved()
        if len(self._marks) != known:
            buckets.note_class()

    def advance(self, places: Mapping[str, tuple[int, int]]) -> None:
        """(from, to) by name: what lies between was added and is committed. A place before `from` stays where it is.

        Whoever keeps what he read in the database reads it again, whatever the places.
        """
        with self._alone():
            buckets = self._current()
            try:
                stands = buckets.places()
            except Damaged as why:
                log.warning("index: %s", why)
                buckets.mark_moved()
                return
            further = {name: end for name, (first, end) in places.items() if first <= stands.get(name, 0) < end}
            if further:
                buckets.set_places({**stands, **further})
            buckets.note_move()


def _open_lock(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _mapped(path: Path) -> list[Buckets]:
    try:
        return [Buckets.open(path, writable=True)]
    except Damaged:
        return []


def _digests(digester: Digester, shapes: Shapes, filing: Filing, marks: set[str]) -> U64:
    """The digests of ids, turned for each class of their reach, and the marks of classes that are not among `marks` yet."""
    found: list[U64] = []
    for reach, ids in filing:
        if len(ids) >= _BATCH:
            digests = shapes.ids(ids)
        else:
            digests = np.array([digester.digest(key) for text in ids for key in keys_of_id(text)], np.uint64)
        found += _turned(digester, digests, reach, marks)
    return np.concatenate(found) if found else np.empty(0, np.uint64)


def _turned(digester: Digester, digests: U64, reach: str, marks: set[str]) -> list[U64]:
    """The digests for each class of a reach, and the marks of those classes that are not among `marks` yet."""
    found: list[U64] = []
    for name in read_reach(reach):
        turn = digester.turn(name)
        found.append(digests ^ np.uint64(turn) if turn else digests)
        if name != CLEAR and name not in marks:
            marks.add(name)
            found.append(np.array([digester.mark(name)], np.uint64))
    return found


def _cut(text: bytes) -> Iterator[bytes]:
    """A text in parts of whole lines, about _CUT bytes each."""
    start = 0
    while (end := text.find(b"\n", start + _CUT)) >= 0:
        yield text[start:end]
        start = end + 1
    if start < len(text):
        yield text[start:]


def _distinct(digests: Sequence[U64]) -> U64:
    return vector.by_home(np.concatenate(digests)) if digests else np.empty(0, np.uint64)


def _add(buckets: Buckets, digests: U64) -> None:
    if len(digests) >= _BATCH:
        vector.add(buckets, digests)
    else:
        buckets.add(digests.tolist())

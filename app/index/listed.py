"""Which ids something is said of: the index file of a node, kept in step with its log, shared by its workers.

One process writes, whoever holds the lock beside the file; the others map it and see each addition at once. The file is believed only up
to the places that its head names: whoever stands further on in a log asks the listings themselves until the writer has caught up. It is
built from the database when it is absent, damaged, behind or full: aside, then renamed, then the old one is marked as moved, so that
every process opens the new one at its next look. What is added while the new one is built goes into both.

It answers "nothing is said" or "look". Every "look" is verified on the exact record by the caller before anything is told.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
from collections.abc import AsyncIterable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from app.domain.address import Wallet
from app.domain.errors import Unavailable
from app.domain.identifiers import Indicator
from app.index import vector
from app.index.buckets import Buckets, Damaged, Full, buckets_for
from app.index.keys import keys_of_id
from app.index.shapes import Shapes
from app.index.vector import U32, U64, Bools

log = logging.getLogger("cordon.index")

NAME, ASIDE, LOCK = "listed.idx", "listed.new", "listed.lock"
FULL_SOON = 0.73
"""Share in use from which the owner should build a larger file."""
_BATCH = 256
"""From so many ids on the arrays are worth their fixed cost."""


class ListedIds:
    """The index file in `folder`, or the same in memory for one process (None)."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._lock: int | None = None
        self._aside: Buckets | None = None
        self._aside_shapes: Shapes | None = None
        self.is_ready = False
        """Whether a file is open; before that every probe says "look"."""
        self._use(Buckets.create(None, buckets_for(0)))

    def _use(self, buckets: Buckets) -> None:
        # The old mapping goes when the last array that looks into it does.
        self._buckets = buckets
        self._table: U32 = vector.table_of(buckets)
        self._shapes = Shapes(buckets.digester)

    # --- open and build ----------------------------------------------------------------------------------------------

    @property
    def is_writer(self) -> bool:
        """Whether this process may add: it alone, or the one that holds the lock."""
        return self._folder is None or self._lock is not None

    def become_writer(self) -> bool:
        """Take the lock if nobody has it; it is given back by `close`, or by the system when the process ends."""
        if self._folder is None or self._lock is not None:
            return True
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(self._folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        self._lock = handle
        return True

    def open(self, places: Mapping[str, int]) -> bool:
        """Use the file that stands there, if it is whole and (for the writer) stands at exactly these places; whether it is used."""
        if self._folder is None:
            return False
        try:
            found = Buckets.open(self._folder / NAME, writable=self.is_writer)
            if found.is_moved:
                raise Damaged("the index was given up in the middle of being replaced")
            if self.is_writer and found.places() != dict(places):
                raise Damaged("the index stands at another place of the log")
            if self.is_writer and not vector.verify(found):
                raise Damaged("the index is not what its sums say: a crash, or a fault of the disk")
        except Damaged as why:
            log.info("index: %s", why)
            return False
        self._use(found)
        self.is_ready = True
        return True

    async def rebuild(self, ids: AsyncIterable[Sequence[str]], *, expected: int, places: Mapping[str, int]) -> None:
        """Build the file anew from pages of ids; `places` are those before the first page was read, the ids of later ones may be in.

        What `add` is told meanwhile goes into both files. What `remove` is told only leaves the old one: whether its id was on a page
        cannot be known, and one fingerprint too many costs a look, one too few a victim. Unavailable if the disk has no room.
        """
        self.require_writer()
        path = None if self._folder is None else self._folder / ASIDE
        aside = Buckets.create(path, buckets_for(expected), generation=self._buckets.generation + 1)
        self._aside, self._aside_shapes = aside, Shapes(aside.digester)
        try:
            async for page in ids:
                if page:
                    vector.add(aside, self._aside_shapes.ids(page))
                    await asyncio.sleep(0)
            if aside.is_moved:
                raise Full("what was added meanwhile has no room")
        except Full:
            # The pages cannot be had a second time: the caller starts anew with the right number.
            raise Unavailable("the index was built for too few ids: build it again for more") from None
        finally:
            self._aside = self._aside_shapes = None
        aside.set_places(places)
        self._replace_by(aside)

    def _replace_by(self, aside: Buckets) -> None:
        if self._folder is not None:
            aside.flush()
            (self._folder / ASIDE).replace(self._folder / NAME)
        old = self._buckets
        self._use(aside)
        self.is_ready = True
        old.mark_moved()

    def close(self) -> None:
        """Write what is in memory to the disk, give the lock back."""
        if self.is_writer and self.is_ready and self._folder is not None:
            self._buckets.flush()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def require_writer(self) -> None:
        """Unavailable in a process that only reads."""
        if not self.is_writer:
            raise Unavailable("another process writes the index")

    # --- look --------------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        """Fingerprints in the file: at least one an id."""
        return len(self._current())

    @property
    def load(self) -> float:
        """Share of the places that are in use."""
        return self._current().load

    def holds_up_to(self, places: Mapping[str, int]) -> bool:
        """Whether everything up to these places is in the file: if not, its "nothing" means nothing yet."""
        stands = self._current().places()
        if not self.is_ready:
            return False
        return all(stands.get(name, 0) >= place for name, place in places.items())

    def may_hold(self, subject: Wallet | Indicator) -> bool:
        """False: nothing is said of it, its kin or its links. True: look."""
        buckets = self._current()
        if not self.is_ready:
            return True
        return any(map(buckets.holds, buckets.digester.digests(subject)))

    def may_hold_id(self, text: str) -> bool:
        """The same for a canonical id."""
        buckets = self._current()
        if not self.is_ready:
            return True
        return any(buckets.holds(buckets.digester.digest(key)) for key in keys_of_id(text))

    def shapes(self) -> Shapes:
        """The reader of the file that is in use now; probe with it before anything else is awaited."""
        self._current()
        return self._shapes

    def probe(self, digests: U64) -> Bools:
        """Which digests of `shapes` are there."""
        if not self.is_ready:
            return np.ones(len(digests), np.bool_)
        return vector.probe(self._table, digests)

    def _current(self) -> Buckets:
        """The file; the new one if it was replaced."""
        if self.is_ready and self._buckets.is_moved:
            self.is_ready = self._reopen()
        return self._buckets

    def _reopen(self) -> bool:
        if self._folder is None:
            return False
        try:
            found = Buckets.open(self._folder / NAME, writable=self.is_writer)
        except Damaged as why:
            log.warning("index: %s", why)
            return False
        if found.is_moved:
            return False
        self._use(found)
        return True

    # --- keep in step ------------------------------------------------------------------------------------------------

    def add(self, ids: Iterable[str]) -> None:
        """Each id once: it has become one of which something is said. Full if the file must be built anew first."""
        self._change(list(ids), added=True)

    def remove(self, ids: Iterable[str]) -> None:
        """Each id once, as often as it was added."""
        self._change(list(ids), added=False)

    def _change(self, ids: list[str], *, added: bool) -> None:
        self.require_writer()
        if not ids:
            return
        if not self.is_ready:
            if added:
                self._add_aside(ids)
            return
        if not added:
            self._buckets.remove([self._buckets.digester.digest(key) for text in ids for key in keys_of_id(text)])
            return
        try:
            _put(self._buckets, self._shapes, ids)
        except Full:
            # From now on the file says "nothing" where it should say "look": nobody may believe it, in no process.
            self.is_ready = False
            self._buckets.mark_moved()
            raise
        finally:
            self._add_aside(ids)

    def _add_aside(self, ids: list[str]) -> None:
        """The same into the file that is being built, if one is; one that is full already will not be used."""
        if self._aside is None or self._aside_shapes is None:
            return
        try:
            _put(self._aside, self._aside_shapes, ids)
        except Full:
            self._aside.mark_moved()

    def advance(self, places: Mapping[str, int]) -> None:
        """Say up to where the file is true now: after the changes of a batch, never before."""
        self.require_writer()
        self._buckets.set_places({**self._buckets.places(), **places})


def _put(buckets: Buckets, shapes: Shapes, ids: Sequence[str]) -> None:
    if len(ids) >= _BATCH:
        vector.add(buckets, shapes.ids(ids))
    else:
        buckets.add([buckets.digester.digest(key) for text in ids for key in keys_of_id(text)])

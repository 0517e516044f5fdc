"""The index file kept in step with the database: opened at start, caught up when a worker died, built anew when it will not do.

file present, whole, of this database     its places are the heads: answers at once
a little behind                           what lies between is added, then it answers
anything else                             built aside from the database; until then every lookup asks the database
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from contextlib import aclosing

from app.domain.reach import CLEAR
from app.index.buckets import Full
from app.index.listed import FULL_SOON, Built, ListedIds, Page
from app.index.listings import EPOCH, ListingIndex
from app.services.admit.moving import merged, moved_between
from app.storage.database import Database, Transaction
from app.storage.wholly import end_all, to_its_end

log = logging.getLogger("cordon.index")

INDEX_EPOCH = "index_epoch"
"""Name of the value in `meta` that moves whenever statements moved without their log growing."""
DATABASE_ID = "database_id"
"""Name of the value in `meta` that tells this database from any other, for files beside it."""
STRETCH, LONGEST_STRETCH = 64, 4_096
"""Entries that are read at a time while the file is built, at first and at most."""
PAGE_CHARS = 1 << 20
"""About so much of ids is read at a time."""
MOST_BEHIND = 4_096
"""Entries that are added to a file; one that lacks more is built anew."""


AT_ONCE = 256
"""Entries of all logs up to which the file is built before the start goes on."""
MOST_ROOM = 1 << 22
"""Fingerprints that are yet to come for which room is made at once: 24 MB."""
FORGET_WITHIN_S = 1_800.0
"""What was erased leaves the file when it is built anew, which is done for that alone no more often."""


async def read_epoch(tx: Transaction) -> int:
    """How often statements moved without their log growing."""
    return int(await tx.meta.get(INDEX_EPOCH) or b"0")


class FileKeeper:
    """Keeps the file of one process's index. `guarded`: ids that are always looked at."""

    def __init__(self, database: Database, index: ListingIndex, listed: ListedIds, *, guarded: Callable[[], Iterable[str]]) -> None:
        self._database = database
        self._index = index
        self._listed = listed
        self._guarded = guarded
        self._is_spoilt = False
        self._missed = 0
        self._built_s = float("-inf")
        self._at_it = asyncio.Lock()

    async def start(self) -> None:
        """Take the index to the heads of all logs, and answer from the file if it has come as far."""
        name = f"{EPOCH}{(await self._database_id()).hex()}"
        places = self._listed.open()  # before the heads are read: it never has more than they say
        async with self._database.reading() as tx:
            heads = {head.origin: head.size for head in await tx.log.heads()}
            epoch = await read_epoch(tx)
        self._index.start(heads, (name, epoch))
        if places is not None and places.get(name) == epoch and all(places.get(one, 0) <= size for one, size in heads.items()):
            self._listed.believe()
            await self._catch_up()
            self._listed.add([(CLEAR, sorted(self._guarded()))])
        elif sum(heads.values()) <= AT_ONCE:
            await self.rebuild()  # at once: it takes no longer than the rest of the start

    async def _database_id(self) -> bytes:
        found = await self._database.quick.meta.get(DATABASE_ID)
        if found is not None:
            return found

        async def work(tx: Transaction) -> bytes:
            there = await tx.meta.get(DATABASE_ID)
            if there is None:
                there = os.urandom(16)
                await tx.meta.set(DATABASE_ID, there)
            return there

        return await self._database.run(work)

    async def tick(self) -> None:
        """Catch up or build anew where that is due; whoever is at it already is waited for."""
        async with self._at_it:
            await self._see()

    async def _see(self) -> None:
        if self._listed.is_ready and not self._index.is_current:
            await self._catch_up()
        # Another worker that is between its commit and the file gets a second look.
        self._missed = 0 if self._index.is_current else self._missed + 1
        # The load first: asking for it opens the file that another worker may have built.
        is_lacking = self._listed.load >= FULL_SOON or not self._listed.is_ready or self._missed > 1
        has_erased = self._index.has_erased and time.monotonic() > self._built_s + FORGET_WITHIN_S
        if self._is_spoilt or is_lacking or has_erased:
            await self._rebuild()

    async def _catch_up(self) -> None:
        """Add what is logged behind the places of the file, by whoever died before he could say so."""
        stands = self._listed.places()
        for origin, size in self._index.positions.items():
            first = stands.get(origin, 0)
            if not first < size <= first + MOST_BEHIND:
                continue
            async with self._database.reading() as tx:
                moved = await moved_between(tx, origin, first, size)
            self._listed.add(moved.filing)
            self._listed.advance({origin: (first, size)})

    async def rebuild(self) -> None:
        """From the database, aside; nothing happens if another worker is at it."""
        async with self._at_it:
            await self._rebuild()

    async def _rebuild(self) -> None:
        self._is_spoilt = self._index.has_erased = False
        self._built_s = time.monotonic()
        async with self._database.reading() as tx:
            heads = {head.origin: head.size for head in await tx.log.heads()}
            epoch = await read_epoch(tx)
            room = await self._room(tx, heads)
        try:
            async with aclosing(_ahead(self._pages(heads))) as pages:
                built = await self._listed.build(pages, room=room)
        except Full:
            self._is_spoilt = True  # the next one is measured for what came
            log.info("the index was outgrown while it was built: it is built again")
            return
        if built is not None:
            await self._adopt(built, heads, epoch)

    async def _room(self, tx: Transaction, heads: Mapping[str, int]) -> int:
        """How many fingerprints the logs are about to bring whose trees are verified further than their entries were taken in: without
        room for them a file is full after a tenth more, and a node that catches up does little else than build the next one.
        """
        to_come = sum(max(mirror.tree_size - heads.get(mirror.origin, 0), 0) for mirror in await tx.mirrors.all())
        an_entry = max(len(self._listed) / max(sum(heads.values()), 1), 1.0)
        return min(int(to_come * an_entry), MOST_ROOM)

    async def _adopt(self, built: Built, heads: dict[str, int], epoch: int) -> None:
        """Let it take its place when it has what was logged meanwhile, also by others."""
        try:
            async with self._index.still() as tx:
                now = {head.origin: head.size for head in await tx.log.heads()}
                if await read_epoch(tx) != epoch:
                    self._is_spoilt = True  # what moved where no log grew cannot be named: once more
                    return
                moves = [await moved_between(tx, one, heads.get(one, 0), size) for one, size in now.items() if size > heads.get(one, 0)]
                built.take(merged(moves).filing)
                if not self._listed.adopt(built, {**now, self._index.epoch[0]: epoch}):
                    self._is_spoilt = True
        finally:
            self._listed.give_up(built)
        log.info("the index was built: %d fingerprints", len(self._listed))

    async def _pages(self, heads: dict[str, int]) -> AsyncIterator[Page]:
        for origin, size in heads.items():
            first, stretch = 0, STRETCH
            while first < size:
                async with self._database.reading() as tx:
                    texts = await tx.filed.texts(origin, first, min(first + stretch, size))
                by_reach: dict[str, list[str]] = {}
                for reach, text in texts:
                    by_reach.setdefault(reach, []).append(text)
                page = [(reach, "\n".join(some)) for reach, some in by_reach.items()]
                yield page
                first += stretch
                stretch = _next_stretch(stretch, sum([len(text) for _, text in page]))
        yield [(CLEAR, "\n".join(sorted(self._guarded())))]


def _next_stretch(stretch: int, chars: int) -> int:
    """Statements name one wallet or thousands: so many that a page is worth its transaction, and no more is held than that."""
    if chars > PAGE_CHARS:
        return max(stretch // 2, 1)
    return min(2 * stretch, LONGEST_STRETCH) if chars < PAGE_CHARS // 2 else stretch


async def _ahead(pages: AsyncIterator[Page]) -> AsyncGenerator[Page, None]:
    """The same pages, each read while the one before it is worked on."""
    following = asyncio.ensure_future(anext(pages, None))
    try:
        while (page := await following) is not None:
            following = asyncio.ensure_future(anext(pages, None))
            yield page
    finally:
        await to_its_end(end_all([following]))

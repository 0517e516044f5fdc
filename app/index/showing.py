"""What every tier shows, kept in step with the database: all of it read at once at the start, then the ids that were touched.

Both ways rows of `storage/viewed` become entries by `tiers`; what those cannot say of an id is read whole. The rows of a page may be of a
snapshot newer than the index: whatever moved since is touched, and read again before anything is published. So `build` needs no snapshot
of its own, and `look` one that stands still only for its last rows.
"""

from __future__ import annotations

import asyncio
import ctypes
from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

from app.domain.answer import Listing, Moment
from app.domain.identifiers import id_key
from app.domain.labels import Reader
from app.domain.view import BUCKETS
from app.domain.viewing import entry_of, next_change
from app.index.due import Due
from app.index.tiers import PARTS, Columns, Entries, Logs, entries_of, is_screened, next_changes
from app.index.vector import I64
from app.index.views import Frozen, Sealed, View, put
from app.storage.database import Database, Transaction
from app.storage.viewed import IS_ODD

PAGE = 500
"""Rows, or ids, that are read and worked on between two chances for others: one or two milliseconds."""
_PIECES = 128
"""Pages that are joined to larger arrays, which the system gets back when they go."""
_PLACES = 16
"""Statements whose time has come and that are looked at together: each may name many ids."""
_BUCKETS_AT_ONCE = 1_024


class Showing:
    """The views of all tiers, and which ids have to be read again."""

    def __init__(self, readers: Mapping[str, Reader]) -> None:
        self.views = {tier: View() for tier in readers}
        self._readers = readers
        self._logs = Logs()
        self._guarded: frozenset[str] = frozenset()
        self._waiting: dict[str, None] = {}
        self._due = Due()

    # --- what is to be read ------------------------------------------------------------------------------------------

    def touch(self, ids: Iterable[str]) -> None:
        """Something else may be said of these ids."""
        self._waiting.update(dict.fromkeys(ids))

    def guard(self, ids: frozenset[str]) -> None:
        """These are under guard from now on: no tier lists them."""
        self.touch(ids ^ self._guarded)
        self._guarded = ids

    def count(self, second: int) -> int:
        """About how many ids have to be read again at this second; 0 for none."""
        return len(self._waiting) + self._due.count(second)

    def is_current(self, second: int) -> bool:
        """Whether what was frozen last is what is to be said at this second."""
        return not self.count(second) and not any(view.is_changed for view in self.views.values())

    # --- publish -----------------------------------------------------------------------------------------------------

    def freeze(self) -> dict[str, Frozen]:
        """Every tier as it stands now."""
        return {tier: view.freeze() for tier, view in self.views.items()}

    async def seal(self, frozen: Mapping[str, Frozen]) -> dict[str, Sealed]:
        """The trees over them; what tiers share is hashed once."""
        sealed: dict[str, Sealed] = {}
        for tier, view in self.views.items():
            sealed[tier] = await view.seal(frozen[tier], like=next(iter(sealed.values()), None))
        return sealed

    # --- read --------------------------------------------------------------------------------------------------------

    async def build(self, database: Database, moment: Moment) -> None:
        """Read all anew. What moves meanwhile must be touched; nothing of the tiers may be published before all that was read again."""
        columns, odd = await self._read_all(database, moment)
        for number in range(PARTS):
            some = await asyncio.to_thread(columns.part, number)
            for tier, reader in self._readers.items():
                await self._become(self.views[tier], number, await asyncio.to_thread(entries_of, some, self._logs, reader, moment))
        seconds = np.zeros(len(columns), np.int64)
        for reader in self._readers.values():
            seconds = _sooner(seconds, next_changes(columns, reader, moment))
        await asyncio.to_thread(self._due.all_at, seconds, columns.logs, columns.indices)
        self.touch([*odd, *self._guarded])
        del columns, seconds, some
        await asyncio.to_thread(_give_back)

    async def _read_all(self, database: Database, moment: Moment) -> tuple[Columns, list[str]]:
        # Each page is of the newest commit: what moved after it was read is touched.
        tx = database.quick
        joined, pieces, odd = list[Columns](), list[Columns](), list[str]()
        for origin in await tx.log.origins():
            log, after, more = self._logs.number(origin), (-1, -1), True
            while more:
                items, statements = await tx.viewed.page(origin, after, moment.now_s, page=PAGE)
                more = len(items) == PAGE
                after = items[-1][:2] if items else after
                columns, few = Columns.of_page(log, items, statements)
                pieces.append(columns)
                odd += few
                if len(pieces) == _PIECES:
                    joined.append(Columns.joined(pieces))
                    pieces.clear()
                await asyncio.sleep(0)
        return await asyncio.to_thread(Columns.joined, [*joined, *pieces]), odd

    async def _become(self, view: View, part: int, entries: Entries) -> None:
        other, begin, count = next(iter(self.views.values())), part * BUCKETS // PARTS, BUCKETS // PARTS
        ends = await asyncio.to_thread(entries.ends, begin, begin + count)
        for at in range(0, count, _BUCKETS_AT_ONCE):
            buckets = entries.buckets(ends[at : at + _BUCKETS_AT_ONCE + 1])
            view.become(begin + at, other.alike(begin + at, buckets))
            await asyncio.sleep(0)

    async def look(self, tx: Transaction, moment: Moment) -> bool:
        """Read a page of ids again, those that were touched and those whose time has come; whether none is left."""
        self.touch(self._due.take_ids(moment.now_s))
        count, places = self._due.places(moment.now_s, most=_PLACES)
        for log, indices in places.items():
            self.touch(await tx.viewed.ids_at(self._logs.origins[log], indices))
        self._due.drop(count)
        page = [self._waiting.popitem()[0] for _ in range(min(PAGE, len(self._waiting)))]
        try:
            await self._read(tx, page, moment)
        except BaseException:
            self.touch(page)
            raise
        return not self.count(moment.now_s)

    async def _read(self, tx: Transaction, page: Sequence[str], moment: Moment) -> None:
        if not page:
            return
        rows = [row for row in await tx.viewed.of_ids(page, moment.now_s) if is_screened(row)]
        columns = Columns.of(rows, self._logs)
        whole = await self._whole(tx, {row[2] for row in rows if row[-1] & IS_ODD})
        keys = {one: id_key(one) for one in page}
        seconds, said = np.zeros(len(columns), np.int64), list[dict[bytes, bytes]]()
        for reader in self._readers.values():
            entries = dict(entries_of(columns, self._logs, reader, moment).each())
            entries |= {keys[one]: entry_of(one, listings, reader, moment) for one, listings in whole.items()}
            for one in self._guarded.intersection(page):
                entries.pop(keys[one], None)
            said.append(entries)
            seconds = _sooner(seconds, next_changes(columns, reader, moment))
            self._due.add((second, one) for one, listings in whole.items() if (second := next_change(listings, reader, moment)) is not None)
        put(list(self.views.values()), keys.values(), said)
        self._due.add_places(seconds, columns.logs, columns.indices)

    async def _whole(self, tx: Transaction, ids: Collection[str]) -> dict[str, list[Listing]]:
        found: dict[str, list[Listing]] = {one: [] for one in ids}
        for listing in await tx.subjects.listings(ids):
            found[listing.subject].append(listing)
        return found


def _give_back() -> None:
    """Return to the system what the columns took: several times what stays, and the C library keeps it otherwise."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc; another one may not need it
    if trim is not None:
        trim(0)


def _sooner(these: I64, those: I64) -> I64:
    """Place by place the earlier second; 0 is never."""
    return np.where((these == 0) | ((those != 0) & (those < these)), those, these)

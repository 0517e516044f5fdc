"""The access log: who consulted what and why, hash-chained, durable before the answer leaves (trust-and-ops DP-06, §1.7).

Misses write nothing here. What a client was told of a statement is noted with it, so that he can be told when it ends (CP-1).

On SQLite an entry is durable once it stands in the journal beside the database (storage/journal, ADR 0011): a lookup waits for one write to
the disk and for nobody's transaction. From there entries go into the chain and the told-index a moment later, in order, each once: how far
is noted in the same transaction. On PostgreSQL, whose disk is elsewhere, they go there at once. Either way those that arrive while a group
is being written are the next group.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import orjson

from app.domain.errors import CordonError
from app.storage.audit import AuditEntry
from app.storage.database import Database, Transaction
from app.storage.journal import Contents, Journal
from app.storage.told import Told
from app.storage.wholly import end_all

log = logging.getLogger("cordon.audit")

HOUR_MS = 3_600_000
MOST_REMEMBERED = 100_000
POST_AFTER_S, LONGEST_PAUSE_S = 0.1, 5.0
"""How long an entry may stand in the journal alone."""
PORTION = 50
"""Entries that go into the database in one transaction: the loop does nothing else meanwhile, some tenths of a millisecond."""
PACE_S = 0.005
"""Between two of them: long enough for those who waited for one to be answered before the next."""
MOST_IN_GROUP = 1_000
MOST_IN_JOURNAL = 16 * 1024 * 1024
"""Bytes from which the next entry waits until the database has all before it."""
EMPTY_FROM = 1024 * 1024
POSTED = "access_posted"

Then = Callable[[], object]
"""What is to be done in the very moment in which entries have become durable. It must not wait."""

_Group = tuple[list[AuditEntry], int]
"""Entries, and where they end in the journal."""


class AccessLog:
    """Appends entries durably; what `record` gives is done only after that."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._journal: Journal | None = None
        self._waiting: list[tuple[Sequence[AuditEntry], asyncio.Future[None], Then | None]] = []
        self._writer: asyncio.Task[None] | None = None
        self._is_called = False
        self._noted: set[tuple[str, str, str, str, str]] = set()
        self._hour = 0
        self._groups: deque[_Group] = deque()
        self._posted = (0, 0)
        """Of the journal: up to which byte everything stands in the database, and how many entries of the group behind it."""
        self._posting = asyncio.Lock()
        self._is_writing = False
        self._timer: asyncio.TimerHandle | None = None
        self._poster: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the journal; what stands in it and not yet in the database goes there now."""
        path = self._database.journal_path
        if path is None or self._journal is not None:
            return
        journal = Journal(path)
        try:
            found = journal.open()
        except BlockingIOError:  # a tool beside the running node: what it is told goes straight into the database
            return
        if found is not None and found.damage:
            log.error("ACCESS LOG: %s is damaged and was put aside: %s", path.name, found.damage)
        self._posted = await self._posted_of(found)
        if found is not None:
            self._groups.extend((_entries(group.payload), group.end) for group in found.groups if group.end > self._posted[0])
        self._journal = journal
        if self._groups:
            log.info("the access log ended in the middle of its work: what its journal holds is brought into the database")
            await self._post()

    async def stop(self) -> None:
        """Write what waits, bring all of it into the database, close the journal."""
        while self._is_called or self._is_busy:
            await (asyncio.wait([self._writer]) if self._writer is not None and self._is_busy else asyncio.sleep(0))
        if self._poster is not None:
            await end_all([self._poster])
        await self._post()
        if self._timer is not None:
            self._timer.cancel()
        if self._journal is not None:
            with suppress(CordonError):
                await self._empty(self._journal)
            self._journal.close()
            self._journal = None
            self._groups.clear()  # what could not be brought into the database is read from the file at the next start

    def record(self, entries: Sequence[AuditEntry], *, then: Then | None = None) -> Awaitable[None]:
        """Write `entries`; a crash before what this gives has been awaited, or `then` is called, means that no answer was sent.

        `then`: for an answer that is at hand. Under load the turn of the loop in which who awaits goes on is half of what a hit waits for.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        if not entries:
            done.set_result(None)
            return done
        self._waiting.append((entries, done, then))
        if not self._is_called and not self._is_busy:
            # When what has arrived with it has been looked at: a sync costs as much as a few lookups, and the hits among them share it.
            self._is_called = True
            loop.call_soon(self._write)
        return done

    async def settle(self) -> None:
        """Bring what stands in the journal alone into the database: for whoever reads there what was told. Unavailable, Busy."""
        async with self._posting:
            left = len(self._groups)  # what comes meanwhile waits for the next time: else each would be a transaction of its own
            while left > 0:
                left -= await self._post_portion()
                await asyncio.sleep(0)
            await self._empty_if_large()

    async def _settle_by_and_by(self) -> None:
        """The same for nobody in particular: no lookup waits for two portions, nor does who comes for `settle`."""
        left = len(self._groups)
        while left > 0 and self._groups:
            async with self._posting:
                if self._groups:
                    left -= await self._post_portion()
            await asyncio.sleep(PACE_S)
        async with self._posting:
            await self._empty_if_large()

    async def _empty_if_large(self) -> None:
        if self._journal is not None and self._journal.size > EMPTY_FROM:
            await self._empty(self._journal)

    async def _empty(self, journal: Journal) -> None:
        """Begin the journal anew, if all of it stands durably in the database; else at another time."""
        if self._groups or self._is_writing:
            return
        note = _note(journal, self._posted)
        await self._database.at_once(lambda tx: tx.meta.set(POSTED, note))
        if not self._groups and not self._is_writing:
            journal.clear()
            self._posted = (0, 0)

    # --- making it durable -------------------------------------------------------------------------------------------

    @property
    def _is_busy(self) -> bool:
        return self._writer is not None and not self._writer.done()

    def _write(self) -> None:
        """Keep all that has come, here and now if a quick disk is all that it needs."""
        self._is_called = False
        journal = self._journal
        if journal is None or not journal.is_quick or journal.size > MOST_IN_JOURNAL or len(self._waiting) > MOST_IN_GROUP:
            self._writer = asyncio.create_task(self._write_all())
            return
        group, self._waiting = self._waiting, []
        entries = [entry for some, *_ in group for entry in some]
        fault: CordonError | None = None
        try:
            self._groups.append((entries, journal.append_here(_payload(entries))))
        except CordonError as error:
            fault = error
        self._post_in(POST_AFTER_S)
        for _, done, then in group:
            _tell(done, then, fault)

    async def _write_all(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting, []
            fault: Exception | None = None
            try:
                await self._keep([entry for entries, *_ in group for entry in entries])
            except Exception as error:  # noqa: BLE001 — every waiter must learn that nothing was written
                fault = error
            for _, done, then in group:
                _tell(done, then, fault)

    async def _keep(self, entries: list[AuditEntry]) -> None:
        journal = self._journal
        if journal is None:
            await self._append(entries)
            return
        if journal.size > MOST_IN_JOURNAL:
            await self.settle()
        for start in range(0, len(entries), MOST_IN_GROUP):
            some = entries[start : start + MOST_IN_GROUP]
            self._is_writing = True
            try:
                end = await journal.append(_payload(some))
            finally:
                self._is_writing = False
            self._groups.append((some, end))
        self._post_in(POST_AFTER_S)

    # --- into the database -------------------------------------------------------------------------------------------

    def _post_in(self, pause_s: float) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(pause_s, self._begin_to_post, pause_s)

    def _begin_to_post(self, pause_s: float) -> None:
        self._timer = None
        self._poster = asyncio.create_task(self._post(min(2 * pause_s, LONGEST_PAUSE_S), by_and_by=True))

    async def _post(self, pause_s: float = POST_AFTER_S, *, by_and_by: bool = False) -> None:
        """`settle`, again after a pause if the database takes nothing now: nothing is lost meanwhile."""
        try:
            await (self._settle_by_and_by() if by_and_by else self.settle())
        except CordonError as error:
            log.warning("the access log stays in its journal for now: %s", error.detail)
            self._post_in(pause_s)

    async def _post_portion(self) -> int:
        """The next entries, and how far they go, in one transaction; how many groups that completes."""
        journal = self._journal
        assert journal is not None
        (place, done), portion, whole = self._posted, list[AuditEntry](), 0
        for entries, end in self._groups:
            some = entries[done : done + PORTION - len(portion)]
            portion += some
            done += len(some)
            if done < len(entries):
                break
            place, done, whole = end, 0, whole + 1
        await self._append(portion, _note(journal, (place, done)))
        self._posted = place, done
        for _ in range(whole):
            self._groups.popleft()
        return whole

    async def _append(self, entries: Sequence[AuditEntry], posted: bytes = b"") -> None:
        told = self._fresh(entries)

        async def work(tx: Transaction) -> None:
            await tx.audit.append(entries)
            await tx.told.put(told.values())
            if posted:
                await tx.meta.set(POSTED, posted)

        # What stands in the journal needs no disk here; what does not is durable when this returns.
        await (self._database.in_loop(work) if posted else self._database.at_once(work))
        self._noted.update(told)

    async def _posted_of(self, found: Contents | None) -> tuple[int, int]:
        """How much of a file that a former process left has reached the database."""
        note = await self._database.quick.meta.get(POSTED)
        if found is None or note is None or note[:-12] != found.id:
            return 0, 0
        return int.from_bytes(note[-12:-4], "big"), int.from_bytes(note[-4:], "big")

    def _fresh(self, entries: Sequence[AuditEntry]) -> dict[tuple[str, str, str, str, str], Told]:
        """What the told-index does not say yet; when something was last told it knows to the hour."""
        hour = max(entry.at_ms for entry in entries) // HOUR_MS
        if hour != self._hour or len(self._noted) > MOST_REMEMBERED:
            self._noted.clear()
            self._hour = hour
        noted = self._noted
        return {one: Told(*one, entry.at_ms, entry.at_ms) for entry in entries for one in entry.told if one not in noted}


def _tell(done: asyncio.Future[None], then: Then | None, fault: Exception | None) -> None:
    """Tell one who waits, unless he has gone."""
    if done.done():
        return
    if fault is None and then is not None:
        try:
            then()
        except Exception as error:  # noqa: BLE001 — it is his own, and the others wait too
            fault = error
    if fault is None:
        done.set_result(None)
    else:
        done.set_exception(fault)


def _note(journal: Journal, posted: tuple[int, int]) -> bytes:
    """How much of which journal the database has."""
    return journal.id + posted[0].to_bytes(8, "big") + posted[1].to_bytes(4, "big")


def _payload(entries: Sequence[AuditEntry]) -> bytes:
    """Entries as they stand in the journal."""
    return orjson.dumps([tuple(entry) for entry in entries])


def _entries(payload: bytes) -> list[AuditEntry]:
    """What `record` was given, from a group of the journal."""
    found = []
    for at_ms, actor, action, subject, purpose, case, sids, told, others in orjson.loads(payload):
        its_others = tuple([(other, tuple(its)) for other, its in others])
        its_told = tuple([tuple(one) for one in told])
        found.append(AuditEntry(at_ms, actor, action, subject, purpose, case, tuple(sids), its_told, its_others))
    return found

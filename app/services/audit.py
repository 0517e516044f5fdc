"""The access log: who consulted what and why, hash-chained, committed before the answer leaves (trust-and-ops DP-06, §1.7).

Misses write nothing here. What a client was told of a statement is noted in the same commit, so that he can be told when it ends (CP-1). Hits of many concurrent callers share one commit: the first that arrives waits a moment for others, then
writes for all; those that arrive meanwhile are the next group.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from app.storage.audit import AuditEntry
from app.storage.database import Database, Transaction
from app.storage.told import Told

GATHER_S = 0.001
"""How long the first entry of a group waits for others: a commit costs more than ten lookups."""
HOUR_MS = 3_600_000
MOST_REMEMBERED = 100_000


class AccessLog:
    """Appends entries durably; `record` returns only after its commit."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[tuple[Sequence[AuditEntry], asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None
        self._noted: set[tuple[str, str, str, str, str]] = set()
        self._hour = 0

    async def record(self, entries: Sequence[AuditEntry]) -> None:
        """Write `entries`; a crash before this returns means that no answer was sent."""
        if not entries:
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((entries, done))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_all())
        await done

    async def _write_all(self) -> None:
        while self._waiting:
            await asyncio.sleep(GATHER_S)
            group, self._waiting = self._waiting, []
            try:
                await self._append([entry for entries, _ in group for entry in entries])
            except Exception as error:  # noqa: BLE001 — every waiter must learn that nothing was written
                for _, done in group:
                    if not done.done():
                        done.set_exception(error)
            else:
                for _, done in group:
                    if not done.done():
                        done.set_result(None)

    async def _append(self, entries: Sequence[AuditEntry]) -> None:
        told = self._fresh(entries)

        async def work(tx: Transaction) -> None:
            await tx.audit.append(entries)
            await tx.told.put(told.values())

        await self._database.at_once(work)
        self._noted.update(told)

    def _fresh(self, entries: Sequence[AuditEntry]) -> dict[tuple[str, str, str, str, str], Told]:
        """What the told-index does not say yet; when something was last told it knows to the hour."""
        hour = max(entry.at_ms for entry in entries) // HOUR_MS
        if hour != self._hour or len(self._noted) > MOST_REMEMBERED:
            self._noted.clear()
            self._hour = hour
        told = {
            (owner, origin, sid, entry.subject, word): Told(owner, origin, sid, entry.subject, word, entry.at_ms, entry.at_ms)
            for entry in entries
            for owner, origin, sid, word in entry.told
        }
        return {key: row for key, row in told.items() if key not in self._noted}

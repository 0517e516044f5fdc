"""Which of several workers follows a peer: a row in the database, prolonged by a task of its own while the rounds go on.

A row and its time, never a lock of a session: behind a proxy that pools transactions a session is anybody's (trust-and-ops F-29). The
lease saves work and nothing else: two workers that follow one log are kept apart by the swap of its head. So it may be short; whoever
was killed is replaced after `LEASE_MS`, and a round that takes minutes, as a backfill does, keeps it all the same.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress

from app.domain.errors import CordonError
from app.storage.database import Database
from app.storage.wholly import end_all, to_its_end

LEASE_MS = 5_000
RENEW_S = 1.5
LOOK_S = 1.0
"""How often a worker that does not have the lease looks whether it has run out."""


class Lease:
    """The right to do `name`, for one of the workers of a database."""

    def __init__(self, database: Database, name: str, worker: str, clock: Callable[[], int]) -> None:
        self._database = database
        self._name = name
        self._worker = worker
        self._clock = clock

    async def hold(self, work: Callable[[], Coroutine[None, None, None]]) -> None:
        """Do `work` whenever, and as long as, the lease is ours; until cancelled. Who ends in order leaves nobody waiting."""
        try:
            while True:
                if await self._take():
                    await self._keep(work)
                await asyncio.sleep(LOOK_S * (0.75 + random.random() / 2))  # noqa: S311 — spreads looks, no secret
        finally:
            await to_its_end(self._give_back())

    async def _keep(self, work: Callable[[], Coroutine[None, None, None]]) -> None:
        task = asyncio.create_task(work())
        renewed = time.monotonic()
        try:
            while time.monotonic() - renewed < LEASE_MS / 1000:
                await asyncio.wait({task}, timeout=RENEW_S)
                if task.done():
                    return
                with suppress(CordonError):  # a database that is busy for a moment: the lease has not run out yet
                    if not await self._prolong():
                        return
                    renewed = time.monotonic()
        finally:
            await to_its_end(end_all([task]))

    async def _take(self) -> bool:
        """Whether it is ours now. A look costs a read, not a write."""
        try:
            held = await self._database.quick.leases.holder(self._name)
            if held is not None and held[0] != self._worker and held[1] > self._clock():
                return False
            return await self._prolong()
        except CordonError:
            return False

    async def _prolong(self) -> bool:
        async with self._database.transaction() as tx:
            return await tx.leases.take(self._name, self._worker, self._clock(), LEASE_MS)

    async def _give_back(self) -> None:
        with suppress(CordonError, TimeoutError):
            async with asyncio.timeout(LEASE_MS / 1000), self._database.transaction() as tx:  # then it has run out by itself
                await tx.leases.release(self._name, self._worker)

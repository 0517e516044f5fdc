"""Whose turn it is: a commit and the move of the index after it are one step for whoever reads database and index together.

A gate takes the turn as the last step of its transaction and leaves it when the index has moved. Who needs both to say the same takes it
for as long as he reads. Nobody writes while it is his, a gate neither: another gate that waits for the turn has the database's writer in
hand. Only turns of one process are ordered here; another worker commits when it likes (`ListingIndex.still` notices).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self, TypeVar

from app.storage.database import Database, Transaction

T = TypeVar("T")


class Turn:
    """One caller's turn: `async with` leaves it at the end, taken or not."""

    __slots__ = ("_is_ours", "_lock")

    def __init__(self, lock: asyncio.Lock) -> None:
        self._lock = lock
        self._is_ours = False

    async def take(self) -> None:
        """Wait until nobody else has it."""
        if not self._is_ours:
            await self._lock.acquire()
            self._is_ours = True

    def leave(self) -> None:
        """Let others have it; a transaction that is begun anew must do so first."""
        if self._is_ours:
            self._is_ours = False
            self._lock.release()

    async def run(self, database: Database, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """`work` in a write transaction (`Database.run`), of which taking the turn is the last step; it is still ours afterwards."""

        async def in_turn(tx: Transaction) -> T:
            self.leave()  # an attempt before this one may have taken it
            done = await work(tx)
            await self.take()
            return done

        return await database.run(in_turn)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.leave()

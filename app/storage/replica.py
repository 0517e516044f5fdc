"""A streaming replica of the database, read from only while it is known how old it is (trust-and-ops F-28).

Positions in the write-ahead log are compared, never clocks: what the primary had written at a moment of our own monotonic clock is a
sample; the replica is as old as the newest sample that it has replayed. Whatever cannot be learnt (no connection, no recovery, no
position) makes it older with every second, until nobody reads from it. It is never written to and never decides anything.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import psycopg
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from app.domain.errors import CordonError
from app.storage.postgres import PostgresStore
from app.storage.session import PostgresSession, Session

log = logging.getLogger("cordon.storage")

LOOK_S = 0.25
"""How often it should be looked at: its age is known no better than that."""
_PATIENCE_S = 2.0
_MOST_SAMPLES = 256
_WRITTEN = "SELECT pg_current_wal_lsn()::text"
_REPLAYED = "SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()::text END"


class Replica:
    """One replica of `primary`. `look` at it again and again; `is_recent` says whether it may be read from."""

    def __init__(
        self, primary: PostgresStore, url: URL, *, connections: int, most_age_s: float, clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._primary = primary
        self._store = PostgresStore(url, connections=connections, wait_s=0.2)
        self._most_age_s = most_age_s
        self._clock_s = clock_s
        self._samples: deque[tuple[float, int]] = deque(maxlen=_MOST_SAMPLES)
        self._fresh_at: float | None = None
        self._is_answering = True

    @property
    def age_s(self) -> float | None:
        """How old at most what it shows is, in seconds; None if that is not known."""
        return None if self._fresh_at is None else self._clock_s() - self._fresh_at

    @property
    def is_recent(self) -> bool:
        """Whether it may be read from."""
        age_s = self.age_s
        return age_s is not None and age_s <= self._most_age_s

    async def look(self) -> None:
        """Compare positions once. Never raises for a fault of either server: its age says it all."""
        try:
            async with asyncio.timeout(_PATIENCE_S):
                began = self._clock_s()  # before the question: what is written by then is in the answer
                written = await _position(self._primary, _WRITTEN)
                replayed = await _position(self._store, _REPLAYED)
        except (TimeoutError, psycopg.Error, SQLAlchemyError, CordonError, OSError) as error:
            self._note(False, type(error).__name__)
            return
        self._note(replayed is not None, "it is no replica (any more)")
        if written is None or replayed is None:
            self.distrust()
            return
        self._samples.append((began, written))
        while self._samples and self._samples[0][1] <= replayed:
            self._fresh_at = self._samples.popleft()[0]

    def _note(self, is_answering: bool, why: str) -> None:
        if is_answering != self._is_answering:
            log.warning("the replica of the database %s", "is read from again" if is_answering else f"is not read from: {why}")
        self._is_answering = is_answering

    def distrust(self) -> None:
        """What it shows may lack something that must not be missed, such as an erasure: nobody reads from it until it has caught up."""
        self._samples.clear()
        self._fresh_at = None

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Session]:
        """A read transaction on it; whatever goes wrong in it, the next one is not here."""
        try:
            async with self._store.reading() as session:
                yield session
        except (psycopg.Error, SQLAlchemyError):
            self.distrust()
            raise

    async def close(self) -> None:
        """Close its connections."""
        await self._store.close()


async def _position(store: PostgresStore, sql: str) -> int | None:
    """A position in the write-ahead log as one number."""
    async with store.reading() as session:
        assert isinstance(session, PostgresSession)
        told = (await session.script(sql))[0][0]
    if told is None:
        return None
    high, _, low = str(told).partition("/")
    return int(high, 16) << 32 | int(low, 16)

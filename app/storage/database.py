"""The door to the rows: transactions with the shelves on them, over SQLite or PostgreSQL.

    db = Database(url)
    async with db.transaction() as tx: ...   writes; commits at the end of the block, rolls back on any exception
    async with db.reading() as tx: ...       one snapshot
    async with db.reading_near() as tx: ...  one that may be a moment old: of a replica, while that is known to be recent
    await db.quick.subjects.listings([id])   a few rows by key, without a transaction of ours
    await db.run(work)                       a write that is done again when another was first

Commit before you answer: leave the block, then speak. Errors of the drivers come out as ours (storage/faults).
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import psycopg
from sqlalchemy.exc import SQLAlchemyError

from app.domain.errors import CordonError, Unavailable
from app.storage.acks import AckShelf
from app.storage.arrival import Arrival
from app.storage.audit import AuditShelf
from app.storage.clients import ClientShelf
from app.storage.entities import EntityShelf
from app.storage.evidence import EvidenceShelf
from app.storage.faults import SchemaMismatch, Unreachable, is_worth_a_retry, translated
from app.storage.filed import FiledShelf
from app.storage.held import HeldShelf
from app.storage.idempotency import IdempotencyShelf
from app.storage.log import LogShelf
from app.storage.meta import LeaseShelf, MetaShelf
from app.storage.mirrors import MirrorShelf
from app.storage.outbox import OutboxShelf
from app.storage.peers import PeerShelf
from app.storage.policies import PolicyShelf
from app.storage.postgres import PostgresStore
from app.storage.protected import ProtectedShelf
from app.storage.receipts import ReceiptShelf
from app.storage.registry import RegistryShelf
from app.storage.replica import Replica
from app.storage.session import Session
from app.storage.sqlite import SqliteStore
from app.storage.statements import StatementShelf
from app.storage.subjects import SubjectShelf
from app.storage.tables import REVISIONS, SERVED_SINCE_KEY, may_go_on
from app.storage.tokens import TokenShelf
from app.storage.told import ToldShelf
from app.storage.urls import is_sqlite, read_url
from app.storage.valve import ValveShelf
from app.storage.viewed import ViewedShelf
from app.storage.watches import WatchShelf
from app.storage.webhooks import WebhookShelf
from app.storage.withheld import WithheldShelf
from app.storage.witnesses import WitnessShelf

T = TypeVar("T")

_ATTEMPTS = 6
_PAUSE_S = 0.02
_PROBE = "probe"


class Transaction:
    """The shelves of one transaction; useless once its block is left."""

    __slots__ = (
        "acks",
        "audit",
        "clients",
        "entities",
        "evidence",
        "filed",
        "held",
        "idempotency",
        "leases",
        "log",
        "meta",
        "mirrors",
        "outbox",
        "peers",
        "policies",
        "protected",
        "receipts",
        "registry",
        "statements",
        "subjects",
        "tokens",
        "told",
        "valve",
        "viewed",
        "watches",
        "webhooks",
        "withheld",
        "witnesses",
    )

    def __init__(self, session: Session) -> None:
        self.log = LogShelf(session)
        self.statements = StatementShelf(session)
        self.held = HeldShelf(session)
        self.subjects = SubjectShelf(session)
        self.filed = FiledShelf(session)
        self.viewed = ViewedShelf(session)
        self.entities = EntityShelf(session)
        self.registry = RegistryShelf(session)
        self.receipts = ReceiptShelf(session)
        self.policies = PolicyShelf(session)
        self.clients = ClientShelf(session)
        self.protected = ProtectedShelf(session)
        self.audit = AuditShelf(session)
        self.idempotency = IdempotencyShelf(session)
        self.leases = LeaseShelf(session)
        self.meta = MetaShelf(session)
        self.peers = PeerShelf(session)
        self.mirrors = MirrorShelf(session)
        self.withheld = WithheldShelf(session)
        self.evidence = EvidenceShelf(session)
        self.witnesses = WitnessShelf(session)
        self.tokens = TokenShelf(session)
        self.valve = ValveShelf(session)
        self.acks = AckShelf(session)
        self.watches = WatchShelf(session)
        self.webhooks = WebhookShelf(session)
        self.outbox = OutboxShelf(session)
        self.told = ToldShelf(session)


class Database:
    """One node's database, opened at the first use. Belongs to the event loop that uses it first; `close` it before the loop ends.

    `pool_size`: connections for reading (SQLite; one more writes) or in all (PostgreSQL). `wait_s`: how long to wait for a
    connection before `Busy` (None: 5 s on SQLite, where writers wait for each other, 0.8 s on PostgreSQL). `checkpoints`: False for a
    helper process beside a running node on SQLite. `replica_url`: a streaming replica, read from while it is at most `replica_age_s` old.
    """

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 5,
        wait_s: float | None = None,
        checkpoints: bool = True,
        replica_url: str = "",
        replica_age_s: float = 1.0,
    ) -> None:
        read = read_url(url)
        self._store: SqliteStore | PostgresStore
        if is_sqlite(read):
            self._store = SqliteStore(read, readers=pool_size, wait_s=5.0 if wait_s is None else wait_s, checkpoints=checkpoints)
        else:
            self._store = PostgresStore(read, connections=pool_size, wait_s=0.8 if wait_s is None else wait_s)
        self.replica: Replica | None = None
        if replica_url and isinstance(self._store, PostgresStore):
            self.replica = Replica(self._store, read_url(replica_url), connections=pool_size, most_age_s=replica_age_s)
        self._quick: Transaction | None = None

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return "sqlite" if isinstance(self._store, SqliteStore) else "postgresql"

    @property
    def journal_path(self) -> Path | None:
        """Where the journal of the access log lies: beside a database that is a file of this machine; None for one elsewhere."""
        return self._store.path.with_name(self._store.path.name + "-access") if isinstance(self._store, SqliteStore) else None

    @asynccontextmanager
    async def transaction(self, *, is_small: bool = False) -> AsyncIterator[Transaction]:
        """A write transaction, durable when the block is left without an exception. `is_small`: some dozens of rows by key, no more."""
        try:
            async with self._store.writing(is_small=is_small) as session:
                yield Transaction(session)
        except (sqlite3.Error, psycopg.Error, SQLAlchemyError) as error:
            raise _ours(error) from error

    @asynccontextmanager
    async def reading_near(self) -> AsyncIterator[Transaction]:
        """A read transaction of the replica if that is known to be recent, else as `reading`. For long reads that decide nothing."""
        if self.replica is None or not self.replica.is_recent:
            async with self.reading() as tx:
                yield tx
            return
        try:
            async with self.replica.reading() as session:
                yield Transaction(session)
        except (psycopg.Error, SQLAlchemyError) as error:
            raise _ours(error) from error

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Transaction]:
        """A read transaction; on SQLite keep it short, an old snapshot keeps the write-ahead log growing."""
        try:
            async with self._store.reading() as session:
                yield Transaction(session)
        except (sqlite3.Error, psycopg.Error, SQLAlchemyError) as error:
            raise _ours(error) from error

    @asynccontextmanager
    async def reading_anew(self) -> AsyncIterator[Transaction]:
        """A short read transaction over a connection of its own, opened for it: what is there for whoever comes now."""
        if not isinstance(self._store, SqliteStore):
            async with self.reading() as tx:
                yield tx
            return
        try:
            with self._store.reading_anew() as session:
                yield Transaction(session)
        except (sqlite3.Error, SQLAlchemyError) as error:
            raise _ours(error) from error
        except FileNotFoundError as error:
            raise Unavailable(f"there is no database at {self._store.path} any more") from error

    @property
    def quick(self) -> Transaction:
        """The shelves for reads of a few rows by key; each call sees the newest commit, on SQLite without leaving the thread."""
        if self._quick is None:
            self._quick = Transaction(self._store.quick())
        return self._quick

    async def run(self, work: Callable[[Transaction], Awaitable[T]], *, is_small: bool = False) -> T:
        """Do `work` in a write transaction (`is_small` as there), again from its start if another was first or the connection broke.

        `work` may run several times, and after a broken COMMIT even though its first run was kept: it must read what it
        decides on inside, and write by keys that a second run finds again. Gives up with the last error.
        """
        for attempt in range(_ATTEMPTS):
            try:
                async with self.transaction(is_small=is_small) as tx:
                    return await work(tx)
            except CordonError as error:
                if not is_worth_a_retry(error) or attempt == _ATTEMPTS - 1:
                    raise
            await asyncio.sleep(_PAUSE_S * 2**attempt * (0.5 + random.random()))  # noqa: S311 — jitter, no secret
        raise AssertionError("the last attempt returns or raises")

    async def at_once(self, work: Callable[[Transaction], Coroutine[Any, Any, T]]) -> T:
        """A small write transaction that awaits nothing but its shelves: on SQLite in one hop instead of one a query."""
        if not isinstance(self._store, SqliteStore):
            return await self.run(work)
        try:
            return await self._store.at_once(lambda session: work(Transaction(session)))
        except (sqlite3.Error, SQLAlchemyError) as error:
            raise _ours(error) from error

    async def in_loop(self, work: Callable[[Transaction], Coroutine[Any, Any, T]]) -> T:
        """A short write that on SQLite needs no thread and waits for no disk: durable with the next transaction of another sort.

        For what the caller has elsewhere until then.
        """
        if not isinstance(self._store, SqliteStore):
            return await self.run(work)
        try:
            return await self._store.in_loop(lambda session: work(Transaction(session)))
        except (sqlite3.Error, SQLAlchemyError) as error:
            raise _ours(error) from error

    async def arrive(self) -> None:
        """At a start: `check_schema`, waiting a while for a server that cannot be reached yet. Raises SchemaMismatch, Unreachable."""
        arrival = Arrival()
        while True:
            try:
                return await self.check_schema()
            except Unreachable as failure:
                await asyncio.sleep(arrival.pause_s(failure))

    async def check_schema(self) -> None:
        """Refuse to run on another schema than ours, unless the newer release that wrote it has noted that our code may go on with it."""
        async with self.reading() as tx:
            version = await tx.meta.revision()
            since = await tx.meta.get(SERVED_SINCE_KEY) if version is not None and version not in REVISIONS else None
        if version == REVISIONS[-1] or may_go_on(since):
            return
        if version is None:
            raise SchemaMismatch("the database is empty: run `cordon db upgrade`")
        if version in REVISIONS:
            raise SchemaMismatch(f"the database has schema {version}, this release needs {REVISIONS[-1]}: run `cordon db upgrade`")
        raise SchemaMismatch(
            f"the database has schema {version}, which this release does not know: a newer release has upgraded it; "
            "install that release again, or restore the backup made before the upgrade"
        )

    async def check(self, *, anew: bool = False) -> tuple[str, ...]:
        """Probe: right schema, a durable write, and the write read back. Raises Unavailable; answers warnings for the operator.

        `anew`: read back as whoever comes now would, so that another file at the same place is noticed.
        """
        await self.check_schema()
        warnings = await self._store.warnings()
        async with self.transaction() as tx:
            count = int.from_bytes(await tx.meta.get(_PROBE) or b"", "big") + 1
            await tx.meta.set(_PROBE, count.to_bytes(8, "big"))
        async with self.reading_anew() if anew else self.reading() as tx:
            found = int.from_bytes(await tx.meta.get(_PROBE) or b"", "big")
        if found < count:
            raise Unavailable("the database lost a write that it had confirmed: stop the node and look at its disk")
        return warnings

    async def forget(self) -> None:
        """After an erasure: make the bytes leave files that SQL no longer shows (trust-and-ops ER-4). Busy: try again later."""
        if self.replica is not None:
            self.replica.distrust()  # it may not have replayed the erasure yet
        try:
            await self._store.forget()
        except (sqlite3.Error, psycopg.Error, SQLAlchemyError) as error:
            raise _ours(error) from error

    async def close(self) -> None:
        """Close every connection."""
        self._quick = None
        if self.replica is not None:
            await self.replica.close()
        await self._store.close()


def _ours(error: Exception) -> BaseException:
    return translated(error)

"""Leases, which say which worker does a thing that only one may do, and single values of the node."""

from __future__ import annotations

from sqlalchemy import bindparam, column, delete, select, table

from app.storage.session import Session
from app.storage.sql import POSTGRESQL, Query, insertion_if_absent, upsertion
from app.storage.tables import lease, meta

_L = lease.c
_CLAIM = insertion_if_absent(lease)
_TAKE = Query(
    lease.update()
    .where(_L.name == bindparam("which"), (_L.holder == bindparam("who")) | (_L.until_ms <= bindparam("now")))
    .values(holder=bindparam("who"), until_ms=bindparam("until"))
)
_RELEASE = Query(delete(lease).where(_L.name == bindparam("which"), _L.holder == bindparam("who")))
_HOLDER = Query(select(_L.holder, _L.until_ms).where(_L.name == bindparam("which")))
_GET = Query(select(meta.c.value).where(meta.c.key == bindparam("key")))
_SET = upsertion(meta)
_ADD = insertion_if_absent(meta)
_DROP = Query(delete(meta).where(meta.c.key == bindparam("key")))
_VERSION_TABLE = "alembic_version"
_REVISION = Query(select(column("version_num")).select_from(table(_VERSION_TABLE)))
_TABLES = Query(
    {
        "sqlite": select(column("name")).select_from(table("sqlite_master")).where(column("name") == _VERSION_TABLE),
        POSTGRESQL: select(column("relname"))
        .select_from(table("pg_class"))
        .where(column("relname") == _VERSION_TABLE, column("relkind") == "r"),
    }
)


class LeaseShelf:
    """Leases by name. A lease is a hint that saves work; what must not happen twice is guarded by the swap of a head."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    async def take(self, name: str, holder: str, now_ms: int, ttl_ms: int) -> bool:
        """Take or prolong a lease; False if somebody else has it still."""
        if await self._session.run(_TAKE, which=name, who=holder, now=now_ms, until=now_ms + ttl_ms) == 1:
            return True
        return await self._session.run_many(_CLAIM, [(name, holder, now_ms + ttl_ms)]) == 1

    async def release(self, name: str, holder: str) -> None:
        """Give a lease back; nothing if somebody else has it."""
        await self._session.run(_RELEASE, which=name, who=holder)

    async def holder(self, name: str) -> tuple[str, int] | None:
        """Who has a lease and until when (ms), whether or not that has passed."""
        rows = await self._session.rows(_HOLDER, which=name)
        return (rows[0][0], rows[0][1]) if rows else None


class MetaShelf:
    """Single values by name."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    async def get(self, key: str) -> bytes | None:
        """A value, or None."""
        rows = await self._session.rows(_GET, key=key)
        return rows[0][0] if rows else None

    async def set(self, key: str, value: bytes) -> None:
        """Keep a value."""
        await self._session.run_many(_SET, [(key, value)])

    async def add(self, key: str, value: bytes) -> bool:
        """Keep a value if there is none; False if there was. Whoever adds at the same time waits, and finds ours."""
        return await self._session.run_many(_ADD, [(key, value)]) == 1

    async def drop(self, key: str) -> None:
        """Forget a value."""
        await self._session.run(_DROP, key=key)

    async def revision(self) -> str | None:
        """What the migrations say of this database; None where none has run."""
        if not await self._session.rows(_TABLES):
            return None
        rows = await self._session.rows(_REVISION)
        return rows[0][0] if rows else None

"""`Idempotency-Key`: the same request twice gets the same answer, another request under the same key gets none (schemas §3)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import orjson
from sqlalchemy import bindparam, delete, select

from app.storage.session import Session
from app.storage.sql import Query, insertion_if_absent
from app.storage.tables import idempotency

_I = idempotency.c
_WHICH = (_I.caller == bindparam("who"), _I.key == bindparam("which"))
_CLAIM = insertion_if_absent(idempotency)
_GET = Query(select(_I.fingerprint, _I.started_ms, _I.status, _I.headers, _I.body).where(*_WHICH))
_RESTART = Query(
    idempotency.update()
    .where(*_WHICH, _I.status.is_(None), _I.started_ms == bindparam("before"), _I.fingerprint == bindparam("print"))
    .values(started_ms=bindparam("now"))
)
_FINISH = Query(idempotency.update().where(*_WHICH).values(status=bindparam("code"), headers=bindparam("head"), body=bindparam("bytes")))
_DROP = Query(delete(idempotency).where(*_WHICH, _I.status.is_(None)))
_FORGET = Query(delete(idempotency).where(_I.started_ms < bindparam("before")))
_ABANDONED_MS = 60_000


class Begun(StrEnum):
    """What a key says of a request that arrives."""

    FRESH = "fresh"
    REPLAY = "replay"
    RUNNING = "running"
    MISMATCH = "mismatch"


@dataclass(frozen=True, slots=True)
class Kept:
    """The verdict, and for a replay the answer that was given."""

    verdict: Begun
    status: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


class IdempotencyShelf:
    """Answers by caller and key."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    async def begin(self, key: str, caller: str, fingerprint: bytes, now_ms: int) -> Kept:
        """Claim a key for a request. One that is running for more than a minute was lost with its worker and may run again."""
        if await self._session.run_many(_CLAIM, [(caller, key, fingerprint, now_ms, None, None, None)]) == 1:
            return Kept(Begun.FRESH)
        rows = await self._session.rows(_GET, who=caller, which=key)
        if not rows:  # forgotten between the two steps
            return Kept(Begun.RUNNING)
        stated, started_ms, status, headers, body = rows[0]
        if stated != fingerprint:
            return Kept(Begun.MISMATCH)
        if status is not None:
            return Kept(Begun.REPLAY, status, tuple((name, value) for name, value in orjson.loads(headers)), body)
        if started_ms < now_ms - _ABANDONED_MS:
            values = {"who": caller, "which": key, "before": started_ms, "print": fingerprint, "now": now_ms}
            if await self._session.run(_RESTART, **values) == 1:
                return Kept(Begun.FRESH)
        return Kept(Begun.RUNNING)

    async def finish(self, key: str, caller: str, *, status: int, headers: tuple[tuple[str, str], ...], body: bytes) -> None:
        """Keep the answer of a request that was fresh."""
        await self._session.run(_FINISH, who=caller, which=key, code=status, head=orjson.dumps(headers), bytes=body)

    async def abandon(self, key: str, caller: str) -> None:
        """Give a key back whose request came to nothing, so that it may be tried again."""
        await self._session.run(_DROP, who=caller, which=key)

    async def forget(self, before_ms: int) -> int:
        """Drop keys of requests that began before a moment; how many."""
        return await self._session.run(_FORGET, before=before_ms)

"""Screening policies by owner and name; a change names the bytes that it replaces."""

from __future__ import annotations

from sqlalchemy import bindparam, delete, select, update

from app.storage.policy_tables import screening_policy
from app.storage.session import Session
from app.storage.sql import Query, insertion_if_absent

_P = screening_policy.c
_ONE = (_P.owner == bindparam("of"), _P.name == bindparam("called"))
_GET = Query(select(_P.body).where(*_ONE))
_LIST = Query(select(_P.body).where(_P.owner == bindparam("of")).order_by(_P.name))
_PUT = insertion_if_absent(screening_policy)
_REPLACE = Query(update(screening_policy).where(*_ONE, _P.body == bindparam("seen")).values(body=bindparam("anew")))
_DROP = Query(delete(screening_policy).where(*_ONE, _P.body == bindparam("seen")))


class PolicyShelf:
    """The policies of this node's clients."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    async def get(self, owner: str, name: str) -> bytes | None:
        """One policy as it was put."""
        rows = await self._session.rows(_GET, of=owner, called=name)
        return bytes(rows[0][0]) if rows else None

    async def list(self, owner: str) -> list[bytes]:
        """All of an owner, by name."""
        return [bytes(body) for (body,) in await self._session.rows(_LIST, of=owner)]

    async def add(self, owner: str, name: str, body: bytes) -> bool:
        """Put a new one; False if there is one of that name."""
        return await self._session.run_many(_PUT, [(owner, name, body)]) == 1

    async def replace(self, owner: str, name: str, body: bytes, *, seen: bytes) -> bool:
        """Put another in place of `seen`; False if that is not what is there."""
        return await self._session.run(_REPLACE, of=owner, called=name, anew=body, seen=seen) == 1

    async def drop(self, owner: str, name: str, *, seen: bytes) -> bool:
        """Take `seen` away; False if that is not what is there."""
        return await self._session.run(_DROP, of=owner, called=name, seen=seen) == 1

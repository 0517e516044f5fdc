"""Which tokens of peers were used: each is good once, until it runs out by itself (protocol §3.8)."""

from __future__ import annotations

from sqlalchemy import bindparam, delete

from app.storage.peer_tables import token
from app.storage.session import Session
from app.storage.sql import Query, insertion_if_absent

_REMEMBER = insertion_if_absent(token)
_PRUNE = Query(delete(token).where(token.c.until_s < bindparam("now")))


class TokenShelf:
    """The replay window."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    async def remember(self, kid: str, jti: str, until_s: int) -> bool:
        """Use a token up; False if it was used before, also by somebody who asks at the same time of another worker."""
        return await self._session.run_many(_REMEMBER, [(kid, jti, until_s)]) == 1

    async def prune(self, now_s: int) -> int:
        """Forget tokens that have run out; how many."""
        return await self._session.run(_PRUNE, now=now_s)

"""Who has carried out which erasure: peers are asked, and answer with a signed word (trust-and-ops ER-4, protocol §3.7)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import bindparam, select, update

from app.storage.peer_tables import acknowledgement
from app.storage.session import Session
from app.storage.sql import Query, insertion_if_absent, one_of

_A = acknowledgement.c
_ASK = insertion_if_absent(acknowledgement)
_DONE = Query(
    update(acknowledgement)
    .where(_A.node == bindparam("who"), _A.origin == bindparam("of"), one_of(_A.sid, "sids"), _A.done_ms.is_(None))
    .values(done_ms=bindparam("ms"), token=bindparam("word"))
)
_OVERDUE = Query(
    select(acknowledgement).where(_A.done_ms.is_(None), _A.asked_ms < bindparam("before")).order_by(_A.asked_ms, _A.node, _A.origin, _A.sid)
)
_OF_SID = Query(select(acknowledgement).where(_A.sid == bindparam("sid")).order_by(_A.node, _A.origin))


@dataclass(frozen=True, slots=True)
class AcknowledgementRow:
    """`node` was asked at `asked_ms` to carry out the erase `sid` of `origin`; `token`: its signed word, once it has."""

    node: str
    origin: str
    sid: str
    asked_ms: int
    done_ms: int | None = None
    token: str | None = None


class AckShelf:
    """Erasures at peers."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    async def ask(self, nodes: Collection[str], origin: str, sids: Collection[str], ms: int) -> None:
        """Expect each node's word on each erase; what is expected already keeps its first day."""
        await self._session.run_many(_ASK, [(node, origin, sid, ms, None, None) for node in nodes for sid in sids])

    async def done(self, node: str, origin: str, sids: Collection[str], ms: int, token: str) -> int:
        """A node has carried them out; how many were still expected of it. What nobody expected is not kept."""
        return await self._session.run(_DONE, who=node, of=origin, sids=sids, ms=ms, word=token) if sids else 0

    async def overdue(self, before_ms: int) -> list[AcknowledgementRow]:
        """What was asked before a moment and is not answered, oldest first."""
        return [AcknowledgementRow(*row) for row in await self._session.rows(_OVERDUE, before=before_ms)]

    async def of(self, sid: str) -> list[AcknowledgementRow]:
        """Who was asked for an erase, by node."""
        return [AcknowledgementRow(*row) for row in await self._session.rows(_OF_SID, sid=sid)]

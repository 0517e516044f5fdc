"""Screening receipts by id, with the head note that each names; of an owner since a moment, oldest first."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import bindparam, select

from app.storage.receipt_tables import screening_receipt, view_note
from app.storage.session import Session
from app.storage.sql import Query, insertion_if_absent

_R, _N = screening_receipt.c, view_note.c
_PUT = insertion_if_absent(screening_receipt)
_PUT_NOTE = insertion_if_absent(view_note)
_GET = Query(
    select(_R.rid, _R.owner, _R.created_ms, _R.token, _N.digest, _N.tier, _N.as_of, _N.note)
    .select_from(screening_receipt.join(view_note, _R.view == _N.digest))
    .where(_R.rid == bindparam("rid"))
)
_OF_OWNER = Query(
    select(_R.rid, _R.token)
    .where(_R.owner == bindparam("owner"), _R.created_ms >= bindparam("since"))
    .order_by(_R.created_ms, _R.rid)
    .limit(bindparam("most"))
)


@dataclass(frozen=True, slots=True)
class HeadNote:
    """A view head as signed; `digest`: hex SHA-256 of the note."""

    digest: str
    tier: str
    as_of: int
    note: str


@dataclass(frozen=True, slots=True)
class KeptReceipt:
    """A receipt as signed, whose it is, and the head that it names."""

    rid: str
    owner: str
    created_ms: int
    token: str
    head: HeadNote


class ReceiptShelf:
    """Receipts of screenings."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    async def put(self, kept: KeptReceipt) -> None:
        """Keep a receipt and its head."""
        head = kept.head
        await self._session.run_many(_PUT_NOTE, [(head.digest, head.tier, head.as_of, head.note)])
        await self._session.run_many(_PUT, [(kept.rid, kept.owner, kept.created_ms, head.digest, kept.token)])

    async def get(self, rid: str) -> KeptReceipt | None:
        """One receipt."""
        rows = await self._session.rows(_GET, rid=rid)
        if not rows:
            return None
        rid, owner, created_ms, token, *head = rows[0]
        return KeptReceipt(rid, owner, created_ms, token, HeadNote(*head))

    async def since(self, owner: str, since_ms: int, *, limit: int = 1_000) -> list[tuple[str, str]]:
        """(rid, token) of an owner's receipts from a moment on, oldest first."""
        rows = await self._session.rows(_OF_OWNER, owner=owner, since=since_ms, most=limit)
        return [(rid, token) for rid, token in rows]

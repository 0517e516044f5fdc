"""The access log: append-only and hash-chained, so that a row cannot be changed or taken out unseen (trust-and-ops DP-06, §1.7).

    hash = SHA-256(hash of the row before ‖ body),  body = canonical JSON of the entry with its number

The chain's head is one row that is locked while rows are appended; keep a copy of it elsewhere (beside each signed checkpoint), and
a truncated end is found too. Rows hold ids of statements and subjects, never their content.
The hits of a list are one row.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple

import orjson
from sqlalchemy import bindparam, select

from app.domain.errors import Betrayed
from app.storage.faults import LostRace
from app.storage.session import Session
from app.storage.sql import Query, insertion_if_absent
from app.storage.tables import audit, audit_head

_CHAIN = "access"
MOST_TOGETHER = 250
_START = bytes(32)
_A, _H = audit.c, audit_head.c
_BEGIN = insertion_if_absent(audit_head)
_HEAD = Query(select(_H.size, _H.hash).where(_H.chain == bindparam("chain")))
_LOCK = Query(select(_H.size, _H.hash).where(_H.chain == bindparam("chain")).with_for_update())
_MOVE = Query(
    audit_head.update()
    .where(_H.chain == bindparam("of"), _H.size == bindparam("old"))
    .values(size=bindparam("new"), hash=bindparam("digest"))
)
_PAGE = Query(select(_A.seq, _A.body, _A.hash).where(_A.seq > bindparam("after")).order_by(_A.seq).limit(bindparam("limit")))


class AuditEntry(NamedTuple):
    """Who consulted what, when and why: `sids` are the statements that were told.

    `others`: the further hits of a list, with the statements of each: a list is one row. `told` goes to the told-index (storage/told),
    not into the chain: (owner, origin, sid, subject, word) of each statement that stands.
    """

    at_ms: int
    actor: str
    action: str
    subject: str = ""
    purpose: str = ""
    case: str = ""
    sids: tuple[str, ...] = ()
    told: tuple[tuple[str, str, str, str, str], ...] = ()
    others: tuple[tuple[str, tuple[str, ...]], ...] = ()


Note = tuple[str, tuple[str, ...], tuple[tuple[str, str, str, str, str], ...]]
"""Of one hit of a list: `subject`, `sids` and `told` of its entry."""


@dataclass(frozen=True, slots=True)
class AuditRow:
    """An entry as kept: `seq` counts from 1, `hash` closes the chain up to it."""

    seq: int
    entry: AuditEntry
    hash: bytes


@dataclass(frozen=True, slots=True)
class AuditHead:
    """The end of the chain: how many rows, and the hash of the last (32 zero bytes before the first)."""

    size: int = 0
    hash: bytes = _START


class AuditShelf:
    """The chain of the access log."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    async def append(self, entries: Sequence[AuditEntry]) -> AuditHead:
        """Add entries; whoever appends at the same time waits for this transaction to end."""
        rows = await self._session.rows(_LOCK, chain=_CHAIN)
        if not rows:
            await self._session.run_many(_BEGIN, [(_CHAIN, 0, _START)])
            rows = await self._session.rows(_LOCK, chain=_CHAIN)
        size, link = rows[0]
        chained = []
        for seq, entry in enumerate(entries, size + 1):
            body = _body(seq, entry)
            link = sha256(link + body).digest()
            chained.append((seq, entry.at_ms, entry.actor, body, link))
        if not chained:
            return AuditHead(size, link)
        await self._session.load(audit, chained)
        if await self._session.run(_MOVE, of=_CHAIN, old=size, new=size + len(chained), digest=link) != 1:
            raise LostRace("the access log moved on: append again")
        return AuditHead(size + len(chained), link)

    async def head(self) -> AuditHead:
        """The end of the chain."""
        rows = await self._session.rows(_HEAD, chain=_CHAIN)
        return AuditHead(*rows[0]) if rows else AuditHead()

    async def page(self, *, after: int = 0, limit: int = 100) -> list[AuditRow]:
        """Rows in order; `after`: the `seq` of the last one seen."""
        return [AuditRow(seq, _entry(body), link) for seq, body, link in await self._session.rows(_PAGE, after=after, limit=limit)]

    async def verify(self, *, kept: AuditHead | None = None) -> AuditHead:
        """Walk the whole chain. Raises Betrayed naming the first row that does not fit; `kept`: a head noted elsewhere before."""
        link, seq = _START, 0
        async for number, body, stated in self._walk():
            seq += 1
            link = sha256(link + body).digest()
            if number != seq or link != stated or orjson.loads(body)[0] != seq:
                raise Betrayed(f"row {seq} of the access log was changed or taken out: keep the database, look at its backups")
            if kept is not None and seq == kept.size and link != kept.hash:
                raise Betrayed(f"the access log up to row {seq} is not the one noted before: it was written anew")
        head = await self.head()
        if head != AuditHead(seq, link) or (kept is not None and seq < kept.size):
            raise Betrayed(f"the access log ends at row {seq}, but more was written: its end was cut off")
        return head

    async def _walk(self) -> AsyncIterator[tuple[int, bytes, bytes]]:
        after = 0
        while True:
            rows = await self._session.rows(_PAGE, after=after, limit=2048)
            for seq, body, link in rows:
                yield seq, body, link
            if len(rows) < 2048:
                return
            after = rows[-1][0]


def _body(seq: int, entry: AuditEntry) -> bytes:
    said = [seq, entry.at_ms, entry.actor, entry.action, entry.subject, entry.purpose, entry.case, entry.sids]
    return orjson.dumps([*said, entry.others] if entry.others else said)


def _entry(body: bytes) -> AuditEntry:
    _seq, at_ms, actor, action, subject, purpose, case, sids, *more = orjson.loads(body)
    others = tuple((other, tuple(told)) for other, told in more[0]) if more else ()
    return AuditEntry(at_ms, actor, action, subject, purpose, case, tuple(sids), others=others)


def as_one(common: AuditEntry, notes: Sequence[Note]) -> list[AuditEntry]:
    """The hits of one list, told by one caller at one moment (`common`): as few rows as may be, each of at most MOST_TOGETHER."""
    found = []
    for start in range(0, len(notes), MOST_TOGETHER):
        some = notes[start : start + MOST_TOGETHER]
        subject, sids, _ = some[0]
        told = tuple([one for _, _, its in some for one in its])
        found.append(common._replace(subject=subject, sids=sids, told=told, others=tuple([note[:2] for note in some[1:]])))
    return found

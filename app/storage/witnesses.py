"""Lines of witnesses over checkpoints, our own and others' (C2SP tlog-cosignature 0x04; protocol §3.9)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, select

from app.storage.peer_tables import cosignature
from app.storage.session import Session
from app.storage.sql import Query, one_of, upsertion

_C = cosignature.c
_PUT = upsertion(cosignature)
_OF = Query(select(cosignature).where(_C.origin == bindparam("origin"), _C.size == bindparam("size")).order_by(_C.name))
_NEWEST = Query(
    select(cosignature).where(_C.origin == bindparam("origin"), one_of(_C.name, "names")).order_by(_C.size.desc(), _C.time_s.desc())
)
_PRUNE = Query(delete(cosignature).where(_C.origin == bindparam("origin"), _C.size < bindparam("below")))


@dataclass(frozen=True, slots=True)
class CosignatureRow:
    """A witness' line over the checkpoint of `origin` at `size`; `name` as in the line, `time_s` as it is signed."""

    origin: str
    size: int
    name: str
    line: str
    time_s: int


class WitnessShelf:
    """Who has seen which size of which log."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    async def put(self, *rows: CosignatureRow) -> None:
        """Keep lines; a newer one of the same witness over the same size replaces the older."""
        await self._session.run_many(_PUT, [(r.origin, r.size, r.name, r.line, r.time_s) for r in rows])

    async def of(self, origin: str, size: int) -> list[CosignatureRow]:
        """The lines over one checkpoint, by name."""
        return [CosignatureRow(*row) for row in await self._session.rows(_OF, origin=origin, size=size)]

    async def newest(self, origin: str, names: Collection[str]) -> dict[str, CosignatureRow]:
        """For each of the witnesses that has signed, its line over the largest size."""
        rows: Sequence[tuple[str, int, str, str, int]] = await self._session.rows(_NEWEST, origin=origin, names=names) if names else []
        return {row[2]: CosignatureRow(*row) for row in reversed(rows)}

    async def prune(self, origin: str, below_size: int) -> int:
        """Drop lines over smaller checkpoints; how many."""
        return await self._session.run(_PRUNE, origin=origin, below=below_size)

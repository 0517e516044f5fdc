"""The mirrors: other jurisdictions' logs as far as their tree is verified here, in which state, and on which terms they count.

Two workers may follow the same log: a tree only grows, and whoever found a fork or an end is not overruled by whoever has not
seen it yet (protocol §3.9: adds survive, removals wait, nothing heals by itself). The processed part stands in `log_head`.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

from sqlalchemy import ColumnElement, and_, bindparam, delete, func, or_, select, update

from app.domain.merkle import EMPTY_ROOT
from app.storage.peer_tables import mirror
from app.storage.session import Session
from app.storage.sql import Query, Row, insertion_if_absent

LIVE, STALE, SUSPECT, FORKED, RETIRED = "live", "stale", "suspect", "forked", "retired"

_M = mirror.c
_WHICH = _M.origin == bindparam("of")
_GROWS = or_(_M.tree_size < bindparam("new"), and_(_M.tree_size == bindparam("new"), _M.tree_root == bindparam("hash")))


def _known(name: str, column: ColumnElement[int | str]) -> ColumnElement[int | str]:
    """The value that is given, or the one that is there."""
    return func.coalesce(bindparam(name, type_=column.type), column)


def _later(name: str, column: ColumnElement[int]) -> Query:
    return Query(update(mirror).where(_WHICH, column < bindparam("ms")).values({name: bindparam("ms")}))


_CREATE = insertion_if_absent(mirror)
_GET = Query(select(mirror).where(_M.origin == bindparam("origin")))
_ALL = Query(select(mirror).order_by(_M.origin))
_OF_NODE = Query(select(mirror).where(_M.node == bindparam("node")).order_by(_M.origin))
_TREE = update(mirror).where(_WHICH, _GROWS).values(tree_size=bindparam("new"), tree_root=bindparam("hash"), tree_note=bindparam("text"))
_TREES = {False: Query(_TREE), True: Query(_TREE.where(_M.tree_size == bindparam("old")))}
_STATE = update(mirror).where(_WHICH).values(state=bindparam("word"), reason=bindparam("why"))
_BOUNDS = _STATE.values(common=bindparam("shared"), heard=bindparam("hears"), final_size=_known("final", _M.final_size))
_BY_HUMAN = Query(_STATE.values(common=bindparam("shared"), heard=bindparam("hears"), final_size=bindparam("final")))
_SOFT = Query(_STATE.where(_M.state != FORKED, _M.state != RETIRED))
_IS_CLOSER = and_(_M.heard > _M.common, _M.heard >= bindparam("hears"), _M.common <= bindparam("shared"))
_FORK = Query(_BOUNDS.where(or_(_M.state != FORKED, _M.common.is_(None), _M.common > bindparam("shared"), _IS_CLOSER)))
_END = Query(_BOUNDS.where(_M.state != FORKED, or_(_M.state != RETIRED, _M.final_size > bindparam("final"))))
_TERMS = Query(
    update(mirror)
    .where(_WHICH)
    .values(
        added_per_hour=_known("hourly", _M.added_per_hour),
        total=_known("all_in_all", _M.total),
        weight=_known("counts", _M.weight),
        transfer_basis=_known("basis", _M.transfer_basis),
    )
)
_QUARANTINE = Query(update(mirror).where(_WHICH).values(quarantined=bindparam("on")))
_SEEN = _later("seen_ms", _M.seen_ms)
_NOTED = _later("note_ms", _M.note_ms)
_REMOVE = Query(delete(mirror).where(_M.origin == bindparam("origin")))


@dataclass(frozen=True, slots=True)
class MirrorRow:
    """One mirrored log.

    `tree_*`: the verified tree, with the checkpoint that vouches for it. `state`: live, stale, suspect, forked (then `common` is the
    size of the prefix that all branches share, as far as it is proven, and `heard` the most that it can be: the two are equal once
    somebody has shown the other branch) or retired (then `final_size` is all that ever counts); `reason` in words.
    `added_per_hour`, `total`: items that may come into force; `weight`: 0-100. `transfer_basis`: on what ground personal data comes
    from there. `seen_ms`: when its node last answered, `note_ms`: when it last vouched for its log.
    """

    origin: str
    node: str
    tree_size: int = 0
    tree_root: bytes = EMPTY_ROOT
    tree_note: str = ""
    state: str = LIVE
    reason: str = ""
    common: int | None = None
    final_size: int | None = None
    quarantined: bool = False
    added_per_hour: int = 10_000
    total: int = 1_000_000
    weight: int = 100
    transfer_basis: str = ""
    seen_ms: int = 0
    note_ms: int = 0
    heard: int | None = None


class MirrorShelf:
    """The logs of others, by origin."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    async def create(self, row: MirrorRow) -> bool:
        """Begin a mirror; False, and nothing changed, if there is one. Its log is created apart (`log.create`)."""
        values = [int(value) if isinstance(value, bool) else value for value in astuple(row)]
        return await self._session.run_many(_CREATE, [tuple(values)]) == 1

    async def get(self, origin: str) -> MirrorRow | None:
        """One mirror."""
        rows = await self._session.rows(_GET, origin=origin)
        return _mirror(rows[0]) if rows else None

    async def all(self) -> list[MirrorRow]:
        """Every mirror, by origin."""
        return [_mirror(row) for row in await self._session.rows(_ALL)]

    async def of_node(self, node: str) -> list[MirrorRow]:
        """The logs of one peer, by origin."""
        return [_mirror(row) for row in await self._session.rows(_OF_NODE, node=node)]

    async def set_tree(self, origin: str, size: int, root: bytes, note: str, *, old_size: int | None = None) -> bool:
        """Say how far the tree is verified, in the transaction that wrote its tiles.

        False, and nothing changed, if it is further already, if it has another root at this size, or is no longer `old_size`.
        """
        values = {"of": origin, "new": size, "hash": root, "text": note, "old": old_size}
        return await self._session.run(_TREES[old_size is not None], **values) == 1

    async def set_state(
        self,
        origin: str,
        state: str,
        reason: str,
        common: int | None = None,
        final_size: int | None = None,
        *,
        heard: int | None = None,
        by_human: bool = False,
    ) -> bool:
        """Set the state; False, and nothing changed, where what stands is graver.

        A fork gives way to an earlier fork, or to closer bounds of the same, an end to a fork or an earlier end; only a human lifts
        either, and clears its bounds. `heard`: as `common` if it is not given.
        """
        values = {
            "of": origin,
            "word": state,
            "why": reason,
            "shared": common,
            "final": final_size,
            "hears": common if heard is None else heard,
        }
        return await self._session.run(_state_query(state, by_human), **values) == 1

    async def set_terms(
        self,
        origin: str,
        *,
        added_per_hour: int | None = None,
        total: int | None = None,
        weight: int | None = None,
        transfer_basis: str | None = None,
    ) -> bool:
        """Change the terms that are given; False if there is no such mirror."""
        values = {"hourly": added_per_hour, "all_in_all": total, "counts": weight, "basis": transfer_basis}
        return await self._session.run(_TERMS, of=origin, **values) == 1

    async def set_quarantined(self, origin: str, quarantined: bool) -> bool:
        """Let nothing of a log count here, or let it count again; False if there is no such mirror."""
        return await self._session.run(_QUARANTINE, of=origin, on=int(quarantined)) == 1

    async def seen(self, origin: str, ms: int, *, note_ms: int | None = None) -> None:
        """Say when its node last answered, and when it last vouched for its log; neither goes back."""
        await self._session.run(_SEEN, of=origin, ms=ms)
        if note_ms is not None:
            await self._session.run(_NOTED, of=origin, ms=note_ms)

    async def remove(self, origin: str) -> bool:
        """Forget a mirror's row; its log stays as it is. False if there was none."""
        return await self._session.run(_REMOVE, origin=origin) == 1


def _state_query(state: str, by_human: bool) -> Query:
    if by_human:
        return _BY_HUMAN
    return {FORKED: _FORK, RETIRED: _END}.get(state, _SOFT)


def _mirror(row: Row) -> MirrorRow:
    values = list(row)
    values[9] = bool(values[9])
    return MirrorRow(*values)

"""The registry as rows: control statements in log order, the newest members and groups, and the root documents.

What counts is the log: the keyring is a function of `control_events`. The table of members is a convenience for lists and names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import orjson
from sqlalchemy import bindparam, delete, select

from app.domain.canonical import JsonValue, b64u_decode
from app.domain.claims import Kind
from app.domain.errors import Malformed
from app.domain.folding import SECOND_KINDS, Event, State
from app.storage.events import clean
from app.storage.session import Session
from app.storage.sql import Query, Row, insertion_if_absent, one_of
from app.storage.tables import control, edge, log_entry, registered, root_document, statement

_S, _L, _E, _C, _R, _D = statement.c, log_entry.c, edge.c, control.c, registered.c, root_document.c
_OF_ENTRY = (_L.origin == _S.origin) & (_L.idx == _S.idx)
_HERE = _S.origin == bindparam("origin")
# Not joined: SQLite would walk all statements of the log and look for each among these few.
_PLACES = select(_C.idx).where(_C.origin == bindparam("origin"))
_EVENT = (_S.idx, _S.sid, _S.kid, _S.kind, _S.state, _L.entry)
_CONTROL = Query(
    select(*_EVENT)
    .select_from(statement.join(log_entry, _OF_ENTRY))
    .where(_HERE, _S.idx.in_(_PLACES.where(_C.idx >= bindparam("first"))))
    .order_by(_S.idx)
)
_CONTROL_SIDS = Query(select(_S.sid).where(_HERE, _S.idx.in_(_PLACES)))
# Selected by target alone: given the log's origin too, SQLite would walk the log instead.
_NAMING = Query(
    select(_S.origin, *_EVENT)
    .distinct()
    .select_from(edge.join(statement, (_S.origin == _E.origin) & (_S.idx == _E.idx)).join(log_entry, _OF_ENTRY))
    .where(one_of(_E.target, "sids"))
)
_FORGET = Query(delete(registered).where(_R.origin == bindparam("origin")))
_LISTED = frozenset({Kind.MEMBER, Kind.GROUP})
_MOVES_REGISTRY = _LISTED | SECOND_KINDS | {Kind.KEY_REVOKE}
_COLUMNS = (_R.origin, _R.id, _R.idx, _R.sid, _R.name, _R["class"], _R.country, _R.claims)
_LIST = Query(select(*_COLUMNS).where(_R.kind == bindparam("kind")).order_by(_R.id, _R.origin))
_GET = Query(select(*_COLUMNS).where(_R.kind == bindparam("kind"), _R.id == bindparam("id")).order_by(_R.origin))
_PUT_ROOT = insertion_if_absent(root_document)
_ROOT = Query(select(root_document).where(_D.jurisdiction == bindparam("jurisdiction"), _D.version == bindparam("version")))
_ROOTS = Query(select(root_document).where(_D.jurisdiction == bindparam("jurisdiction")).order_by(_D.version))


@dataclass(frozen=True, slots=True)
class ControlEvent:
    """A statement that the keyring is made of, or an approval or reaffirmation of one. `claims`: as signed; `state`: the fold's word."""

    index: int
    sid: str
    kid: str
    kind: str
    state: State
    claims: Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Registration:
    """The newest `member` or `group` of an id in a log that is in force; `claims` are its claims as signed. A group has no class."""

    origin: str
    id: str
    index: int
    sid: str
    name: str
    member_class: str
    country: str | None
    claims: Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True)
class RootRow:
    """One version of a root document: the bytes as received, and the hex SHA-256 of the decoded payload."""

    jurisdiction: str
    version: int
    sha256: str
    document: bytes


class RegistryShelf:
    """Members, groups, keys and roots."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    async def control_events(self, origin: str, *, first: int = 0) -> list[ControlEvent]:
        """Control statements from index `first` on in log order, with the approvals and reaffirmations that name one of them."""
        rows = await self._session.rows(_CONTROL, origin=origin, first=first)
        sids = [sid for (sid,) in await self._session.rows(_CONTROL_SIDS, origin=origin)]
        for where, *row in await self._session.rows(_NAMING, sids=sids):
            if where == origin and row[0] >= first and row[3] in SECOND_KINDS:
                rows.append(tuple(row))
        return [_control_event(row) for row in sorted(rows, key=lambda row: row[0])]

    async def refresh(self, origin: str, events: Iterable[Event]) -> None:
        """Make the members and groups of a log anew if `events`, just logged and folded, may have changed which are in force."""
        if not any(event.kind in _MOVES_REGISTRY for event in events):
            return
        newest: dict[tuple[str, str], Registration] = {}
        for one in await self.control_events(origin):
            if one.kind in _LISTED and one.state is State.ACTIVE:
                registration = _registration(origin, one)
                newest[one.kind, registration.id] = registration
        await self._session.run(_FORGET, origin=origin)
        await self._session.load(registered, [_row(kind, one) for (kind, _), one in newest.items()])

    async def members(self) -> list[Registration]:
        """Every member of every log held, by id."""
        return await self._list("member")

    async def member(self, member_id: str, *, origin: str | None = None) -> Registration | None:
        """A member by id; without `origin` from whichever log has it."""
        return await self._get("member", member_id, origin)

    async def groups(self) -> list[Registration]:
        """Every group of every log held, by id."""
        return await self._list("group")

    async def group(self, group_id: str, *, origin: str | None = None) -> Registration | None:
        """A group by id."""
        return await self._get("group", group_id, origin)

    async def put_root(self, jurisdiction: str, version: int, document: bytes, sha256: str) -> None:
        """Keep a version of a root document for ever; a version that is there is not replaced."""
        await self._session.run_many(_PUT_ROOT, [(jurisdiction, version, sha256, document)])

    async def root(self, jurisdiction: str, version: int) -> RootRow | None:
        """One version."""
        rows = await self._session.rows(_ROOT, jurisdiction=jurisdiction, version=version)
        return RootRow(*rows[0]) if rows else None

    async def roots(self, jurisdiction: str) -> list[RootRow]:
        """All versions, ascending."""
        return [RootRow(*row) for row in await self._session.rows(_ROOTS, jurisdiction=jurisdiction)]

    async def latest_root(self, jurisdiction: str) -> RootRow | None:
        """The highest version kept."""
        roots = await self.roots(jurisdiction)
        return roots[-1] if roots else None

    async def _list(self, kind: str) -> list[Registration]:
        return [_read(row) for row in await self._session.rows(_LIST, kind=kind)]

    async def _get(self, kind: str, id_: str, origin: str | None) -> Registration | None:
        rows = [row for row in await self._session.rows(_GET, kind=kind, id=id_) if origin in (None, row[0])]
        return _read(rows[0]) if rows else None


def _control_event(row: Row) -> ControlEvent:
    index, sid, kid, kind, state, entry = row
    return ControlEvent(index, sid, kid, kind, State(state), _claims(bytes(entry)))


def _claims(entry: bytes) -> Mapping[str, JsonValue]:
    """The claims in an entry; none at all if it is damaged: whoever reads them as a statement finds nothing, and says which entry."""
    try:
        claims = orjson.loads(b64u_decode(entry.partition(b" ")[2].split(b".")[1].decode("ascii")))
    except (Malformed, ValueError, IndexError):
        return {}
    return claims if isinstance(claims, dict) else {}


def _registration(origin: str, event: ControlEvent) -> Registration:
    claims = event.claims
    country = claims.get("country")
    return Registration(
        origin=origin,
        id=clean(str(claims.get("id", ""))),
        index=event.index,
        sid=event.sid,
        name=clean(str(claims.get("name", ""))),
        member_class=clean(str(claims.get("class", ""))),
        country=clean(country) if isinstance(country, str) else None,
        claims=claims,
    )


def _row(kind: str, one: Registration) -> Row:
    claims = orjson.dumps(one.claims)
    return one.origin, kind, one.id, one.index, one.sid, one.name, one.member_class, one.country, claims


def _read(row: Row) -> Registration:
    origin, id_, index, sid, name, member_class, country, claims = row
    return Registration(origin, id_, index, sid, name, member_class, country, orjson.loads(claims))

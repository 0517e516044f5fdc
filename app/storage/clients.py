"""API keys: who may call, as what, how often; of the secret only its hash (schemas §3, §4.6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson
from sqlalchemy import bindparam, select

from app.storage.session import Session
from app.storage.sql import Query, Row, upsertion
from app.storage.tables import client

_C = client.c
_PUT = upsertion(client)
_AFTER_THE_LAST = ("~", bytes(32))
"""The row that schema 0010 put there: it belongs to nobody, and no id of a key comes after it."""
# The nearest id from this one on: one step down an index that has the secrets too, and one row, whether there is a key of this id or not.
_NEAREST = Query(select(_C.id, _C.secret_sha256).where(_C.id >= bindparam("id")).order_by(_C.id).limit(1))
_GET = Query(select(client).where(_C.id == bindparam("id")))
_ALL = select(client).where(_C.id != _AFTER_THE_LAST[0]).order_by(_C.created_ms, _C.id)
_LISTS = {False: Query(_ALL), True: Query(_ALL.where(_C.member == bindparam("member")))}
_END = Query(client.update().where(_C.id == bindparam("which"), _C.revoked_ms.is_(None)).values(revoked_ms=bindparam("now")))


@dataclass(frozen=True, slots=True)
class Client:
    """One API key: `secret_sha256` is 32 bytes, `client_class` what the caller is (agency, vasp, auditor, operator, …)."""

    id: str
    secret_sha256: bytes
    environment: str
    member: str
    client_class: str
    name: str
    scopes: tuple[str, ...]
    tier: str
    created_ms: int
    quota: Mapping[str, int] = field(default_factory=dict)
    expires_ms: int | None = None
    revoked_ms: int | None = None

    def is_valid(self, now_ms: int) -> bool:
        """Whether the key opens anything at a moment."""
        return self.revoked_ms is None and (self.expires_ms is None or now_ms < self.expires_ms)


class ClientShelf:
    """The API keys of this node."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    async def put(self, one: Client) -> None:
        """Keep a key, or replace what is kept under its id."""
        row = (
            one.id,
            one.secret_sha256,
            one.environment,
            one.member,
            one.client_class,
            one.name,
            " ".join(one.scopes),
            one.tier,
            orjson.dumps(dict(one.quota)),
            one.created_ms,
            one.expires_ms,
            one.revoked_ms,
        )
        await self._session.run_many(_PUT, [row])

    async def nearest(self, client_id: str) -> tuple[str, bytes]:
        """The key with this id, else the one after it: its id and the digest of its secret.

        An id that is there takes as long as one that is not (trust-and-ops S-02): whoever asks compares id and digest.
        """
        rows = await self._session.rows(_NEAREST, id=client_id)
        return rows[0] if rows else _AFTER_THE_LAST

    async def get(self, client_id: str) -> Client | None:
        """A key by its id, valid or not."""
        rows = await self._session.rows(_GET, id=client_id)
        return _client(rows[0]) if rows else None

    async def list(self, member: str | None = None) -> list[Client]:
        """The keys of a member, or all, oldest first."""
        return [_client(row) for row in await self._session.rows(_LISTS[member is not None], member=member)]

    async def end(self, client_id: str, now_ms: int) -> bool:
        """Revoke a key; False if there was none to revoke."""
        return await self._session.run(_END, which=client_id, now=now_ms) == 1


def _client(row: Row) -> Client:
    id_, secret, environment, member, client_class, name, scopes, tier, quota, created_ms, expires_ms, revoked_ms = row
    return Client(
        id=id_,
        secret_sha256=secret,
        environment=environment,
        member=member,
        client_class=client_class,
        name=name,
        scopes=tuple(scopes.split()),
        tier=tier,
        created_ms=created_ms,
        quota=orjson.loads(quota),
        expires_ms=expires_ms,
        revoked_ms=revoked_ms,
    )

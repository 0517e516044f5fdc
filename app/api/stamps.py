"""What the node signs for itself: entity tags and cursors, under a key that only its database holds (schemas §3, trust-and-ops S-12, S-25).

An entity tag is bound to who may see what it stands for, a cursor to its filter and its caller: neither means anything to another one.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Sequence
from hashlib import sha256

import orjson

from app.domain.canonical import b64u_decode, b64u_encode
from app.domain.errors import InvalidCursor, Malformed, Unavailable
from app.storage.database import Database, Transaction

META_KEY = "api_stamps"
CURSOR_LIVES_S = 24 * 3600
_MAC_BYTES = 16
_LONGEST_CURSOR = 2048

Place = Sequence[str | int]


class Stamps:
    """Makes and checks them. The key is drawn once and kept with the node's other values, so that every worker has the same."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._key: bytes | None = None

    async def etag(self, audience: str, body: bytes, *, weak: bool = False) -> str:
        """The entity tag of `body` for one audience."""
        mac = await self._mac(b"etag", audience.encode("utf-8"), body)
        return f'{"W/" if weak else ""}"{b64u_encode(mac)}"'

    async def name_of(self, address: str) -> str:
        """A name for somebody without a key that does not tell his address."""
        return b64u_encode(await self._mac(b"name", address.encode("utf-8")))

    async def cursor(self, place: Place, *, scope: str, now_s: int) -> str:
        """A cursor that goes on after `place`; `scope` is filter and caller."""
        payload = orjson.dumps([now_s + CURSOR_LIVES_S, *place])
        return b64u_encode(payload + await self._mac(b"cursor", scope.encode("utf-8"), payload))

    async def read_cursor(self, text: str, *, scope: str, now_s: int) -> list[str | int]:
        """The place in a cursor of ours; InvalidCursor for anything else."""
        try:
            data = b64u_decode(text) if len(text) <= _LONGEST_CURSOR else b""
        except Malformed:
            data = b""
        payload, given = data[:-_MAC_BYTES], data[-_MAC_BYTES:]
        if not payload or not hmac.compare_digest(given, await self._mac(b"cursor", scope.encode("utf-8"), payload)):
            raise InvalidCursor(
                "this cursor was not made here for this filter and this caller: begin again without one, follow `next` as given"
            )
        place: list[str | int]
        until, *place = orjson.loads(payload)
        if until <= now_s:
            raise InvalidCursor("this cursor is older than a day: begin again without one")
        return place

    async def _mac(self, *parts: bytes) -> bytes:
        if self._key is None:
            self._key = await self._database.run(_load_key)
        framed = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
        return hmac.digest(self._key, framed, sha256)[:_MAC_BYTES]


async def _load_key(tx: Transaction) -> bytes:
    """The node's key; of several that draw one at the same time, one wins and the others take his."""
    await tx.meta.add(META_KEY, os.urandom(32))
    key = await tx.meta.get(META_KEY)
    if key is None:
        raise Unavailable("the key of cursors and tags is being drawn: try again")
    return key

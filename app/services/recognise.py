"""Recognising callers: from an API key to the reader that its owner is, as the registry stands now.

What a key opened is remembered for a moment, so that the hot path asks no database; an ended key is dead within that moment.
An unknown id and a wrong secret take the same path.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable

from app.domain.api_key import read_api_key
from app.domain.errors import Unauthenticated
from app.domain.labels import PUBLIC, Membership, Reader, ReaderClass
from app.domain.permission import Caller, CallerClass
from app.seal.keyring import Keyring
from app.storage.clients import Client
from app.storage.database import Database

REMEMBERED_S = 1.0
REMEMBERED_MOST = 10_000
LICENCE_CHECK_LASTS_S = 366 * 86_400
_NOBODY = ("-", bytes(32))
_READER_CLASSES = {CallerClass.AGENCY, CallerClass.REDRESS, CallerClass.NODE}


class Recognition:
    """Looks keys up and remembers them briefly. `node_id` is the node whose clients the keys belong to."""

    def __init__(self, database: Database, keyring: Keyring, *, node_id: str, clock: Callable[[], int]) -> None:
        self._database = database
        self._keyring = keyring
        self._node_id = node_id
        self._clock = clock
        self._remembered: dict[str, tuple[float, int, Caller]] = {}
        self._ended = 0

    def remembered(self, key_text: str) -> Caller | None:
        """The caller, if his key was looked up a moment ago and the registry has not changed since."""
        found = self._remembered.get(key_text)
        if found is None or found[0] < time.monotonic() or found[1] != self._keyring.version:
            return None
        return found[2]

    async def recognise(self, key_text: str) -> Caller:
        """The caller behind a key; Unauthenticated if it opens nothing."""
        remembered = self.remembered(key_text)
        if remembered is not None:
            return remembered
        ended = self._ended
        key = read_api_key(key_text)
        clients = self._database.quick.clients
        client_id, secret_sha256 = (key.id, key.secret_sha256) if key else _NOBODY
        found_id, expected = await clients.nearest(client_id)
        same = hmac.compare_digest(expected, secret_sha256) & hmac.compare_digest(found_id, client_id)
        client = await clients.get(client_id) if same and key else None
        if key is None or client is None or client.environment != key.environment or not client.is_valid(self._clock()):
            raise Unauthenticated("this API key opens nothing: it is mistyped, has expired or was ended")
        caller = self._caller(client)
        if ended != self._ended:
            return caller  # a key was ended since this one was read: it may be this one
        if len(self._remembered) >= REMEMBERED_MOST:
            self._remembered.clear()
        self._remembered[key_text] = (time.monotonic() + REMEMBERED_S, self._keyring.version, caller)
        return caller

    def forget(self) -> None:
        """After a key was ended here: it is dead at once."""
        self._ended += 1
        self._remembered.clear()

    async def watcher(self, owner: str) -> Reader | None:
        """The reader behind `Caller.owner`, by a key of his that may watch and opens something now; None if there is none."""
        member, _, tier = owner.partition("/")
        for client in await self._database.quick.clients.list(member) if member else ():
            if client.is_valid(self._clock()) and "watch" in client.scopes and client.environment == "live":
                caller = self._caller(client)
                if caller.tier == tier:
                    return caller.reader
        return None

    def _caller(self, client: Client) -> Caller:
        caller_class = CallerClass(client.client_class)
        tier = client.tier if self._licence_holds(client.member, caller_class) else "clear"
        return Caller(
            caller_class=caller_class,
            reader=self._reader(client.member, caller_class, tier),
            actor=f"{client.member or client.client_class}/{client.id}",
            member=client.member,
            scopes=frozenset(client.scopes),
            tier=tier,
            requests_per_minute=client.quota.get("requests_per_minute"),
            addresses_per_day=client.quota.get("addresses_per_day"),
            is_test=client.environment == "test",
        )

    def _licence_holds(self, member_id: str, caller_class: CallerClass) -> bool:
        """A VASP whose licence was last checked more than a year ago reads CLEAR only (trust-and-ops DP-12)."""
        member = self._keyring.member(member_id) if member_id else None
        if caller_class is not CallerClass.VASP or member is None or member.licence is None:
            return True
        checked_at = str(member.licence.get("checked_at", ""))[:10]
        oldest = time.strftime("%Y-%m-%d", time.gmtime(self._clock() / 1000 - LICENCE_CHECK_LASTS_S))
        return checked_at >= oldest

    def _reader(self, member: str, caller_class: CallerClass, tier: str) -> Reader:
        if caller_class is CallerClass.VASP:
            if tier == "clear":
                return PUBLIC
            return Reader(ReaderClass.VASP, member, node_ids=frozenset({self._node_id}), memberships=self._memberships(member))
        if caller_class in _READER_CLASSES:
            return Reader(ReaderClass.NODE, member, ids=frozenset({self._node_id}), memberships=self._memberships(member))
        return PUBLIC

    def _memberships(self, member: str) -> tuple[Membership, ...]:
        """The groups that name him or his node today, each with the stretch of the log for which it did without a break."""
        return tuple(
            Membership(self._keyring.origin, group_id, first, end, through_node=who == self._node_id)
            for who in (member, self._node_id)
            if who
            for group_id, first, end in self._keyring.membership_spans(who)
        )

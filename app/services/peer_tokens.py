"""Recognising peers: from the signed token of one request to the reader that the other node is (protocol §3.8, trust-and-ops S-03..S-05).

A token is good for one request of one method, URL and body, by a node key of the newest root document of a peer that we keep, once:
its `jti` is remembered in the database for as long as it could come again, so that neither a restart nor another worker forgets it.
Tokens that arrive together are remembered in one commit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from app.domain.errors import Unauthenticated
from app.domain.labels import Membership, Reader, ReaderClass
from app.domain.permission import PEER_SCOPE, Caller, CallerClass
from app.seal.bearer import LEEWAY_S, PeerRequest, open_request
from app.seal.jws import PublicKey
from app.seal.keyring import Keyring
from app.storage.database import Database, Transaction

PEER_PER_MINUTE = 12_000
"""Requests of one peer: enough to backfill a million entries in a minute and a half, and to be nudged for every batch."""
PRUNE_EVERY_S = 60
_KEPT_S = 10 * LEEWAY_S

FindNodeKey = Callable[[str, str], PublicKey | None]
"""(node id, kid) -> the key, of the newest root document of that node's jurisdiction only."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    request: PeerRequest
    done: asyncio.Future[bool]


class PeerTokens:
    """Opens request tokens for `node_id`; `keyring` is that of the own log, whose groups peers may belong to."""

    def __init__(
        self, database: Database, keyring: Keyring, *, node_id: str, find_key: FindNodeKey, public_url: str, clock: Callable[[], int]
    ) -> None:
        self._database = database
        self._keyring = keyring
        self._node_id = node_id
        self._find_key = find_key
        self._base = public_url.rstrip("/")
        self._clock = clock
        self._waiting: list[_Waiting] = []
        self._writer: asyncio.Task[None] | None = None
        self._pruned_s = 0

    async def recognise(self, token: str, *, method: str, target: str, body: bytes, once: bool = True) -> Caller:
        """The peer behind a token; `target` is path and query as received. Unauthenticated for every fault, with one text.

        `once` False: what is asked for is for everybody anyway, so that the token need not be remembered.
        """
        now_s = self._clock() // 1000
        request = open_request(
            token, find_key=self._key_of, audience=self._node_id, method=method, url=self._base + target, body=body, now=now_s
        )
        if once and not await self._use_up(request):
            raise Unauthenticated("the token is not good here and now: ask for a new one, and check clock, audience and address")
        spans = self._keyring.membership_spans(request.node)
        memberships = tuple(Membership(self._keyring.origin, group, first, end) for group, first, end in spans)
        return Caller(
            caller_class=CallerClass.NODE,
            reader=Reader(ReaderClass.NODE, request.node, memberships=memberships),
            actor=f"peer/{request.node}",
            member=request.node,
            scopes=frozenset({PEER_SCOPE}),
            tier="green",
            requests_per_minute=PEER_PER_MINUTE,
        )

    def _key_of(self, kid: str) -> PublicKey | None:
        return self._find_key(kid.partition("#")[0], kid)

    # --- once ---------------------------------------------------------------------------------------------------------

    async def _use_up(self, request: PeerRequest) -> bool:
        """Whether this peer is kept and this token is used for the first time; durable before it returns."""
        one = _Waiting(request, asyncio.get_running_loop().create_future())
        self._waiting.append(one)
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_all())
        return await one.done

    async def _write_all(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting, []
            try:
                verdicts = await self._database.at_once(lambda tx, group=group: self._remember(tx, group))  # type: ignore[misc]
            except Exception as error:  # noqa: BLE001 — every waiter must learn that nothing was remembered
                for one in group:
                    if not one.done.done():
                        one.done.set_exception(error)
            else:
                for one, verdict in zip(group, verdicts, strict=True):
                    if not one.done.done():
                        one.done.set_result(verdict)

    async def _remember(self, tx: Transaction, group: list[_Waiting]) -> list[bool]:
        now_s = self._clock() // 1000
        if now_s >= self._pruned_s + PRUNE_EVERY_S or now_s < self._pruned_s:
            await tx.tokens.prune(now_s)
            self._pruned_s = now_s
        kept = {node: await tx.peers.get(node) is not None for node in {one.request.node for one in group}}
        return [
            kept[one.request.node] and await tx.tokens.remember(one.request.kid, one.request.jti, one.request.issued_at + _KEPT_S)
            for one in group
        ]

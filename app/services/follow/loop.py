"""One loop a peer: live by long-poll, safe by poll, patient when the peer fails (protocol §3.7-3.8, trust-and-ops §0.11, F-15 … F-19).

A bulkhead: the loop has its own connections and deadlines, so a peer that drips, lies or is silent costs itself alone. Pauses grow to
at most `backoff_max_s` with jitter, `Retry-After` is obeyed, and what pulls is this node: after any outage it catches up by itself.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from app.domain.errors import Betrayed, CordonError, InvalidProof, Refused, Unavailable
from app.sdk.chain import RootChain, fetch_chain, latest_version
from app.sdk.peer import PeerClient, PeerHead
from app.sdk.via import Via
from app.seal.keyring import Keyring
from app.seal.keyrings import Keyrings
from app.seal.roots import RootDocument, read_document
from app.services.follow.lease import Lease
from app.services.follow.mirroring import Mirroring
from app.storage.database import Database, Transaction
from app.storage.mirrors import MirrorRow
from app.storage.peers import PeerRow

log = logging.getLogger("cordon.follow")

FIRST_PAUSE_S = 0.5
SHORT_S = 1.0
FREE_ROUNDS = 3
LONGEST_BREATH_S = 5.0
WAIT_S = 15
"""A long poll whose far side is gone is given up ten seconds after it: well within the half minute in which all is to be well again."""
HEAL_EVERY_S = 60
PATIENCE_S = 2.0
WITHHELD_AFTER_S = 60.0

HeadSeen = Callable[[str, str, Via], Awaitable[None]]
"""A peer shows a head of another log than its own: origin, note, and the way to the peer."""
Betrayal = Callable[[str, str, CordonError], Awaitable[bool]]
"""A log's own node gives what its log did not sign: origin, note, what was wrong; whether another source had it right."""


@dataclass(frozen=True, slots=True)
class FollowRules:
    """Times in seconds; `worker` names this process among those that share the database."""

    poll_s: float = 30
    backoff_max_s: float = 300
    wait_s: int = WAIT_S
    patience_s: float = PATIENCE_S
    """How long a log's own node may take to show a head that somebody else has shown, before that one's mirror is asked."""
    withheld_after_s: float = WITHHELD_AFTER_S
    worker: str = "worker-1"
    shares_database: bool = False


class Follower:
    """The loop for one peer. `once` is one round; `run` goes on until it is cancelled."""

    def __init__(
        self,
        peer: PeerRow,
        client: PeerClient,
        *,
        database: Database,
        keyrings: Keyrings,
        mirroring: Mirroring,
        clock: Callable[[], int],
        rules: FollowRules,
        on_head: HeadSeen,
        on_root: Callable[[RootDocument], Awaitable[None]],
        on_betrayal: Betrayal,
    ) -> None:
        self.peer = peer
        self.via = Via(peer.node, client, is_origin=True)
        self._client = client
        self._database = database
        self._keyrings = keyrings
        self._mirroring = mirroring
        self._clock = clock
        self._rules = rules
        self._on_head = on_head
        self._on_root = on_root
        self._on_betrayal = on_betrayal
        self._since: str | None = None
        self._woken = asyncio.Event()
        self._roots_due = True
        self._healed_ms = 0
        self._lease = Lease(database, f"follow {peer.node}", rules.worker, clock) if rules.shares_database else None
        self._fruitless = 0
        self.failures = 0
        self.last_success_ms = 0
        self.last_error = ""

    # --- the loop ------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Follow until cancelled; of several workers one at a time."""
        if self._lease is None:
            await self._go_round()
        else:
            await self._lease.hold(self._go_round)

    async def _go_round(self) -> None:
        while True:
            pause_s = 0.0
            self._woken.clear()
            try:
                began, before = time.monotonic(), self._mirroring.advanced[self.peer.node]
                await self.once(wait_s=min(self._rules.wait_s, int(self._rules.poll_s)))
                pause_s = self._breath(time.monotonic() - began, self._mirroring.advanced[self.peer.node] - before)
            except CordonError as error:
                pause_s = self._pause_after(error)
            except Exception as error:
                log.exception("following %s stumbled and goes on", self.peer.node)
                pause_s = self._pause_after(Unavailable(type(error).__name__))
            if pause_s:
                await self._rest(pause_s)

    async def once(self, *, wait_s: int = 0) -> None:
        """One round: root documents if due, the heads that moved, what was withheld. Raises what the peer's failure is."""
        if self._roots_due:
            await self._refresh_roots()
        heads = await self._client.heads(self._since, wait_s)
        if heads is not None:
            await self._see_all(heads.heads)
            self._since = heads.next
        await self._heal()
        self.failures, self.last_error, self.last_success_ms = 0, "", self._clock()

    async def _see_all(self, heads: Sequence[PeerHead]) -> None:
        """Each head that moved; what is wrong with one log keeps no other waiting."""
        first: CordonError | None = None
        for head in heads:
            try:
                await self._see(head.origin, head.note)
            except (Refused, Betrayed) as error:
                first = first or error
        if first is not None:
            raise first

    async def _see(self, origin: str, note: str) -> None:
        if not self._is_theirs(origin):
            await self._on_head(origin, note, self.via)
            return
        try:
            await self._sync(origin, note)
        except (Refused, Betrayed) as error:
            if not await self._on_betrayal(origin, note, error):
                raise
            self._mirroring.rejected[self.peer.node, error.slug] += 1

    async def _sync(self, origin: str, note: str) -> None:
        try:
            await self._mirroring.sync(origin, note, self.via)
        except InvalidProof:
            if not await self._refresh_roots():
                raise
            await self._mirroring.sync(origin, note, self.via)  # the log key was rotated: the new root document names the new one

    def _is_theirs(self, origin: str) -> bool:
        keyring = self._keyrings.get(origin)
        document = keyring.newest_document if keyring is not None else None
        return document is not None and document.jurisdiction == self.peer.jurisdiction

    def wake(self) -> None:
        """Something moved there: end a pause."""
        self._woken.set()

    # --- root documents ------------------------------------------------------------------------------------------------

    async def _refresh_roots(self) -> bool:
        """Take in new versions of the peer's root document; whether there were any."""
        async with self._database.reading() as tx:
            held = await tx.registry.roots(self.peer.jurisdiction)
        self._roots_due = False
        if held and await latest_version(self._client) <= held[-1].version:
            return self._know([read_document(row.document).document for row in held])  # perhaps another worker's work
        chain = await fetch_chain(
            self._client,
            pin=self.peer.pin,
            now=self._clock() // 1000,
            held=[row.document for row in held],
            digests=[row.sha256 for row in held],
        )
        if len(chain.documents) == len(held):
            return False
        await self._keep(chain)
        return True

    async def _keep(self, chain: RootChain) -> None:
        peer, newest = self.peer, chain.newest

        async def work(tx: Transaction) -> None:
            for raw, document in zip(chain.raw, chain.documents, strict=True):
                await tx.registry.put_root(peer.jurisdiction, document.version, raw, document.sha256)
            followed = await tx.mirrors.of_node(peer.node)
            for one in newest.logs:
                await tx.log.create(one.origin, self._clock())
                await tx.mirrors.create(_like(one.origin, followed, peer.node))

        await self._database.run(work)
        self._know(chain.documents)
        log.info("%s has root document %d", peer.node, newest.version)
        await self._on_root(newest)

    def _know(self, documents: Sequence[RootDocument]) -> bool:
        """Have these documents, oldest first, in the registry of each log that the newest names; whether one was not there."""
        is_news = False
        for one in documents[-1].logs:
            keyring = self._keyrings.get(one.origin)
            if keyring is None:
                self._keyrings.put(Keyring(one.origin, documents))
                is_news = True
                continue
            known = {document.version for document in keyring.documents}
            for document in documents:
                if document.version not in known:
                    keyring.add_root(document)
                    is_news = True
        return is_news

    # --- healing -------------------------------------------------------------------------------------------------------

    async def _heal(self) -> None:
        """Ask the origin again, now and then, for what it withheld: entitlement may have come late."""
        now_ms = self._clock()
        if now_ms - self._healed_ms < HEAL_EVERY_S * 1000:
            return
        self._healed_ms = now_ms
        self._roots_due = True
        for origin in self._keyrings.origins():
            if self._is_theirs(origin):
                await self._mirroring.heal(origin, self.via)

    # --- manners -------------------------------------------------------------------------------------------------------

    def _pause_after(self, error: CordonError) -> float:
        """Half a second, doubled with each failure, at most `backoff_max_s`, never less than `Retry-After`; half of it is chance."""
        self.failures += 1
        self.last_error = error.detail or type(error).__name__
        if isinstance(error, (Refused, Betrayed)):
            self._mirroring.rejected[self.peer.node, error.slug] += 1
            self._since = None  # what was refused is looked at again, from the start
            self._roots_due = True
        if self.failures in (1, 5, 50):
            log.warning("peer %s: %s (failure %d)", self.peer.node, self.last_error, self.failures)
        return pause_s(
            self.failures, most=self._rules.backoff_max_s, retry_after_s=error.retry_after_s if isinstance(error, Unavailable) else None
        )

    def _breath(self, took_s: float, advanced: int) -> float:
        """A peer that answers every long poll at once with nothing new would have us ask without end: a pause, longer each time."""
        self._fruitless = self._fruitless + 1 if took_s < SHORT_S and not advanced else 0
        beyond = self._fruitless - FREE_ROUNDS
        return min(0.1 * 2.0**beyond, LONGEST_BREATH_S) if beyond > 0 else 0.0

    async def _rest(self, pause_s: float) -> None:
        """A pause; none if somebody has called since the round began."""
        try:
            async with asyncio.timeout(pause_s):
                await self._woken.wait()
        except TimeoutError:
            return


def pause_s(failures: int, *, most: float, retry_after_s: float | None = None) -> float:
    """The pause after so many failures in a row, in seconds, with jitter: peers that failed together do not return together."""
    grown: float = min(FIRST_PAUSE_S * 2.0 ** min(failures - 1, 20), most)
    jittered = grown * (0.5 + random.random() / 2)  # noqa: S311 — spreads load, no secret
    return max(jittered, min(retry_after_s or 0.0, most))


def _like(origin: str, followed: Sequence[MirrorRow], node: str) -> MirrorRow:
    """A further log of a peer begins under the terms of the one that is followed already."""
    if not followed:
        return MirrorRow(origin, node)
    terms = followed[-1]
    return MirrorRow(
        origin,
        node,
        quarantined=terms.quarantined,
        added_per_hour=terms.added_per_hour,
        total=terms.total,
        weight=terms.weight,
        transfer_basis=terms.transfer_basis,
    )

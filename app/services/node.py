"""Node: all services of a running node in one frozen value; what api, web and cli hold."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from app.domain.answer import Moment
from app.domain.errors import Betrayed, CordonError, LogFrozen
from app.index.listed import ListedIds
from app.index.listings import ListingIndex
from app.seal.keyring import Keyring
from app.seal.roots import RootDocument
from app.services.admit import FORGET_DUE, FileKeeper, Gate, OwnLog, check_entries
from app.services.attest import Attestation
from app.services.audit import AccessLog
from app.services.bulk import Bulk
from app.services.consult import Consultation
from app.services.deliver import Deliverer
from app.services.federation import Federation
from app.services.guard import Guards
from app.services.notify import Notify
from app.services.policies import Policies
from app.services.publish import Publisher
from app.services.recall import Recall
from app.services.recognise import Recognition
from app.services.refresh import OwnDocuments
from app.services.screen import Screening
from app.services.view import PAUSE_S, Views
from app.services.watch import Watching
from app.storage.database import Database
from app.storage.replica import LOOK_S
from app.storage.wholly import end_all

log = logging.getLogger("cordon.node")

HEARTBEAT_S = 30.0
BRAKE = "frozen"  # the value that `cordon freeze` sets
BRAKE_S = 1.0
THAW_S = 2.0
"""Between two looks at whether a disk that took no writes takes them again."""
FOLLOW_S = 0.05
WATCH_S = 0.05
VIEW_REST, LONGEST_REST_S = 9.0, 15.0
"""While a list grows by the thousand, as it does when a log is taken in, a head a second would cost more than all the rest."""
REHASH_PAGE = 4_096
REHASH_EVERY_S = 24 * 3_600.0
HELD_FOR_MS = 14 * 86_400_000


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this node is (`cordon init` wrote it)."""

    node_id: str
    jurisdiction: str
    name: str
    origin: str
    public_url: str
    demonstration: bool = False


@dataclass(frozen=True, slots=True)
class Node:
    """A running node. `start` before use, `stop` after; `clock` gives milliseconds of wall time."""

    identity: Identity
    own_documents: OwnDocuments
    database: Database
    keyring: Keyring
    index: ListingIndex
    listed: ListedIds
    keeper: FileKeeper
    own_log: OwnLog
    gate: Gate
    screening: Screening
    sandbox: Screening
    """The same with the sandbox's addresses, for `test` keys."""
    bulk: Bulk
    publisher: Publisher
    consultation: Consultation
    recall: Recall
    policies: Policies
    recognition: Recognition
    guards: Guards
    views: Views
    attestation: Attestation
    notify: Notify
    watching: Watching
    deliverer: Deliverer
    access_log: AccessLog
    moment: Callable[[], Moment]
    clock: Callable[[], int]
    shares_database: bool
    loops: list[asyncio.Task[None]]
    federation: Federation | None = None
    """The peer half, of a node with federation on."""

    @property
    def documents(self) -> tuple[RootDocument, ...]:
        """The root documents of this jurisdiction, version 1 first."""
        return tuple(self.keyring.documents)

    async def start(self) -> None:
        """Check the schema, load guards, open the index file, open the gate, start the loops."""
        await self.database.arrive()
        await self.access_log.start()
        await self.guards.load()
        await self.keeper.start()
        if self.federation is not None:
            await self.federation.load()
            await self.gate.start(before_signing=self.federation.self_anchor)
            await self.federation.bring_back()
            self.federation.start()
        else:
            await self.gate.start()
        await self._obey_brake()
        self._every(PAUSE_S, self.views.tick, at_once=True, rest=VIEW_REST)
        self._every(BRAKE_S, self._obey_brake)
        self._every(BRAKE_S, self.own_documents.look)
        self._every(BRAKE_S, self.keeper.tick, at_once=True)
        self._every(THAW_S, self._thaw)
        self._every(HEARTBEAT_S, self.gate.heartbeat)
        if self.database.replica is not None:
            self._every(LOOK_S, self.database.replica.look, at_once=True)
        self._every(REHASH_EVERY_S, self._rehash, at_once=True)
        self._every(3_600.0, self._drop_old_held)
        self._every(WATCH_S, self._watch, at_once=True)
        self._every(WATCH_S, self.deliverer.tick)
        self._every(3_600.0, self.notify.upkeep)
        if self.shares_database:
            self._every(FOLLOW_S, self._follow_database)

    async def stop(self) -> None:
        """Stop the loops, finish the batch at hand, close the database."""
        await end_all(self.loops)
        self.loops.clear()
        if self.federation is not None:
            await self.federation.stop()
        await self.gate.stop()
        await self.deliverer.stop()
        await self.access_log.stop()
        self.listed.close()
        await self.database.close()

    def _every(self, pause_s: float, work: Callable[[], Awaitable[None]], *, at_once: bool = False, rest: float = 0.0) -> None:
        """Do it again and again. `rest`: so many times as long as the work took the pause is at least, up to LONGEST_REST_S."""

        async def run() -> None:
            if not at_once:
                await asyncio.sleep(pause_s)
            while True:
                began = time.monotonic()
                try:
                    await work()
                except CordonError as error:
                    log.warning("%s: %s", work.__name__, error.detail)
                except Exception:
                    log.exception("a loop stumbled and goes on")
                await asyncio.sleep(max(pause_s, min(rest * (time.monotonic() - began), LONGEST_REST_S)))

        self.loops.append(asyncio.create_task(run()))

    async def _obey_brake(self) -> None:
        """`cordon freeze` stops every worker within a second; what it stopped signs again after a restart without the brake."""
        said = await self.database.quick.meta.get(BRAKE)
        if said is not None and self.gate.frozen is None:
            self.gate.freeze(LogFrozen(f"stopped by the operator: {said.decode('utf-8', 'replace')}"))

    async def _thaw(self) -> None:
        if self.gate.frozen is not None and await self.database.quick.meta.get(BRAKE) is None:
            await self.gate.thaw()

    async def _rehash(self) -> None:
        """Re-hash every entry; a damaged one freezes the log and is named, lookups go on (protocol §3.6)."""
        size = self.own_log.size
        for first in range(0, size, REHASH_PAGE):
            async with self.database.reading() as tx:
                try:
                    await check_entries(tx, self.identity.origin, first, min(first + REHASH_PAGE, size))
                except Betrayed as error:
                    self.gate.freeze(error)
                    return
            await asyncio.sleep(0.05)  # the disk belongs to the callers

    async def _drop_old_held(self) -> None:
        """What nobody approved within 14 days is dropped; its issuer sees it in /v1/held until then."""
        async with self.database.transaction() as tx:
            old = await tx.held.older_than(self.clock() - HELD_FOR_MS)
            await tx.held.drop(*(one.sid for one in old))
            if old:
                await tx.meta.set(FORGET_DUE, b"1")  # the next heartbeat makes the bytes leave the files
        for one in old:
            log.warning("dropped a held statement of %s after 14 days without approval: %s", one.issuer, one.sid)

    async def _watch(self) -> None:
        """What moved becomes events, whichever worker has logged it."""
        await self.notify.seed()
        await self.notify.look()

    async def _follow_database(self) -> None:
        """Another worker may have logged: move the index and the registry."""
        async with self.database.reading() as tx:
            head = await tx.log.head(self.identity.origin)
        if head is not None and head.size != self.index.positions.get(self.identity.origin, 0):
            await self.gate.follow()

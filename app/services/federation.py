"""The peer half of a running node: a follower for each peer, the monitor over all logs, and what peers tell us by HTTP.

Bulkheads: every peer has a loop, connections and a budget of its own; what one does cannot keep another waiting. Hints (nudges, heads)
are coalesced to the newest size and only ever make us look sooner: nothing is lost if one is (protocol §3.7, §3.8).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass

from app.domain.errors import CordonError, InvalidProof, Refused, RolledBack
from app.domain.fork import ForkEvidence
from app.domain.registry import node_of_origin
from app.domain.statement import ohash_of
from app.domain.witness_policy import WitnessPolicy
from app.index.heads import HeadBoard
from app.index.sources import Source, SourceBoard
from app.sdk.peer import PeerClient
from app.sdk.via import Via
from app.seal.jws import PublicKey
from app.seal.keyrings import Keyrings
from app.services.admit import Gate, OwnLog
from app.services.admit.foreign import ForeignGate
from app.services.admit.valve import whose_time_has_come
from app.services.follow import HEAL_EVERY_S, Endings, Follower, FollowRules, Mirroring, Recovery
from app.services.monitor import Monitor, NodeVoice
from app.services.trust import TRUST_EPOCH, Trust
from app.storage.database import Database
from app.storage.peers import PeerRow
from app.storage.wholly import end_all

log = logging.getLogger("cordon.federation")

RELOAD_S = 1.0
WATCH_S = 0.05
SHOWN_CHECKS = 12
OVERDUE_EVERY_S = 3_600.0
CHORES_S = 5.0
ANCHOR_WAIT_S = 5.0
BRING_BACK_S = 60.0


@dataclass(frozen=True, slots=True)
class Parts:
    """What a federation is made of; `connect` opens a peer by its URL and node id."""

    database: Database
    keyrings: Keyrings
    foreign: ForeignGate
    gate: Gate
    own_log: OwnLog
    heads: HeadBoard
    sources: SourceBoard
    voice: NodeVoice
    trust: Trust
    clock: Callable[[], int]
    connect: Callable[[PeerRow], PeerClient]
    close: Callable[[], Awaitable[None]]
    rules: FollowRules
    witness_policy: WitnessPolicy | None = None
    by_hand: bool = False
    """Nothing runs by itself: `step` is one round of everything (for a simulation)."""


class Federation:
    """Followers, monitor and gossip of one node. `start` before the gate signs, `stop` before the database closes."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.trust = parts.trust
        self.heads = parts.heads
        self.followers: dict[str, Follower] = {}
        self.mirroring = Mirroring(
            parts.database,
            keyrings=parts.keyrings,
            gate=parts.foreign,
            heads=parts.heads,
            sources=parts.sources,
            clock=parts.clock,
            cosigner=parts.voice.witness,
            on_fork=self._on_fork,
            on_grown=self._on_grown,
            on_erased=self._on_erased,
        )
        self.endings = Endings(parts.database, keyrings=parts.keyrings, gate=parts.foreign, sources=parts.sources, clock=parts.clock)
        self.monitor = Monitor(
            parts.database,
            keyrings=parts.keyrings,
            foreign=parts.foreign,
            gate=parts.gate,
            own_log=parts.own_log,
            voice=parts.voice,
            clock=parts.clock,
            vias=lambda: [follower.via for follower in self.followers.values()],
            broadcast=self._broadcast,
            on_forked=self._on_forked,
            policy=parts.witness_policy,
        )
        self.recovery = Recovery(
            parts.own_log,
            parts.gate,
            log_keys=lambda: self.mirroring.verifiers(parts.own_log.origin),
            vias=lambda: [follower.via for follower in self.followers.values()],
            agree=self.monitor.self_anchor,
        )
        self._loops: dict[str, asyncio.Task[None]] = {}
        self._chores: set[asyncio.Task[None]] = set()
        self._nudging: dict[str, dict[str, int]] = {}
        self._nudged: dict[tuple[str, str], int] = {}
        self._healed_ms = 0
        self._epoch = b""
        self._is_running = False

    def find_key(self, node: str, kid: str) -> PublicKey | None:
        """The key by which a peer signs its requests."""
        return self._parts.keyrings.node_key(node, kid)

    # --- life ----------------------------------------------------------------------------------------------------------

    async def load(self) -> None:
        """Registries, mirrors and peers as stored; nothing is asked of anybody yet."""
        await self._parts.foreign.load()
        async with self._parts.database.reading() as tx:
            mirrors, heads = await tx.mirrors.all(), {origin: await tx.log.head(origin) for origin in await tx.log.origins()}
        for row in mirrors:
            self._parts.sources.put(Source(row.origin, row.state, row.note_ms // 1000))
            head = heads.get(row.origin)
            if head is not None and head.note:
                self._parts.heads.put(row.origin, head.note, head.note_size)
        await self.reload()

    async def self_anchor(self) -> None:
        """Before the first signature: RolledBack if a peer holds more of our log than we do, or something else."""
        if not self.followers:
            return
        try:
            async with asyncio.timeout(ANCHOR_WAIT_S):
                answered = await self.monitor.self_anchor()
        except TimeoutError:
            answered = 0
        if not answered:
            log.warning("no peer could be asked what it holds of our log: the anchor file alone guards against an old database")

    async def bring_back(self) -> None:
        """After an older backup was restored: our missing entries, and their erasures, before anything is answered (ER-5)."""
        if not self.recovery.is_due:
            return
        try:
            async with asyncio.timeout(BRING_BACK_S):
                await self.recovery.attempt()
        except TimeoutError:
            log.warning("our log is not whole yet: what is missing goes on coming back while this node answers, and it signs nothing")

    def start(self) -> None:
        """Begin to follow; the own log signs by now."""
        self._parts.own_log.on_signed = self._on_signed
        if self._parts.own_log.note:
            self._on_signed(self._parts.own_log.origin, self._parts.own_log.note, self._parts.own_log.signed_size)
        if self._parts.by_hand:
            return
        self._is_running = True
        for node in self.followers:
            self._follow(node)
        self._spawn(self._every(RELOAD_S, self.reload))
        self._spawn(self._every(CHORES_S, self._do_chores))
        self._spawn(self._every(OVERDUE_EVERY_S, self._report_overdue))
        if self._parts.rules.shares_database:
            self._spawn(self._every(WATCH_S, self._watch_database))

    async def stop(self) -> None:
        """End every loop; what was under way is in the database or will be asked for again."""
        self._is_running = False
        self._parts.own_log.on_signed = None
        await end_all([*self._loops.values(), *self._chores])
        self._loops.clear()
        self._chores.clear()
        await self._parts.close()

    async def step(self) -> list[CordonError]:
        """One round of every follower and the chores, in the order of their names; what failed comes back."""
        errors: list[CordonError] = []
        works = [self.reload, *(self.followers[node].once for node in sorted(self.followers)), self._do_chores]
        for work in works:
            try:
                await work()
            except CordonError as error:
                errors.append(error)
        await asyncio.gather(*self._chores, return_exceptions=True)
        return errors

    def _follow(self, node: str) -> None:
        self._loops[node] = asyncio.create_task(self.followers[node].run(), name=f"follow {node}")

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(work)
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)

    async def _every(self, pause_s: float, work: Callable[[], Awaitable[object]]) -> None:
        while True:
            await asyncio.sleep(pause_s)
            try:
                await work()
            except CordonError as error:
                log.warning("%s", error.detail)
            except Exception:
                log.exception("a loop stumbled and goes on")

    async def reload(self) -> None:
        """Take in what an operator has decided since: peers added, paused, removed; logs set aside or released."""
        epoch = await self._parts.database.quick.meta.get(TRUST_EPOCH) or b"\0"
        if epoch == self._epoch:
            return
        async with self._parts.database.reading() as tx:
            peers = {row.node: row for row in await tx.peers.all()}
            mirrors = await tx.mirrors.all()
        self._parts.sources.weightless = frozenset(row.origin for row in mirrors if row.weight == 0)
        known = {one.origin for one in self._parts.sources.sources}
        for row in mirrors:
            if row.node not in peers:
                self._parts.sources.drop(row.origin)
            elif row.origin not in known:
                self._parts.sources.put(Source(row.origin, row.state, row.note_ms // 1000))
        if self._epoch:
            await self._parts.foreign.look_again()
        for node in [
            node for node in self.followers if node not in peers or peers[node].paused or peers[node] != self.followers[node].peer
        ]:
            await self._unfollow(node)
        for node, peer in peers.items():
            if node not in self.followers and not peer.paused:
                self.followers[node] = self._make_follower(peer)
                if self._is_running:
                    self._follow(node)
        self._epoch = epoch

    async def _unfollow(self, node: str) -> None:
        self.followers.pop(node)
        task = self._loops.pop(node, None)
        if task is not None:
            await end_all([task])

    def _make_follower(self, row: PeerRow) -> Follower:
        parts = self._parts
        return Follower(
            row,
            parts.connect(row),
            database=parts.database,
            keyrings=parts.keyrings,
            mirroring=self.mirroring,
            clock=parts.clock,
            rules=parts.rules,
            on_head=self.see_head,
            on_root=self.endings.take,
            on_betrayal=self._ask_others,
        )

    # --- what others show ----------------------------------------------------------------------------------------------

    async def see_head(self, origin: str, note: str, via: Via) -> None:
        """A peer shows a head of a log that is not its own: of ours, or of one that we follow, too."""
        if origin == self._parts.own_log.origin:
            with suppress(
                RolledBack
            ):  # we sign no more and have said so; that is not the peer's fault, and corrections must still reach us
                await self.monitor.judge_own(note, via)
            return
        if self._parts.keyrings.get(origin) is None:
            return  # it follows somebody whom we do not know
        try:
            checkpoint, _ = self.mirroring.read_note(origin, note)
        except InvalidProof:
            self.mirroring.rejected[via.node, "head"] += 1
            return
        tree = await self.mirroring.tree(origin)
        relay = Via(via.node, via.client, is_origin=False)
        if checkpoint.size <= tree.size:
            await self.mirroring.sync(origin, note, relay)
            return
        home = self.followers.get(node_of_origin(origin))
        if home is None:
            await self.mirroring.sync(origin, note, relay)
            return
        home.wake()
        self._spawn(self._await_head(origin, note, checkpoint.size, relay))

    async def _await_head(self, origin: str, note: str, size: int, relay: Via) -> None:
        """The log's own node should show it: if it is silent its mirror helps; if it hides it, that is evidence (protocol §3.7)."""
        home = self.followers.get(node_of_origin(origin))
        rules = self._parts.rules
        patience = rules.patience_s / 10 if home is not None and home.failures else rules.patience_s
        try:
            if not await self._reaches(origin, size, patience):
                await self.mirroring.sync(origin, note, relay)
            if home is not None and not home.failures and not await self._shown_at_home(home, origin, size):
                await self.monitor.withheld_head(origin, note, relay.node)
        except CordonError as error:
            log.warning("%s by way of %s: %s", origin, relay.node, error.detail)

    async def _ask_others(self, origin: str, note: str, error: CordonError) -> bool:
        """Its own node gives what the log did not sign: whoever mirrors it may have it right, else it is suspect (protocol §3.7)."""
        try:
            checkpoint, _ = self.mirroring.read_note(origin, note)
        except Refused:
            await self.mirroring.suspect(origin, f"its node shows a checkpoint that it did not sign: {error.detail}")
            return False
        for follower in [one for one in self.followers.values() if one.peer.node != node_of_origin(origin) and not one.failures]:
            try:
                if (
                    await self.mirroring.sync(origin, note, Via(follower.peer.node, follower.via.client, is_origin=False))
                    >= checkpoint.size
                ):
                    log.warning("%s gives wrong entries of its log; those of %s are right: %s", origin, follower.peer.node, error.detail)
                    return True
            except CordonError as other:
                log.debug("%s by way of %s: %s", origin, follower.peer.node, other.detail)
        await self.mirroring.suspect(origin, f"no source gives what the log signed: {error.detail}")
        return False

    async def _reaches(self, origin: str, size: int, wait_s: float) -> bool:
        try:
            async with asyncio.timeout(wait_s):
                while (await self.mirroring.tree(origin)).taken < size:  # noqa: ASYNC110 — one who waits a moment, now and then
                    await asyncio.sleep(0.05)
        except TimeoutError:
            return False
        return True

    async def _shown_at_home(self, home: Follower, origin: str, size: int) -> bool:
        """Whether the log's own node shows this size within a minute; a node that does not answer hides nothing."""
        for _ in range(SHOWN_CHECKS):
            try:
                shown, _heard = self.mirroring.read_note(origin, await home.via.client.checkpoint())
            except CordonError:
                return True
            if shown.size >= size:
                return True
            await asyncio.sleep(self._parts.rules.withheld_after_s / SHOWN_CHECKS)
        return False

    async def nudged(self, node: str, ohash: str, size: int) -> None:
        """A peer says that a log has grown: look sooner. It is handed on only when we have verified it ourselves."""
        origin = next((one for one in self._parts.keyrings.origins() if ohash_of(one) == ohash), None)
        home, messenger = self.followers.get(node_of_origin(origin) if origin else node), self.followers.get(node)
        if origin is None or (await self.mirroring.tree(origin)).size >= size:
            return
        if home is not None:
            home.wake()
        # Its own node may be paused here, or out of reach: then who nudges is the one to ask, even if its last answers were no news.
        if messenger is not None and not messenger.failures:
            messenger.wake()

    async def take_evidence(self, node: str, text: str) -> None:
        """Evidence of a fork that a peer hands on."""
        await self.monitor.take_evidence(node, text)

    async def acknowledged(self, node: str, ohash: str, size: int, sids: Sequence[str], token: str) -> None:  # noqa: ARG002 — said, not needed
        """A peer has carried out erasures of our log, read up to `size`."""
        await self.monitor.acknowledged(node, ohash, sids, token)

    async def add_checkpoint(self, body: bytes) -> str:
        """Witness a checkpoint (C2SP tlog-witness)."""
        return await self.monitor.add_checkpoint(body)

    # --- what we tell --------------------------------------------------------------------------------------------------

    def _on_signed(self, origin: str, note: str, size: int) -> None:
        before = self.heads.get(origin)
        self.heads.put(origin, note, size)
        if before is None or size > before.size:
            self._on_grown(origin, size)

    def _on_grown(self, origin: str, size: int) -> None:
        """Tell every peer once of a newly verified size; whoever is still being told gets the newest only."""
        home = node_of_origin(origin)
        if origin != self._parts.own_log.origin:
            self._spawn(self.endings.end(origin))
        for node in self.followers:
            if node == home or self._nudged.get((node, origin), -1) >= size:
                continue
            self._nudged[node, origin] = size
            waiting = self._nudging.get(node)
            if waiting is not None:
                waiting[origin] = size
                continue
            self._nudging[node] = {origin: size}
            self._spawn(self._nudge(node))

    async def _nudge(self, node: str) -> None:
        try:
            while self._nudging[node]:
                origin, size = self._nudging[node].popitem()
                follower = self.followers.get(node)
                if follower is None or follower.failures:
                    continue  # it will ask by itself when it is back
                try:
                    await follower.via.client.nudge(ohash_of(origin), size)
                except CordonError as error:
                    log.debug("nudge to %s: %s", node, error.detail)
        finally:
            self._nudging.pop(node, None)

    def _broadcast(self, text: str) -> None:
        for follower in self.followers.values():
            self._spawn(self._hand_on(follower, text))

    async def _hand_on(self, follower: Follower, text: str) -> None:
        try:
            await follower.via.client.evidence(text)
        except CordonError as error:
            log.warning("evidence could not be handed to %s: %s", follower.peer.node, error.detail)

    async def _on_erased(self, origin: str, sids: Sequence[str]) -> None:
        """Confirm to the origin what was destroyed here; kept until it has heard it."""
        async with self._parts.database.transaction() as tx:
            await tx.acks.ask([self._parts.voice.node], origin, sids, self._parts.clock())
        self._spawn(self._confirm_erasures())

    async def _confirm_erasures(self) -> None:
        own = self._parts.voice.node
        async with self._parts.database.reading() as tx:
            due = [row for row in await tx.acks.overdue(self._parts.clock() + 1) if row.node == own]
        by_origin: dict[str, list[str]] = {}
        for row in due:
            by_origin.setdefault(row.origin, []).append(row.sid)
        for origin, sids in by_origin.items():
            home = self.followers.get(node_of_origin(origin))
            if home is None:
                continue
            tree = await self.mirroring.tree(origin)
            try:
                await home.via.client.acknowledge(ohash_of(origin), tree.taken, sids[:256])
            except CordonError as error:
                log.warning("erasures of %s could not be confirmed to its node: %s", origin, error.detail)
                continue
            async with self._parts.database.transaction() as tx:
                await tx.acks.done(own, origin, sids[:256], self._parts.clock(), "")

    # --- what must be done ---------------------------------------------------------------------------------------------

    async def _do_chores(self) -> None:
        if self.recovery.is_due:
            await self.recovery.attempt()
        await self.monitor.ask_for_erasure([*self.followers])
        for origin, indices in (await whose_time_has_come(self._parts.database, self._parts.clock())).items():
            await self._parts.foreign.release(origin, indices=indices)
        await self.monitor.report_poison()
        await self._confirm_erasures()
        await self._heal_from_others()

    async def _heal_from_others(self) -> None:
        """What an origin withholds may be public: any other peer that holds the stub can give it, the hash proves it."""
        now_ms = self._parts.clock()
        if now_ms - self._healed_ms < HEAL_EVERY_S * 1000:
            return
        self._healed_ms = now_ms
        async with self._parts.database.reading() as tx:
            lacking = [row for row in await tx.mirrors.all() if (await tx.withheld.counts(row.origin)).get("stub")]
        for row in lacking:
            for follower in [one for one in self.followers.values() if one.peer.node != row.node and not one.failures]:
                try:
                    if await self.mirroring.heal(row.origin, Via(follower.peer.node, follower.via.client, is_origin=False)):
                        break
                except CordonError as error:
                    log.debug("healing %s by way of %s: %s", row.origin, follower.peer.node, error.detail)
        await self.monitor.find_branches()

    async def _report_overdue(self) -> None:
        await self.monitor.report_overdue()
        async with self._parts.database.transaction() as tx:
            await tx.tokens.prune(self._parts.clock() // 1000)

    async def _watch_database(self) -> None:
        """Another worker of this database may have moved a mirror, or signed."""
        await self._parts.foreign.follow()
        async with self._parts.database.reading() as tx:
            heads = [head for origin in await tx.log.origins() if (head := await tx.log.head(origin)) is not None and head.note]
        for head in heads:
            self.heads.put(head.origin, head.note, head.note_size)

    async def _on_fork(self, origin: str, evidence: ForkEvidence, via: Via) -> None:
        await self.monitor.take_fork(origin, evidence, via)

    async def _on_forked(self, origin: str) -> None:
        before = next((one for one in self._parts.sources.sources if one.origin == origin), None)
        self._parts.sources.put(Source(origin, "forked", before.heard_s if before is not None else 0))
        self.mirroring.forget(origin)

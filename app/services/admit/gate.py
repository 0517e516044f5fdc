"""THE GATE: whoever brings a statement, it is verified, judged, appended, folded, and only then answered with a receipt.

One sequencer a log. Group commit: what arrives within a window shares one transaction. The order of each batch, and what a crash
means at each step (protocol §3.6):

    judge, append, fold, swap the head     in one transaction    crash: nothing happened; nobody was answered
    commit                                                       crash: logged, unanswered; the next start signs it
    read back and re-hash                                        a mismatch freezes the log and names the entry
    write the anchor, sign the checkpoint                        crash: as before; the anchor never says more than was committed
    move the index, answer                                       crash: the same bytes sent again get `known` and a receipt
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from app.domain.errors import Betrayed, CordonError, DamagedEntry, DiskRefused, FellBehind, LogFrozen, Refused, Unavailable
from app.domain.statement import CONTROL_KINDS, Kind, read_stub
from app.domain.tiles import Grown
from app.index.listings import Announced, ListingIndex
from app.index.turns import Turn
from app.seal.keyrings import Keyrings
from app.services.admit.backwards import write_back
from app.services.admit.facts import Facts, Known, gather_facts
from app.services.admit.foreign_judge import Offered
from app.services.admit.judge import Judge, ToHold, ToLog, refuse_self_approval
from app.services.admit.moving import Face, Moved, faces_of, merged, moved_between, moved_by_members
from app.services.admit.outcome import Admitted, HeldReason, Status
from app.services.admit.ownlog import OwnLog, lease_name
from app.services.admit.prepared import Prepared
from app.services.admit.projection import Batch, project
from app.services.admit.refold import FORGET_DUE
from app.services.admit.spent import Spent
from app.services.admit.waiting import Result, Waiting, WaitingRoom, is_small, stopping
from app.storage.database import Database, Transaction
from app.storage.faults import is_worth_a_retry
from app.storage.held import Held

log = logging.getLogger("cordon.gate")

LEASE_MS = 5_000
LEASE_RETRY_S = 0.01
ATTEMPTS = 4
PAUSE_S = 0.02
# Statements after which the registry may read differently: they end a batch, so that what follows is judged by it.
_ENDS_BATCH = CONTROL_KINDS | {Kind.APPROVE, Kind.REAFFIRM}


class LeaseTaken(Unavailable):
    """Another worker sequences at the moment."""


@dataclass(frozen=True, slots=True)
class GateRules:
    """How the sequencer gathers, and who it is among the workers of one database."""

    window_s: float = 0.02
    batch_max: int = 500
    worker: str = "worker-1"
    shares_database: bool = False


class Gate:
    """The gate of one home log; `start` before the first `submit`."""

    def __init__(
        self,
        *,
        database: Database,
        own_log: OwnLog,
        jurisdiction: str,
        keyrings: Keyrings,
        index: ListingIndex,
        protected: Callable[[str], bool],
        clock: Callable[[], int],
        rules: GateRules,
    ) -> None:
        self._database = database
        self._log = own_log
        self.origin = own_log.origin
        self.keyrings = keyrings
        """The registries of every log; those of mirrors are the other gate's to fill."""
        self._keyring = keyrings.own
        self._index = index
        self._clock = clock
        self._rules = rules
        self._judge = Judge(origin=own_log.origin, jurisdiction=jurisdiction, keyring=keyrings.own, protected=protected)
        self._room = WaitingRoom(self._judge, self._tell, window_s=rules.window_s, batch_max=rules.batch_max)
        self._frozen: CordonError | None = None
        self._loop: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()
        self._spent = Spent(own_log.origin)
        self._registry_size = 0
        self._faces: Mapping[str, Face] = {}
        self.outcomes: Counter[str] = Counter()
        """How many statements ended how; of a refused person nothing is kept but this number."""

    # --- life ----------------------------------------------------------------------------------------------------

    async def start(self, *, before_signing: Callable[[], Awaitable[object]] | None = None) -> None:
        """Load the right edge and the registry, compare with the anchor, sign. What does not fit freezes; lookups go on.

        `before_signing` asks others what they hold of this log, and raises Betrayed if it is more (self-anchor, protocol §3.6).
        """
        async with self._database.transaction() as tx:
            await tx.log.create(self.origin, self._clock())
        try:
            async with self._database.reading() as tx:
                # First of all, so that also over a damaged edge those who look up are known for who they are.
                await self._read_registry(tx)
                self._faces = await faces_of(tx, self.origin)
                await self._compare(tx)
            if before_signing is not None:
                await before_signing()
            await self._log.sign()
        except Betrayed as error:
            self.freeze(error)
        await self._forget_if_due()
        self._loop = asyncio.create_task(self._run(), name="sequencer")

    async def stop(self) -> None:
        """Finish the batch at hand and refuse what still waits."""
        if self._loop is not None:
            async with self._lock:
                self._loop.cancel()
            loop, self._loop = self._loop, None
            await asyncio.gather(loop, return_exceptions=True)
        self._log.close()
        self._dismiss()

    def _dismiss(self) -> None:
        for one in self._room.leave():
            self._tell(one, stopping())

    def freeze(self, error: CordonError) -> None:
        """Sign nothing more until an operator has looked (protocol §3.6). A disk that takes no writes is no reason in place of another."""
        if isinstance(error, DiskRefused) and self._frozen is not None:
            return
        self._frozen = error
        log.critical("log frozen: %s", error.detail)

    @property
    def frozen(self) -> CordonError | None:
        """Why nothing is signed, or None."""
        return self._frozen

    @property
    def depth(self) -> int:
        """Statements that wait."""
        return len(self._room)

    async def heartbeat(self) -> None:
        """Renew the checkpoint's freshness without growth (at least every 60 s, protocol §3.6)."""
        if self._frozen is not None:
            return
        async with self._lock:
            try:
                async with self._database.transaction() as tx:
                    await self._take_lease(tx)
                    await self._catch_up(tx)
                if self._frozen is None:  # else it was frozen while we waited
                    await self._log.sign(release=self._releasing())
                await self._forget_if_due()
            except Betrayed as error:
                self.freeze(error)
            except Unavailable:
                return  # another worker sequences, and signs

    # --- after an older backup was restored ----------------------------------------------------------------------

    async def take_back(self, page: Sequence[Offered], leaves: Sequence[bytes]) -> None:
        """Write the entries after our last one, which this log has signed before and its database has lost (protocol §3.6).

        `leaves`: their hashes in a tree that this log signed. Betrayed if an entry is not there or has other bytes.
        """
        async with self._lock, self._index.turn() as turn:
            await turn.run(self._database, lambda tx: write_back(tx, self._log, page, leaves, keyrings=self.keyrings, now_ms=self._clock()))
            async with self._database.reading() as tx:
                await self._catch_up(tx)
                behind = await self._behind(tx)
            self._move_index(merged(behind))

    async def resume(self) -> None:
        """Sign again: what was missing is there. Betrayed, and the log stays frozen, if the anchor says otherwise."""
        async with self._lock:
            async with self._database.reading() as tx:
                await self._compare(tx)
            await self._sign_again(FellBehind)
        await self._forget_if_due()

    async def thaw(self) -> None:
        """After a disk took no write (trust-and-ops F-06): sign again as soon as it takes them and holds all that this log had come to.

        Compared is what whoever comes now would read, not what this process remembers of it. What does not fit freezes for good; every
        other reason to be frozen is for a human.
        """
        async with self._lock:
            if not isinstance(self._frozen, DiskRefused):
                return
            try:
                await self._database.check(anew=True)
                async with self._database.reading_anew() as tx:
                    await self._compare(tx)
                await self._sign_again(DiskRefused)
            except (DiskRefused, Unavailable, OSError):
                return  # not yet
            except Betrayed as error:
                self.freeze(error)
                return
        if self._frozen is None:
            log.warning("the disk takes writes again and holds all %d entries of %s: it signs", self._log.size, self.origin)
        await self._forget_if_due()

    async def _compare(self, tx: Transaction) -> None:
        await self._catch_up(tx)
        await self._log.check_anchor(tx)
        await self._log.check_newest(tx)

    async def _sign_again(self, reason: type[CordonError]) -> None:
        """Unless there has come another reason meanwhile why it must not."""
        if isinstance(self._frozen, reason):
            await self._log.sign()
        if isinstance(self._frozen, reason):
            self._frozen = None

    # --- the door ------------------------------------------------------------------------------------------------

    async def submit(self, wires: Sequence[str]) -> list[Result]:
        """Admit statements as sent; one result each, in order. Each stands alone; all that fit share one commit."""
        if len(self._room) + len(wires) > 20 * self._rules.batch_max:
            raise Unavailable("too many statements are waiting: send this again in a few seconds")
        if self._loop is None:
            return [stopping() for _ in wires]
        came = await self._room.enter(wires)
        if self._loop is None:
            self._dismiss()
        return [await one.answer for one in came]

    def _tell(self, one: Waiting, result: Result) -> None:
        self.outcomes[result.slug if isinstance(result, CordonError) else str(result.status)] += 1
        if not one.answer.done():
            one.answer.set_result(result)

    # --- the sequencer -------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            await self._room.gathered()
            while self._room.is_open:
                async with self._lock:
                    await self._one_round()

    async def _one_round(self) -> None:
        batch = self._room.take()
        try:
            self._refuse_if_frozen()
            rest = await self._commit(batch)
        except Betrayed as error:
            self.freeze(error)
            self._tell_all(batch, LogFrozen(error.detail))
        except LeaseTaken:
            self._room.put_back(batch)
            await asyncio.sleep(LEASE_RETRY_S)
        except CordonError as error:
            if is_worth_a_retry(error):
                await self._try_again(batch, error)
            else:
                self._tell_all(batch, error)
        except Exception as error:
            log.exception("batch failed")
            self._tell_all(batch, Unavailable(f"the batch could not be committed ({type(error).__name__}): send the same bytes again"))
        else:
            self._room.put_back(rest)

    def _refuse_if_frozen(self) -> None:
        if self._frozen is not None:
            raise LogFrozen(f"this log signs nothing at present ({self._frozen.detail}): try later, or tell its operator")

    async def _try_again(self, batch: Sequence[Waiting], error: CordonError) -> None:
        """A deadlock, a lost race, a broken connection (trust-and-ops F-26): the same again, a few times. What was logged is known then."""
        worn_out = [one for one in batch if one.attempts >= ATTEMPTS]
        again = [one for one in batch if one.attempts < ATTEMPTS]
        self._tell_all(worn_out, error)
        for one in again:
            one.attempts += 1
        self._room.put_back(again)
        await asyncio.sleep(PAUSE_S * 2 ** max((one.attempts for one in again), default=0))

    def _tell_all(self, batch: Sequence[Waiting], error: CordonError) -> None:
        for one in batch:
            self._tell(one, error)

    async def _commit(self, waiting: Sequence[Waiting]) -> list[Waiting]:
        """One batch from judgement to receipts. Returns what must be judged again because the registry changed in between."""
        async with self._index.turn() as turn:
            return await self._commit_in(turn, waiting)

    async def _commit_in(self, turn: Turn, waiting: Sequence[Waiting]) -> list[Waiting]:
        verdicts: list[tuple[Waiting, Result | Known]] = []
        rest: list[Waiting] = []
        async with self._database.transaction(is_small=is_small(waiting)) as tx:
            await self._take_lease(tx)
            await self._catch_up(tx)
            now_ms = self._clock()
            behind = await self._behind(tx)
            batch = Batch(self.origin, first=self._log.size, accepted_ms=max(now_ms, self._log.accepted_ms))
            self._refresh(waiting)
            prepared = [w.prepared for w in waiting if w.prepared]
            facts = await gather_facts(tx, self.origin, prepared, self._spent, now_ms=now_ms, size=batch.first)
            for number, one in enumerate(waiting):
                verdicts.append((one, one.fault or await self._verdict(tx, one, batch, facts)))
                if batch.logged and batch.logged[-1].stub.kind in _ENDS_BATCH:
                    rest = list(waiting[number + 1 :])
                    break
            grown = self._log.grow(batch.entries)
            moves = [*behind, await project(tx, batch, keyrings=self.keyrings, grown=grown)]
            if any(one.stub.kind in _ENDS_BATCH for one in batch.logged):
                moves.append(await self._renamed(tx))
            moved = merged(moves)
            unsigned = bool(batch.entries) or self._log.signed_size != self._log.size
            if not unsigned:
                await self._give_lease_back(tx)
            announced = self._index.announce(moved.filing)
            await turn.take()
        # Committed. From here on a crash leaves the statements logged and unanswered.
        if batch.entries:
            await self._log.read_back(batch.entries, grown)
            self._log.advance(grown, batch.accepted_ms)
            for logged in batch.logged:
                self._keyring.apply(logged.event.index, logged.stub)
            self._registry_size = self._log.size
            self._spent.add([logged.stub.issuer for logged in batch.logged], accepted_ms=batch.accepted_ms, size=self._log.size)
        self._move_index(moved, announced)
        # Left before anything is written again: the gate of peers may stand in its transaction, the database's one writer, and wait for it.
        turn.leave()
        if unsigned:  # also after a signature that failed, or by another worker: no receipt without a checkpoint of its size
            self._refuse_if_frozen()
            await self._log.sign(release=self._releasing())
        if moved.erased:
            self._index.has_erased = True
            await self._forget()
        await self._tell_verdicts(verdicts, grown)
        return rest

    async def follow(self) -> None:
        """Take in what another worker has logged: edge, registry, index."""
        async with self._lock, self._index.turn() as turn:
            try:
                async with self._database.reading() as tx:
                    await self._catch_up(tx)
                    behind = await self._behind(tx)
            except Betrayed as error:
                self.freeze(error)
            else:
                await turn.take()
                self._move_index(merged(behind))

    async def _behind(self, tx: Transaction) -> list[Moved]:
        """What the index has missed up to the edge."""
        if self._index_at >= self._log.size:
            return []
        return [await moved_between(tx, self.origin, self._index_at, self._log.size), await self._renamed(tx)]

    @property
    def _index_at(self) -> int:
        return self._index.positions.get(self.origin, 0)

    async def _renamed(self, tx: Transaction) -> Moved:
        """The index shows members with name, country and what their disputes weigh: a new `member` statement may change that."""
        return await moved_by_members(tx, self.origin, before=self._faces)

    def _move_index(self, moved: Moved, announced: Announced | None = None) -> None:
        """`announced`: before the commit; what others have logged is announced now."""
        announced = announced or self._index.announce(moved.filing)
        self._index.move(moved.touched, announced=announced, places={self.origin: (self._index_at, self._log.size)})
        self._faces = moved.faces or self._faces

    def _refresh(self, waiting: Sequence[Waiting]) -> None:
        """Prepare what could not be prepared before, or was before the registry changed.

        A refusal is kept until its turn: the member statement that brings the key may stand in front of it in this very batch.
        """
        stale = [one for one in waiting if one.prepared is None or self._judge.is_stale(one.prepared)]
        for one, found in zip(stale, self._judge.prepare_all([one.wire for one in stale]), strict=True):
            one.prepared, one.fault = (found, None) if isinstance(found, Prepared) else (None, found)

    async def _verdict(self, tx: Transaction, one: Waiting, batch: Batch, facts: Facts) -> Result | Known:
        """Judge one statement and put it where it belongs: the batch, the shelf of held ones, or back."""
        assert one.prepared is not None
        try:
            verdict = self._judge.judge(one.prepared, facts, index=batch.next_index, accepted_ms=batch.accepted_ms)
            match verdict:
                case Known():
                    return verdict
                case Held():
                    return Admitted(verdict.sid, Status.HELD, HeldReason(verdict.reason))
                case ToHold():
                    return await self._hold(tx, verdict, facts)
                case ToLog():
                    return await self._log_it(tx, verdict, batch, facts)
        except Refused as error:
            return error

    async def _hold(self, tx: Transaction, verdict: ToHold, facts: Facts) -> Admitted:
        stub = verdict.stub
        wire = verdict.prepared.wire
        held = Held(stub.sid, wire, stub.issuer, stub.kid, stub.kind, stub.label, str(verdict.reason), facts.now_ms)
        await tx.held.put(held)
        facts.hold(held, self.origin)
        return Admitted(stub.sid, Status.HELD, verdict.reason)

    async def _log_it(self, tx: Transaction, verdict: ToLog, batch: Batch, facts: Facts) -> Known:
        """Append; an approval first brings in what it releases. All of that is judged before any of it is appended."""
        released: list[ToLog] = []
        for sid in verdict.released:
            held = facts.held[sid]
            refuse_self_approval(verdict.stub, held)
            index = batch.next_index + len(released)
            released.append(self._judge.recheck_held(held, facts, index=index, accepted_ms=batch.accepted_ms))
        for one in released:
            await tx.held.drop(one.stub.sid)
            self._append(one, batch, facts)
        return self._append(verdict, batch, facts)

    def _append(self, verdict: ToLog, batch: Batch, facts: Facts) -> Known:
        index = batch.add(verdict.prepared, verdict.stub, verdict.reason)
        known = Known(verdict.stub.sid, index, batch.accepted_ms, verdict.reason)
        facts.add(verdict.prepared, verdict.stub, known)
        return Known(known.sid, index, batch.accepted_ms, verdict.reason, is_new=True)

    async def _tell_verdicts(self, verdicts: Sequence[tuple[Waiting, Result | Known]], grown: Grown) -> None:
        known = [(one, verdict) for one, verdict in verdicts if isinstance(verdict, Known)]
        wanted = [(verdict.index, verdict.accepted_ms, verdict.sid) for _, verdict in known]
        receipts = await self._log.receipts(wanted, grown)
        for (one, verdict), receipt in zip(known, receipts, strict=True):
            status = Status.HELD if verdict.reason else Status.ACCEPTED if verdict.is_new else Status.KNOWN
            self._tell(one, Admitted(verdict.sid, status, verdict.reason, verdict.index, verdict.accepted_ms, receipt))
        for waiting, outcome in verdicts:
            if not isinstance(outcome, Known):
                self._tell(waiting, outcome)

    # --- among several workers -----------------------------------------------------------------------------------

    async def _take_lease(self, tx: Transaction) -> None:
        """Be the one worker that sequences; the swap of the head would refuse a second one anyway."""
        if not self._rules.shares_database:
            return
        if not await tx.leases.take(lease_name(self.origin), self._rules.worker, self._clock(), LEASE_MS):
            raise LeaseTaken("another worker is sequencing")

    async def _give_lease_back(self, tx: Transaction) -> None:
        """Where nothing is to be signed: else others would wait for the lease to run out."""
        worker = self._releasing()
        if worker is not None:
            await tx.leases.release(lease_name(self.origin), worker)

    def _releasing(self) -> str | None:
        """Who gives the lease back with this signature: us, once nothing waits here."""
        return self._rules.worker if self._rules.shares_database and not self._room else None

    async def _catch_up(self, tx: Transaction) -> None:
        """Take in what another worker, or an earlier run, has logged."""
        await self._log.load(tx)
        if self._registry_size < self._log.size:
            await self._read_registry(tx)
            self._registry_size = self._log.size

    async def _read_registry(self, tx: Transaction) -> None:
        """Members, keys, groups and policy as logged since last time. One that cannot be read is named when the others are in."""
        damaged: DamagedEntry | None = None
        for event in await tx.registry.control_events(self.origin, first=self._registry_size):
            try:
                stub = read_stub(dict(event.claims), kid=event.kid, sid=event.sid, lenient=True)
            except Refused:
                damaged = damaged or DamagedEntry(self.origin, event.index)
            else:
                self._keyring.apply(event.index, stub)
        if damaged is not None:
            raise damaged

    # --- forgetting ----------------------------------------------------------------------------------------------

    async def _forget_if_due(self) -> None:
        """An erasure whose bytes were still held open, or that a crash interrupted."""
        if await self._database.quick.meta.get(FORGET_DUE) is not None:
            await self._forget()

    async def _forget(self) -> None:
        """Make erased bytes leave the files (trust-and-ops ER-4). If a reader holds them open the next heartbeat tries again."""
        try:
            await self._database.forget()
            async with self._database.transaction() as tx:
                await tx.meta.drop(FORGET_DUE)
        except Unavailable as error:
            log.warning("erased content is still in the files of the database: %s", error.detail)

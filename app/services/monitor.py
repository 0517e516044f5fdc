"""Keeping logs honest: what peers show of each other and of us, forks and their evidence, witnessing, erasures not yet confirmed.

Only two checkpoints that one log signed make a fork; everything else is a bad source (protocol §3.7). What is decided here fails
towards protection: adds survive, removals wait, and only a new root document leads out. Our own log is judged by the same rule: if a
peer holds more of it than we do, or something else, we sign no more (self-anchor, §3.6).
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

from app.domain.canonical import JsonValue, read_decimal
from app.domain.checkpoint import Checkpoint, parse_checkpoint, read_hash
from app.domain.errors import (
    CordonError,
    FellBehind,
    Forbidden,
    InvalidProof,
    Malformed,
    NotFound,
    Refused,
    RolledBack,
    SizeConflict,
    Unavailable,
)
from app.domain.folding import Event
from app.domain.fork import Bounds, ForkEvidence, parse_evidence
from app.domain.merkle import EMPTY_ROOT, old_subtrees, root_at, shared_prefix, verify_consistency
from app.domain.note import parse_note
from app.domain.statement import Kind, ohash_of
from app.domain.tiles import TileReader, needed_for_root, tile_path
from app.domain.witness_policy import WitnessPolicy
from app.sdk.via import Via, common_prefix
from app.seal.disclosure import build_statement
from app.seal.keyrings import Keyrings, NodeKey
from app.seal.notes import NoteKey, Verifier, cosign, read_checkpoint, read_vkeys, verify_fork
from app.seal.roots import RootDocument
from app.services.admit import Gate, OwnLog, Result
from app.services.admit.foreign import ForeignGate
from app.services.admit.quorum import Standing, standing, witnesses
from app.storage.database import Database, Transaction
from app.storage.evidence import EvidenceRow
from app.storage.witnesses import CosignatureRow

log = logging.getLogger("cordon.monitor")

ACK_DUE_MS = 72 * 3_600_000
ERASURES_SEEN = "erasures_seen"
REPORT_AT_ONCE = 20


@dataclass(frozen=True, slots=True)
class NodeVoice:
    """What this node signs by itself: statements with a key of its root document, cosignatures with its witness key."""

    node: str
    origin: str
    key: NodeKey
    witness: NoteKey | None


class Monitor:
    """The judge of logs. `vias`: the peers that can be asked now; `broadcast` hands evidence on to all of them."""

    def __init__(
        self,
        database: Database,
        *,
        keyrings: Keyrings,
        foreign: ForeignGate,
        gate: Gate,
        own_log: OwnLog,
        voice: NodeVoice,
        clock: Callable[[], int],
        vias: Callable[[], Sequence[Via]],
        broadcast: Callable[[str], None],
        on_forked: Callable[[str], Awaitable[None]],
        policy: WitnessPolicy | None = None,
    ) -> None:
        self._database = database
        self._keyrings = keyrings
        self._foreign = foreign
        self._gate = gate
        self._own_log = own_log
        self._voice = voice
        self._clock = clock
        self._vias = vias
        self._broadcast = broadcast
        self._on_forked = on_forked
        self._policy = policy

    # --- our own log as others see it ----------------------------------------------------------------------------------

    async def judge_own(self, note: str, via: Via) -> None:
        """A peer's view of our log: RolledBack, and we sign no more, if it is longer than ours or another history."""
        origin = self._own_log.origin
        checkpoint = read_checkpoint(note, origin, verifiers=self._log_keys(origin))
        try:
            await self._compare_own(checkpoint, via.node)
        except RolledBack as error:
            self._gate.freeze(error)
            raise
        await self._keep_cosignatures(checkpoint, note)

    async def _compare_own(self, checkpoint: Checkpoint, node: str) -> None:
        if checkpoint.size > self._own_log.size:
            raise FellBehind(
                f"{node} holds {checkpoint.size} entries of our log, signed by us; we hold {self._own_log.size}: this database is older "
                "than what was published. Recover the missing entries from a peer or a newer backup; signing now would fork the log"
            )
        if checkpoint.size and await self._own_log.root_at(checkpoint.size) != checkpoint.root:
            raise RolledBack(f"{node} holds another history of our log at {checkpoint.size} entries, signed by us: our log has forked")

    async def _keep_cosignatures(self, checkpoint: Checkpoint, note: str) -> None:
        """Lines of witnesses of other jurisdictions under our checkpoint: receipts can be upgraded with them."""
        known = witnesses(self._documents(), self._policy)
        text, _, lines = note.partition("\n\n")
        found = []
        for line in lines.splitlines(keepends=True):
            name = line.removeprefix("— ").split(" ", 1)[0]
            verifier = known.get(name)
            time_s = _cosigned_at(text + "\n", line, verifier) if verifier is not None else None
            if time_s is not None:
                found.append((name, line, time_s))
        if not found:
            return
        origin, size = checkpoint.origin, checkpoint.size
        async with self._database.transaction() as tx:
            await tx.witnesses.put(*(CosignatureRow(origin, size, name, line, time_s) for name, line, time_s in found))

    async def self_anchor(self) -> int:
        """Ask every peer that answers what it holds of our log, before we sign anything; how many answered. RolledBack: sign nothing."""
        origin, answered = self._own_log.origin, 0
        for via in self._vias():
            try:
                note = await via.client.checkpoint(ohash_of(origin))
            except NotFound:
                answered += 1  # it does not follow us yet: it cannot have seen more
                continue
            except (Unavailable, Refused):
                continue
            answered += 1
            try:
                await self.judge_own(note, via)
            except (InvalidProof, Malformed) as error:
                log.warning("%s shows a checkpoint of our log that we did not sign: %s", via.node, error.detail)
        return answered

    async def standing(self) -> Standing:
        """Who has seen our newest checkpoint, and whether the policy is content with it."""
        keys = [one.key for one in witnesses(self._documents(), self._policy).values()]
        async with self._database.reading() as tx:
            return await standing(tx, self._own_log.origin, self._own_log.signed_size, keys, self._policy)

    # --- forks ---------------------------------------------------------------------------------------------------------

    async def take_fork(self, origin: str, evidence: ForkEvidence, via: Via | None) -> bool:
        """Two checkpoints of one log contradict each other: keep the proof, mark the log, tell everybody. False if it was known."""
        text = evidence.text()
        verify_fork(text, origin, log_keys=self._log_keys(origin))
        now_ms = self._clock()
        async with self._database.transaction() as tx:
            is_new = await tx.evidence.put(_evidence("fork", origin, text, now_ms))
            mirror = await tx.mirrors.get(origin)
        if mirror is not None and mirror.state not in ("forked", "retired"):
            bounds = await self._bounds(origin, evidence, via, mirror.tree_size)
            await self._foreign.mark_forked(origin, bounds, reason=bounds.told())
            await self._on_forked(origin)
            log.critical("%s has FORKED: %s; evidence is kept; listings stay, removals wait for a new root document", origin, bounds.told())
        if is_new:
            self._broadcast(text)
            await self._log_evidence("fork", text)
        return is_new

    async def _bounds(self, origin: str, evidence: ForkEvidence, via: Via | None, size: int) -> Bounds:
        """Where the branches part, from the trees themselves; if nobody shows the other one, what the evidence leaves open."""
        a, b = (parse_checkpoint(note.split("\n\n", 1)[0] + "\n") for note in (evidence.note_a, evidence.note_b))
        parted, was_compared = await self._parted(origin, via, size)
        if parted is not None:
            return Bounds(parted, parted)
        if was_compared and size < a.size:
            return Bounds(size, size)  # ours may end before the branches part: then all of it is common, as far as anybody knows
        return Bounds(await self._proven(origin, evidence, (a, b), size), min(size, a.size - 1))

    async def _parted(self, origin: str, via: Via | None, size: int) -> tuple[int | None, bool]:
        """The least that our tree shares with one that somebody shows, `via` first; None if all show ours. And whether anybody did.

        A peer that holds our branch too shows no difference, and says nothing about where the other one leaves it.
        """
        compared = []
        for source in self._sources(via):
            try:
                common, end = await self._compare_trees(origin, source, size)
            except CordonError as error:
                log.warning("cannot compare branches of %s with %s: %s", origin, source.node, error.detail)
                continue
            if common < end and source is via:
                return common, True
            compared.append((common, end))
        return min((common for common, end in compared if common < end), default=None), bool(compared)

    async def _proven(self, origin: str, evidence: ForkEvidence, pair: tuple[Checkpoint, Checkpoint], size: int) -> int:
        """The prefix that evidence alone proves common: its path holds the perfect trees of the branch that is not ours, if A is ours."""
        a, b = pair
        if not a.size <= size or a.size == b.size:
            return 0
        async with self._database.reading() as tx:
            tiles = await tx.log.read_tiles(origin, needed_for_root(a.size))
        reader = TileReader(lambda level, index: tiles[level, index])
        if root_at(a.size, reader) != a.root:
            return 0
        return shared_prefix(old_subtrees(evidence.path, old_size=a.size, new_size=b.size), size=a.size, read_node=reader)

    async def find_branches(self) -> None:
        """Where a log has forked nobody knows where: somebody may show the other branch by now."""
        async with self._database.reading() as tx:
            open_ones = [
                one for one in await tx.mirrors.all() if one.state == "forked" and one.common != one.heard and one.heard is not None
            ]
        for mirror in open_ones:
            parted, _ = await self._parted(mirror.origin, None, mirror.heard or 0)
            async with self._database.reading() as tx:
                now = await tx.mirrors.get(mirror.origin)
            if now is None or now.state != "forked":
                continue  # while others were asked a root document has ended it
            if parted is not None and (mirror.common or 0) <= parted:
                bounds = Bounds(parted, parted)
                await self._foreign.mark_forked(mirror.origin, bounds, reason=bounds.told())
                log.warning("%s: %s", mirror.origin, bounds.told())

    def _sources(self, via: Via | None) -> list[Via]:
        """Whoever showed it first, then everybody else."""
        return [*([via] if via is not None else []), *(one for one in self._vias() if via is None or one.node != via.node)]

    async def _compare_trees(self, origin: str, via: Via, size: int) -> tuple[int, int]:
        """How many leaves our tree shares with the one that `via` shows, and how many were compared."""
        ohash = ohash_of(origin)
        theirs = read_checkpoint(await via.client.checkpoint(ohash), origin, verifiers=self._log_keys(origin))

        async def our_tile(level: int, number: int, _width: int) -> bytes:
            async with self._database.reading() as tx:
                return (await tx.log.read_tiles(origin, [(level, number)])).get((level, number), b"")

        async def their_tile(level: int, number: int, width: int) -> bytes:
            return await via.client.tile(tile_path(level, number, width), ohash)

        end = min(size, theirs.size)
        return await common_prefix(end, our_tile, their_tile), end

    async def take_evidence(self, node: str, text: str) -> bool:
        """Evidence that a peer hands on: checked like our own. NotFound for a log we do not follow, InvalidProof if it proves nothing."""
        evidence = parse_evidence(text)
        origin = parse_checkpoint(evidence.note_a.split("\n\n", 1)[0] + "\n").origin
        if origin == self._own_log.origin:
            verify_fork(text, origin, log_keys=self._log_keys(origin))
            self._gate.freeze(
                RolledBack(f"{node} holds proof that our log signed two histories: stop and look at the keys and the database")
            )
            return True
        if self._keyrings.get(origin) is None:
            raise NotFound("this node does not follow that log")
        return await self.take_fork(origin, evidence, None)

    async def withheld_head(self, origin: str, note: str, node: str) -> None:
        """A peer has shown a checkpoint that the log's own node would not show within a minute: keep and tell."""
        async with self._database.transaction() as tx:
            is_new = await tx.evidence.put(_evidence("withheld_head", origin, note, self._clock()))
        if is_new:
            log.warning("%s does not show a head that %s holds", origin, node)
            await self._log_evidence("withheld_head", note)

    # --- what the node says by itself ----------------------------------------------------------------------------------

    async def report_poison(self) -> None:
        """Log what was carried inert as evidence, a few at a time."""
        async with self._database.reading() as tx:
            rows = await tx.evidence.poison_page(unreported=True, limit=REPORT_AT_ONCE)
        for row in rows:
            await self._log_evidence("bad_entry", f"{row.origin} {row.index}\n{row.reason}\n")
            async with self._database.transaction() as tx:
                await tx.evidence.mark_reported(row.origin, [row.index])

    async def _log_evidence(self, form: str, text: str) -> None:
        claims: dict[str, JsonValue] = {
            "v": 1,
            "iss": self._voice.node,
            "org": self._voice.origin,
            "knd": str(Kind.EVIDENCE),
            "iat": self._clock() // 1000,
            "tlp": "GREEN",
            "form": form,
            "sha256": sha256(text.encode("utf-8")).hexdigest(),
        }
        wire = build_statement(claims, {"ctx": [{"text": text[:4_000]}]}, self._voice.key.current)
        result: Result = (await self._gate.submit([wire]))[0]
        if isinstance(result, CordonError):
            log.warning("evidence was not logged: %s", result.detail)

    # --- witness (C2SP tlog-witness) -------------------------------------------------------------------------------------

    async def add_checkpoint(self, body: bytes) -> str:
        """Cosign a checkpoint that continues what was cosigned before; the 0x04 line.

        Malformed; NotFound: unknown log; Forbidden: not signed by it; SizeConflict: `old` is not the size cosigned last;
        InvalidProof: the proof does not lead from there.
        """
        old, proof, note = _read_add_checkpoint(body)
        origin = parse_checkpoint(note.split("\n\n", 1)[0] + "\n").origin
        if self._voice.witness is None:
            raise NotFound("this node has no witness key: `cordon root rotate` can add one")
        if self._keyrings.get(origin) is None:
            raise NotFound("this witness does not know that log")
        try:
            checkpoint = read_checkpoint(note, origin, verifiers=self._log_keys(origin))
        except InvalidProof as error:
            raise Forbidden("no key of the log has signed this checkpoint") from error
        text = checkpoint.text()

        async def work(tx: Transaction) -> None:
            before = await witnessed(tx, origin)
            if before.size != old:
                raise SizeConflict(before.size)
            if checkpoint.size < old:
                raise SizeConflict(before.size)
            if old:
                verify_consistency(proof, old_size=old, old_root=before.root, new_size=checkpoint.size, new_root=checkpoint.root)
            elif proof:
                raise InvalidProof("from size 0 there is nothing to prove: send no proof lines")
            await tx.meta.set(witness_key(origin), text.encode("utf-8"))

        await self._database.run(work)
        return cosign(text, self._voice.witness, time=self._clock() // 1000)

    # --- erasures --------------------------------------------------------------------------------------------------------

    async def ask_for_erasure(self, nodes: Sequence[str]) -> None:
        """Note for every peer which of our erasures it has to confirm; cheap when nothing new was logged."""
        origin, size = self._own_log.origin, self._own_log.signed_size
        seen = int.from_bytes(await self._database.quick.meta.get(ERASURES_SEEN) or b"", "big")
        if size <= seen:
            return
        async with self._database.transaction() as tx:
            events: Sequence[Event] = await tx.statements.events_between(origin, seen, size)
            sids = [event.sid for event in events if event.kind == Kind.ERASE]
            if sids:
                await tx.acks.ask(nodes, origin, sids, self._clock())
            await tx.meta.set(ERASURES_SEEN, size.to_bytes(8, "big"))

    async def acknowledged(self, node: str, ohash: str, sids: Sequence[str], token: str) -> None:
        """A peer has carried out erasures of our log; its signed request is kept as the receipt."""
        if ohash != ohash_of(self._own_log.origin):
            raise NotFound("this is not our log: tell the node that it belongs to")
        origin = self._own_log.origin
        async with self._database.transaction() as tx:
            # A quick peer answers before our own round has noted whom to ask: its word counts all the same.
            erasures = [
                found.sid for sid in sids if (found := await tx.statements.locate(origin, sid)) is not None and found.kind == Kind.ERASE
            ]
            await tx.acks.ask([node], origin, erasures, self._clock())
            await tx.acks.done(node, origin, erasures, self._clock(), token)

    async def report_overdue(self) -> int:
        """Erasures that a peer has not confirmed within 72 hours, one log line each (trust-and-ops §1.6, protocol §3.9)."""
        async with self._database.reading() as tx:
            rows = [row for row in await tx.acks.overdue(self._clock() - ACK_DUE_MS) if row.origin == self._own_log.origin]
        for row in rows:
            log.error("%s has not confirmed the erasure %s within 72 hours", row.node, row.sid)
        return len(rows)

    # --- inside ----------------------------------------------------------------------------------------------------------

    def _documents(self) -> Iterator[RootDocument]:
        """The newest root documents of the other jurisdictions."""
        for keyring in self._keyrings:
            if keyring is not self._keyrings.own and (document := keyring.newest_document) is not None:
                yield document

    def _log_keys(self, origin: str) -> tuple[Verifier, ...]:
        keyring = self._keyrings.get(origin)
        document = keyring.newest_document if keyring is not None else None
        found = document.find_log(origin) if document is not None else None
        return () if found is None else read_vkeys(found.vkeys)


def witness_key(origin: str) -> str:
    """Where `meta` keeps the text of the newest checkpoint of a log that this node cosigned as a witness."""
    return f"witnessed {ohash_of(origin)}"


async def witnessed(tx: Transaction, origin: str) -> Checkpoint:
    """The newest checkpoint cosigned on request; of size 0 if there was none."""
    kept = await tx.meta.get(witness_key(origin))
    return Checkpoint(origin, 0, EMPTY_ROOT) if kept is None else parse_checkpoint(kept.decode("utf-8"))


def _read_add_checkpoint(body: bytes) -> tuple[int, list[bytes], str]:
    """`old N`, proof lines, an empty line, the checkpoint (C2SP tlog-witness)."""
    try:
        head, _, note = body.decode("utf-8").partition("\n\n")
    except UnicodeDecodeError as error:
        raise Malformed("the body is UTF-8 text") from error
    first, *lines = head.split("\n")
    word, _, number = first.partition(" ")
    if word != "old" or not note or len(lines) > 63:
        raise Malformed("the body is `old <size>`, at most 63 proof lines, an empty line and the checkpoint")
    return read_decimal(number), [read_hash(line) for line in lines], note


def _cosigned_at(text: str, line: str, verifier: Verifier) -> int | None:
    try:
        parsed = parse_note(text + "\n" + line)
        body = parsed.signatures[0]
        return verifier.verify(text.encode("utf-8"), body.body) if body.key_id == verifier.key.key_id else None
    except Refused:
        return None


def _evidence(form: str, origin: str, text: str, now_ms: int) -> EvidenceRow:
    return EvidenceRow(sha256(text.encode("utf-8")).hexdigest(), form, origin, text, now_ms)

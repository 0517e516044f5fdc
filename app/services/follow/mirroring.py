"""Mirroring one log from whatever source: checkpoint, own recomputation of the root, entries, the same gate as an agency's (protocol §3.7).

The order, and what a crash means at each step:

    verify the note, recompute the root        crash: nothing happened
    keep tiles, tree and note                  crash: the next round goes on with the entries
    entries in pages, each one transaction     crash: the cursor stands before the page that was not committed
    keep the note beside the cursor, tell      crash: the next heartbeat does it

A source that shows what does not fit is told from a log that contradicts itself: only two signed checkpoints make a fork.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from app.domain.checkpoint import Checkpoint
from app.domain.errors import Betrayed, InvalidProof, TooLarge, Unavailable
from app.domain.fork import ForkEvidence, make_evidence
from app.domain.merkle import root_at
from app.domain.note import parse_note
from app.domain.statement import ohash_of
from app.domain.tiles import Edge, Grown, TileKey, TileReader, needed_for_consistency
from app.index.heads import HeadBoard
from app.index.sources import Source, SourceBoard
from app.sdk.mirror import Diverged, MirrorTree, leaves_from_entries
from app.sdk.peer import PARTS, OfferedLine
from app.sdk.via import Via, tiles_at
from app.seal.keyrings import Keyrings
from app.seal.notes import NoteKey, Verifier, add_lines, cosign, read_checkpoint, read_freshness, read_vkeys
from app.services.admit.foreign import ForeignGate, Offered
from app.services.admit.foreign_ahead import Judged, OtherBytes
from app.services.follow.tree import Tree, leaves_between, load_tree, root_of
from app.storage.database import Database, Transaction
from app.storage.faults import LostRace
from app.storage.log import Head
from app.storage.wholly import to_its_end

log = logging.getLogger("cordon.follow")

PAGE = 1_024
ENDLESS = "endless"
"""Why a line has no entry: not what the source says, but that it says too much."""
MOST_ENDLESS = 3
"""Lines without end in one round: beyond them it is no entry that is wrong, but the source."""
QUICK = 1_024
"""Growth up to which the entries alone are asked for: where none is withheld they give the leaves without any tile."""


Contradiction = Callable[[str, ForkEvidence, Via], Awaitable[None]]
"""What is told of a fork: origin, evidence, and who showed the other branch."""


@dataclass(frozen=True, slots=True)
class _Page:
    """A page before it is written. `grown`: the tree of what was taken in, with it."""

    offered: list[Offered]
    leaves: list[bytes]
    grown: Grown
    judged: Judged


class Mirroring:
    """All mirrors of one node. `cosigner`: the witness key of this node; `told`: (origin, size) newly verified."""

    def __init__(
        self,
        database: Database,
        *,
        keyrings: Keyrings,
        gate: ForeignGate,
        heads: HeadBoard,
        sources: SourceBoard,
        clock: Callable[[], int],
        cosigner: NoteKey | None,
        on_fork: Contradiction,
        on_grown: Callable[[str, int], None],
        on_erased: Callable[[str, Sequence[str]], Awaitable[None]],
    ) -> None:
        self._database = database
        self._keyrings = keyrings
        self._gate = gate
        self._heads = heads
        self._sources = sources
        self._clock = clock
        self._cosigner = cosigner
        self._on_fork = on_fork
        self._on_grown = on_grown
        self._on_erased = on_erased
        self._trees: dict[str, Tree] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self.rejected: Counter[tuple[str, str]] = Counter()
        """(node, reason): what sources showed that was not true."""
        self.advanced: Counter[str] = Counter()
        """Entries taken in by the node that gave them."""

    # --- what is known -------------------------------------------------------------------------------------------------

    def verifiers(self, origin: str) -> tuple[Verifier, ...]:
        """The log and heartbeat keys of a log, by the newest root document; empty for a log that nobody vouches for."""
        keyring = self._keyrings.get(origin)
        document = keyring.newest_document if keyring is not None else None
        found = document.find_log(origin) if document is not None else None
        return () if found is None else read_vkeys(found.vkeys)

    def read_note(self, origin: str, note: str) -> tuple[Checkpoint, int | None]:
        """The checkpoint that the log signed, and the epoch second of its newest heartbeat; Malformed or InvalidProof."""
        verifiers = self.verifiers(origin)
        checkpoint = read_checkpoint(note, origin, verifiers=verifiers)
        now = self._clock() // 1000
        age = read_freshness(note, verifiers, now=now).age_s
        return checkpoint, None if age is None else now - age

    async def tree(self, origin: str) -> Tree:
        """The tree of a followed log as this node has recomputed it. Not kept: who reads it beside a `sync` may have an older one."""
        return self._trees.get(origin) or await load_tree(self._database, origin)

    async def root_of(self, origin: str, size: int) -> bytes:
        """The root of our own copy of a log at a size that it has reached."""
        return await root_of(self._database, origin, size)

    def forget(self, origin: str) -> None:
        """Read the tree anew next time: another worker has moved it, or a transaction failed."""
        self._trees.pop(origin, None)

    # --- following -----------------------------------------------------------------------------------------------------

    async def sync(self, origin: str, note: str, via: Via) -> int:
        """Take in the log up to `note` from `via`; the size reached.

        InvalidProof, Malformed: the source showed what is not so. Betrayed: its entries do not hash to the tree. Unavailable: later.
        A contradiction between two signed checkpoints goes to `on_fork` and ends the round quietly.
        """
        checkpoint, heard_s = self.read_note(origin, note)
        async with self._locks[origin]:
            try:
                return await self._sync(checkpoint, note, heard_s, via)
            except BaseException:
                self.forget(origin)
                raise

    async def _sync(self, checkpoint: Checkpoint, note: str, heard_s: int | None, via: Via) -> int:
        tree = self._trees[checkpoint.origin] = await self.tree(checkpoint.origin)
        lines: Sequence[OfferedLine] = ()
        if checkpoint.size <= tree.size:
            if not await self._agrees(tree, checkpoint, note, via):
                return tree.size
        else:
            grown = await self._grow(tree, checkpoint, note, via)
            if grown is None:
                await self._report_branch(tree, checkpoint, note, via)
                return tree.size
            lines = grown
        await self._take_entries(tree, lines, via)
        if checkpoint.size == tree.size:
            await self._heard(tree, note, heard_s)
        return tree.size

    async def _agrees(self, tree: Tree, checkpoint: Checkpoint, note: str, via: Via) -> bool:
        """Whether a checkpoint not beyond ours is of our history; if not, both notes are the evidence."""
        if checkpoint.size == 0 or await root_of(self._database, tree.origin, checkpoint.size) == checkpoint.root:
            return True
        tiles = (
            await self._own_tiles(tree.origin, needed_for_consistency(checkpoint.size, tree.size)) if checkpoint.size < tree.size else {}
        )
        reader = TileReader(lambda level, index: tiles[level, index])
        evidence = make_evidence((checkpoint, note), (tree.checkpoint, tree.note), read_node=reader)
        await self._on_fork(tree.origin, evidence, via)
        return False

    async def _own_tiles(self, origin: str, keys: Sequence[TileKey]) -> dict[TileKey, bytes]:
        async with self._database.reading() as tx:
            return await tx.log.read_tiles(origin, keys)

    # --- growing the tree ----------------------------------------------------------------------------------------------

    async def _grow(self, tree: Tree, checkpoint: Checkpoint, note: str, via: Via) -> Sequence[OfferedLine] | None:
        """The tree up to `checkpoint`, by our own recomputation and kept; the lines that came with it. None: ours is no prefix of theirs."""
        lines: Sequence[OfferedLine] = ()
        if tree.taken == tree.size and checkpoint.size - tree.size <= QUICK:
            with suppress(TooLarge):
                lines = await via.client.entries(ohash_of(tree.origin), tree.size, checkpoint.size)
            entries = [line.entry for line in lines if line.entry is not None]
            if len(entries) == checkpoint.size - tree.size:
                try:
                    grown = leaves_from_entries(tree.edge, entries, checkpoint)
                except InvalidProof:
                    lines = ()  # entries or history are not what was signed: the tiles tell which
                else:
                    await self._keep_tree(tree, grown.edge, grown.changed, note)
                    return lines
        try:
            await self._grow_by_tiles(tree, checkpoint, note, via)
        except Diverged:
            return None
        return lines

    async def _grow_by_tiles(self, tree: Tree, checkpoint: Checkpoint, note: str, via: Via) -> None:
        """Tiles are kept as they come, verified; whatever was kept when this fails is beyond our tree and counts for nothing."""
        ohash = ohash_of(tree.origin)
        grower = await MirrorTree.open(lambda path: via.client.tile(path, ohash), tree.edge, checkpoint)
        async for batch in grower.batches():
            async with self._database.transaction() as tx:
                mirror = await tx.mirrors.get(tree.origin)
                if mirror is None or mirror.tree_size != tree.size:
                    raise _moved(tree.origin)
                await tx.log.write_tiles(tree.origin, batch)
        await self._keep_tree(tree, grower.edge, {}, note)

    async def _report_branch(self, tree: Tree, checkpoint: Checkpoint, note: str, via: Via) -> None:
        """Their signed tree does not continue ours: the log has signed two histories."""
        theirs = await tiles_at(via, tree.origin, checkpoint.size, needed_for_consistency(tree.size, checkpoint.size))
        reader = TileReader(lambda level, index: theirs[level, index])
        if root_at(checkpoint.size, reader) != checkpoint.root:
            self.rejected[via.node, "tiles"] += 1
            raise InvalidProof(f"{via.node} serves tiles of {tree.origin} that are of no tree it signed")
        evidence = make_evidence((tree.checkpoint, tree.note), (checkpoint, note), read_node=reader)
        await self._on_fork(tree.origin, evidence, via)

    async def _keep_tree(self, tree: Tree, edge: Edge, tiles: Mapping[TileKey, bytes], note: str) -> None:
        origin, size, root, before = tree.origin, edge.frontier.size, edge.frontier.root(), tree.size

        async def work(tx: Transaction) -> bool:
            if not await tx.mirrors.set_tree(origin, size, root, note, old_size=before):
                return False  # tiles of an older tree would take the place of longer ones
            if tiles:
                await tx.log.write_tiles(origin, tiles)
            return True

        if not await self._database.at_once(work):
            raise _moved(origin)
        tree.edge, tree.note = edge, note

    # --- taking the entries in -----------------------------------------------------------------------------------------

    async def _take_entries(self, tree: Tree, lines: Sequence[OfferedLine], via: Via) -> None:
        """Pages from the cursor to the tree's end: one is written while the next is judged and the one after that is fetched."""
        ahead: asyncio.Task[list[OfferedLine]] | None = None
        writing: asyncio.Task[None] | None = None
        edge, endless = tree.done, 0
        try:
            while edge.frontier.size < tree.size:
                first = edge.frontier.size
                if not lines:
                    lines = await (ahead or self._fetch(tree, first, via))
                ahead = None
                endless += lines[0].withheld == ENDLESS
                if endless > MOST_ENDLESS:
                    raise TooLarge(f"{via.node} gives no end to one entry of {tree.origin} after the other")
                if first + len(lines) < tree.size:
                    ahead = asyncio.create_task(self._fetch(tree, first + len(lines), via))
                page = await self._judge(tree.origin, edge, lines, via)
                if writing is not None:
                    await writing
                writing = asyncio.create_task(self._admit(tree, page, via))
                edge, lines = page.grown.edge, ()
            if writing is not None:
                await writing
        finally:
            if ahead is not None:
                ahead.cancel()
            # What is wrong with a page is no fault of the one before: that is written to its end.
            await to_its_end(asyncio.gather(*filter(None, (ahead, writing)), return_exceptions=True))

    async def _fetch(self, tree: Tree, first: int, via: Via) -> list[OfferedLine]:
        """The next lines. A page that is more than is read of any answer is asked for in ever smaller pieces; a line that alone is,
        is carried by its hash.
        """
        count = min(PAGE, tree.size - first)
        while True:
            try:
                lines = await via.client.entries(ohash_of(tree.origin), first, first + count)
            except TooLarge as error:
                if count == 1 and not via.is_origin:
                    raise
                if count == 1:
                    log.warning(
                        "%s gives no end to entry %d of %s: it is carried by its hash (%s)", via.node, first, tree.origin, error.detail
                    )
                    return [OfferedLine(first, None, withheld=ENDLESS)]
                count = max(count // 8, 1)
                continue
            if not lines:
                raise Unavailable(f"{via.node} gives no entries of {tree.origin} from {first} on: another source may")
            return lines

    async def _judge(self, origin: str, edge: Edge, lines: Sequence[OfferedLine], via: Via) -> _Page:
        """What the next page is, after `edge`: hashes compared, everything judged, nothing written."""
        first = edge.frontier.size
        leaves = await leaves_between(self._database, origin, first, first + len(lines))
        offered = [Offered(line.index, line.entry, line.disclosures, line.erased, line.withheld == ENDLESS) for line in lines]
        try:
            judged = await self._gate.judge(origin, offered, leaves, from_relay=not via.is_origin)
        except OtherBytes as error:
            self.rejected[via.node, "leaf"] += 1
            raise Betrayed(f"{via.node} serves {origin} with other bytes than it signed: {error.detail}") from error
        return _Page(offered, leaves, edge.append(leaves), judged)

    async def _admit(self, tree: Tree, page: _Page, via: Via) -> None:
        grown = page.grown
        admission = await self._gate.admit(
            tree.origin,
            page.offered,
            leaves=page.leaves,
            after=Head(tree.origin, grown.size, grown.root, 0),
            relay_from=None if via.is_origin else via.node,
            judged=page.judged,
        )
        tree.done = grown.edge
        self.advanced[via.node] += len(page.offered)
        if admission.erased:
            await self._on_erased(tree.origin, admission.erased)

    # --- telling -------------------------------------------------------------------------------------------------------

    async def _heard(self, tree: Tree, note: str, heard_s: int | None) -> None:
        """All of it is in: keep the note, cosign, and let others see."""
        origin, size, now_ms = tree.origin, tree.size, self._clock()
        tree.note = note = self._own_lines(origin, note)
        before = None

        async def work(tx: Transaction) -> None:
            nonlocal before
            await tx.log.set_note(origin, size, note)
            await tx.mirrors.seen(origin, now_ms, note_ms=heard_s * 1000 if heard_s else None)
            before = await tx.mirrors.get(origin)
            if before is not None and before.state == "suspect":
                await tx.mirrors.set_state(origin, "live", "")

        await self._database.at_once(work)
        state = "live" if before is None or before.state == "suspect" else before.state
        self._sources.put(Source(origin, state, heard_s or 0))
        shown = self._heads.get(origin)
        if shown is not None and shown.size == size and (self.read_note(origin, shown.note)[1] or 0) >= (heard_s or 0):
            return  # the same checkpoint, perhaps cosigned by another: shown anew it would go round in circles
        self._heads.put(origin, self._cosigned(note, now_ms) if state == "live" else note, size)
        if shown is None or size > shown.size:
            self._on_grown(origin, size)

    def _own_lines(self, origin: str, note: str) -> str:
        """The note with the lines of the log's own keys alone: every mirror adds its own, so a note that goes round must not grow."""
        parsed = parse_note(note)
        known = {(one.key.name, one.key.key_id) for one in self.verifiers(origin)}
        return add_lines(parsed.text + "\n", *(line.line() for line in parsed.signatures if (line.name, line.key_id) in known))

    def _cosigned(self, note: str, now_ms: int) -> str:
        """With our witness line: this node holds a tree that ends in this checkpoint."""
        if self._cosigner is None:
            return note
        text = note.split("\n\n", 1)[0] + "\n"
        return add_lines(note, cosign(text, self._cosigner, time=now_ms // 1000))

    async def suspect(self, origin: str, reason: str) -> None:
        """The log cannot be followed as it should be: answers that rest on it are degraded until it can."""
        now_ms = self._clock()
        async with self._database.transaction() as tx:
            row = await tx.mirrors.get(origin)
            if row is None or row.state in ("forked", "retired"):
                return
            await tx.mirrors.set_state(origin, "suspect", reason)
        self._sources.put(Source(origin, "suspect", row.seen_ms // 1000 if row.seen_ms else now_ms // 1000))
        log.warning("%s is suspect: %s", origin, reason)

    # --- healing -------------------------------------------------------------------------------------------------------

    async def heal(self, origin: str, via: Via) -> int:
        """Ask `via` for stubs and parts that were withheld so far (late entitlement, selective withholding); how many entries moved.

        Those that were not asked for since longest come first; what the origin was asked for a moment ago, a relay may be asked, too.
        """
        now_ms, moved = self._clock(), 0
        before_ms = now_ms if via.is_origin else now_ms + 1
        for what in ("stub", "parts"):
            async with self._database.transaction() as tx:
                rows = await tx.withheld.page(origin, what, PARTS, before_ms)
                await tx.withheld.asked(origin, [row.index for row in rows], now_ms)
            asked = sorted(row.index for row in rows)
            if not asked:
                continue
            lines = await via.client.parts(ohash_of(origin), asked)
            offered = [Offered(line.index, line.entry, line.disclosures, line.erased) for line in lines if line.entry is not None]
            if offered:
                async with self._locks[origin]:
                    moved += (await self._gate.supply(origin, offered, relay_from=None if via.is_origin else via.node)).logged
        return moved


def _moved(origin: str) -> LostRace:
    return LostRace(f"another worker has moved the mirror of {origin}: look again")

"""The right edge of the home log: growing it, reading it back, signing it, proving from it (protocol §3.6).

The rule that everything here serves: nothing is signed that was not committed, read back and re-hashed; and nothing is signed below,
or beside, what was signed before (the anchor). What contradicts that raises Betrayed, and the gate freezes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from app.domain.checkpoint import Checkpoint, path_texts, proof_text
from app.domain.errors import DamagedEntry, FellBehind, InvalidProof, RolledBack
from app.domain.merkle import ReadNode, leaf_hash, root_at
from app.domain.tiles import TILE_WIDTH, Edge, Grown, TileKey, TileReader, edge_tiles, needed_for_root, needed_tiles
from app.seal.notes import NoteKey, cosign, sign_note
from app.services.admit.outcome import receipt_extra
from app.storage.anchor import Anchored, AnchorFile
from app.storage.database import Database, Transaction
from app.storage.faults import Busy
from app.storage.log import Head, LogEntry

FEW = 64
"""Entries that are read back on the loop's own thread: fewer than a hop to another thread would cost."""
CHECKED_AT_START = 1_024
"""How many of the newest entries are re-hashed before the first signature; the background re-hash does the rest."""


def lease_name(origin: str) -> str:
    """The lease of whoever sequences a log."""
    return f"sequencer {origin}"


class OwnLog:
    """Edge, newest note and signing keys of one home log. One sequencer uses it at a time."""

    def __init__(
        self,
        database: Database,
        origin: str,
        *,
        log_keys: Sequence[NoteKey],
        heartbeat_key: NoteKey,
        anchor: AnchorFile,
        clock: Callable[[], int],
    ) -> None:
        self._database = database
        self.origin = origin
        self._log_keys = tuple(log_keys)  # two in the overlap of a rotation: both lines stand under every checkpoint
        self._heartbeat_key = heartbeat_key
        self._anchor = anchor
        self._clock = clock
        self.edge = Edge()
        self.accepted_ms = 0
        self.note = ""
        self.signed_size = 0
        self.signed_ms = 0
        self.on_signed: Callable[[str, str, int], object] | None = None
        """Told (origin, note, size) of every signature, once it is in the database."""

    def use_keys(self, log_keys: Sequence[NoteKey]) -> None:
        """Sign with these from the next checkpoint on: a root document names others now."""
        self._log_keys = tuple(log_keys)

    @property
    def size(self) -> int:
        """Entries up to the edge."""
        return self.edge.frontier.size

    # --- start and catching up -----------------------------------------------------------------------------------

    async def load(self, tx: Transaction) -> None:
        """Take the edge from the database if it stands elsewhere than ours. A damaged edge is Betrayed, and so is one that is not
        grown from ours: a database that was restored, or failed over, under a running node (protocol §3.6).
        """
        head = await tx.log.head(self.origin)
        if head is not None and head.size == self.size and head.root == self.edge.frontier.root():
            return
        if head is None or head.size < self.size:
            raise RolledBack(
                f"the database holds {head.size if head else 0} entries, but this node has logged {self.size}: it was restored or has "
                "failed over to an older copy. Signing now would fork the log: recover the missing entries first"
            )
        tiles = await tx.log.read_tiles(self.origin, edge_tiles(head.size))
        try:
            edge = Edge.load(head.size, tiles)
        except InvalidProof as error:
            raise DamagedEntry(self.origin, head.size - 1, f"the right edge of {self.origin} is damaged: {error.detail}") from error
        if edge.frontier.root() != head.root:
            raise DamagedEntry(
                self.origin, head.size - 1, f"the tiles at entry {head.size - 1} of {self.origin} do not give the stored root"
            )
        if self.size and await self._root_at(tx, self.size) != self.edge.frontier.root():
            raise RolledBack(
                f"the tree of {self.size} entries is no longer the one that was logged: this is another history of {self.origin}"
            )
        await self._check_last(tx, head)
        self.edge, self.accepted_ms = edge, head.accepted_ms

    async def _check_last(self, tx: Transaction, head: Head) -> None:
        """What was committed but never signed (its worker crashed) is re-hashed before we sign it; the head's time is the last entry's."""
        await check_entries(tx, self.origin, min(head.note_size, head.size), head.size)
        last = await tx.log.entry(self.origin, head.size - 1) if head.size else None
        if last is not None and last.entry.partition(b" ")[0] != b"%d" % head.accepted_ms:
            raise DamagedEntry(self.origin, last.index, f"the head of {self.origin} does not have the time of its last entry")

    async def check_anchor(self, tx: Transaction) -> None:
        """RolledBack if the database holds less, or another history, than was signed before."""
        anchored = self._anchor.read()
        if anchored is None:
            return
        if anchored.origin != self.origin:
            raise RolledBack(
                f"the anchor belongs to {anchored.origin}, this log is {self.origin}: data directory and database do not belong together"
            )
        if anchored.size > self.size:
            raise FellBehind(
                f"the database holds {self.size} entries, but a tree of {anchored.size} was signed: an old backup was restored. "
                "Recover the missing entries from a mirror or a newer backup; signing now would fork the log"
            )
        if anchored.size and await self._root_at(tx, anchored.size) != anchored.root:
            raise RolledBack(
                f"the tree of {anchored.size} entries has another root than the one signed: this is another history of {self.origin}"
            )

    async def check_newest(self, tx: Transaction) -> None:
        """Re-hash the newest entries against their tiles: DamagedEntry names the first that does not fit."""
        first = max(0, self.size - CHECKED_AT_START)
        await check_entries(tx, self.origin, first, self.size)

    async def root_at(self, size: int) -> bytes:
        """The root that this log had at a size it has reached."""
        async with self._database.reading() as tx:
            return await self._root_at(tx, size)

    async def _root_at(self, tx: Transaction, size: int) -> bytes:
        tiles = await tx.log.read_tiles(self.origin, needed_for_root(size))
        try:
            return root_at(size, TileReader(lambda level, index: tiles[level, index]))
        except InvalidProof as error:
            raise DamagedEntry(self.origin, size - 1, f"the tiles of {self.origin} up to {size} are damaged: {error.detail}") from error

    # --- growing -------------------------------------------------------------------------------------------------

    def grow(self, entries: Sequence[LogEntry]) -> Grown:
        """The edge after `entries`; ours stays until `advance`."""
        return self.edge.append([entry.leaf for entry in entries])

    async def read_back(self, entries: Sequence[LogEntry], grown: Grown) -> None:
        """After the commit: what the database gives back hashes to the leaves that will be signed, else DamagedEntry."""
        if len(entries) <= FEW:
            stored, tiles = await self._read_edge(self._database.quick, entries, grown)
        else:
            async with self._database.reading() as tx:
                stored, tiles = await self._read_edge(tx, entries, grown)
        for ours, theirs in zip(entries, stored, strict=False):
            if leaf_hash(theirs.entry) != ours.leaf:
                raise DamagedEntry(self.origin, ours.index)
        if len(stored) != len(entries):
            raise DamagedEntry(self.origin, entries[0].index + len(stored), "entries are missing after the commit")
        if any(tiles.get(key) != data for key, data in grown.edge.tiles.items()):
            raise DamagedEntry(self.origin, grown.size - 1, "the tiles at the edge read back otherwise than written")

    async def _read_edge(self, tx: Transaction, entries: Sequence[LogEntry], grown: Grown) -> tuple[list[LogEntry], dict[TileKey, bytes]]:
        stored = await tx.log.entries(self.origin, entries[0].index, entries[-1].index + 1)
        return stored, await tx.log.read_tiles(self.origin, edge_tiles(grown.size))

    def advance(self, grown: Grown, accepted_ms: int) -> None:
        """The committed edge is ours."""
        self.edge, self.accepted_ms = grown.edge, accepted_ms

    async def sign(self, *, release: str | None = None) -> None:
        """Anchor, then checkpoint with log and heartbeat lines, then publish it in the head row.

        `release`: the lease holder that is done. A crash after the anchor leaves a committed tree unsigned: the next start signs it.
        """
        size, root = self.size, self.edge.frontier.root()
        if size > self.signed_size or not self.note:
            await self._anchor.settle(Anchored(self.origin, size, root))
        text = Checkpoint(self.origin, size, root).text()
        now_ms = self._clock()
        note = sign_note(text, *self._log_keys) + cosign(text, self._heartbeat_key, time=now_ms // 1000)

        async def publish(tx: Transaction) -> None:
            await tx.log.set_note(self.origin, size, note)
            if release is not None:
                await tx.leases.release(lease_name(self.origin), release)

        try:
            # Not synced: what a power cut takes of it the next start signs again, of the tree that is committed and anchored.
            await self._database.in_loop(publish)
        except Busy:  # another process is writing: a thread can wait for it
            await self._database.at_once(publish)
        self.note, self.signed_size, self.signed_ms = note, size, now_ms
        if self.on_signed is not None:
            self.on_signed(self.origin, note, size)

    def close(self) -> None:
        """Nothing more will be signed."""
        self._anchor.close()

    # --- proving -------------------------------------------------------------------------------------------------

    async def receipts(self, wanted: Sequence[tuple[int, int, str]], grown: Grown) -> list[str]:
        """tlog-proofs under the newest checkpoint for (index, accepted_ms, sid), after the log has become `grown`."""
        indices = [index for index, _, _ in wanted]
        growth = grown.growth
        if growth is not None and min(indices, default=self.size) >= growth.before.size:
            read_node: ReadNode = growth.read_node
        else:  # some were sent again
            read_node = await self._read_from_tiles(indices, grown.changed)
        paths = path_texts(indices, self.size, read_node)
        return [proof_text(index, paths[index], self.note, receipt_extra(ms, sid)) for index, ms, sid in wanted]

    async def _read_from_tiles(self, indices: Sequence[int], fresh: Mapping[TileKey, bytes]) -> ReadNode:
        tiles = {**fresh, **self.edge.tiles}
        missing = {key for index in indices for key in needed_tiles(index, self.size) if key not in tiles}
        if missing:
            async with self._database.reading() as tx:
                tiles |= await tx.log.read_tiles(self.origin, sorted(missing))
        return TileReader(lambda level, index: tiles[level, index])


async def check_entries(tx: Transaction, origin: str, first: int, end: int) -> None:
    """Re-hash the entries first…end−1 against the level-0 tiles; DamagedEntry names the first that does not fit."""
    for start in range(first - first % TILE_WIDTH, end, TILE_WIDTH):
        tile = (await tx.log.read_tiles(origin, [(0, start // TILE_WIDTH)])).get((0, start // TILE_WIDTH), b"")
        entries = await tx.log.entries(origin, start, min(start + TILE_WIDTH, end))
        for at in range(start, min(start + TILE_WIDTH, end)):
            entry = entries[at - start] if at - start < len(entries) else None
            place = 32 * (at - start)
            if entry is None or entry.index != at or leaf_hash(entry.entry) != tile[place : place + 32]:
                raise DamagedEntry(origin, at)

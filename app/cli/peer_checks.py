"""Looking at peers from outside the node: their checkpoint against our mirror, and what `cordon doctor` says of each.

Nothing is changed here, not even where something is wrong: the running node finds the same, acts on it and keeps the evidence.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.domain.canonical import JsonValue
from app.domain.checkpoint import Checkpoint
from app.domain.errors import CordonError, InvalidProof, NotFound, Unavailable
from app.domain.merkle import leaf_hash, root_at, root_of
from app.domain.statement import ohash_of
from app.domain.tiles import TILE_WIDTH, Edge, TileReader, edge_tiles, needed_for_root
from app.sdk.chain import fetch_chain, latest_version
from app.sdk.mirror import Diverged, MirrorTree
from app.seal.notes import read_checkpoint, read_vkeys
from app.seal.roots import read_document
from app.services.admit.quorum import read_policy, standing, witnesses
from app.storage.database import Transaction
from app.storage.mirrors import FORKED, RETIRED, MirrorRow

if TYPE_CHECKING:
    from app.cli.relations import Relations
    from app.sdk.peer import PeerClient
    from app.seal.roots import RootDocument
    from app.storage.peers import PeerRow

CLOCK_S = 60.0
STALE_MS = 300_000
ACK_MS = 72 * 3_600_000
_PAGE = TILE_WIDTH * 16


@dataclass(frozen=True, slots=True)
class Verdict:
    """One log: what the peer signs against what we hold. Sizes in entries."""

    origin: str
    sound: bool
    detail: str
    theirs: int | None = None
    ours: int | None = None

    def words(self) -> JsonValue:
        """For `--json`."""
        return {"origin": self.origin, "sound": self.sound, "detail": self.detail, "signed_size": self.theirs, "mirrored_size": self.ours}


# --- peer verify -------------------------------------------------------------------------------------------------------


async def verify_peer(own: Relations, node: str, *, full: bool) -> list[Verdict]:
    """A verdict a log of the peer. Raises Unavailable if it does not answer, NotFound if there is no such peer."""
    peer, mirrors = await own.trust.show(node)
    async with own.database.reading() as tx:
        document = await _document(tx, peer)
    client = own.ask(peer.url)
    return [await _verify_log(own, client, document, one, full=full) for one in mirrors]


async def _document(tx: Transaction, peer: PeerRow) -> RootDocument:
    row = await tx.registry.latest_root(peer.jurisdiction)
    if row is None:
        raise NotFound(f"no root document of {peer.jurisdiction} is kept: cordon peer remove {peer.node}, then add it again")
    return read_document(row.document).document


async def _verify_log(own: Relations, client: PeerClient, document: RootDocument, mirror: MirrorRow, *, full: bool) -> Verdict:
    log = document.find_log(mirror.origin)
    if log is None:
        return Verdict(mirror.origin, False, "the peer's newest root document does not name this log any more", None, mirror.tree_size)
    try:
        newest = document.logs[-1].origin == mirror.origin
        note = await client.checkpoint(None if newest else ohash_of(mirror.origin))
        checkpoint = read_checkpoint(note, mirror.origin, verifiers=read_vkeys(log.vkeys))
        detail = await _compare(own, client, mirror, checkpoint, ohash=None if newest else ohash_of(mirror.origin))
        if full:
            detail += f"; {await _rehash(own, mirror)}"
    except Unavailable:
        raise
    except CordonError as error:
        return Verdict(mirror.origin, False, error.detail, None, mirror.tree_size)
    return Verdict(mirror.origin, True, detail, checkpoint.size, mirror.tree_size)


async def _compare(own: Relations, client: PeerClient, mirror: MirrorRow, checkpoint: Checkpoint, *, ohash: str | None) -> str:
    """What fits, in words; InvalidProof if the peer signs another tree than the one that is mirrored."""
    if checkpoint.size <= mirror.tree_size:
        async with own.database.reading() as tx:
            ours = await _root_at(tx, mirror.origin, checkpoint.size)
        if ours != checkpoint.root:
            raise InvalidProof(
                f"at size {checkpoint.size} the peer signs the root {checkpoint.root.hex()}, our mirror has {ours.hex()}: "
                "the log has forked, or our mirror is damaged; --full tells which. Keep both, and call the peer"
            )
        return f"the signed root at {checkpoint.size} is that of our mirror"
    async with own.database.reading() as tx:
        tiles = await tx.log.read_tiles(mirror.origin, edge_tiles(mirror.tree_size))
    edge = Edge.load(mirror.tree_size, tiles)

    async def tile(path: str) -> bytes:
        return await client.tile(path, ohash)

    tree = await MirrorTree.open(tile, edge, checkpoint)
    try:
        async for _ in tree.batches():
            pass
    except Diverged as error:
        raise InvalidProof(f"{error.detail}: the log has forked. Keep the checkpoint, and call the peer") from error
    return f"the signed tree of {checkpoint.size} continues the {mirror.tree_size} that are mirrored"


async def _root_at(tx: Transaction, origin: str, size: int) -> bytes:
    tiles = await tx.log.read_tiles(origin, needed_for_root(size))
    return root_at(size, TileReader(lambda level, index: tiles[level, index]))


async def _rehash(own: Relations, mirror: MirrorRow) -> str:
    """Every leaf of the tiles gives the verified root, and every entry that is held its leaf; InvalidProof names the first that does not."""
    leaves: list[bytes] = []
    held = 0
    for first in range(0, mirror.tree_size, _PAGE):
        end = min(first + _PAGE, mirror.tree_size)
        async with own.database.reading() as tx:
            tiles = await tx.log.read_tiles(mirror.origin, [(0, start // TILE_WIDTH) for start in range(first, end, TILE_WIDTH)])
            entries = await tx.log.entries(mirror.origin, first, end)
        joined = b"".join(tiles.get((0, start // TILE_WIDTH), b"") for start in range(first, end, TILE_WIDTH))[: 32 * (end - first)]
        leaves += [joined[at : at + 32] for at in range(0, len(joined), 32)]
        for entry in entries:
            if entry.index >= len(leaves) or leaf_hash(entry.entry) != leaves[entry.index]:
                raise InvalidProof(f"entry {entry.index} of our mirror does not hash to its leaf: this disk is damaged, restore a backup")
        held += len(entries)
    if len(leaves) != mirror.tree_size or (leaves and root_of(leaves) != mirror.tree_root):
        raise InvalidProof("the tiles of our mirror do not give the root that was verified: this disk is damaged, restore a backup")
    missing = mirror.tree_size - held
    return f"{held} entries re-hashed" + (f", {missing} of which only the hash is held" if missing else "")


# --- doctor ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing seen: `level` is ok, note or fault."""

    level: str
    detail: str


async def look_at_peers(own: Relations) -> list[tuple[str, Remark]]:
    """(peer, remark) for every peer: can it be reached, is its clock right, its root, its logs, and what does it show us."""
    found: list[tuple[str, Remark]] = []
    for peer, mirrors in await own.trust.peers():
        if peer.paused:
            found.append((peer.node, Remark("note", f"paused: cordon peer resume {peer.node} follows it again")))
        else:
            found += [(peer.node, one) for one in await _reach(own, peer)]
        for mirror in mirrors:
            found += [(peer.node, one) for one in await _look_at_log(own, peer, mirror)]
        found += [(peer.node, one) for one in await _erasures(own, peer)]
    return found


async def _reach(own: Relations, peer: PeerRow) -> list[Remark]:
    client = own.ask(peer.url)
    async with own.database.reading() as tx:
        rows = await tx.registry.roots(peer.jurisdiction)
    try:
        latest = await latest_version(client)
        chain = await fetch_chain(
            client, pin=peer.pin, now=int(time.time()), held=[row.document for row in rows], digests=[row.sha256 for row in rows]
        )
    except Unavailable as error:
        return [Remark("fault", f"not reached: {error.detail}")]
    except CordonError as error:
        return [Remark("fault", f"root documents: {error.detail}")]
    transport = "over TLS" if peer.url.startswith("https://") else "without TLS, which is for one machine alone"
    days = (chain.newest.expires_at - int(time.time())) // 86_400
    behind = f", {latest - len(rows)} newer than kept here" if latest > len(rows) else ""
    return [
        Remark("ok" if peer.url.startswith("https://") or own.settings.allow_loopback else "note", f"reached at {peer.url} {transport}"),
        _clock(client.clock_offset_s),
        Remark("ok" if days > 90 and not behind else "note", f"root document {latest} leads back to the pin, {days} days left{behind}"),
    ]


def _clock(offset_s: float | None) -> Remark:
    if offset_s is None:
        return Remark("note", "does not tell its time")
    if abs(offset_s) > CLOCK_S:
        which = "ahead of" if offset_s > 0 else "behind"
        return Remark(
            "fault", f"its clock is {abs(offset_s):.0f} s {which} ours: signed requests fail beyond 60 s; compare both with a time server"
        )
    return Remark("ok", f"clock within {max(1.0, abs(offset_s)):.0f} s of ours")


async def _look_at_log(own: Relations, peer: PeerRow, mirror: MirrorRow) -> list[Remark]:
    async with own.database.reading() as tx:
        head = await tx.log.head(mirror.origin)
        withheld = await tx.withheld.counts(mirror.origin)
        waiting, inert = await tx.valve.count(mirror.origin), await tx.evidence.count_poison(mirror.origin)
    done = head.size if head is not None else 0
    found = [_state(mirror, peer, done)]
    if mirror.quarantined:
        found.append(
            Remark("note", f"{mirror.origin} is quarantined: nothing of it counts; cordon quarantine release {mirror.origin} --log")
        )
    if withheld:
        found.append(Remark("ok", f"{mirror.origin}: {_entitlement(withheld)}"))
    if waiting:
        found.append(Remark("note", f"{mirror.origin}: {waiting} listings wait behind the valve; cordon quarantine list shows them"))
    if inert:
        found.append(
            Remark("note", f"{mirror.origin}: {inert} entries break a rule and are carried inert; cordon quarantine list shows them")
        )
    return found


def _state(mirror: MirrorRow, peer: PeerRow, done: int) -> Remark:
    size = f"{done} of {mirror.tree_size} entries taken in"
    if mirror.state == FORKED:
        detail = (
            f"has FORKED at {mirror.common}: {mirror.reason}. What it listed goes on; what it withdrew after that waits. Call {peer.node}"
        )
        return Remark("fault", f"{mirror.origin} {detail}; only a new root document of theirs ends it")
    if mirror.state == RETIRED:
        return Remark("ok", f"{mirror.origin} has ended at {mirror.final_size} ({mirror.reason}); {size}")
    age_ms = time.time_ns() // 1_000_000 - mirror.note_ms
    if mirror.state == "suspect":
        return Remark("fault", f"{mirror.origin} is suspect: {mirror.reason}. cordon peer verify {peer.node} --full tells more; {size}")
    if mirror.state == "stale" or not mirror.note_ms or age_ms > STALE_MS:
        when = f"{age_ms // 60_000} minutes ago" if mirror.note_ms else "never"
        return Remark("note", f"{mirror.origin} is stale: it was last vouched for {when}, so answers say `degraded`; {size}")
    return Remark("ok", f"{mirror.origin} is live, vouched for {max(0, age_ms) // 1000} s ago; {size}")


def _entitlement(withheld: dict[str, int]) -> str:
    """What is withheld, in plain words."""
    told = []
    if withheld.get("stub"):
        told.append(f"{withheld['stub']} statements are for others: of them we hold the hash alone")
    if withheld.get("parts"):
        told.append(f"of {withheld['parts']} we hold the stub and not all parts: our label does not reach them, or they were not sent yet")
    return "; ".join(told)


async def _erasures(own: Relations, peer: PeerRow) -> list[Remark]:
    async with own.database.reading() as tx:
        overdue: Sequence[str] = [one.sid for one in await tx.acks.overdue(time.time_ns() // 1_000_000 - ACK_MS) if one.node == peer.node]
    if not overdue:
        return []
    return [
        Remark(
            "fault", f"{len(overdue)} erasures are not acknowledged after 72 h (first: {overdue[0]}): call the peer, it is bound to erase"
        )
    ]


async def look_at_witnesses(own: Relations) -> Remark | None:
    """Whether the newest checkpoint of our own log has the witnesses that the policy asks for; None before the first signature."""
    policy = read_policy(own.settings.witness_policy_file)
    async with own.database.reading() as tx:
        head = await tx.log.head(own.node.origin)
        rows = [await tx.registry.latest_root(peer.jurisdiction) for peer in await tx.peers.all()]
        documents = [read_document(row.document).document for row in rows if row is not None]
        keys = [one.key for one in witnesses(documents, policy).values()]
        if head is None or not head.note:
            return None
        seen = await standing(tx, own.node.origin, head.note_size, keys, policy)
    by = ", ".join(seen.names) or "nobody yet"
    if seen.reached:
        return Remark("ok", f"the checkpoint of {seen.size} entries is witnessed by {by}: enough for the policy")
    return Remark(
        "note", f"the checkpoint of {seen.size} entries is witnessed by {by}: not enough for the policy yet; nothing waits for it"
    )

"""Trust is local: which jurisdictions this node follows, how much of each log it lets act, and what it sets aside.

Every decision is a human's and goes to the access log. A running node picks changes up by the counter `trust_epoch`, so the command
line may decide beside it. Nothing here federates (schemas §2, "Local policy").
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.domain.errors import BadRequest, NotFound
from app.domain.registry import node_of_origin
from app.sdk.chain import RootChain, RootSource, fetch_chain
from app.storage.audit import AuditEntry
from app.storage.database import Database, Transaction
from app.storage.mirrors import MirrorRow
from app.storage.peers import PeerRow

TRUST_EPOCH = "trust_epoch"
ADDED_PER_HOUR = 20_000
TOTAL = 5_000_000
WEIGHT = 100
_PIN = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Terms:
    """How much of a log acts here. `added_per_hour`, `total`: listed ids before the valve closes; `weight` 0: shown, never decisive."""

    added_per_hour: int = ADDED_PER_HOUR
    total: int = TOTAL
    weight: int = WEIGHT
    transfer_basis: str = ""


class Trust:
    """The decisions. `connect` opens a peer by its URL, `own_jurisdiction` cannot be its own peer."""

    def __init__(
        self,
        database: Database,
        *,
        own_jurisdiction: str,
        connect: Callable[[str], RootSource],
        clock: Callable[[], int],
        actor: str = "operator/host",
    ) -> None:
        self._database = database
        self._own = own_jurisdiction
        self._connect = connect
        self._clock = clock
        self._actor = actor

    # --- peers ---------------------------------------------------------------------------------------------------------

    async def add(self, url: str, pin: str, terms: Terms | None = None) -> PeerRow:
        """Pin a jurisdiction: fetch its root documents, verify them against the pin, and begin to follow its logs.

        BadRequest for a pin or peer that cannot be; InvalidProof if what the URL serves does not lead back to the pin.
        """
        if _PIN.fullmatch(pin) is None:
            raise BadRequest("--root-sha256 is 64 lower-case hex digits: the SHA-256 of root document 1, agreed with the peer out of band")
        chain = await fetch_chain(self._connect(url), pin=pin, now=self._clock() // 1000)
        document = chain.newest
        if document.jurisdiction == self._own:
            raise BadRequest(f"{url} serves the jurisdiction {self._own}, which is this node's own: a node is not its own peer")
        if not document.logs:
            raise BadRequest(f"{url} names no log in its root document: there is nothing to follow")
        row = PeerRow(
            node=node_of_origin(document.logs[-1].origin),
            jurisdiction=document.jurisdiction,
            url=url.rstrip("/"),
            pin=pin,
            paused=False,
            added_ms=self._clock(),
        )

        async def work(tx: Transaction) -> None:
            known = await tx.peers.by_jurisdiction(row.jurisdiction)
            if known is not None and (known.pin != pin or known.node != row.node):
                raise BadRequest(f"{row.jurisdiction} is pinned already ({known.node}, {known.pin}): `cordon peer remove` it first")
            await tx.peers.put(row)
            await self._keep_chain(tx, row, chain, terms or Terms())
            await self._note(tx, "peer.add", row.node)

        await self._database.run(work)
        return row

    async def _keep_chain(self, tx: Transaction, row: PeerRow, chain: RootChain, terms: Terms) -> None:
        for raw, document in zip(chain.raw, chain.documents, strict=True):
            await tx.registry.put_root(row.jurisdiction, document.version, raw, document.sha256)
        for log in chain.newest.logs:
            await tx.log.create(log.origin, self._clock())
            await tx.mirrors.create(MirrorRow(log.origin, row.node))
            await tx.mirrors.set_quarantined(log.origin, False)
            await _put_terms(tx, log.origin, terms)

    async def peers(self) -> Sequence[tuple[PeerRow, Sequence[MirrorRow]]]:
        """Every peer with the logs followed of it."""
        async with self._database.reading() as tx:
            return [(row, await tx.mirrors.of_node(row.node)) for row in await tx.peers.all()]

    async def show(self, node: str) -> tuple[PeerRow, Sequence[MirrorRow]]:
        """One peer; NotFound if there is none of this id."""
        async with self._database.reading() as tx:
            return await self._peer(tx, node), await tx.mirrors.of_node(node)

    async def pause(self, node: str, *, paused: bool = True) -> None:
        """Stop following for a while, or go on; what was mirrored stays and goes on answering."""
        async with self._database.transaction() as tx:
            await self._peer(tx, node)
            await tx.peers.set_paused(node, paused)
            await self._note(tx, "peer.pause" if paused else "peer.resume", node)

    async def remove(self, node: str) -> None:
        """End the relation. The mirrored log stays as evidence, quarantined, so that nothing of it answers any more."""
        async with self._database.transaction() as tx:
            await self._peer(tx, node)
            for mirror in await tx.mirrors.of_node(node):
                await tx.mirrors.set_quarantined(mirror.origin, True)
            await tx.peers.remove(node)
            await self._note(tx, "peer.remove", node)

    # --- logs ----------------------------------------------------------------------------------------------------------

    async def set_terms(self, origin: str, terms: Terms) -> None:
        """Change valve, weight and transfer basis of a log."""
        if not 0 <= terms.weight <= 100:
            raise BadRequest("--weight is 0 to 100: 0 shows what the log says and lets none of it decide")
        async with self._database.transaction() as tx:
            await self._mirror(tx, origin)
            await _put_terms(tx, origin, terms)
            await self._note(tx, "peer.trust", origin)

    async def quarantine(self, origin: str, *, on: bool = True) -> None:
        """Set a whole log aside, or let it answer again."""
        async with self._database.transaction() as tx:
            await self._mirror(tx, origin)
            await tx.mirrors.set_quarantined(origin, on)
            await self._note(tx, "quarantine.add" if on else "quarantine.lift", origin)

    async def release(self, origin: str, indices: Sequence[int] | None = None) -> int:
        """Wake what the valve has set aside: all of a log, or the statements at `indices`. How many were woken."""
        async with self._database.transaction() as tx:
            await self._mirror(tx, origin)
            woken = await tx.valve.release(origin, indices)
            await self._note(tx, "quarantine.release", origin)
        return woken

    # --- inside --------------------------------------------------------------------------------------------------------

    async def _peer(self, tx: Transaction, node: str) -> PeerRow:
        row = await tx.peers.get(node)
        if row is None:
            raise NotFound(f"no peer {node}: `cordon peer list` names them")
        return row

    async def _mirror(self, tx: Transaction, origin: str) -> MirrorRow:
        row = await tx.mirrors.get(origin)
        if row is None:
            raise NotFound(f"no log {origin} is followed: `cordon peer list` names them")
        return row

    async def _note(self, tx: Transaction, action: str, subject: str) -> None:
        """The audit row, and the sign for running workers to look again, in the same transaction."""
        await tx.audit.append([AuditEntry(self._clock(), self._actor, action, subject)])
        epoch = int.from_bytes(await tx.meta.get(TRUST_EPOCH) or b"", "big") + 1
        await tx.meta.set(TRUST_EPOCH, epoch.to_bytes(8, "big"))


async def _put_terms(tx: Transaction, origin: str, terms: Terms) -> None:
    await tx.mirrors.set_terms(
        origin,
        added_per_hour=terms.added_per_hour,
        total=terms.total,
        weight=terms.weight,
        transfer_basis=terms.transfer_basis,
    )

"""Our own log, after an older backup was restored: its missing entries come back from the peers that mirror it (protocol §3.6).

While the database holds less than was signed nothing is signed. The largest checkpoint of ours that a peer shows says what is missing:
its tree must continue ours, every entry must hash to it, and every peer that answers must then agree with it. Stubs and parts that
were for nobody else are held by nobody else: without a stub the log stays frozen, and says which.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from app.domain.checkpoint import Checkpoint
from app.domain.errors import Betrayed, CordonError, FellBehind, InvalidProof, NotFound, Refused, RolledBack, Unavailable
from app.domain.merkle import HASH_BYTES, leaf_hash
from app.domain.statement import ohash_of
from app.domain.tiles import TILE_WIDTH
from app.sdk.mirror import Diverged, MirrorTree
from app.sdk.peer import OfferedLine
from app.sdk.via import Via
from app.seal.notes import Verifier, read_checkpoint
from app.services.admit import Gate, OwnLog
from app.services.admit.foreign import Offered

log = logging.getLogger("cordon.follow")

PAGE = 1_024


class Recovery:
    """Brings the own log back. `log_keys`: those of the own log; `vias`: the peers that can be asked; `agree` asks them all at the end."""

    def __init__(
        self,
        own_log: OwnLog,
        gate: Gate,
        *,
        log_keys: Callable[[], Sequence[Verifier]],
        vias: Callable[[], Sequence[Via]],
        agree: Callable[[], Awaitable[int]],
    ) -> None:
        self._own_log = own_log
        self._gate = gate
        self._log_keys = log_keys
        self._vias = vias
        self._agree = agree

    @property
    def is_due(self) -> bool:
        """Whether the log is frozen because its database holds less than was signed."""
        return isinstance(self._gate.frozen, FellBehind)

    async def attempt(self) -> bool:
        """Bring back what can be had, and sign again if that is all; whether this log signs. Never raises for a peer's fault."""
        if not self.is_due:
            return self._gate.frozen is None
        try:
            await self._bring_back()
            await self._agree()
            await self._gate.resume()
        except RolledBack as error:
            self._gate.freeze(error)
            return False
        except Betrayed as error:
            log.warning("%s cannot be brought back yet: %s", self._own_log.origin, error.detail)
            return False
        if self._gate.frozen is None:
            log.warning("%s is whole again, %d entries, and signs", self._own_log.origin, self._own_log.size)
        return self._gate.frozen is None

    async def _bring_back(self) -> None:
        found = await self._largest()
        if found is None:
            return  # nobody shows more than we have: whether that is enough, the anchor says
        checkpoint, via = found
        leaves = await self._leaves(checkpoint, via)
        first = self._own_log.size
        for at in range(0, len(leaves), PAGE):
            some = leaves[at : at + PAGE]
            page = await self._page(first + at, some)
            missing = [one.index for one in page if one.entry is None]
            if missing:
                raise FellBehind(
                    f"entries {', '.join(map(str, missing[:20]))} of {self._own_log.origin} were signed and are gone: no peer that answers "
                    "holds them. Restore a newer backup; if there is none, the root key holders end this log and begin the next"
                )
            await self._gate.take_back(page, some)

    async def _largest(self) -> tuple[Checkpoint, Via] | None:
        """The largest checkpoint of ours beyond our end that a peer can show."""
        origin, best = self._own_log.origin, None
        for via in self._vias():
            try:
                note = await via.client.checkpoint(ohash_of(origin))
                checkpoint = read_checkpoint(note, origin, verifiers=self._log_keys())
            except (Refused, Unavailable) as error:
                if not isinstance(error, NotFound):
                    log.info("%s cannot say what it holds of our log: %s", via.node, error.detail)
                continue
            if checkpoint.size > (best[0].size if best else self._own_log.size):
                best = (checkpoint, via)
        return best

    async def _leaves(self, checkpoint: Checkpoint, via: Via) -> list[bytes]:
        """The leaf hashes after our end in the tree of `checkpoint`, verified; RolledBack if that is another history than ours."""
        ohash, first = ohash_of(self._own_log.origin), self._own_log.size
        tiles: dict[int, bytes] = {}
        try:
            tree = await MirrorTree.open(lambda path: via.client.tile(path, ohash), self._own_log.edge, checkpoint)
            async for batch in tree.batches():
                tiles |= {number: tile for (level, number), tile in batch.items() if level == 0}
        except Diverged as error:
            raise RolledBack(f"{via.node} holds another history of our log, signed by us: our log has forked ({error.detail})") from error
        except (InvalidProof, Unavailable, Refused) as error:
            raise FellBehind(f"{via.node} holds {checkpoint.size} entries of our log and does not give them ({error.detail})") from error
        return [
            tiles[index // TILE_WIDTH][HASH_BYTES * (index % TILE_WIDTH) : HASH_BYTES * (index % TILE_WIDTH + 1)]
            for index in range(first, checkpoint.size)
        ]

    async def _page(self, first: int, leaves: Sequence[bytes]) -> list[Offered]:
        """The entries from `first` on, put together from all peers: each holds what was for it."""
        page = [Offered(first + at, None) for at in range(len(leaves))]
        for via in self._vias():
            try:
                lines = await self._lines(via, first, first + len(leaves))
            except CordonError as error:
                log.info("%s gives nothing of our log: %s", via.node, error.detail)
                continue
            for line in lines:
                at = line.index - first
                if line.entry is not None and leaf_hash(line.entry) == leaves[at]:
                    page[at] = _joined(page[at], line)
        return page

    async def _lines(self, via: Via, first: int, end: int) -> list[OfferedLine]:
        lines: list[OfferedLine] = []
        while first + len(lines) < end:
            more = await via.client.entries(ohash_of(self._own_log.origin), first + len(lines), end)
            if not more:
                break
            lines += more
        return lines


def _joined(one: Offered, line: OfferedLine) -> Offered:
    """What both know of an entry."""
    parts = tuple(dict.fromkeys((*one.disclosures, *line.disclosures)))
    return replace(one, entry=line.entry, disclosures=parts, erased=one.erased | line.erased)

"""What a new root document of a peer changes about its logs: keys that come late, and the end of a log (protocol §3.2.6, §3.7).

A document may say that a log has ended before its last entries have come here: the end is looked for again with every growth. It is the
only way out of a fork: who holds the branch that the document drops keeps what both branches share.
"""

from __future__ import annotations

from collections.abc import Callable

from app.domain.errors import Betrayed
from app.index.sources import Source, SourceBoard
from app.seal.keyrings import Keyrings
from app.seal.roots import RootDocument
from app.services.admit.foreign import ForeignGate
from app.services.follow.tree import root_of
from app.storage.database import Database
from app.storage.mirrors import FORKED, RETIRED


class Endings:
    """Judges mirrors by the newest root document of their jurisdiction."""

    def __init__(
        self, database: Database, *, keyrings: Keyrings, gate: ForeignGate, sources: SourceBoard, clock: Callable[[], int]
    ) -> None:
        self._database = database
        self._keyrings = keyrings
        self._gate = gate
        self._sources = sources
        self._clock = clock

    async def take(self, document: RootDocument) -> None:
        """A document has come: it may end a log, or vouch for keys that entries rest on which came before it."""
        for one in document.logs:
            await self._judge_again(one.origin)
            await self.end(one.origin)

    async def _judge_again(self, origin: str) -> None:
        """What was carried inert for want of a key may be good under the new document."""
        async with self._database.reading() as tx:
            bad = await tx.evidence.poison_page(origin, limit=1)
        if bad:
            await self._gate.reconsider(origin, first=bad[0].index)

    async def end(self, origin: str) -> None:
        """Retire a log that its newest document ends, once we hold it up to there. Betrayed if it ends as another tree than ours."""
        keyring = self._keyrings.get(origin)
        document = keyring.newest_document if keyring is not None else None
        found = document.find_log(origin) if document is not None else None
        if found is None or found.final is None:
            return
        async with self._database.reading() as tx:
            mirror = await tx.mirrors.get(origin)
        size, root = found.final
        if mirror is None or mirror.state == RETIRED or size > mirror.tree_size:
            return
        if size and await root_of(self._database, origin, size) != root:
            if mirror.state != FORKED or mirror.common is None:
                raise Betrayed(f"the root document ends {origin} at {size} entries with another tree than the one that was followed")
            size = min(size, mirror.common)
        await self._gate.retire(origin, final_size=size)
        self._sources.put(Source(origin, RETIRED, self._clock() // 1000))

"""Our own entries, come back from the mirrors of others: after an older backup was restored (protocol §3.6).

They were judged when they were logged, and this log has signed them: what is checked here is that they are those, byte for byte. They
end in the same rows as at first, so what they ended, renewed or erased is ended, renewed or erased again.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from app.domain.errors import DamagedEntry, FellBehind
from app.domain.merkle import leaf_hash
from app.domain.registry import node_of_origin
from app.seal.keyrings import Keyrings
from app.services.admit.foreign_judge import Offered, open_entries
from app.services.admit.foreign_page import Page, write_page
from app.services.admit.ownlog import OwnLog
from app.storage.database import Transaction
from app.storage.log import Head
from app.storage.mirrors import MirrorRow
from app.storage.withheld import PARTS

log = logging.getLogger("cordon.gate")


async def write_back(
    tx: Transaction, own_log: OwnLog, page: Sequence[Offered], leaves: Sequence[bytes], *, keyrings: Keyrings, now_ms: int
) -> None:
    """Append a page to the own log in the open transaction. `leaves`: those of the tree that was signed."""
    origin, first = own_log.origin, own_log.size
    head = await tx.log.head(origin)
    if head is None or head.size != first or [one.index for one in page] != list(range(first, first + len(leaves))):
        raise FellBehind(
            f"the database holds {head.size if head else 0} entries, this node has read {first}: restart it, then they come back"
        )
    for one, leaf in zip(page, leaves, strict=True):
        if one.entry is None or leaf_hash(one.entry) != leaf:
            raise DamagedEntry(origin, one.index, f"entry {one.index} did not come back as {origin} signed it")
    mirror = MirrorRow(origin, node_of_origin(origin))
    taken = Page(mirror, keyrings.own, from_relay=False, now_ms=now_ms, is_home=True)
    for opened, one, leaf in zip(open_entries(page, keyrings.own.public_key, from_relay=False), page, leaves, strict=True):
        taken.take(opened, one, leaf)
    last_ms = taken.check_order(head.accepted_ms)
    grown = own_log.edge.append(leaves)
    await write_page(tx, taken, keyrings.beside(taken.keyring))
    await tx.log.write_tiles(origin, grown.changed)
    await tx.held.drop(*(one.stub.sid for one in taken.logged))
    await tx.log.swap_head(first, Head(origin, grown.size, grown.root, last_ms))
    bare = [row.index for row in taken.withheld if row.what == PARTS]
    if bare:
        log.error("entries %s of %s came back without all of their parts: no peer that answers may hold them", bare, origin)

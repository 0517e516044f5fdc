"""What the commands on peers share: trust decisions in the database of a data directory, and a guarded way to ask a peer.

Both work beside a running node, which takes a decision up within a second, or without one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from app.cli.local import now_ms, settings_of
from app.domain.answer import instant_text
from app.domain.canonical import JsonValue
from app.sdk.outbound import make_client
from app.sdk.peer import PeerClient
from app.services.enroll import NodeFile, read_node_file
from app.services.trust import Trust
from app.settings import Settings
from app.storage.database import Database
from app.storage.mirrors import MirrorRow
from app.storage.peers import PeerRow

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Relations:
    """Everything that a command on peers may need. `ask` opens a peer by its URL, as a stranger."""

    node: NodeFile
    settings: Settings
    database: Database
    trust: Trust
    ask: Callable[[str], PeerClient]


def with_relations(data_dir: Path, work: Callable[[Relations], Awaitable[T]]) -> T:
    """Do `work` on the relations of the node of a data directory."""

    async def run() -> T:
        async with relations(data_dir) as found:
            return await work(found)

    return asyncio.run(run())


@asynccontextmanager
async def relations(data_dir: Path) -> AsyncIterator[Relations]:
    """The relations, open for as long as the block lasts."""
    node, settings = read_node_file(data_dir), settings_of(data_dir)
    database = Database(settings.resolved_database_url, pool_size=1, checkpoints=False)
    try:
        await database.check_schema()
        async with make_client(settings.allow_loopback) as http:

            def ask(url: str) -> PeerClient:
                return PeerClient(url, http, clock_s=time.time)

            yield Relations(node, settings, database, Trust(database, own_jurisdiction=node.jurisdiction, connect=ask, clock=now_ms), ask)
    finally:
        await database.close()


def peer_words(peer: PeerRow, mirrors: list[MirrorRow]) -> dict[str, JsonValue]:
    """A peer and the logs followed of it, for `--json`."""
    return {
        "node": peer.node,
        "jurisdiction": peer.jurisdiction,
        "url": peer.url,
        "root_sha256": peer.pin,
        "paused": peer.paused,
        "added_at": instant(peer.added_ms),
        "logs": [mirror_words(one) for one in mirrors],
    }


def mirror_words(mirror: MirrorRow) -> dict[str, JsonValue]:
    """A mirrored log, for `--json`."""
    return {
        "origin": mirror.origin,
        "size": mirror.tree_size,
        "state": mirror.state,
        "reason": mirror.reason or None,
        "common_size": mirror.common,
        "final_size": mirror.final_size,
        "quarantined": mirror.quarantined,
        "added_per_hour": mirror.added_per_hour,
        "total": mirror.total,
        "weight": mirror.weight,
        "transfer_basis": mirror.transfer_basis or None,
        "seen_at": instant(mirror.seen_ms),
        "vouched_at": instant(mirror.note_ms),
    }


def instant(ms: int) -> str | None:
    """A time in words; None for never."""
    return instant_text(ms) if ms else None

"""A node's views as a source for mirrors: the routes' own bytes, without HTTP, from another thread; it can break off and it can lie."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from app.domain.errors import Unavailable
from app.sdk.view_store import Store
from app.sdk.view_sync import Synced, sync_view
from app.seal.notes import read_vkeys
from app.services.node import Node

T = TypeVar("T")


@dataclass
class NodeSource:
    """`breaks_after`: how many segments it gives before the connection ends; `flips`: the byte of each answer that it damages."""

    node: Node
    loop: asyncio.AbstractEventLoop
    breaks_after: int | None = None
    flips: int | None = None
    asked: list[str] = field(default_factory=list)

    def view_policy(self) -> bytes:
        return self._now("policy", self.node.views.policy())

    def view_segment(self, tier: str, number: int) -> bytes:
        if self.breaks_after is not None and len(self.asked) >= self.breaks_after:
            raise Unavailable("the connection broke off")
        return self._damaged(b"".join(self._now(f"segment {number}", self.node.views.current(tier)).segment(number)[0]))

    def view_delta(self, tier: str, root: bytes) -> bytes:
        return self._damaged(self._now("delta", self.node.views.delta(tier, root)))

    def _now(self, what: str, work: Awaitable[T]) -> T:
        self.asked.append(what)

        async def run() -> T:
            return await work

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(30)

    def _damaged(self, body: bytes) -> bytes:
        if self.flips is None:
            return body
        at = self.flips % len(body)
        return body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]


async def keep(node: Node, folder: Path, tier: str = "green", **how: int) -> tuple[Synced, NodeSource]:
    """Bring the copy in `folder` up to the node's newest head."""
    await node.views.refresh()
    source = NodeSource(node, asyncio.get_running_loop(), **how)
    keys = read_vkeys(node.documents[-1].view_vkeys)
    return await asyncio.to_thread(sync_view, source, Store(folder, tier), keys), source

"""Commit and move are one step: a still snapshot of the database says what the index says, whatever is logged meanwhile."""

from __future__ import annotations

import asyncio

from app.services.node import Node
from tests.factories import Town, accept, wallet, wallet_id


async def test_a_still_snapshot_stands_where_the_index_stands(node: Node, town: Town) -> None:
    """While statements are logged without a pause, each snapshot has exactly the heads and the listings of the index."""
    bka = town.signer("de.bka#1")

    async def log() -> None:
        for number in range(12):
            await accept(node, bka.listing(wallet(number)))

    logging, seen = asyncio.create_task(log()), set[int]()
    while not logging.done():
        async with node.index.still() as tx:
            before = dict(node.index.positions)
            listed = {n for n in range(12) if await tx.subjects.listings([wallet_id(n)])}
            await asyncio.sleep(0.001)
            assert {head.origin: head.size for head in await tx.log.heads()} == node.index.positions == before
            assert {n for n in range(12) if node.index.find(wallet_id(n))} == listed
        seen.add(len(listed))
        await asyncio.sleep(0.002)
    await logging
    assert len(seen) > 2

"""Commit and move are one step: a still snapshot of the database says what the index says, whatever is logged meanwhile."""

from __future__ import annotations

import asyncio

from app.services.node import Node
from tests.factories import Town, accept, wallet, wallet_id
from tests.waiting import within


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
            assert {n for n in range(12) if (await node.index.find(wallet_id(n)))} == listed
        seen.add(len(listed))
        await asyncio.sleep(0.002)
    await logging
    assert len(seen) > 2


async def test_who_waits_for_his_turn_keeps_no_other_from_signing(node: Node, town: Town) -> None:
    """Another gate of this process writes without a pause, and stands in its transaction until the turn is its own: the log signs all the same."""
    bka, writing = town.signer("de.bka#1"), asyncio.Event()

    async def write() -> None:
        while not writing.is_set():
            async with node.index.turn() as turn:
                await turn.run(node.database, lambda tx: tx.meta.set("another", b"gate"))
                await asyncio.sleep(0)

    other = asyncio.create_task(write())
    try:
        for number in range(8):
            async with within(4):
                await accept(node, bka.listing(wallet(number)))
    finally:
        writing.set()
        await other

"""An auditor works out the root of a view from the log alone: honest heads agree, whatever happened since; lies do not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.domain.errors import InvalidProof
from app.domain.view import ViewHead
from app.seal.keyrings import Keyrings
from app.services.node import Node
from app.services.replay import Replayed, replay
from tests.factories import GUARD, Clock, Town, accept, sid_in, wallet, wallet_id


async def replayed(node: Node, head: ViewHead, policy: bytes) -> Replayed:
    async with node.database.reading() as tx:
        return await replay(tx, head, keyrings=Keyrings(node.keyring), policy=policy, guards=node.guards.ids)


async def test_every_head_of_a_history_is_replayed(node: Node, town: Town, clock: Clock) -> None:
    """Heads of both tiers, kept while statements came and went, give their root again at the end of it all."""
    bka, lka = town.signer("de.bka#1"), town.signer("de.lka#1")
    first = bka.listing(wallet(1), wallet(2, severity=4), tlp="CLEAR")
    second = lka.listing(wallet(2), wallet(3), days=12)
    steps = [
        lambda: [first, second],
        lambda: [town.signer("de.ombud#1").dispute(sid_in(second), stage="upheld")],
        lambda: [bka.listing(wallet(4, **GUARD)), lka.listing(wallet(4), wallet(5, scope={"tag": "1"}), wallet(7), tlp="CLEAR")],
        lambda: [lka.renew(sid_in(second), days=300), bka.listing(wallet(6), tlp="AMBER", aud=["de.example"])],
        lambda: [bka.retract(sid_in(first), tlp="CLEAR")],
    ]
    kept: list[tuple[ViewHead, bytes, int]] = []
    for step in steps:
        await accept(node, *step())
        for hours in (1, 73):
            clock.advance(hours=hours)
            await node.views.refresh()
            for tier in ("clear", "green"):
                published = await node.views.current(tier)
                kept.append((published.head, await node.views.policy(), published.sealed.entries))
    assert len({head.root for head, _, _ in kept}) > 4
    for head, policy, entries in kept:
        found = await replayed(node, head, policy)
        assert (found.agrees, found.entries, found.missing) == (True, entries, 0), head


async def test_a_lying_view_is_found_out(node: Node, town: Town) -> None:
    """Another root, another log, another policy, other guards: each is told apart; erased content is counted, not held against the node."""
    bka = town.signer("de.bka#1")
    wire = bka.listing(wallet(1))
    await accept(node, wire, bka.listing(wallet(2)))
    await node.views.refresh()
    head, policy = (await node.views.current("green")).head, await node.views.policy()
    assert not (await replayed(node, replace(head, root=bytes(32)), policy)).agrees
    with pytest.raises(InvalidProof, match="lie or a fork"):
        await replayed(node, replace(head, origins=(replace(head.origins[0], root=bytes(32)),)), policy)
    with pytest.raises(InvalidProof, match="policy"):
        await replayed(node, head, policy + b" ")
    with pytest.raises(InvalidProof, match="less than"):
        await replayed(node, replace(head, origins=(replace(head.origins[0], size=99_999),)), policy)
    async with node.database.reading() as tx:
        with pytest.raises(InvalidProof, match="guards"):
            await replay(tx, head, keyrings=Keyrings(node.keyring), policy=policy, guards=[wallet_id(9)])
    await accept(node, bka.erase(sid_in(wire)))
    found = await replayed(node, head, policy)
    assert (found.agrees, found.missing) == (False, 1)

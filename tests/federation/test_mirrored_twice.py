"""Two workers of one node that mirror the same log: whoever remembers an older tree writes nothing over the newer one."""

from __future__ import annotations

import asyncio
import copy
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from app.services.federation import Federation
from app.services.follow.mirroring import Mirroring
from app.services.follow.tree import load_tree
from app.storage.database import Database
from app.storage.faults import LostRace
from tests.factories import wallet
from tests.simulator import SimNode, World

pytestmark = pytest.mark.slow


@asynccontextmanager
async def a_follower(folder: Path) -> AsyncIterator[tuple[SimNode, Federation, Database]]:
    """Two nodes that know each other and hold the same: xa, and of xb what follows and where it keeps that."""
    async with World.open(folder, "xa", "xb") as world:
        await world.introduce()
        await world.settle()
        node = world["xb"].node
        assert node.federation is not None
        yield world["xa"], node.federation, node.database


def another_worker(mirroring: Mirroring) -> Mirroring:
    """The same database and the same manners, and a memory of its own."""
    other = copy.copy(mirroring)
    other._trees, other._locks = {}, defaultdict(asyncio.Lock)
    return other


@pytest.mark.parametrize("label", [{}, {"tlp": "AMBER", "aud": ["xa.lka"]}], ids=["by entries", "by tiles"])
async def test_an_older_tree_is_not_written_over_the_newer_one(tmp_path: Path, label: dict[str, Any]) -> None:
    """Both follow xa; one takes in two entries, the other is shown the first of them later: it has lost the race, and all that is stored stands."""
    async with a_follower(tmp_path) as (xa, federation, database):
        origin, via = xa.origin, federation.followers[f"{xa.code}.example"].via
        first = federation.mirroring
        second = another_worker(first)
        size = await second.sync(origin, xa.node.own_log.note, via)
        notes = []
        for number in range(2):
            await xa.say(xa.signer("xa.bka#1").listing(wallet(number), **label))
            notes.append(xa.node.own_log.note)
        assert await first.sync(origin, notes[1], via) == size + 2
        with pytest.raises(LostRace):
            await second.sync(origin, notes[0], via)
        assert (await load_tree(database, origin)).size == size + 2
        assert await second.sync(origin, notes[0], via) == size + 2


async def test_who_only_looks_does_not_remember_for_those_who_follow(tmp_path: Path) -> None:
    """A question about the tree reads it while a round takes in more: the next round starts from what was taken in."""
    async with a_follower(tmp_path) as (xa, federation, _):
        mirroring, via = federation.mirroring, federation.followers[f"{xa.code}.example"].via
        mirroring.forget(xa.origin)
        size = (await mirroring.tree(xa.origin)).size
        await xa.say(xa.signer("xa.bka#1").listing(wallet(1)))
        assert await another_worker(mirroring).sync(xa.origin, xa.node.own_log.note, via) == size + 1
        assert (await mirroring.tree(xa.origin)).size == size + 1


async def test_a_root_document_that_another_worker_stored_is_known_to_who_follows_on(tmp_path: Path) -> None:
    """The peer shows nothing newer than what the database holds: it is taken from there, and the peer's log is followed."""
    async with a_follower(tmp_path) as (xa, federation, _):
        keyrings, follower = federation._parts.keyrings, federation.followers[f"{xa.code}.example"]
        documents = keyrings.get(xa.origin).documents  # type: ignore[union-attr]
        keyrings.drop(xa.origin)
        follower._roots_due = True
        await xa.say(xa.signer("xa.bka#1").listing(wallet(1)))
        await follower.once()
        assert keyrings.get(xa.origin).documents == documents  # type: ignore[union-attr]
        assert (await federation.mirroring.tree(xa.origin)).size == xa.node.own_log.size

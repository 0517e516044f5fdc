"""The registries of peers in a process: what another worker came to know is known here, and nobody is forgotten over it."""

from __future__ import annotations

import asyncio

import pytest

from app.seal.keyring import Keyring
from app.seal.roots import read_document
from app.storage.database import Database
from app.storage.mirrors import MirrorRow, MirrorShelf
from tests.factories import Town, wallet, wallet_id
from tests.mirrors import Here, PeerLog


async def test_another_worker_hears_of_a_peer_that_the_first_came_to_know(database: Database, town: Town, fr: PeerLog) -> None:
    """Its root document came after this one had started: its registry is read all the same, and what its log says counts."""
    first = Here(database, town)
    other = Here(database, town, listed=first.listed_ids)
    await other.gate.load()
    await other.start()
    await first.follow(fr)
    at = fr.log(fr.town.signer("fr.bka#1").listing(wallet(1)))
    await first.take(fr)
    assert other.keyrings.get(fr.origin) is None
    await other.gate.follow()
    assert await other.listed(wallet_id(1)) == [(fr.origin, at)]
    assert other.keyrings.document_of(fr.node) == first.keyrings.document_of(fr.node)


async def test_who_becomes_known_while_registries_are_read_stays_known(
    database: Database, town: Town, fr: PeerLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read before his mirror was there says nothing against him."""
    here, reads, is_read, may_go_on = Here(database, town), MirrorShelf.all, asyncio.Event(), asyncio.Event()

    async def late(shelf: MirrorShelf) -> list[MirrorRow]:
        found = await reads(shelf)
        is_read.set()
        await may_go_on.wait()
        return found

    monkeypatch.setattr(MirrorShelf, "all", late)
    loading = asyncio.create_task(here.gate.load())
    await is_read.wait()
    here.keyrings.put(Keyring(fr.origin, [read_document(data).document for data in fr.documents()]))
    may_go_on.set()
    await loading
    assert here.keyrings.get(fr.origin) is not None
    await here.gate.load()
    assert here.keyrings.get(fr.origin) is None, "it is in no mirror"

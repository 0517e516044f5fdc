"""A peer's client against a node behind a real server: signatures over whole URLs, streams that end, pages that are read back."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest
import uvicorn

from app.domain.errors import NotFound, SizeConflict, Unauthenticated
from app.domain.merkle import leaf_hash
from app.domain.statement import ohash_of
from app.sdk.outbound import make_client
from app.sdk.peer import PeerClient
from app.seal.bearer import sign_request
from app.seal.jws import SigningKey
from tests.api.peers import Federating, open_federating
from tests.factories import Town, accept, wallet
from tests.waiting import until, within

OWN = ohash_of("de.example/log")


@asynccontextmanager
async def listening(town: Town, url: str) -> AsyncIterator[tuple[Federating, str]]:
    """A federating node behind uvicorn on a port of this host."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        base = f"http://127.0.0.1:{bound.getsockname()[1]}"
        async with open_federating(town, url, public_url=base) as federating:
            server = uvicorn.Server(uvicorn.Config(federating.front.app, lifespan="off", log_config=None, access_log=False, ws="none"))
            serving = asyncio.create_task(server.serve(sockets=[bound]))
            await until(lambda: server.started)
            try:
                yield federating, base
            finally:
                server.should_exit = True
                await serving


def client_of(federating: Federating, base: str, *, key: SigningKey | None = None) -> PeerClient:
    """The peer `fr` as it asks."""
    clock = federating.front.town.clock

    def sign(method: str, url: str, body: bytes) -> str:
        return sign_request(
            key or federating.key,
            node="fr.example",
            audience="de.example",
            method=method,
            url=url,
            body=body,
            now=clock() // 1000,
            jti=secrets.token_hex(16),
        )

    return PeerClient(base, make_client(allow_loopback=True), sign)


async def test_a_peer_follows_a_node_over_the_wire(town: Town, sqlite_migrated_url: str) -> None:
    """Checkpoint, tiles, entries with all their parts, heads, signals and the witness: what the client reads is what the node has."""
    async with listening(town, sqlite_migrated_url) as (federating, base):
        await accept(federating.front.node, town.signer("de.bka#1").listing(*[wallet(n) for n in range(60)], others={"ctx": [{}] * 190}))
        peer = client_of(federating, base)
        assert (await peer.well_known())["node"] == "de.example"
        assert (await peer.checkpoint()) == (await peer.checkpoint(OWN))
        entries = await peer.entries(OWN, 0, 99)
        assert b"".join(leaf_hash(line.entry or b"") for line in entries) == await peer.tile("tile/0/000.p/7")
        assert len(entries[6].disclosures) == 251
        assert await peer.parts(OWN, [2, 6]) == [entries[2], entries[6]]
        with pytest.raises(NotFound):
            await peer.checkpoint("0" * 64)
        federating.board.put("de.example/log", await peer.checkpoint(), 7)
        heads = await peer.heads()
        assert heads is not None
        assert [head.origin for head in heads.heads] == ["de.example/log"]
        assert await peer.heads(heads.next, wait_s=1) is None
        await peer.nudge(OWN, 7)
        await peer.evidence("cordon-fork/v1\n")
        await peer.acknowledge(OWN, 7, ["A" * 43])
        federating.ear.answer = SizeConflict(3)
        with pytest.raises(SizeConflict) as ahead:
            await peer.add_checkpoint(1, [bytes(32)], heads.heads[0].note)
        assert ahead.value.size == 3
        assert [one[0] for one in federating.ear.heard] == ["nudge", "evidence", "acks", "checkpoint"]
        with pytest.raises(Unauthenticated):
            await client_of(federating, base, key=SigningKey.derive("fr.example#1", b"not the key of fr, 32 bytes long")).entries(OWN, 0, 1)


async def test_a_stream_over_the_wire_ends_with_its_client(town: Town, sqlite_migrated_url: str) -> None:
    """Growth arrives while the client listens; when it hangs up, the node notices without anything to send."""
    async with listening(town, sqlite_migrated_url) as (federating, base):
        board = federating.board
        async with aclosing(client_of(federating, base).stream()) as events:  # type: ignore[type-var]
            first = asyncio.ensure_future(anext(events))
            await until(lambda: board.listeners == 1)
            board.put("de.example/log", "note 9", 9)
            async with within(5):
                assert await first == (OWN, 9)
        await until(lambda: board.listeners == 0)

"""Our client at our own node: what one floor serves, the other reads; over real sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn

from app.domain.checkpoint import parse_checkpoint
from app.domain.errors import NotFound, SizeConflict, Unauthenticated
from app.domain.merkle import leaf_hash
from app.domain.statement import ohash_of, sid_of
from app.domain.tiles import Edge, parse_bundle
from app.sdk.mirror import grow_tree, leaves_from_entries
from app.sdk.outbound import make_client
from app.sdk.peer import PeerClient
from app.seal.notes import open_note
from tests.api.peers import Federating, open_federating
from tests.factories import Town, accept, wallet
from tests.waiting import until, within

OHASH = ohash_of("de.example/log")


@asynccontextmanager
async def listening(federating: Federating, *, signed: bool = True) -> AsyncIterator[PeerClient]:
    """The node on a port of loopback, and the peer's client of it (the node's name for itself stands in the tokens)."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        server = uvicorn.Server(uvicorn.Config(federating.front.app, lifespan="off", log_config=None, timeout_graceful_shutdown=1))
        serving = asyncio.create_task(server.serve([door]))
        url = f"http://127.0.0.1:{door.getsockname()[1]}"

        def sign(method: str, asked: str, body: bytes) -> str:
            assert asked.startswith(url)
            return federating.signing().token(method, asked.removeprefix(url), body)

        try:
            async with make_client(True) as http:
                yield PeerClient(url, http, sign if signed else None, lambda: federating.front.town.clock() / 1000)
        finally:
            server.should_exit = True
            await serving


@pytest.fixture
async def federating(town: Town, sqlite_migrated_url: str) -> AsyncIterator[Federating]:
    async with open_federating(town, sqlite_migrated_url) as opened:
        yield opened


async def test_a_peer_copies_the_log(federating: Federating):
    """Checkpoint, tree and entries: by tiles and by entries the same tree, which is the signed one."""
    bka = federating.front.town.signer("de.bka#1")
    await accept(federating.front.node, *[bka.listing(wallet(n), tlp="GREEN", jti=f"n{n}") for n in range(3)])
    async with listening(federating) as client:
        note = await client.checkpoint()
        checkpoint = parse_checkpoint(open_note(note, federating.front.town.log_keys).text)
        lines = await client.entries(OHASH, 0, checkpoint.size)
        entries = [line.entry for line in lines if line.entry is not None]
        assert len(entries) == checkpoint.size
        assert [len(line.disclosures) > 0 for line in lines[-3:]] == [True] * 3
        by_tiles = await grow_tree(client.tile, Edge(), checkpoint)
        assert by_tiles == leaves_from_entries(Edge(), entries, checkpoint)
        assert await client.entries(OHASH, checkpoint.size, checkpoint.size + 5) == []
        (again,) = await client.parts(OHASH, [checkpoint.size - 1])
        assert again == lines[-1]


async def test_what_is_not_for_the_peer_is_withheld_with_its_hash(federating: Federating):
    """An entry above the peer is a hole in the text only: its leaf stands in the tile."""
    bka = federating.front.town.signer("de.bka#1")
    wire = bka.listing(wallet(1), tlp="RED", aud=["de.example"])
    (admitted,) = await accept(federating.front.node, wire)
    assert admitted.index is not None
    async with listening(federating) as client:
        (line,) = await client.entries(OHASH, admitted.index, admitted.index + 1)
        assert (line.entry, line.withheld) == (None, "stub")
        tile = await client.tile(f"tile/0/000.p/{admitted.index + 1}")
        assert tile[-32:] == leaf_hash(f"{admitted.accepted_ms} {wire.split('~')[0]}".encode())
        with pytest.raises(NotFound):
            await client.tile(f"tile/entries/000.p/{admitted.index + 1}")
        bundle = await client.tile(f"tile/entries/000.p/{admitted.index}")
        assert len(parse_bundle(bundle, admitted.index)) == admitted.index


async def test_heads_and_stream_tell_of_growth(federating: Federating):
    """All heads at first, then what moves; the stream says it at once."""
    federating.board.put("de.example/log", "note\n", 6)
    async with listening(federating) as client:
        heads = await client.heads()
        assert heads is not None
        assert [(one.ohash, one.origin, one.note) for one in heads.heads] == [(OHASH, "de.example/log", "note\n")]
        assert await client.heads(heads.next) is None
        waiting = asyncio.create_task(client.heads(heads.next, 20))
        events = client.stream()
        first = asyncio.create_task(anext(events))
        await until(lambda: federating.board.listeners)
        federating.board.put("de.example/log", "newer\n", 7)
        async with within(5):
            moved = await waiting
            assert moved is not None
            assert [one.note for one in moved.heads] == ["newer\n"]
            assert await first == (OHASH, 7)
        await events.aclose()


async def test_what_a_peer_tells_is_heard(federating: Federating):
    """Nudge, evidence and acknowledgements arrive as they were sent, with the token that proves the last."""
    sid = sid_of("a.b.c")
    async with listening(federating) as client:
        await client.nudge(OHASH, 9)
        await client.evidence("cordon-fork/v1\nb\u00fcro\n")
        await client.acknowledge(OHASH, 6, [sid])
    nudged, evidence, acks = federating.ear.heard
    assert nudged == ("nudge", "fr.example", OHASH, 9)
    assert evidence == ("evidence", "fr.example", "cordon-fork/v1\nb\u00fcro\n")
    assert acks[:5] == ("acks", "fr.example", OHASH, 6, (sid,))


async def test_a_witness_answers_in_the_words_of_the_standard(federating: Federating):
    """A cosignature line; and when its size is another, that size."""
    note = await federating.front.node.publisher.checkpoint()
    async with listening(federating) as client:
        federating.ear.answer = "\u2014 de.example/witness AAAA\n"
        assert await client.add_checkpoint(0, [], note.note) == federating.ear.answer
        assert federating.ear.heard == [("checkpoint", f"old 0\n\n{note.note}".encode())]
        federating.ear.answer = SizeConflict(4711)
        with pytest.raises(SizeConflict) as conflict:
            await client.add_checkpoint(0, [], note.note)
    assert conflict.value.size == 4711


async def test_a_stranger_is_turned_away(federating: Federating):
    """Without a token no entry is given, with one for another address neither."""
    async with listening(federating, signed=False) as client:
        with pytest.raises(Unauthenticated):
            await client.entries(OHASH, 0, 1)
        assert (await client.well_known())["node"]

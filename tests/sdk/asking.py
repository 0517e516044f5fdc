"""A client of a peer that behaves as a test tells it to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from hashlib import sha256

from app.sdk.outbound import make_client
from app.sdk.peer import PeerClient
from tests.sdk.misbehaving import Behaviour, Peer, misbehaving

ORIGIN = "fr.example/log"
OHASH = sha256(ORIGIN.encode()).hexdigest()


@asynccontextmanager
async def asking(behave: Behaviour, sign: Callable[[str, str, bytes], str] | None = None) -> AsyncIterator[tuple[PeerClient, Peer]]:
    """A client of a peer that behaves so; its clock stands at 1000 s."""
    async with misbehaving(behave) as peer, make_client(True) as http:
        yield PeerClient(peer.url, http, sign, lambda: 1000.0), peer

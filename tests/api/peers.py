"""A node that federates, for tests of its HTTP floor: a pinned peer that signs its requests, and an ear where others would decide."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Generator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import httpx

from app.api import Federated
from app.domain.errors import Refused
from app.index.heads import HeadBoard
from app.seal.bearer import sign_request
from app.seal.jws import SigningKey
from app.seal.keyring import Keyring
from app.seal.keyrings import Keyrings
from app.seal.roots import read_document
from app.services.enroll import read_key, read_root_documents
from app.services.peer_tokens import PeerTokens
from app.storage.peers import PeerRow
from tests.api.front import Front, open_front
from tests.factories import Town

BASE = "http://127.0.0.1:8000"
ON: dict[str, Any] = {
    "federation": True,
    "dpia_ref": "dpia-1",
    "controller": "the agency",
    "dpo_contact": "dpo",
    "supervisory_authority": "the authority",
}


@dataclass
class Ear:
    """Hears what the routes hand on, and answers as it is told: `answer` is what a witness says, or why it refuses."""

    heard: list[tuple[Any, ...]] = field(default_factory=list)
    answer: str | Refused = ""

    async def nudged(self, node: str, ohash: str, size: int) -> None:
        self.heard.append(("nudge", node, ohash, size))

    async def take_evidence(self, node: str, text: str) -> None:
        self.heard.append(("evidence", node, text))

    async def acknowledged(self, node: str, ohash: str, size: int, sids: Sequence[str], token: str) -> None:
        self.heard.append(("acks", node, ohash, size, tuple(sids), token))

    async def add_checkpoint(self, body: bytes) -> str:
        self.heard.append(("checkpoint", body))
        if isinstance(self.answer, Refused):
            raise self.answer
        return self.answer


@dataclass(frozen=True)
class Signing(httpx.Auth):
    """Signs each request as a node does; what is `overridden` is not as it should be."""

    town: Town
    key: SigningKey
    overridden: dict[str, Any] = field(default_factory=dict)
    requires_request_body = True

    def token(self, method: str, target: str, body: bytes = b"") -> str:
        """The token of one request; `target` is path and query."""
        values: dict[str, Any] = {
            "node": f"{self.town.code}.example",
            "audience": "de.example",
            "method": method,
            "url": BASE + target,
            "body": body,
            "now": self.town.clock() // 1000,
            "jti": secrets.token_hex(12),
            **self.overridden,
        }
        return sign_request(self.key, **values)

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        token = self.token(request.method, request.url.raw_path.decode("ascii"), request.content)
        request.headers["Authorization"] = f"Bearer {token}"
        yield request


@dataclass
class Federating:
    """A running node with federation on, and the peer `fr` that it has pinned."""

    front: Front
    peer_town: Town
    board: HeadBoard
    ear: Ear
    key: SigningKey

    def signing(self, **overridden: Any) -> Signing:
        return Signing(self.peer_town, overridden.pop("key", self.key), overridden)

    def at(self, **overridden: Any) -> httpx.AsyncClient:
        """A client that asks as the peer."""
        client = self.front.at()
        client.auth = self.signing(**overridden)
        return client

    def restart_tokens(self, *, with_keys: bool = True) -> None:
        """As after a restart: nothing is remembered but what is in the database."""
        node = self.front.node
        keyring = Keyring(self.peer_town.origin, [read_document(data).document for data in read_root_documents(self.peer_town.data_dir)])
        keyrings = Keyrings(node.keyring, [keyring] if with_keys else [])
        tokens = PeerTokens(
            node.database,
            node.keyring,
            node_id=node.identity.node_id,
            find_key=keyrings.node_key,
            public_url=node.identity.public_url,
            clock=node.clock,
        )
        self.front.app.state.api = replace(self.front.app.state.api, federated=Federated(self.ear, self.board, tokens))


@asynccontextmanager
async def open_federating(town: Town, url: str, **settings: Any) -> AsyncIterator[Federating]:
    """A node of `town` that has pinned a node of `fr`."""
    other = Town.found(town.data_dir.parent / "fr", code="fr", clock=town.clock)
    async with open_front(town, url, **ON, **settings) as front:
        federating = Federating(front, other, HeadBoard(), Ear(), read_key(other.data_dir / "keys" / "node.jwk"))
        federating.restart_tokens()
        async with front.node.database.transaction() as tx:
            await tx.peers.put(PeerRow("fr.example", "fr", "https://fr.example", "0" * 64))
        yield federating

"""What every route is given: the node, the operator's choices, and the counters and stamps of the HTTP floor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

from fastapi import Request
from starlette.types import Scope

from app.api.edge import PASSAGE, Passage
from app.api.limits import Limiter, OverQuota, Policy
from app.api.measures import Measures
from app.api.stamps import Stamps
from app.domain.errors import Unavailable
from app.index.heads import HeadBoard
from app.services.node import Node
from app.services.peer_tokens import PeerTokens


class Chosen(Protocol):
    """The settings that this floor needs; `app.settings.Settings` has them all."""

    @property
    def data_dir(self) -> Path: ...
    @property
    def metrics_token(self) -> str: ...
    @property
    def trusted_proxies(self) -> str: ...
    @property
    def log_public(self) -> bool: ...
    @property
    def rate_public_per_minute(self) -> int: ...
    @property
    def rate_public_copies_per_hour(self) -> int: ...
    @property
    def rate_client_per_minute(self) -> int: ...
    @property
    def operations_bind(self) -> str: ...
    @property
    def federation(self) -> bool: ...


class FederationPort(Protocol):
    """What the routes of federation hand on: each call says who spoke, and decides by itself what it believes."""

    async def nudged(self, node: str, ohash: str, size: int) -> None:
        """A peer says that a log has grown."""
        ...

    async def take_evidence(self, node: str, text: str) -> None:
        """A peer hands over evidence; Refused if it is none."""
        ...

    async def acknowledged(self, node: str, ohash: str, size: int, sids: Sequence[str], token: str) -> None:
        """A peer has carried out the erasures `sids` of a log read up to `size`; `token` is its signed request."""
        ...

    async def add_checkpoint(self, body: bytes) -> str:
        """Cosign as a witness (C2SP tlog-witness): the signature lines. NotFound, Forbidden, SizeConflict, InvalidProof, Malformed."""
        ...


@dataclass(frozen=True, slots=True)
class Federated:
    """What a node with federation on gives to its HTTP floor."""

    port: FederationPort
    board: HeadBoard
    tokens: PeerTokens


@dataclass(frozen=True, slots=True)
class Api:
    """One application's own."""

    node: Node
    chosen: Chosen
    measures: Measures
    limiter: Limiter
    stamps: Stamps
    public_policy: Policy
    """The policy of callers without a key."""
    copies_policy: Policy
    """Theirs for the segments of a view."""
    federated: Federated | None = None

    @property
    def federation(self) -> Federated:
        """For the routes of federation: Unavailable if the node was put together without it."""
        if self.federated is None:
            raise Unavailable("this node does not federate")
        return self.federated

    def spend(self, passage: Passage, who: str, asked: Policy, amount: int = 1) -> None:
        """Take units of a policy; the answer says what is left, also the refusal."""
        try:
            passage.rates.append(self.limiter.spend(who, asked, amount))
        except OverQuota as error:
            passage.rates.append(error.left)
            raise


def api_of(request: Request) -> Api:
    """The application's own, for a route."""
    return cast("Api", request.scope["app"].state.api)


def passage_of(scope: Scope) -> Passage:
    """The passage that the edge opened for this request."""
    return cast("Passage", scope[PASSAGE])

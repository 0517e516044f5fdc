"""The chain of root documents of another jurisdiction, fetched and verified against its pin (protocol §3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ..domain.canonical import JsonValue
from ..domain.errors import Malformed
from ..seal.roots import RootDocument, read_root_chain

MOST_VERSIONS = 200


class RootSource(Protocol):
    """Who serves root documents: `sdk.peer.PeerClient`."""

    async def well_known(self) -> dict[str, JsonValue]:
        """`/.well-known/cordon-node`."""
        ...

    async def root_document(self, version: int) -> bytes:
        """`/fed/v1/root/<version>`."""
        ...


@dataclass(frozen=True, slots=True)
class RootChain:
    """Every version as served, and what the newest says."""

    raw: tuple[bytes, ...]
    documents: tuple[RootDocument, ...]

    @property
    def newest(self) -> RootDocument:
        """The version in force."""
        return self.documents[-1]


async def latest_version(source: RootSource) -> int:
    """The version that a node says is its newest; nothing is believed of it but where to stop asking."""
    match (await source.well_known()).get("root"):
        case {"ver": int(version)} if 1 <= version <= MOST_VERSIONS:
            return version
    raise Malformed(f"the node names no root version between 1 and {MOST_VERSIONS}: it is no Cordon node, or a broken one")


async def fetch_chain(source: RootSource, *, pin: str, now: int, held: Sequence[bytes] = (), digests: Sequence[str] = ()) -> RootChain:
    """Versions 1 to the newest, verified at `now` (seconds): `held` are those at hand, `digests` what they must be.

    Raises InvalidProof (pin, threshold, order, expiry), what `read_root_chain` raises, and what the source raises.
    """
    latest = max(await latest_version(source), len(held))
    raw = [*held, *[await source.root_document(version) for version in range(len(held) + 1, latest + 1)]]
    return RootChain(tuple(raw), read_root_chain(pin, raw, now=now, persisted=digests))

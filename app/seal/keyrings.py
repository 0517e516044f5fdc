"""The registries of every log that this node holds: its own and those of its peers, by origin.

One `Keyring` a log. Each answers for its own log alone: a key that one jurisdiction registers signs nothing in the log of another,
and root documents of a jurisdiction stand in the keyring of each of its logs. What the fold must know of several logs at once is
gathered here (protocol §3.2, §3.7), and so is who a peer's node is when it calls: by the node keys of its newest root document.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from ..domain.registry import node_of_origin
from .jws import PublicKey, SigningKey
from .keyring import Keyring
from .roots import RootDocument

_NOTHING: frozenset[str] = frozenset()


@dataclass(slots=True)
class NodeKey:
    """The key with which this node signs what it says by itself; the newest root document says which it is."""

    current: SigningKey


class Keyrings:
    """Keyrings by origin; `own` is always among them."""

    def __init__(self, own: Keyring, others: Iterable[Keyring] = ()) -> None:
        self.own = own
        self._by_origin = {own.origin: own, **{one.origin: one for one in others}}

    def __iter__(self) -> Iterator[Keyring]:
        return iter(tuple(self._by_origin.values()))

    def __len__(self) -> int:
        return len(self._by_origin)

    def get(self, origin: str) -> Keyring | None:
        """The registry of a log, or None for a log we do not follow."""
        return self._by_origin.get(origin)

    def put(self, keyring: Keyring) -> None:
        """Take the registry of a log, in the place of what we had of it. The own one stays the same object for good."""
        if keyring.origin != self.own.origin:
            self._by_origin[keyring.origin] = keyring

    def drop(self, origin: str) -> None:
        """Know a log no more; the own one stays."""
        if origin != self.own.origin:
            self._by_origin.pop(origin, None)

    def origins(self) -> tuple[str, ...]:
        """The logs whose registry is known, sorted."""
        return tuple(sorted(self._by_origin))

    def beside(self, keyring: Keyring) -> Keyrings:
        """The same with another registry of one log: what a page tries before it is committed."""
        others = [one for one in self if one.origin not in (keyring.origin, self.own.origin)]
        if keyring.origin == self.own.origin:
            return Keyrings(keyring, others)
        return Keyrings(self.own, [*others, keyring])

    # --- for the fold -------------------------------------------------------------------------------------------------

    def registrar_kids(self) -> Mapping[str, frozenset[str]]:
        """Per log, every kid that was ever a key of its registrar."""
        return {origin: keyring.registrar_kids for origin, keyring in self._by_origin.items()}

    def needs2(self, origin: str, index: int) -> frozenset[str]:
        """The kinds that need a second key at this place; none where the log's registry is unknown."""
        keyring = self._by_origin.get(origin)
        return _NOTHING if keyring is None else keyring.needs2_at(index)

    # --- nodes --------------------------------------------------------------------------------------------------------

    def document_of(self, node: str) -> RootDocument | None:
        """The newest root document we hold of the jurisdiction that runs `node`, or None if we follow no log of it."""
        documents = [keyring.newest_document for keyring in self if node_of_origin(keyring.origin) == node]
        known = [document for document in documents if document is not None]
        return max(known, key=lambda document: document.version, default=None)

    def node_key(self, node: str, kid: str) -> PublicKey | None:
        """The key by which `node` signs its requests: of its newest root document only, so that a key left out there is dead."""
        document = self.document_of(node)
        if document is None or kid.partition("#")[0] != node:
            return None
        return next((key.public_key for key in document.node_keys if key.kid == kid), None)

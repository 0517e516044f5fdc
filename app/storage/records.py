"""What the shelves of statements and subjects take and give: plain values, no rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple

from app.domain.folding import Event, ShownState, State
from app.domain.labels import Label
from app.domain.merkle import HASH_BYTES

ACTIVE = ShownState(State.ACTIVE)


@dataclass(frozen=True, slots=True)
class StatementRow:
    """A statement to keep.

    `context`: canonical JSON of the one `context` item of a listing, or of the one item of a dispute or an endorsement, where it
    was disclosed. `state`: what the fold says of it on arrival; its `expires_at` None means the statement's own.
    """

    event: Event
    accepted_ms: int
    issued_at: int
    jti: str | None = None
    handling: tuple[str, ...] = ()
    context: bytes | None = None
    state: ShownState = ACTIVE


class PartRow(NamedTuple):
    """Disclosures of one part that stand side by side on the wire, as the columns of `part`.

    `number`: the place of the first on the wire; `disclosures`: `<D1>~…~<Dn>~`, None when they were erased: then `digests` has the
    SHA-256 of each.
    """

    origin: str
    index: int  # type: ignore[assignment]  # it hides tuple.index, which nobody asks of a row
    number: int
    part: str
    disclosures: str | None
    digests: bytes | None = None

    @property
    def is_erased(self) -> bool:
        """Whether only the tombstone is left."""
        return self.disclosures is None

    @property
    def size(self) -> int:
        """How many disclosures they are, or were."""
        return self.disclosures.count("~") if self.disclosures is not None else len(self.digests or b"") // HASH_BYTES

    @property
    def texts(self) -> list[str]:
        """The disclosures; none of a tombstone."""
        return self.disclosures.split("~")[:-1] if self.disclosures is not None else []

    def hashes(self) -> list[bytes]:
        """The SHA-256 of each disclosure, also of what was erased."""
        if self.disclosures is None:
            kept = self.digests or b""
            return [kept[at : at + HASH_BYTES] for at in range(0, len(kept), HASH_BYTES)]
        return [sha256(text.encode()).digest() for text in self.texts]


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """For whom a statement is, and each of its parts. Statements that are for the same share one object (storage/events)."""

    stub: Label
    parts: Mapping[str, Label]


class Labelled(NamedTuple):
    """A statement by its place, who said it, and for whom: what decides whether it is shown."""

    index: int  # type: ignore[assignment]  # as above
    sid: str
    issuer: str
    labels: Labels


@dataclass(frozen=True, slots=True)
class Stored:
    """A statement in short; `state` is the fold's word, its `expires_at` counts renewals. `held`: it does not count here (holding)."""

    origin: str
    index: int
    sid: str
    kind: str
    issuer: str
    kid: str
    accepted_ms: int
    label: Label
    handling: tuple[str, ...]
    state: ShownState
    event: Event
    held: bool = False


@dataclass(frozen=True, slots=True)
class StatementRecord:
    """A statement with its log entry, its parts and the statements of any log that point at it."""

    stored: Stored
    entry: bytes
    jti: str | None
    issued_at: int
    parts: tuple[PartRow, ...]
    edges: tuple[Event, ...]

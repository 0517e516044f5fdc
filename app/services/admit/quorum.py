"""Whether enough witnesses have seen a checkpoint of our log: the policy of the operator, counted over the cosignatures kept.

It never delays anything: a receipt is good without, and better with (protocol §3.7). Without a file any two other jurisdictions are
enough. A witness that the file names and no peer is counts only if its lines reach us by a peer's mirror.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.domain.errors import BadRequest
from app.domain.note import VerifierKey
from app.domain.witness_policy import WitnessPolicy, any_of, parse_policy
from app.seal.notes import Verifier, read_vkeys
from app.seal.roots import RootDocument
from app.storage.database import Transaction

DEFAULT_QUORUM = 2


@dataclass(frozen=True, slots=True)
class Standing:
    """Who of the policy's witnesses has seen our tree at `size`, and whether that is enough."""

    size: int
    names: tuple[str, ...]
    reached: bool


def read_policy(file: str) -> WitnessPolicy | None:
    """The policy file of the settings; None for none; BadRequest if it cannot be read."""
    if not file:
        return None
    try:
        return parse_policy(Path(file).read_bytes())
    except OSError as error:
        raise BadRequest(f"cannot read the witness policy {file}: {error.strerror}") from error


def witnesses(documents: Iterable[RootDocument], policy: WitnessPolicy | None) -> dict[str, Verifier]:
    """The keys whose lines are kept, by name: those of other jurisdictions' root documents, and those that the policy names."""
    stated = [document.witness[0] for document in documents if document.witness is not None]
    named = [one.key.text() for one in policy.witnesses.values()] if policy is not None else []
    return {one.key.name: one for one in read_vkeys([*stated, *(vkey for vkey in named if vkey not in stated)])}


async def standing(tx: Transaction, origin: str, size: int, keys: Sequence[VerifierKey], policy: WitnessPolicy | None) -> Standing:
    """How the checkpoint at `size` stands. `keys`: the witnesses whose verified lines are kept."""
    chosen = policy or any_of(DEFAULT_QUORUM, keys)
    seen = {row.name for row in await tx.witnesses.of(origin, size)}
    names = chosen.names_of(key for key in keys if key.name in seen)
    return Standing(size, tuple(sorted(names)), chosen.satisfied(names))

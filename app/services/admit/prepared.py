"""A statement after the fence, with all that could be said of it without a database."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.errors import CordonError
from app.domain.items import CheckedItems
from app.domain.statement import Disclosure, Stub
from app.seal.jws import Token


@dataclass(frozen=True, slots=True)
class Prepared:
    """A statement after the fence: `token` is verified. `late` is a fault whose turn comes after key and mandate."""

    wire: str
    token: Token
    stub: Stub | None
    disclosures: tuple[Disclosure, ...]
    items: CheckedItems | None
    early: CordonError | None
    late: CordonError | None
    keyring_version: int

    @property
    def sid(self) -> str:
        """The statement's id."""
        return self.token.sid

"""What commands ask of a node, wherever it runs, and what they are told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from app.domain.canonical import JsonValue
from app.domain.errors import CordonError
from app.sdk.wire import Submitted

Outcome = Submitted | CordonError
Record = dict[str, JsonValue]


class Door(Protocol):
    """What commands ask of a node, wherever it runs."""

    def origin(self) -> str:
        """The origin of its log."""
        ...

    def submit(self, wires: Sequence[str]) -> Iterator[Outcome]:
        """One outcome per statement, in order, as they come in."""
        ...

    def screen(self, items: Sequence[Mapping[str, JsonValue]]) -> list[Record]:
        """One result per item {address, chain?, tag?, reference?} (schemas §4.2)."""
        ...

    def listings(self, issuer: str) -> Iterator[Record]:
        """Records of the listings of a member, as far as this caller may see them: `sid`, `state`, and `parts` where they cost nothing."""
        ...

    def statement(self, sid: str) -> Record:
        """The record of one statement, parts included."""
        ...

    def member(self, member_id: str) -> Record:
        """A member with mandate and contact."""
        ...

    def member_claims(self, member_id: str) -> Record:
        """What the registrar said of a member, keys included; NotFound if it is none."""
        ...

    def member_keys(self, member_id: str) -> list[Record]:
        """Every key a member ever had, by log index and time."""
        ...

    def members(self) -> list[Record]:
        """Every member."""
        ...

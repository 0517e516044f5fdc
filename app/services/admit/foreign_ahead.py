"""A page of a peer's log before its transaction: opened and judged piece by piece, so that lookups have their turn in between."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from app.domain.errors import Betrayed
from app.domain.merkle import leaf_hash
from app.seal.keyring import Keyring
from app.services.admit.foreign_judge import FindKey, Offered, Opened, open_entries
from app.services.admit.foreign_page import Page

CHUNK = 64
"""Entries that are opened before the loop may do something else."""


class OtherBytes(Betrayed):
    """An entry that does not hash to the leaf that its log signed: its source is at fault, another one may have it."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A page that was judged under `registry` when that had this `version`."""

    opened: list[Opened | None]
    page: Page
    registry: Keyring
    version: int

    def stands_for(self, taken: Page) -> bool:
        """Whether the transaction in which `taken` was begun sees the log and its registry as they were then."""
        return taken.keyring is self.registry and taken.keyring.version == self.version and taken.state == self.page.state


def open_chunk(page: Sequence[Offered], leaves: Sequence[bytes], find_key: FindKey, from_relay: bool) -> list[Opened | None]:
    """Hash, read and verify; None for what is withheld. OtherBytes if they are not those of the tree."""
    for offered, leaf in zip(page, leaves, strict=True):
        if offered.entry is not None and leaf_hash(offered.entry) != leaf:
            raise OtherBytes(f"entry {offered.index} does not hash to the leaf that its log signed: ask another source")
    opened = iter(open_entries([offered for offered in page if offered.entry is not None], find_key, from_relay=from_relay))
    return [None if offered.entry is None else next(opened) for offered in page]


def take_chunk(taken: Page, opened: Sequence[Opened | None], page: Sequence[Offered], leaves: Sequence[bytes]) -> None:
    """Judge opened entries in log order."""
    for one, offered, leaf in zip(opened, page, leaves, strict=True):
        if one is None and offered.is_endless:
            taken.give_up(offered.index)
        elif one is None:
            taken.withhold(offered.index)
        else:
            taken.take(one, offered, leaf)


async def take_all(taken: Page, opened: Sequence[Opened | None], page: Sequence[Offered], leaves: Sequence[bytes]) -> None:
    """`take_chunk` of a whole page, with a pause now and then."""
    for at in range(0, len(page), CHUNK):
        take_chunk(taken, opened[at : at + CHUNK], page[at : at + CHUNK], leaves[at : at + CHUNK])
        await asyncio.sleep(0)

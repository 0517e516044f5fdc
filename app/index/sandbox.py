"""The index as holders of `test` keys see it: the live one, and before it the fixed addresses of the sandbox (`domain/sandbox`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from app.domain.identifiers import Subject
from app.domain.labels import Reader
from app.domain.sandbox import IDS, LINK, LISTING
from app.index.known import NOTHING_KNOWN, Knowing, Known
from app.storage.database import Transaction

_FIXED = Known({LISTING.subject: (LISTING,)}, {str(LINK.item["from"]): (LINK,)})


class SandboxIndex:
    """Tells of the sandbox's ids what is fixed, of every other what the live index tells; holds nothing itself."""

    def __init__(self, live: Knowing) -> None:
        self._live = live

    def may_know(self, subject: Subject, reader: Reader) -> bool:
        """As in the live index; of the sandbox's ids something may always be known."""
        return subject.id in IDS or self._live.may_know(subject, reader)

    def at_hand(self, subject: Subject, reader: Reader) -> Known | None:
        """As in the live index; what is fixed is waited for."""
        return None if subject.id in IDS else self._live.at_hand(subject, reader)

    def standing(self) -> Mapping[str, Known]:
        """Nothing: what is tried out here need not be fast."""
        return {}

    async def known(self, subjects: Iterable[Subject], reader: Reader) -> Known:
        """What the live index tells, and what is fixed."""
        asked = list(subjects)
        found = await self._live.known([one for one in asked if one.id not in IDS], reader)
        return _with_fixed(asked, found)

    async def known_in(self, tx: Transaction, subjects: Iterable[Subject], reader: Reader) -> Known:
        """The same in a snapshot."""
        asked = list(subjects)
        found = await self._live.known_in(tx, [one for one in asked if one.id not in IDS], reader)
        return _with_fixed(asked, found)


def _with_fixed(asked: Iterable[Subject], found: Known) -> Known:
    if all(one.id not in IDS for one in asked):
        return found
    return _FIXED if found is NOTHING_KNOWN else found.and_also([_FIXED])

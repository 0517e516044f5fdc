"""Recalling what was confirmed: the lookups, ranges and entities that are told in other systems' shapes (domain §2).

Finds what screening finds, then leaves out what those shapes cannot say (`domain/confirmed`). Nothing here knows the shapes or HTTP.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.domain.address import Wallet
from app.domain.answer import Finding, Listing, Match, Moment, makes_listed, visible
from app.domain.canonical import JsonValue
from app.domain.confirmed import Recalled, RelatedHit, confirmed, confirmed_in, confirms_entity, may_be_acted_on, says_confirmed
from app.domain.identifiers import Indicator, read_subject
from app.domain.labels import Reader
from app.domain.viewing import TIERS, listed_by
from app.index.known import Known
from app.index.listings import ListingIndex
from app.index.ranges import IdRanges, plain_key
from app.storage.database import Database, Transaction
from app.storage.words import words_of

MOST_CANDIDATES = 2_000

Find = Callable[[Known, Wallet | Indicator, Reader, Moment], Finding]


@dataclass(frozen=True, slots=True)
class RecalledEntity:
    """An entity, and the claims on it that count as confirmed, oldest first; never none."""

    id: str
    claims: tuple[Listing, ...]

    def said(self, name: str) -> list[JsonValue]:
        """The values of a member over all claims, that of a list one by one, without repetition."""
        found: list[JsonValue] = []
        for claim in self.claims:
            value = claim.item.get(name)
            found += [one for one in (value if isinstance(value, list) else [value]) if one is not None and one not in found]
        return found

    @property
    def names(self) -> list[str]:
        """What it is called."""
        return [str(one["name"]) for one in self.said("names") if isinstance(one, dict) and "name" in one]


class Recall:
    """Answers from the index, entities from the database; `find` is what screening says of a subject."""

    def __init__(self, database: Database, index: ListingIndex, *, find: Find, moment: Callable[[], Moment]) -> None:
        self._database = database
        self._index = index
        self._find = find
        self._moment = moment
        self._ranges = IdRanges(database, index)

    def now(self) -> Moment:
        """The moment of one answer."""
        return self._moment()

    async def one(self, text: str, reader: Reader, moment: Moment, *, chain: str | None = None, tag: str | None = None) -> Recalled:
        """What was confirmed of one address or indicator in any spelling; InvalidAddress if it cannot be read."""
        subject = read_subject(text, chain=chain, tag=tag)
        known = await self._index.known([subject], reader)
        finding = self._find(known, subject, reader, moment)
        if finding.match is Match.PROTECTED:
            return Recalled(subject, (), ())
        related = [
            RelatedHit(id_, relation, said)
            for id_, relation, _ in finding.related
            if not moment.protected(id_) and (said := confirmed(known.find(id_), reader, moment))
        ]
        return Recalled(subject, confirmed_in(finding, reader, moment), tuple(related))

    async def range(self, number: int, tier: str) -> list[tuple[str, int]]:
        """(hex SHA-256, number of confirmed statements) of each listed id of a range, as the readers of a tier may know it."""
        reader = TIERS[tier]
        listed: dict[str, list[Listing]] = {}
        for listing in await self._ranges.listings(number):
            listed.setdefault(listing.subject, []).append(listing)
        moment = self._moment()
        counted = [
            (id_, sum(says_confirmed(one.item) and may_be_acted_on(one) for one in listed_by(id_, said, reader, moment)))
            for id_, said in listed.items()
        ]
        return sorted((plain_key(id_).hex(), count) for id_, count in counted if count)

    # --- entities ----------------------------------------------------------------------------------------------------

    async def entity(self, entity_id: str, reader: Reader) -> RecalledEntity | None:
        """One entity; None if nothing confirmed is known of it to this reader."""
        async with self._database.reading() as tx:
            found = await self._entities(tx, [entity_id], reader, self._moment())
        return found[0] if found else None

    async def entities(self, text: str, reader: Reader) -> list[RecalledEntity]:
        """Entities whose names hold every word of a text, by id."""
        async with self._database.reading() as tx:
            ids = await tx.entities.search(text, limit=MOST_CANDIDATES)
            return await self._entities(tx, ids, reader, self._moment())

    async def _entities(self, tx: Transaction, ids: Sequence[str], reader: Reader, moment: Moment) -> list[RecalledEntity]:
        claims: dict[str, list[Listing]] = {}
        for claim in visible(await tx.subjects.listings(ids), reader, moment):
            if makes_listed(claim, reader, moment):
                claims.setdefault(claim.subject, []).append(claim)
        statements = await self._statements(tx, [claim for own in claims.values() for claim in own], reader, moment)
        found = []
        for id_ in ids:
            kept = tuple(c for c in claims.get(id_, ()) if confirms_entity(c, statements.get((c.origin, c.sid), ())))
            if kept:
                found.append(RecalledEntity(id_, kept))
        return found

    async def _statements(
        self, tx: Transaction, claims: Sequence[Listing], reader: Reader, moment: Moment
    ) -> dict[tuple[str, str], list[Listing]]:
        """Every item that the reader sees of the statements behind these claims."""
        by_origin: dict[str, set[str]] = {}
        for claim in claims:
            by_origin.setdefault(claim.origin, set()).add(claim.sid)
        found: dict[tuple[str, str], list[Listing]] = {}
        for origin, sids in by_origin.items():
            for one in visible(await tx.subjects.listings_of_sids(origin, sorted(sids)), reader, moment):
                found.setdefault((one.origin, one.sid), []).append(one)
        return found


def same_words(name: str, other: str) -> bool:
    """Whether two names hold the same words in any order; case, accents and signs do not count."""
    return sorted(words_of(name)) == sorted(words_of(other))


def share_of_words(name: str, other: str) -> float:
    """Words that both names have, of all that either has: 0 to 1."""
    one, two = set(words_of(name)), set(words_of(other))
    return len(one & two) / len(one | two) if one | two else 0.0

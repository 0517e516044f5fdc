"""What the answers in other systems' shapes may rest on: statements of status `confirmed` that make an id `listed` (domain §2).

Those shapes cannot say "suspected", "disputed" or "for information only", and their clients block on any hit. So what is left out here
is left out for their sake: suspicions, what the issuer wants no machine to act on, and places that are never blocked (domain decision 5).
An entity has no status of its own: it counts if its statement confirms a wallet or an indicator, or names the authority's designation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from .address import Wallet
from .answer import Finding, Listing, Match, Moment, Relation, makes_listed, visible
from .canonical import JsonValue
from .identifiers import Indicator
from .labels import Reader
from .vocabulary.lists import INFORMATIVE_ROLES

_NOT_BY_MACHINE = frozenset({"NO-AUTOMATED-ACTION", "INTEL-ONLY"})


@dataclass(frozen=True, slots=True)
class RelatedHit:
    """Another id, how it is related, and the confirmed listings on it; never none."""

    id: str
    relation: Relation
    statements: tuple[Listing, ...]


@dataclass(frozen=True, slots=True)
class Recalled:
    """What may be told of one subject; `statements` and `related` are empty where there is nothing."""

    subject: Wallet | Indicator
    statements: tuple[Listing, ...]
    related: tuple[RelatedHit, ...]

    @property
    def match(self) -> Match:
        """The word under which it is counted."""
        return Match.LISTED if self.statements else Match.RELATED if self.related else Match.NOT_LISTED


def says_confirmed(item: Mapping[str, JsonValue]) -> bool:
    """Whether an item says `confirmed` of something that may be acted on."""
    roles = item.get("roles")
    informative = isinstance(roles, list) and any(role in INFORMATIVE_ROLES for role in roles)
    return item.get("status") == "confirmed" and not informative


def may_be_acted_on(listing: Listing) -> bool:
    """Whether its issuer lets machines act on it."""
    return _NOT_BY_MACHINE.isdisjoint(listing.handling)


def confirmed(listings: Iterable[Listing], reader: Reader, moment: Moment) -> tuple[Listing, ...]:
    """Those of `listings` that make their id listed for this reader and may be told in another system's shape."""
    return tuple(
        one
        for one in visible(listings, reader, moment)
        if says_confirmed(one.item) and may_be_acted_on(one) and makes_listed(one, reader, moment)
    )


def confirmed_in(finding: Finding, reader: Reader, moment: Moment) -> tuple[Listing, ...]:
    """The same of what a lookup found; nothing of a protected id."""
    if finding.match is Match.PROTECTED:
        return ()
    return confirmed(finding.statements, reader, moment)


def confirms_entity(claim: Listing, statement: Sequence[Listing]) -> bool:
    """Whether a claim on an entity counts as confirmed, given every item of its statement."""
    if not may_be_acted_on(claim):
        return False
    return bool(claim.item.get("designations")) or any(says_confirmed(one.item) for one in statement)

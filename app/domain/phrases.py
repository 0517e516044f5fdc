"""Statements put into words once and not for every question, and the hits that need no thought beyond that.

Kept is only what no reader changes: a listing that nobody has annotated, before or after its expiry, on the day that decides whether its
review is overdue. Whether a reader may see it is decided before. A *plain* hit is one on which every step of `answer.find` comes
out in one way for whoever reads GREEN: a single listing, live, undisputed, without scope, no guard, CLEAR or GREEN. Nearly all are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

import orjson

from .answer import UNSEEN, Listing, Match, Moment, is_guard, is_public, max_tlp, severity_of, statement_words
from .canonical import JsonValue
from .labels import Reader, Tlp

DAY_S = 86_400
MOST_PHRASES = 8_192
_OPEN = frozenset({Tlp.CLEAR, Tlp.GREEN})


class Phrase(NamedTuple):
    """A listing in words. `told`: of a plain one, all members of the result between the id and `policy`; else empty."""

    listing: Listing
    is_live: bool
    said: orjson.Fragment
    told: bytes
    tlps: tuple[str, ...]


class Phrases:
    """A bounded number of them, forgotten every day."""

    def __init__(self) -> None:
        self._day = -1
        self._kept: dict[int, Phrase] = {}

    def say(self, listing: Listing, reader: Reader, moment: Moment) -> JsonValue:
        """What `statement_words` says, ready for orjson."""
        if listing.annotations:
            return statement_words(listing, reader, moment)
        return cast("JsonValue", self._phrase(listing, reader, moment).said)

    def plain(self, listings: Sequence[Listing], reader: Reader, moment: Moment) -> Phrase | None:
        """The phrase of a plain hit on an id that has no kin, no links and no guard; None if it takes thought.

        What is listed for others only takes the steps of what is not listed, so the clock tells neither (H-1).
        """
        one = (listings or UNSEEN)[0]
        if one.label.tlp not in _OPEN or one.core_label.tlp not in _OPEN or len(listings) != 1 or one.annotations or is_public(reader):
            return None
        phrase = self._phrase(one, reader, moment)
        return phrase if phrase.told and phrase.is_live and one.origin not in moment.weightless else None

    def _phrase(self, listing: Listing, reader: Reader, moment: Moment) -> Phrase:
        is_live = listing.expires_at > moment.now_s
        kept = self._kept.get(id(listing))
        if kept is not None and kept.listing is listing and kept.is_live is is_live and moment.now_s // DAY_S == self._day:
            return kept
        if len(self._kept) >= MOST_PHRASES or moment.now_s // DAY_S != self._day:
            self._kept.clear()
            self._day = moment.now_s // DAY_S
        said = orjson.dumps(statement_words(listing, reader, moment))
        phrase = Phrase(listing, is_live, orjson.Fragment(said), _told(listing, said) if _is_plain(listing) else b"", (max_tlp(listing),))
        self._kept[id(listing)] = phrase
        return phrase


def _is_plain(listing: Listing) -> bool:
    """The labels are looked at elsewhere: they are the first thing to look at."""
    return (
        listing.state == "active"
        and not listing.contested
        and not listing.annotations
        and not isinstance(listing.item.get("scope"), dict)
        and not is_guard(listing.item)
    )


def _told(listing: Listing, said: bytes) -> bytes:
    head = orjson.dumps({"match": str(Match.LISTED), "severity": severity_of([listing])})
    return b'%b,"statements":[%b],"related":[]' % (head[1:-1], said)

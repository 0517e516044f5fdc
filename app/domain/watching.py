"""What watchers are told: what a statement is to one of them, and which event follows from what he knew and what he may know now.

A watcher knows of a statement one word. An event is the step from that word to the next, so the same change seen twice (a retry, a page
that comes again, an import that says the same) is no second event. What a reader may not see has no word: he is told nothing of it,
neither that it came nor that it went. Schemas §4.5, trust-and-ops §1.5.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from enum import StrEnum
from fnmatch import fnmatchcase
from hashlib import sha256

from .address import Wallet, kin_keys, read_canonical_wallet
from .answer import Listing, Moment, is_guard, is_public, shown_state, visible
from .errors import InvalidAddress, Malformed
from .identifiers import id_key
from .labels import Reader
from .view import bucket_number, bucket_text


class Word(StrEnum):
    """What a watcher knows of a statement, the strongest first."""

    ACTIVE = "active"
    DISPUTED = "disputed"
    SUSPENDED = "suspended"
    SUPERSEDED = "superseded"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


class EventType(StrEnum):
    """The events of listings (schemas §4.5)."""

    ADDED = "listing.added.v1"
    CHANGED = "listing.changed.v1"
    DISPUTED = "listing.disputed.v1"
    SUSPENDED = "listing.suspended.v1"
    WITHDRAWN = "listing.withdrawn.v1"
    EXPIRED = "listing.expired.v1"
    CORRECTED = "listing.corrected.v1"


EVENT_TYPES = tuple(EventType)
TEST_TYPE = "webhook.test.v1"
EMBARGO = "embargo"
"""The state before of a listing that the public may see from now on; for everybody else nothing has changed."""

_LISTED = frozenset({Word.ACTIVE, Word.DISPUTED})
STANDING = _LISTED | {Word.SUSPENDED}
"""Words of a listing that has not ended."""
_RANK = {word: rank for rank, word in enumerate(Word)}
_WORDS = {
    "active": Word.ACTIVE,
    "disputed": Word.DISPUTED,
    "contested": Word.DISPUTED,
    "suspended": Word.SUSPENDED,
    "superseded": Word.SUPERSEDED,
    "expired": Word.EXPIRED,
}
_PATTERN = re.compile(r"\*|[a-z]+(\.[a-z]+)?(\.\*|\.v1)?")
_EVENT_ID = re.compile(r"([0-9a-f]{12})-(0|[1-9][0-9]{0,17})")
BUCKET = re.compile(r"[0-9a-f]{4}")


# --- words ---------------------------------------------------------------------------------------------------------------


def word_of(listings: Iterable[Listing], reader: Reader, moment: Moment) -> Word | None:
    """What these items of one statement are to a watcher; None if he may not see them, or they list nothing (guards, logs without weight)."""
    said = [
        _WORDS.get(shown_state(one, reader, moment), Word.WITHDRAWN)
        for one in visible(listings, reader, moment)
        if not is_guard(one.item) and one.origin not in moment.weightless
    ]
    return min(said, key=_RANK.__getitem__, default=None)


def told_word(listings: Iterable[Listing], reader: Reader, moment: Moment) -> Word:
    """The same of somebody who was told of it: that it is gone he learns in any case."""
    said = [_WORDS.get(shown_state(one, reader, moment), Word.WITHDRAWN) for one in listings]
    return min(said, key=_RANK.__getitem__, default=Word.WITHDRAWN)


def known_before(before: str, reader: Reader) -> Word | None:
    """What a watcher knew of a statement of which he was sent nothing: what stood when he began to watch is not new."""
    if before == "active" or (before == EMBARGO and not is_public(reader)):
        return Word.ACTIVE
    return None


def step(known: Word | None, now: Word) -> EventType | None:
    """The event from one word to the next; None if there is nothing to say."""
    if known is None:
        return EventType.ADDED if now in _LISTED else None
    if known == now:
        return None
    if now not in STANDING:
        return _ENDS[now] if known in STANDING else None
    if now is Word.SUSPENDED:
        return EventType.SUSPENDED if known in _LISTED else None
    if now is Word.DISPUTED and known is Word.ACTIVE:
        return EventType.DISPUTED
    return EventType.CHANGED


_ENDS = {Word.EXPIRED: EventType.EXPIRED, Word.WITHDRAWN: EventType.WITHDRAWN, Word.SUPERSEDED: EventType.WITHDRAWN}


def correction(known: Word, now: Word) -> EventType | None:
    """The event for somebody who was told `listed` of it: that it is so no more, or so again."""
    if (known in _LISTED) == (now in _LISTED):
        return None
    return EventType.CHANGED if now in _LISTED else EventType.CORRECTED


def says_the_same(one: Listing, other: Listing) -> bool:
    """Whether a listing only takes the place of another: an import replaces a whole statement when one of its rows changes."""
    return (one.subject, one.item, one.context, one.core_label, one.label) == (
        other.subject,
        other.item,
        other.context,
        other.core_label,
        other.label,
    )


# --- keys ----------------------------------------------------------------------------------------------------------------


def keys_of_subject(subject: str) -> tuple[str, ...]:
    """Under what its watchers are found: the id, its bucket, and what its kin share."""
    return (f"={subject}", f"#{bucket_text(bucket_number(id_key(subject)))}", *_kin(subject))


def keys_of_watched(watched: str) -> tuple[str, ...]:
    """Under what somebody is found who watches an id, or a bucket."""
    if BUCKET.fullmatch(watched):
        return (f"#{watched}",)
    return (f"={watched}", *_kin(watched))


def _kin(subject: str) -> tuple[str, ...]:
    try:
        wallet: Wallet = read_canonical_wallet(subject)
    except InvalidAddress:
        return ()
    return tuple(f"~{key.hex()}" for key in kin_keys(wallet))


# --- events --------------------------------------------------------------------------------------------------------------


def event_id(owner: str, seq: int) -> str:
    """The id of an event, which is its cursor and its `webhook-id`; the number grows by one with each event of this client.

    With 0, the cursor before the first of them.
    """
    return f"{_tag(owner)}-{seq}"


def read_event_id(owner: str, text: str) -> int:
    """The number in an id of this client's; Malformed for any other text."""
    found = _EVENT_ID.fullmatch(text)
    if found is None or found[1] != _tag(owner):
        raise Malformed("a cursor is the `id` of one of your events")
    return int(found[2])


def _tag(owner: str) -> str:
    return sha256(f"cordon events of {owner}".encode()).hexdigest()[:12]


def is_pattern(text: str) -> bool:
    """Whether a text chooses events: a type, `listing.*` or `*`."""
    return _PATTERN.fullmatch(text) is not None and any(fnmatchcase(kind, text) for kind in EVENT_TYPES)


def goes_to(kind: str, watchlist: str, *, events: Collection[str], watchlists: Collection[str]) -> bool:
    """Whether an event goes to an address that chose these types and lists; a correction of what was told belongs to no list."""
    is_listed = not watchlists or not watchlist or watchlist in watchlists
    return is_listed and any(fnmatchcase(kind, pattern) for pattern in events)

"""What a view says of an id: the listings that make it `listed` for whoever may read the tier, and when time alone will change that.

A view knows whole ids. A listing that is narrowed to a tag does not make the wallet listed, so it is in no view: ask online with the
tag. A listing that is narrowed to chains is in the view of its id. Entities are not screened. Otherwise a bucket and a lookup say the
same, as they ask the same functions (`answer`). Protocol §3.10, schemas §2 and §4.2.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from .answer import Listing, Moment, Scope, epoch_ms, is_guard, is_public, makes_listed, may_see, scope_relation, shown_state, visible
from .canonical import b64u_decode
from .glance import category_of_item, severity_of_item
from .identifiers import id_key
from .labels import PUBLIC, Reader, ReaderClass
from .view import MAX_SIDS, SID_BYTES, BucketEntry

CLEAR, GREEN = "clear", "green"
TIERS: dict[str, Reader] = {CLEAR: PUBLIC, GREEN: Reader(ReaderClass.VASP)}
"""Who reads each tier: everybody, after the public delay; every client with a key, as if no statement named him."""

_LIVE = frozenset({"active", "disputed", "contested", "suspended"})
_ENTITY = "entity:"


def listed_by(subject: str, listings: Sequence[Listing], reader: Reader, moment: Moment) -> list[Listing]:
    """The listings for which `answer.find` would say `listed` of exactly this id; none if it would say anything else."""
    if not listings or subject.startswith(_ENTITY) or moment.protected(subject):
        return []
    covering = [
        one
        for one in visible(listings, reader, moment)
        if shown_state(one, reader, moment) in _LIVE and scope_relation(one, Scope()) is None
    ]
    if any(one.origin == moment.own_origin and is_guard(one.item) for one in covering):
        return []
    return [one for one in covering if makes_listed(one, reader, moment)]


def entry_of(subject: str, listings: Sequence[Listing], reader: Reader, moment: Moment) -> bytes:
    """The bytes of its entry, empty if it is not listed in this tier at this moment."""
    said = listed_by(subject, listings, reader, moment)
    if not said:
        return b""
    severity = max(severity_of_item(one.item) for one in said)
    category = min(category_of_item(one.item) for one in said if severity_of_item(one.item) == severity)
    sids = sorted({b64u_decode(one.sid)[:SID_BYTES] for one in said})
    return BucketEntry(id_key(subject), severity, category, tuple(sids[:MAX_SIDS])).encode()


def next_change(listings: Iterable[Listing], reader: Reader, moment: Moment) -> int | None:
    """The first second after `moment` at which the entry may be another although nobody says anything; None if never.

    That is an expiry, or (for the public) the end of an embargo or of the delay.
    """
    soonest: int | None = None
    for one in listings:
        if not may_see(one, reader):
            continue
        times = [one.expires_at]
        if is_public(reader):
            embargo = one.item.get("embargo_until")
            open_ms = epoch_ms(embargo) if isinstance(embargo, str) else one.accepted_ms + moment.public_delay_ms
            times.append(-(-open_ms // 1000))
        for second in times:
            if second > moment.now_s and (soonest is None or second < soonest):
                soonest = second
    return soonest


def at_second(moment: Moment, second: int) -> Moment:
    """The same moment at a whole second: a view has no finer time, and whoever replays it needs the same one."""
    return replace(moment, now_ms=second * 1000)

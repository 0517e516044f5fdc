"""What a lookup answers: from folded listings, a reader and a moment to words; the last room of every lookup, online and offline.

It says what was *said* (statements with provenance and suggested action), never what to do: no verdict, no score (trust-and-ops DP-07).
Non-interference: every function filters by the reader first and looks only at what is left, so two worlds that differ in a
statement the reader may not see give equal answers. Words and shapes: schemas §4.2-4.3, domain decisions 1, 5, 6 and 8.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from .canonical import JsonValue
from .labels import Label, Reader, ReaderClass, Tlp, can_read
from .sources import Source


class Match(StrEnum):
    """The answer words, in order of precedence."""

    INVALID = "invalid"
    PROTECTED = "protected"
    LISTED = "listed"
    RELATED = "related"
    NOT_LISTED = "not_listed"


class Relation(StrEnum):
    """How a related id is related to the one asked for."""

    SAME_KEY = "same_key"
    OTHER_CHAIN = "other_chain"
    SAME_CLUSTER = "same_cluster"
    COUNTERPARTY = "counterparty"


@dataclass(frozen=True, slots=True)
class Annotation:
    """A dispute or an endorsement of a statement. `binding`: said by the redress member of the statement's own jurisdiction."""

    kind: str
    sid: str
    origin: str
    issuer: str
    label: Label
    accepted_ms: int
    binding: bool = False
    ground: str | None = None
    stage: str | None = None
    since: str | None = None


class Listing(NamedTuple):
    """One item of one listing, with what the fold says of its statement; the node's own view, filtered per reader later.

    A named tuple: a million of them are built at start, and a frozen dataclass of as many members takes five times as long.
    `state` is the fold's word (active, retracted, superseded, erased, inert, waiting); expiry is judged on read against
    `expires_at` (seconds, renewals counted). `accepted_ms` is the log's time of acceptance.
    """

    origin: str
    index: int  # type: ignore[assignment]  # it hides tuple.index, which nobody asks of a row
    sid: str
    number: int
    subject: str
    item: Mapping[str, JsonValue]
    context: Mapping[str, JsonValue]
    issuer: str
    issuer_name: str
    country: str | None
    label: Label
    core_label: Label
    handling: tuple[str, ...]
    accepted_ms: int
    expires_at: int
    state: str
    superseded_by: str | None = None
    contested: bool = False
    annotations: tuple[Annotation, ...] = ()


@dataclass(frozen=True, slots=True)
class Link:
    """One declared link between two ids, with what the fold says of the listing that declares it."""

    origin: str
    index: int
    number: int
    sid: str
    issuer: str
    label: Label
    core_label: Label
    accepted_ms: int
    expires_at: int
    state: str
    item: Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Moment:
    """When and under which local policy an answer is given. `own_country` decides whose guards protect (schemas §2, rule 3)."""

    now_ms: int
    public_delay_ms: int = 72 * 3_600_000
    own_origin: str = ""
    sources: tuple[Source, ...] = ()
    """The logs of others that the answer rests on, too."""
    weightless: frozenset[str] = frozenset()
    """Logs whose word is shown and decides nothing (local trust)."""
    protected: Callable[[str], bool] = field(default=lambda _id: False)

    @property
    def now_s(self) -> int:
        """The moment in whole seconds."""
        return self.now_ms // 1000


def is_public(reader: Reader) -> bool:
    """Whether the reader gets the delayed CLEAR tier only."""
    return reader.reader_class is ReaderClass.PUBLIC


def is_own(issuer: str, reader: Reader) -> bool:
    """Whether the reader is the member who said it: he sees his own statements whatever their audience."""
    return bool(reader.id) and reader.id == issuer


def may_see(listing: Listing, reader: Reader) -> bool:
    """A listing counts for a reader who may see its stub and its `core` (DECISIONS 30), and for its own issuer."""
    if is_own(listing.issuer, reader):
        return True
    reader = reader.at(listing.origin, listing.index)
    return can_read(listing.label, reader) and can_read(listing.core_label, reader)


def is_held_back(item: Mapping[str, JsonValue], accepted_ms: int, reader: Reader, moment: Moment) -> bool:
    """Embargo and public delay: an item's own `embargo_until` replaces the delay (domain decision 8)."""
    if not is_public(reader):
        return False
    embargo = item.get("embargo_until")
    if isinstance(embargo, str):
        return epoch_ms(embargo) > moment.now_ms
    return accepted_ms + moment.public_delay_ms > moment.now_ms


def sees_link(link: Link, reader: Reader, moment: Moment) -> bool:
    """Whether a declared link exists for the reader: live, of a listing he may see, and not held back."""
    if link.state != "active" or link.expires_at <= moment.now_s:
        return False
    if is_own(link.issuer, reader):
        return True
    reader_then = reader.at(link.origin, link.index)
    open_to = can_read(link.label, reader_then) and can_read(link.core_label, reader_then)
    return open_to and not is_held_back(link.item, link.accepted_ms, reader, moment)


def visible(listings: Iterable[Listing], reader: Reader, moment: Moment) -> list[Listing]:
    """The listings that exist for this reader at this moment, whatever their state, in the order given."""
    return [
        listing for listing in listings if may_see(listing, reader) and not is_held_back(listing.item, listing.accepted_ms, reader, moment)
    ]


def is_guard(item: Mapping[str, JsonValue]) -> bool:
    """`service_benign` with `do_not_block`: says an id must not be blocked (schemas §2, rule 3)."""
    if item.get("action") != "do_not_block":
        return False
    roles = item.get("roles")
    return isinstance(roles, list) and "service_benign" in roles


def shown_state(listing: Listing, reader: Reader, moment: Moment) -> str:
    """The state that is shown: the fold's word, then expiry, then what disputes say to this reader."""
    if listing.state != "active":
        return listing.state
    if listing.expires_at <= moment.now_s:
        return "expired"
    if listing.contested:
        return "contested"
    if not listing.annotations:
        return "active"
    disputes = [dispute for dispute in _disputes(listing, reader) if dispute.origin not in moment.weightless]
    stage = _binding_stage(disputes)
    if stage in ("overdue", "upheld"):
        return "suspended"
    if stage in ("inadmissible", "corrected", "withdrawn"):
        return "active"
    return "disputed" if disputes else "active"


_LISTS = frozenset({"active", "disputed", "contested"})
_SHOWN = _LISTS | {"suspended"}


def makes_listed(listing: Listing, reader: Reader, moment: Moment) -> bool:
    """Whether this listing makes its subject `listed` for the reader: live, not suspended, of a log with weight, and no guard."""
    if is_guard(listing.item) or listing.origin in moment.weightless:
        return False
    return shown_state(listing, reader, moment) in _LISTS


def _disputes(listing: Listing, reader: Reader) -> list[Annotation]:
    return [a for a in listing.annotations if a.kind == "dispute" and can_read(a.label, reader)]


def _binding_stage(disputes: Sequence[Annotation]) -> str | None:
    stages = [d for d in disputes if d.binding and d.stage]
    return max(stages, key=lambda d: d.accepted_ms).stage if stages else None


def suggested_action(listing: Listing, state: str, moment: Moment) -> str:
    """The issuer's suggestion, lowered to `review` by an open dispute, an overdue review or NO-AUTOMATED-ACTION.

    An unexpired court order or FIU suspension outweighs a dispute (trust-and-ops DR-2).
    """
    action = str(listing.item.get("action", "review"))
    if action not in ("block", "hold_and_report"):
        return action
    basis = listing.context.get("legal_basis")
    instrument = basis.get("instrument") if isinstance(basis, dict) else None
    disputed = state in ("disputed", "contested") and instrument not in ("court_order", "fiu_suspension")
    if disputed or review_is_overdue(listing, moment) or "NO-AUTOMATED-ACTION" in listing.handling:
        return "review"
    return action


def review_is_overdue(listing: Listing, moment: Moment) -> bool:
    """Whether the day of `review_by` lies behind."""
    review_by = listing.context.get("review_by")
    return isinstance(review_by, str) and review_by[:10] < day_text(moment.now_s)


def statement_words(listing: Listing, reader: Reader, moment: Moment) -> dict[str, JsonValue]:
    """One entry of `statements` in an answer (schemas §4.2)."""
    item, context = listing.item, listing.context
    state = shown_state(listing, reader, moment)
    disputes = _disputes(listing, reader)
    since = min((d.since or instant_text(d.accepted_ms) for d in disputes), default=None)
    anonymous = "NO-ATTRIBUTION" in listing.handling
    basis = context.get("legal_basis")
    return {
        "sid": listing.sid,
        "origin": listing.origin,
        "issuer": None if anonymous else listing.issuer,
        "issuer_name": "member agency" if anonymous else listing.issuer_name,
        "country": listing.country,
        "listed_at": instant_text(listing.accepted_ms),
        "expires_at": instant_text(listing.expires_at * 1000),
        "typologies": item.get("typologies", []),
        "roles": item.get("roles", []),
        "severity": item.get("severity"),
        "basis": item.get("basis"),
        "reliability": item.get("reliability"),
        "credibility": item.get("credibility"),
        "status": item.get("status"),
        "suggested_action": suggested_action(listing, state, moment),
        "assertion": context.get("assertion"),
        "evidence_standard": context.get("evidence_standard"),
        "instrument": basis.get("instrument") if isinstance(basis, dict) else None,
        "tlp": max_tlp(listing),
        "handling": list(listing.handling),
        "state": state,
        "disputed_since": since,
        "disputed_by": [*sorted({d.issuer for d in disputes})],
        "endorsed_by": [*sorted({a.issuer for a in listing.annotations if a.kind == "endorse" and can_read(a.label, reader)})],
        "review_by": context.get("review_by"),
        "review_overdue": review_is_overdue(listing, moment),
        "redress": context.get("redress"),
    }


def max_tlp(listing: Listing) -> str:
    """The label under which the content may be passed on: that of the part, which is never wider than the stub's."""
    return str(listing.core_label.tlp)


def severity_of(listings: Iterable[Listing]) -> int | None:
    """The highest severity said, or None."""
    said = [listing.item.get("severity") for listing in listings]
    return max([severity for severity in said if isinstance(severity, int)], default=None)


@dataclass(frozen=True, slots=True)
class Scope:
    """What the caller named beside the id: a narrower chain (CAIP-2), a memo or destination tag."""

    chain: str | None = None
    tag: str | None = None


def scope_relation(listing: Listing, asked: Scope) -> Relation | None:
    """None if the listing's scope covers what was asked, else how the asked id is related to it (schemas §4.2)."""
    scope = listing.item.get("scope")
    if not isinstance(scope, dict):
        return None
    tag, chains = scope.get("tag"), scope.get("chains")
    if isinstance(chains, list) and chains and asked.chain is not None and asked.chain not in chains:
        return Relation.OTHER_CHAIN
    if isinstance(tag, str) and tag != asked.tag:
        return Relation.SAME_KEY
    return None


@dataclass(frozen=True, slots=True)
class Related:
    """One related id with the listings on it as the node holds them."""

    id: str
    relation: Relation
    listings: Sequence[Listing]


class Finding(NamedTuple):
    """What is known of one id for one reader, before it is put into words."""

    match: Match
    severity: int | None
    statements: tuple[Listing, ...]
    related: tuple[tuple[str, Relation, bool], ...]


NOTHING = Finding(Match.NOT_LISTED, None, (), ())
"""What is found of an id that nobody has said anything of, or nothing that the reader may know of."""
_PROTECTED = Finding(Match.PROTECTED, None, (), ())
_NOBODYS = Label(Tlp.RED)
UNSEEN = (Listing("", 0, "", 0, "", {}, {}, "", "", None, _NOBODYS, _NOBODYS, (), 0, 0, "erased"),)
"""Looked at in place of no listing: a miss takes the steps of an id that is listed for others only, so the clock tells neither (H-1)."""


def find(subject: str, listings: Sequence[Listing], related: Sequence[Related], *, scope: Scope, reader: Reader, moment: Moment) -> Finding:
    """The one place where an answer word is decided (schemas §4.2): protected, listed, related, not_listed."""
    guarded = moment.protected(subject)
    seen = visible(listings or UNSEEN, reader, moment)
    if not seen and not related:
        return _PROTECTED if guarded else NOTHING
    covering: list[Listing] = []
    hits: list[Listing] = []
    relations: list[tuple[str, Relation, bool]] = []
    for listing in seen:
        state = shown_state(listing, reader, moment)
        if state not in _SHOWN:
            continue
        benign = is_guard(listing.item)
        lists = state in _LISTS and not benign and listing.origin not in moment.weightless
        relation = scope_relation(listing, scope)
        if relation is None:
            covering.append(listing)
            guarded = guarded or (benign and listing.origin == moment.own_origin)
            if lists:
                hits.append(listing)
        elif lists and (subject, relation, True) not in relations:
            relations.append((subject, relation, True))
    relations += [
        (other.id, other.relation, True)
        for other in related
        if any(makes_listed(listing, reader, moment) for listing in visible(other.listings, reader, moment))
    ]
    if guarded:
        match = Match.PROTECTED
    elif hits:
        match = Match.LISTED
    elif relations:
        match = Match.RELATED
    elif not covering:
        return NOTHING
    else:
        match = Match.NOT_LISTED
    return Finding(match, severity_of(hits), tuple(covering), tuple(relations))


Say = Callable[[Listing, Reader, Moment], JsonValue]
"""How a statement is put: `statement_words`, or what stands for the same words."""


def finding_words(finding: Finding, reader: Reader, moment: Moment, *, say: Say = statement_words) -> dict[str, JsonValue]:
    """`match`, `severity`, `statements` and `related` of one result (schemas §4.2)."""
    related: list[JsonValue] = [{"id": i, "relation": str(r), "listed": listed} for i, r, listed in finding.related]
    return {
        "match": str(finding.match),
        "severity": finding.severity,
        "statements": [say(listing, reader, moment) for listing in finding.statements],
        "related": related,
    }


def instant_text(ms: int) -> str:
    """RFC 3339 with Z, whole seconds, from milliseconds."""
    return second_text(ms // 1000)


@lru_cache(4096)
def second_text(seconds: int) -> str:
    """The same from whole seconds since 1970."""
    # Every answer says the same few seconds over and over: now, and when things were listed.
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def day_text(seconds: int) -> str:
    """The UTC day of a moment."""
    return second_text(seconds)[:10]


def epoch_ms(text: str) -> int:
    """Milliseconds of an RFC 3339 instant with Z, or of the start of a bare UTC date; the gate has checked the form."""
    if len(text) == 10:
        return int(datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC).timestamp() * 1000)
    return int(datetime.fromisoformat(text).timestamp() * 1000)

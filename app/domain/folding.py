"""The fold F(vector, entitlement, as_of): what a set of signed statements adds up to (protocol §0.3, §3.2, §3.4, §3.7, §3.9; decisions 20-31).

Pure, and blind to order, repetition and arrival: the same events give the same state on every node. Rules that carry it:

- The view of a lesser reader is a restriction of the view of a greater one, as an edge acts only if it is at least as
  visible as its target. So the state is worked out once over everything and cut to the reader at the end.
- An edge points to an earlier index of its own log. So whether a statement stands depends on later statements alone, and
  one pass from the newest approval or reaffirmation to the oldest settles all of them.
- A key is revoked from a log index, never from a time. Nothing else takes an edge's effect away: not the expiry, not the
  retraction, not the erasure of the statement that carries it.
- Past a fork adds survive and removals wait; only the destruction of `pii` does not wait.

`fold` serves a whole history, and a small one that `folding_scope.py` says how to gather: the states are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from .claims import CONTROL_KINDS, IMMUTABLE_KINDS, KINDS, KNOWN_CLAIMS, STATE_EDGE_KINDS, Kind
from .labels import RANK, Label, Reader, ReaderClass, Tlp, at_least_as_visible, can_read
from .statement import ohash_of

Key = tuple[str, str]
"""(origin, sid): a statement in its log."""

Needs2 = Collection[str] | Callable[[str, int], Collection[str]]
"""The kinds that wait for a second key: one set for all, or a function of (origin, index) that asks the policy in force there."""

REMOVAL_KINDS = frozenset({Kind.RETRACT, Kind.ERASE})
ANNOTATION_KINDS = frozenset({Kind.DISPUTE, Kind.ENDORSE})
SECOND_KINDS = frozenset({Kind.APPROVE, Kind.REAFFIRM})
ACTING_PAST_FORK = ANNOTATION_KINDS | {Kind.LISTING}


class State(StrEnum):
    """What has become of a statement. A listing past its `expires_at` is `expired` only where the fold is given a clock."""

    ACTIVE = "active"
    RETRACTED = "retracted"
    SUPERSEDED = "superseded"
    ERASED = "erased"
    EXPIRED = "expired"
    INERT = "inert"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class Event:
    """A verified stub as the fold needs it. `targets` as written: sids, or `ohash/sid` where the kind may cross logs.

    `branch`: the side of a fork that an entry past the common prefix stands on. `bad`: signature, schema or key not good
    at that index; the entry is carried and does nothing. Times are seconds.
    """

    origin: str
    index: int
    sid: str
    kind: str
    issuer: str
    kid: str
    label: Label
    parts: Mapping[str, Label] = field(default_factory=dict)
    targets: tuple[str, ...] = ()
    expires_at: int | None = None
    must: tuple[str, ...] = ()
    erased_parts: tuple[str, ...] = ()
    kid_target: str | None = None
    from_index: int | None = None
    reason: str | None = None
    branch: str | None = None
    bad: bool = False


@dataclass(frozen=True, slots=True)
class OriginState:
    """How far an origin counts: `live` up to `size`; `forked`: the `common` prefix and each branch up to its own size.

    `heard`: how far the registrar is heard on who may speak, where the fork lies somewhere between `common` and there; None: to `common`.
    """

    state: str = "live"
    size: int = 0
    common: int | None = None
    branches: Mapping[str, int] = field(default_factory=dict)
    heard: int | None = None


@dataclass(frozen=True, slots=True)
class ActiveListing:
    """A listing in force for the reader; `expires_at` counts renewals; issuers of annotations sorted and unique."""

    origin: str
    sid: str
    expires_at: int
    contested: bool = False
    disputed_by: tuple[str, ...] = ()
    endorsed_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, order=True)
class Destroyed:
    """A part whose disclosures, value and salt, must be gone."""

    origin: str
    sid: str
    part: str


@dataclass(frozen=True, slots=True)
class ShownState:
    """State of any statement. `superseded_by`: the earliest listing that replaced it. `contested`: it stands past a fork."""

    state: State
    expires_at: int | None = None
    superseded_by: str | None = None
    contested: bool = False


@dataclass(frozen=True, slots=True)
class Folded:
    """The state for one reader: `active` and `destroyed` sorted; `states` has every statement whose stub the reader may see."""

    active: tuple[ActiveListing, ...]
    destroyed: tuple[Destroyed, ...]
    states: Mapping[Key, ShownState]


def fold(
    events: Iterable[Event],
    *,
    vector: Mapping[str, OriginState],
    reader: Reader,
    as_of: int | None,
    registrar_kids: Mapping[str, Collection[str]],
    needs2: Needs2 = (),
) -> Folded:
    """What `events` add up to for `reader` at `as_of` (seconds; None: do not judge expiry, as the stored state must not).

    `vector`: the origins that count and how far; `registrar_kids`: per origin every key its registrar ever had. Time and
    space linear in the number of events and edges (besides sorting the approvals and reaffirmations and the answer).
    """
    history = _History(vector, registrar_kids, needs2)
    history.take(events)
    history.revoke_keys()
    history.hear_second_keys()
    history.apply_edges()
    return _Answer(history, reader, as_of).folded()


class _History:
    """The events that count and, step by step, what they do to each other; nobody's entitlement comes into it."""

    def __init__(self, vector: Mapping[str, OriginState], registrar_kids: Mapping[str, Collection[str]], needs2: Needs2) -> None:
        self.vector = vector
        self.registrar_kids = {origin: frozenset(kids) for origin, kids in registrar_kids.items()}
        self.needs2 = needs2 if callable(needs2) else _always(frozenset(needs2))
        self.events: dict[Key, Event] = {}
        self.bad: dict[Key, Event] = {}
        self.revoked: dict[Key, int] = {}
        self.approved: set[Key] = set()
        self.reaffirmed: set[Key] = set()
        self.retracted: set[Key] = set()
        self.erased: set[Key] = set()
        self.superseded: dict[Key, tuple[int, str]] = {}
        self.renewed: dict[Key, tuple[int, int]] = {}
        self.destroyed: set[tuple[Key, str]] = set()
        self.annotations: dict[Key, list[Event]] = {}
        self.origin_of: dict[str, str] = {}

    # --- what counts ------------------------------------------------------------------------------------------------

    def take(self, events: Iterable[Event]) -> None:
        """Keep what the vector covers; a sid at two indices counts at the lower. A bad entry never shadows a good one."""
        for event in events:
            if not self._covered(event):
                continue
            shelf = self.bad if event.bad else self.events
            key = (event.origin, event.sid)
            known = shelf.get(key)
            if known is None or event.index < known.index:
                shelf[key] = event

    def _covered(self, event: Event) -> bool:
        origin = self.vector.get(event.origin)
        if origin is None:
            return False
        if origin.common is None:
            return event.index < origin.size
        return event.index < origin.common or (event.branch is not None and event.index < origin.branches.get(event.branch, 0))

    def past_fork(self, event: Event) -> bool:
        common = self.vector[event.origin].common
        return common is not None and event.index >= common

    # --- whether a statement stands ---------------------------------------------------------------------------------

    def by_registrar(self, event: Event) -> bool:
        return event.kid in self.registrar_kids.get(event.origin, ())

    def key_revoked(self, event: Event) -> bool:
        """Judged by index. Keys of the registrar change by root documents only, so no revocation names them with effect."""
        start = self.revoked.get((event.origin, event.kid))
        return start is not None and event.index >= start

    def inert(self, event: Event) -> bool:
        """Carried without effect: unknown kind or claim, a control kind from elsewhere, a revoked key and no reaffirmation.

        A reaffirmation is not revivable itself.
        """
        if event.kind not in KINDS or (event.must and not KNOWN_CLAIMS.issuperset(event.must)):
            return True
        if event.kind in CONTROL_KINDS and not self._may_control(event):
            return True
        return self.key_revoked(event) and (event.kind == "reaffirm" or (event.origin, event.sid) not in self.reaffirmed)

    def _may_control(self, event: Event) -> bool:
        """The registrar alone; a revocation moreover is CLEAR, as it acts on what the public reads, and of another's key."""
        if not self.by_registrar(event):
            return False
        if event.kind != "key-revoke":
            return True
        return event.label.tlp is Tlp.CLEAR and event.kid_target not in self.registrar_kids[event.origin]

    def unapproved(self, event: Event) -> bool:
        """An approval needs none itself: it is the second signature."""
        if event.kind == "approve" or event.kind not in self.needs2(event.origin, event.index):
            return False
        return (event.origin, event.sid) not in self.approved

    def waiting(self, event: Event) -> bool:
        return self.unapproved(event) or (event.kind not in ACTING_PAST_FORK and self.past_fork(event))

    def stands(self, event: Event) -> bool:
        return not self.inert(event) and not self.waiting(event)

    # --- step 0: keys -----------------------------------------------------------------------------------------------

    def revoke_keys(self) -> None:
        """Revocations first: they rest on registrar keys alone, which no revocation can touch, so nothing is circular."""
        revocations = [event for event in self.events.values() if event.kind == "key-revoke" and not self.inert(event)]
        if not revocations:
            return
        self._approve_revocations()
        for event in revocations:
            if self.stands(event) and event.kid_target is not None:
                key = (event.origin, event.kid_target)
                start = event.index if event.reason == "superseded" or event.from_index is None else event.from_index
                self.revoked[key] = min(start, self.revoked.get(key, start))
        self.approved.clear()

    def _approve_revocations(self) -> None:
        for event in self.events.values():
            if event.kind == "approve" and self.by_registrar(event) and self.stands(event):
                self._approve(event)

    # --- step 1: second keys ----------------------------------------------------------------------------------------

    def hear_second_keys(self) -> None:
        """Approvals and reaffirmations from the newest back: each is judged by later ones, which are settled by then."""
        seconds = [event for event in self.events.values() if event.kind in SECOND_KINDS]
        seconds.sort(key=lambda event: -event.index)
        for event in seconds:
            if not self.stands(event):
                continue
            if event.kind == "approve":
                self._approve(event)
            else:
                self._reaffirm(event)

    def _approve(self, event: Event) -> None:
        for key, target in self.hit_by(event):
            if target.issuer == event.issuer and target.kid != event.kid:
                self.approved.add(key)

    def _reaffirm(self, event: Event) -> None:
        for key, target in self.hit_by(event):
            if self.may_end(event, target):
                self.reaffirmed.add(key)

    # --- step 2: edges ----------------------------------------------------------------------------------------------

    def hit_by(self, event: Event) -> Iterable[tuple[Key, Event]]:
        """The targets that `event` may act on as far as place and label go; a peer checks again what the home gate did."""
        for sid in event.targets:
            key = (event.origin, sid)
            target = self.events.get(key)
            if target is not None and target.index < event.index and _shown_to_all_of(event.label, target.label):
                yield key, target

    def may_end(self, event: Event, target: Event) -> bool:
        return event.issuer == target.issuer or self.by_registrar(event)

    def apply_edges(self) -> None:
        """Order means nothing here: every effect is a set, a lowest or a highest."""
        for event in self.events.values():
            if not event.targets or event.kind in SECOND_KINDS:
                continue
            if event.kind in ANNOTATION_KINDS:
                self._annotate(event)
            elif event.kind in STATE_EDGE_KINDS and not self.inert(event) and not self.unapproved(event):
                self._act(event)

    def _act(self, event: Event) -> None:
        past_fork = self.past_fork(event)
        for key, target in self.hit_by(event):
            if event.kind in REMOVAL_KINDS:
                if target.kind not in IMMUTABLE_KINDS and self.may_end(event, target):
                    self._remove(event, key, target, past_fork)
            elif not past_fork and target.kind == "listing" and target.issuer == event.issuer:
                self._replace_or_renew(event, key)

    def _remove(self, event: Event, key: Key, target: Event, past_fork: bool) -> None:
        """Past a fork a removal waits, for it may be the fork's purpose; personal data is destroyed at once all the same."""
        if not past_fork:
            (self.erased if event.kind == "erase" else self.retracted).add(key)
        if event.kind == "erase":
            for part in event.erased_parts:
                if part in target.parts and (part == "pii" or not past_fork):
                    self.destroyed.add((key, part))

    def _replace_or_renew(self, event: Event, key: Key) -> None:
        if event.kind == "listing":
            by = (event.index, event.sid)
            self.superseded[key] = min(by, self.superseded.get(key, by))
        elif event.expires_at is not None:
            self.renewed[key] = max((event.index, event.expires_at), self.renewed.get(key, (-1, 0)))

    def _annotate(self, event: Event) -> None:
        if not self.stands(event):
            return
        for target in event.targets:
            ohash, slash, sid = target.partition("/")
            origin = self._origins().get(ohash) if slash else None
            if origin is not None:
                self.annotations.setdefault((origin, sid), []).append(event)

    def _origins(self) -> dict[str, str]:
        if not self.origin_of:
            self.origin_of = {ohash_of(origin): origin for origin in self.vector}
        return self.origin_of

    # --- what became of it ------------------------------------------------------------------------------------------

    def dead(self, key: Key) -> State | None:
        if key in self.erased:
            return State.ERASED
        if key in self.retracted:
            return State.RETRACTED
        return State.SUPERSEDED if key in self.superseded else None

    def expiry(self, key: Key, event: Event) -> int | None:
        renewal = self.renewed.get(key)
        return event.expires_at if renewal is None else renewal[1]


class _Answer:
    """A history cut to one reader and one moment."""

    def __init__(self, history: _History, reader: Reader, as_of: int | None) -> None:
        self.history = history
        self.reader = reader
        self.as_of = as_of

    def folded(self) -> Folded:
        active: list[ActiveListing] = []
        states: dict[Key, ShownState] = {}
        for key, event in self.history.events.items():
            if not self._sees(event.label):
                continue
            shown = states[key] = self._state(key, event)
            if event.kind == "listing" and shown.state is State.ACTIVE and self._sees(event.parts["core"]):
                active.append(self._listing(key, shown))
        for key, event in self.history.bad.items():
            if key not in self.history.events and self._sees(event.label):
                states[key] = ShownState(State.INERT, expires_at=event.expires_at, contested=self.history.past_fork(event))
        active.sort(key=lambda listing: (listing.origin, listing.sid))
        destroyed = sorted(Destroyed(*key, part) for key, part in self.history.destroyed if key in states)
        return Folded(tuple(active), tuple(destroyed), states)

    def _sees(self, label: Label) -> bool:
        return self.reader.reader_class is ReaderClass.ALL or can_read(label, self.reader)

    def _state(self, key: Key, event: Event) -> ShownState:
        history = self.history
        expires_at = history.expiry(key, event)
        replaced = history.superseded.get(key)
        return ShownState(
            self._word(key, event, expires_at),
            expires_at=expires_at,
            superseded_by=replaced[1] if replaced else None,
            contested=history.past_fork(event),
        )

    def _word(self, key: Key, event: Event, expires_at: int | None) -> State:
        history = self.history
        dead = history.dead(key)
        if dead is not None:
            return dead
        if history.inert(event):
            return State.INERT
        if history.waiting(event):
            return State.WAITING
        if event.kind != "listing":
            return State.ACTIVE
        if expires_at is None or "core" not in event.parts:
            return State.INERT  # carried from a home node that let it pass: there is nothing to screen by
        return State.EXPIRED if self.as_of is not None and self.as_of >= expires_at else State.ACTIVE

    def _listing(self, key: Key, shown: ShownState) -> ActiveListing:
        assert shown.expires_at is not None  # an ACTIVE listing has one, see _word
        notes = self.history.annotations.get(key, ())
        return ActiveListing(
            *key,
            expires_at=shown.expires_at,
            contested=shown.contested,
            disputed_by=self._issuers(notes, "dispute"),
            endorsed_by=self._issuers(notes, "endorse"),
        )

    def _issuers(self, notes: Collection[Event], kind: str) -> tuple[str, ...]:
        """Annotations may be less visible than what they annotate: each reader hears of those he may see."""
        if not notes:
            return ()
        dead = self.history.dead
        return tuple(sorted({n.issuer for n in notes if n.kind == kind and dead((n.origin, n.sid)) is None and self._sees(n.label)}))


def _shown_to_all_of(edge: Label, target: Label) -> bool:
    """`at_least_as_visible`, with the common case of equal unlimited labels first."""
    if edge.tlp is target.tlp and RANK[edge.tlp] < RANK[Tlp.AMBER]:
        return True
    return at_least_as_visible(edge, target)


def _always(kinds: frozenset[str]) -> Callable[[str, int], Collection[str]]:
    return lambda _origin, _index: kinds

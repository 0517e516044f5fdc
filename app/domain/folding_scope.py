"""Which part of a history must be folded again when statements arrive, and which part is enough to fold it right.

Pure helpers for whoever keeps the events: they name statements, the keeper loads them. The law (tests/laws): folding a part
gathered like this gives, for the statements asked for, the states that folding everything gives.

    affected(new) → load `follow` and `keys`, ask again, until nothing new comes: `refold` is what may have changed
    Gathering → load the inbound edges it asks for until it asks for no more: fold what it kept
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from .claims import FOREIGN_EDGE_KINDS, STATE_EDGE_KINDS, Kind
from .folding import ANNOTATION_KINDS, REMOVAL_KINDS, SECOND_KINDS, Event, Key
from .statement import ohash_of


@dataclass(frozen=True, slots=True)
class Affected:
    """What new events touch.

    `refold`: statements whose state may change. `follow`: statements whose *edges* may come to life or fall: load them and
    ask again with them. `keys`: (origin, kid, from_index): load the statements signed by that key from that index on and
    ask again with them.
    """

    refold: frozenset[Key]
    follow: frozenset[Key]
    keys: frozenset[tuple[str, str, int]]


def affected(events: Iterable[Event], *, origins: Iterable[str] = ()) -> Affected:
    """What `events` touch, as if they had just arrived. `origins`: the known logs, by which `ohash/sid` targets are resolved."""
    known = {ohash_of(origin): origin for origin in origins}
    refold: set[Key] = set()
    follow: set[Key] = set()
    keys: set[tuple[str, str, int]] = set()
    for event in events:
        known.setdefault(ohash_of(event.origin), event.origin)
        refold.add((event.origin, event.sid))
        targets = set(_targets(event, known))
        refold |= targets
        if event.kind in SECOND_KINDS or event.kind in REMOVAL_KINDS:
            follow |= targets  # an approved edge acts, a retracted dispute stops showing: their own targets change too
        if event.kind == Kind.KEY_REVOKE and event.kid_target is not None:
            start = event.index if event.reason == "superseded" or event.from_index is None else event.from_index
            keys.add((event.origin, event.kid_target, start))
    return Affected(frozenset(refold), frozenset(follow), frozenset(keys))


def _targets(event: Event, known: Mapping[str, str]) -> Iterable[Key]:
    if event.kind in FOREIGN_EDGE_KINDS:
        for target in event.targets:
            ohash, slash, sid = target.partition("/")
            if slash and ohash in known:
                yield known[ohash], sid
    elif event.kind in STATE_EDGE_KINDS:
        for sid in event.targets:
            yield event.origin, sid


def belongs(edge: Event, target: Event, *, asked: bool) -> bool:
    """Whether `edge`, which points at `target`, has a say in the state asked for.

    `asked`: the state of `target` itself is wanted. Else `target` was loaded for its edge: then only what makes that edge
    act or fall counts (approve, reaffirm), and for an annotation also what withdraws it. So chains of replacements end.
    """
    if asked or edge.kind in SECOND_KINDS:
        return True
    return target.kind in ANNOTATION_KINDS and edge.kind in REMOVAL_KINDS


class Gathering:
    """Collects the small history that folds to the true states of the statements asked for, a layer at a time.

    The keeper loads, this decides:  `keys = g.start(statements, revocations)`, then `while keys: keys = g.take(inbound(keys))`,
    where `inbound` gives the events of any log whose `t` names one of the keys. Then fold `g.events`. There are as many
    rounds as edges on edges are deep: three or four in practice.
    """

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._held: set[tuple[str, str, int]] = set()
        self._layer: dict[Key, Event] = {}
        self._asked: frozenset[Key] = frozenset()
        self._origins: dict[str, str] = {}

    def start(self, asked: Iterable[Event], revocations: Iterable[Event] = ()) -> frozenset[Key]:
        """`asked`: the statements whose states are wanted; `revocations`: every `key-revoke` of their logs."""
        asked = list(asked)
        self._asked = frozenset((event.origin, event.sid) for event in asked)
        return self._keep([*asked, *revocations])

    def take(self, edges: Iterable[Event], revocations: Iterable[Event] = ()) -> frozenset[Key]:
        """The inbound edges of the last layer; answers whose inbound edges are wanted next (none: done).

        `revocations`: every `key-revoke` of the logs that came in with these edges.
        """
        return self._keep([*(edge for edge in edges if self._wanted(edge)), *revocations])

    def _wanted(self, edge: Event) -> bool:
        self._origins.setdefault(ohash_of(edge.origin), edge.origin)
        hit = (key for key in _targets(edge, self._origins) if key in self._layer)
        return any(belongs(edge, self._layer[key], asked=key in self._asked) for key in hit)

    def _keep(self, events: Iterable[Event]) -> frozenset[Key]:
        self._layer = {}
        for event in events:
            place = (event.origin, event.sid, event.index)
            if place not in self._held:
                self._held.add(place)
                self.events.append(event)
                self._layer[event.origin, event.sid] = event
                self._origins.setdefault(ohash_of(event.origin), event.origin)
        return frozenset(self._layer)


def needs2_by_policy(policies: Mapping[str, Sequence[tuple[int, Collection[str]]]]) -> Callable[[str, int], Collection[str]]:
    """The `needs2` argument of `fold` from the policies of each log as (index, kinds), ascending by index.

    A statement is judged by the last policy before it in its own log (schemas §2). Leave out policies that are inert.
    """
    indices = {origin: [index for index, _ in steps] for origin, steps in policies.items()}
    kinds = {origin: [frozenset(names) for _, names in steps] for origin, steps in policies.items()}
    nothing: frozenset[str] = frozenset()

    def in_force(origin: str, index: int) -> Collection[str]:
        before = bisect_left(indices.get(origin, ()), index)
        return kinds[origin][before - 1] if before else nothing

    return in_force

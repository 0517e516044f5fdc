"""Random multi-origin histories for the laws of the fold: every kind of edge, forks, revoked keys, labels, faults."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

from app.domain.folding import Event, OriginState
from app.domain.folding_scope import needs2_by_policy
from app.domain.labels import Label, Reader, ReaderClass, Tlp
from app.domain.statement import ohash_of

ORIGINS = ("de.example/log", "fr.example/log", "nl.example/log")
NODES = ("de.example", "fr.example", "nl.example")
REGISTRAR_KIDS = {origin: (f"{origin[:2]}.registrar#1", f"{origin[:2]}.registrar#2") for origin in ORIGINS}
AS_OF = 1_000

LABELS = (
    Label(Tlp.CLEAR),
    Label(Tlp.CLEAR),
    Label(Tlp.CLEAR),
    Label(Tlp.GREEN),
    Label(Tlp.GREEN),
    Label(Tlp.AMBER, frozenset(NODES)),
    Label(Tlp.AMBER, frozenset({"fr.example"})),
    Label(Tlp.AMBER, frozenset({"fr.example", "group:de.desk"})),
    Label(Tlp.AMBER_STRICT, frozenset({"fr.example", "nl.example"})),
    Label(Tlp.RED, frozenset({"fr.example"})),
    Label(Tlp.RED, frozenset({"group:de.desk", "nl.example"})),
)
READERS = (
    Reader(ReaderClass.PUBLIC),
    Reader(ReaderClass.NODE, "fr.example"),
    Reader(ReaderClass.NODE, "nl.example", ids=frozenset({"group:de.desk"})),
    Reader(ReaderClass.NODE, "xx.example"),
    Reader(ReaderClass.VASP, "fr.exchange", node_ids=frozenset({"fr.example"})),
    Reader(ReaderClass.VASP, "kr.exchange", ids=frozenset({"group:de.desk"})),
)
KINDS = (
    ["listing"] * 10 + ["retract"] * 4 + ["erase"] * 3 + ["renew"] * 3 + ["dispute"] * 3 + ["endorse"] * 2
    + ["approve"] * 5 + ["reaffirm"] * 4 + ["key-revoke"] * 4 + ["request", "sighting", "pad", "member", "brand-new"]
)  # fmt: skip
LIKELY = {
    "approve": {"listing", "retract", "reaffirm", "key-revoke"},
    "reaffirm": {"listing", "retract", "erase", "approve"},
    "retract": {"listing", "dispute"},
}


@dataclass
class History:
    events: list[Event] = field(default_factory=list)
    vector: dict[str, OriginState] = field(default_factory=dict)
    policies: dict[str, list[tuple[int, tuple[str, ...]]]] = field(default_factory=dict)

    def arguments(self) -> dict[str, object]:
        return {"vector": self.vector, "as_of": AS_OF, "registrar_kids": REGISTRAR_KIDS, "needs2": needs2_by_policy(self.policies)}


def random_history(seed: int, *, size: int = 40, forks: bool = True) -> History:
    """A history of about `size` events; the same seed gives the same history."""
    rng = random.Random(seed)
    history = History()
    next_index = dict.fromkeys(ORIGINS, 0)
    for number in range(size):
        origin = rng.choice(ORIGINS[: rng.choice((1, 2, 3))])
        event = _event(rng, history, origin, next_index[origin], number)
        next_index[origin] += 1
        history.events.append(event)
        if rng.random() < 0.04:  # the same statement logged a second time
            history.events.append(replace(event, index=next_index[origin]))
            next_index[origin] += 1
    for origin, length in next_index.items():
        history.policies[origin] = [
            (rng.randrange(length + 1) // 2, rng.choice(((), ("listing",), ("retract", "key-revoke"), ("reaffirm",))))
        ]
        history.vector[origin] = OriginState(size=length if rng.random() < 0.9 else length - 1)
        if forks and length > 4 and rng.random() < 0.4:
            _fork(rng, history, origin, length)
    return history


def _event(rng: random.Random, history: History, origin: str, index: int, number: int) -> Event:
    jurisdiction = origin[:2]
    kind = rng.choice(KINDS)
    iss = f"{jurisdiction}.{rng.choice(('police', 'police', 'fiu'))}"
    if kind in {"key-revoke", "member"} or (kind in {"retract", "erase", "approve", "reaffirm"} and rng.random() < 0.25):
        iss = f"{jurisdiction}.registrar"
    label = Label(Tlp.CLEAR) if rng.random() < (0.95 if kind in {"key-revoke", "approve", "reaffirm"} else 0.3) else rng.choice(LABELS)
    event = Event(
        origin, index, f"s{number:03}", kind, iss, f"{iss}#{rng.choice('2' if kind in {'approve', 'reaffirm'} else '1112')}", label
    )
    if kind == "key-revoke":
        victim = f"{jurisdiction}.{rng.choice(('police', 'police', 'fiu', 'registrar'))}#{rng.choice('1112')}"
        return replace(event, kid_target=victim, from_index=rng.randrange(index + 3), reason=rng.choice(("compromised", "superseded")))
    event = replace(
        event,
        expires_at=rng.choice((AS_OF - 10, AS_OF, *range(AS_OF + 1, AS_OF + 9))) if kind in {"listing", "renew"} else None,
        parts=_parts(rng, label) if kind in {"listing", "dispute", "request"} else {},
        erased_parts=tuple(rng.sample(("core", "ctx", "pii"), rng.randint(1, 3))) if kind == "erase" else (),
        must=("aurora",) if rng.random() < 0.03 else (),
        bad=rng.random() < 0.03,
    )
    if kind in {"approve", "reaffirm"} and rng.random() < 0.8:
        return _seconding(rng, history, event)
    return replace(event, targets=_targets(rng, history, event))


def _seconding(rng: random.Random, history: History, event: Event) -> Event:
    """A fitting second signature: by the other key of the issuer of something that may be waiting or struck."""
    own = [
        e for e in history.events if e.origin == event.origin and e.kind in LIKELY[event.kind] and e.sid not in _seconded(history, event)
    ]
    if not own:
        return event
    target = rng.choice(own)
    return replace(event, issuer=target.issuer, kid=f"{target.issuer}#{'1' if target.kid.endswith('2') else '2'}", targets=(target.sid,))


def _seconded(history: History, event: Event) -> set[str]:
    return {sid for e in history.events if e.kind == event.kind for sid in e.targets}


def _parts(rng: random.Random, label: Label) -> dict[str, Label]:
    narrow = rng.choice((label, label, Label(Tlp.RED, frozenset({"fr.example"}))))
    return {
        name: narrow if name == "core" else label
        for name in rng.choice(
            (("core",), ("core",), ("core", "pii"), ("core", "pii"), ("core", "ctx", "pii"), ("core", "ctx", "pii"), ("ctx",))
        )
    }


def _targets(rng: random.Random, history: History, event: Event) -> tuple[str, ...]:
    if event.kind == "listing" and rng.random() < 0.6:
        return ()
    far = event.kind in {"dispute", "endorse", "sighting"}
    reachable = [e for e in history.events if far or e.origin == event.origin]
    # Lean towards what the edge may act on and its issuer would name, so that histories are more than refusals.
    likely = [
        e for e in reachable[-12:] if (far or e.issuer == event.issuer) and e.kind in LIKELY.get(event.kind, {"listing"})
    ] or reachable
    chosen = [rng.choice(likely if rng.random() < 0.85 else reachable) for _ in range(rng.choice((1, 1, 2)))] if reachable else []
    names = [f"{ohash_of(e.origin)}/{e.sid}" if far else e.sid for e in chosen]
    if rng.random() < 0.05:
        names.append("s999" if not far else f"{'0' * 64}/s000")
    if rng.random() < 0.05:
        names.append(f"s{len(history.events) + 2:03}")  # may come later in the log
    return tuple(names)


def _fork(rng: random.Random, history: History, origin: str, length: int) -> None:
    common = rng.randrange(1, length)
    history.vector[origin] = OriginState("forked", common=common, branches={"a": length, "b": length})
    history.events = [
        replace(e, branch=rng.choice("ab")) if e.origin == origin and e.index >= common else e for e in history.events
    ]  # fmt: skip

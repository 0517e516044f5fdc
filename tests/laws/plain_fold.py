"""A second fold of another design, to hold the first against: recursion straight from the sentences of the spec, no passes."""

from __future__ import annotations

from functools import cache
from typing import Any

from app.domain.claims import CONTROL_KINDS, KINDS
from app.domain.folding import Event
from app.domain.labels import Reader, Tlp, at_least_as_visible, can_read
from app.domain.statement import KNOWN_CLAIMS, ohash_of

UNTOUCHABLE = CONTROL_KINDS | {"retract", "erase", "renew", "approve", "reaffirm"}


def plain_fold(events: list[Event], *, vector: Any, reader: Reader, as_of: int, registrar_kids: Any, needs2: Any) -> tuple[Any, Any]:
    """(active, destroyed) as sorted tuples: (origin, sid, expires_at, contested, disputed_by, endorsed_by) and (origin, sid, part)."""

    def counts(e: Event) -> bool:
        state = vector.get(e.origin)
        if state is None or e.bad:
            return False
        if state.state == "live":
            return e.index < state.size
        return e.index < state.common or (e.branch in state.branches and e.index < state.branches[e.branch])

    log = {}
    for e in sorted((e for e in events if counts(e)), key=lambda e: -e.index):
        log[e.origin, e.sid] = e
    everything = list(log.values())

    def late(e: Event) -> bool:
        return vector[e.origin].state == "forked" and e.index >= vector[e.origin].common

    def registrar(e: Event) -> bool:
        return e.kid in registrar_kids[e.origin]

    def reaches(e: Event, t: Event) -> bool:
        return t.origin == e.origin and t.sid in e.targets and t.index < e.index and at_least_as_visible(e.label, t.label)

    @cache
    def revoked(place: tuple[str, str], index: int) -> bool:
        origin, kid = place
        return kid not in registrar_kids[origin] and any(
            index >= (k.index if k.reason == "superseded" else k.from_index)
            for k in everything
            if k.kind == "key-revoke"
            and k.origin == origin
            and k.kid_target == kid
            and registrar(k)
            and k.label.tlp is Tlp.CLEAR
            and stands(*key(k))
        )

    def key(e: Event) -> tuple[str, str]:
        return e.origin, e.sid

    def own_key_good(e: Event) -> bool:
        return registrar(e) or not revoked((e.origin, e.kid), e.index)

    @cache
    def carried(origin: str, sid: str) -> bool:
        """Stands but for the fork."""
        e = log[origin, sid]
        if e.kind not in KINDS or set(e.must) - KNOWN_CLAIMS:
            return False
        if e.kind in CONTROL_KINDS and not registrar(e):
            return False
        if not own_key_good(e) and (
            e.kind == "reaffirm"
            or not any(
                f.kind == "reaffirm" and reaches(f, e) and (f.issuer == e.issuer or registrar(f)) and stands(*key(f)) for f in everything
            )
        ):
            return False
        return (
            e.kind == "approve"
            or e.kind not in needs2(e.origin, e.index)
            or any(
                p.kind == "approve" and reaches(p, e) and p.issuer == e.issuer and p.kid != e.kid and stands(*key(p)) for p in everything
            )
        )

    @cache
    def stands(origin: str, sid: str) -> bool:
        e = log[origin, sid]
        return carried(origin, sid) and (not late(e) or e.kind in {"listing", "dispute", "endorse"})

    def removals(t: Event, kind: str) -> list[Event]:
        if t.kind in UNTOUCHABLE:
            return []
        return [e for e in everything if e.kind == kind and reaches(e, t) and (e.issuer == t.issuer or registrar(e)) and carried(*key(e))]

    def own_listings_edges(t: Event, kind: str) -> list[Event]:
        return [
            e
            for e in everything
            if e.kind == kind and t.kind == "listing" and reaches(e, t) and e.issuer == t.issuer and not late(e) and carried(*key(e))
        ]

    def dead(t: Event) -> bool:
        return any(not late(e) for e in removals(t, "retract") + removals(t, "erase")) or bool(own_listings_edges(t, "listing"))

    def notes(t: Event, kind: str) -> tuple[str, ...]:
        name = f"{ohash_of(t.origin)}/{t.sid}"
        return tuple(
            sorted(
                {
                    e.issuer
                    for e in everything
                    if e.kind == kind and name in e.targets and stands(*key(e)) and not dead(e) and can_read(e.label, reader)
                }
            )
        )

    active, destroyed = [], []
    for t in everything:
        if not can_read(t.label, reader):
            continue
        destroyed += [
            (*key(t), part) for e in removals(t, "erase") for part in e.erased_parts if part in t.parts and (part == "pii" or not late(e))
        ]
        renewals = sorted(own_listings_edges(t, "renew"), key=lambda e: e.index)
        expires = renewals[-1].expires_at if renewals else t.expires_at
        if (
            t.kind == "listing"
            and stands(*key(t))
            and not dead(t)
            and "core" in t.parts
            and can_read(t.parts["core"], reader)
            and as_of < expires
        ):
            active.append((*key(t), expires, late(t), notes(t, "dispute"), notes(t, "endorse")))
    return tuple(sorted(active)), tuple(sorted(set(destroyed)))

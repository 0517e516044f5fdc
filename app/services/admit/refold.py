"""Folding again what new statements touch, across every log that is held, in the open transaction.

What is stored must equal the pure fold of everything that is held, at (vector, EVERYTHING), in whatever order it came: an edge
before its target, a stub long after its log went on, annotations across logs in both directions. So each change names the
statements it may touch (`domain/folding_scope`), their small history is gathered from all logs, and folded with the registrar
keys and policies of every log in it. Vector: every log as far as its rows go, a fork up to its common prefix and one branch, a
retired log up to its end; what lies beyond is carried inert.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from app.domain.claims import Kind
from app.domain.folding import Destroyed, Event, Key, OriginState, ShownState, State, fold
from app.domain.folding_scope import Gathering, affected
from app.domain.labels import EVERYTHING
from app.seal.keyrings import Keyrings
from app.services.admit.rows import INERT
from app.storage.database import Transaction
from app.storage.holding import state_here
from app.storage.mirrors import FORKED, MirrorRow

FORGET_DUE = "forget_due"
"""Name of the value in `meta` that says: content was erased, and its bytes may still be in the files (trust-and-ops ER-4)."""
BRANCH = "a"
"""The one side of a fork that is held here."""
_ALL_THERE_IS = 2**62  # rows stand in storage as far as their log was processed, in this very transaction


@dataclass(frozen=True, slots=True)
class Refolded:
    """The states that were set anew, by statement. `erasures`: those of them that are erasures in force. `destroyed`: content was.

    `before`: what listings among them were until now. `gone`: the ids that destroyed content named.
    """

    states: Mapping[Key, ShownState]
    erasures: frozenset[Key] = frozenset()
    destroyed: bool = False
    before: Mapping[Key, str] = field(default_factory=dict)
    gone: Collection[str] = ()


_NOTHING = Refolded({})


def origin_state(mirror: MirrorRow | None) -> OriginState:
    """How far a log counts: our own (None) and a sound mirror wholly."""
    if mirror is None:
        return OriginState("live", _ALL_THERE_IS)
    end = _ALL_THERE_IS if mirror.final_size is None else mirror.final_size
    if mirror.state == FORKED and mirror.common is not None:
        common = min(mirror.common, end)
        return OriginState("forked", end, common, {BRANCH: end}, None if mirror.heard is None else min(mirror.heard, end))
    return OriginState("live", end)


def placed(event: Event, state: OriginState) -> Event:
    """The event on the branch that it stands on: past a fork that is the one held here."""
    if state.common is None or event.index < state.common:
        return event
    return replace(event, branch=BRANCH)


async def vector_of(tx: Transaction) -> dict[str, OriginState]:
    """Every log that is held, and how far it counts."""
    mirrors = {mirror.origin: mirror for mirror in await tx.mirrors.all()}
    return {origin: origin_state(mirrors.get(origin)) for origin in await tx.log.origins()}


async def refold(tx: Transaction, moving: Collection[Event], *, keyrings: Keyrings, also: Collection[Key] = ()) -> Refolded:
    """Set the states of all that `moving`, just stored, may touch, and of `also`; destroy what the fold destroys."""
    if not moving and not also:
        return _NOTHING
    vector = await vector_of(tx)
    asked = set(also) | (await touched_by(tx, moving, vector) if moving else set())
    refolded, destroyed = await _fold(tx, asked, vector, keyrings)
    before = await _listings_before(tx, refolded.states)
    await tx.statements.set_states(refolded.states)
    was_there, gone = await _destroy(tx, destroyed)
    return replace(refolded, before=before, destroyed=was_there, gone=gone)


async def _listings_before(tx: Transaction, keys: Collection[Key]) -> dict[Key, str]:
    stored = [one for key in by_origin(keys) for one in (await tx.statements.locate_all(*key)).values()]
    return {(one.origin, one.sid): state_here(one.state.state, one.held) for one in stored if one.kind == Kind.LISTING}


async def _destroy(tx: Transaction, parts: Iterable[Destroyed]) -> tuple[bool, set[str]]:
    """Destroy disclosures, value and salt, and all that was said by a `core`; whether anything was still there, and of which ids."""
    by_part: dict[tuple[str, str], list[str]] = {}
    for one in parts:
        by_part.setdefault((one.origin, one.part), []).append(one.sid)
    count, gone = 0, set[str]()
    for (origin, part), sids in by_part.items():
        count += await tx.statements.erase_parts(origin, sids, [part])
        if part == "core":
            gone |= {filed.id for filed in await tx.filed.of_sids(origin, sids)}
            count += await tx.subjects.erase_items(origin, sids)
    if count:
        await tx.meta.set(FORGET_DUE, b"1")
    return count > 0, gone


async def touched_by(tx: Transaction, events: Collection[Event], vector: Mapping[str, OriginState]) -> set[Key]:
    """Every statement whose state may change, followed through approvals, withdrawals and revoked keys."""
    refolding: set[Key] = set()
    followed: set[Key] = set()
    keys: set[tuple[str, str, int]] = set()
    fresh: Collection[Event] = events
    while fresh:
        found = affected(fresh, origins=vector)
        refolding |= found.refold
        ask = found.follow - followed
        for origin, kid, start in found.keys - keys:
            ask |= {(origin, sid) for sid in await tx.statements.by_kid(origin, kid, start)}
        keys |= found.keys
        followed |= ask
        fresh = [event for key in by_origin(ask) for event in await tx.statements.events(*key)]
    return refolding


async def _fold(
    tx: Transaction, asked: Collection[Key], vector: Mapping[str, OriginState], keyrings: Keyrings
) -> tuple[Refolded, Sequence[Destroyed]]:
    statements = [event for key in by_origin(asked) for event in await tx.statements.events(*key)]
    known = {event.origin for event in statements}
    gathering = Gathering()
    keys = gathering.start(statements, await _revocations(tx, known))
    while keys:
        edges = [event for key in by_origin(keys) for event in await tx.statements.inbound(*key)]
        fresh = {event.origin for event in edges} - known
        known |= fresh
        keys = gathering.take(edges, await _revocations(tx, fresh))
    folded = fold(
        [placed(event, vector[event.origin]) for event in gathering.events],
        vector=vector,
        reader=EVERYTHING,
        as_of=None,
        registrar_kids=keyrings.registrar_kids(),
        needs2=keyrings.needs2,
    )
    states = {(event.origin, event.sid): folded.states.get((event.origin, event.sid), INERT) for event in statements}
    erasures = {(e.origin, e.sid) for e in statements if e.kind == Kind.ERASE and states[e.origin, e.sid].state is State.ACTIVE}
    return Refolded(states, frozenset(erasures)), folded.destroyed


async def _revocations(tx: Transaction, origins: Iterable[str]) -> list[Event]:
    return [event for origin in sorted(origins) for event in await tx.statements.control_statements(origin, [Kind.KEY_REVOKE])]


def by_origin(keys: Iterable[Key]) -> list[tuple[str, list[str]]]:
    """The sids of each log."""
    grouped: dict[str, list[str]] = {}
    for origin, sid in keys:
        grouped.setdefault(origin, []).append(sid)
    return list(grouped.items())

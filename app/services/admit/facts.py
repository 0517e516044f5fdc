"""What the log and the shelves say about one batch, loaded in a handful of queries inside its transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from app.domain.canonical import b64u_decode, read_json
from app.domain.folding import State
from app.domain.items import CheckedItems
from app.domain.statement import STATE_EDGE_KINDS, Kind, Stub, Target, read_stub
from app.services.admit.outcome import HeldReason
from app.services.admit.prepared import Prepared
from app.services.admit.spent import HOUR_MS, Spent
from app.storage.database import Transaction
from app.storage.held import Held
from app.storage.records import Stored
from app.storage.subjects import ItemRow


@dataclass(frozen=True, slots=True)
class Known:
    """What the log has under a sid. `reason` needs2: it still waits for its approval. `is_new`: it came in with this batch."""

    sid: str
    index: int
    accepted_ms: int
    reason: HeldReason | None
    is_new: bool = False


@dataclass(slots=True)
class Facts:
    """The log as the open transaction sees it, and what the batch has added so far; `now_ms` is the clock of the batch."""

    now_ms: int
    known: dict[str, Known]
    held: dict[str, Held]
    targets: dict[str, Target]
    listed_at: dict[str, int]
    jtis: dict[tuple[str, str], str]
    counts: dict[str, int]
    open_freezes: dict[str, set[str]]
    guarded: frozenset[str] = frozenset()
    """Ids of the batch that an agency of this jurisdiction says must not be blocked."""

    def add(self, prepared: Prepared, stub: Stub, known: Known) -> None:
        """A statement of this batch counts for those behind it."""
        self.known[stub.sid] = known
        self.targets[stub.sid] = Target(stub.origin, known.index, stub.sid, stub.issuer, stub.kid, stub.kind, stub.label)
        self.listed_at[stub.sid] = stub.issued_at
        self.held.pop(stub.sid, None)
        self.counts[stub.issuer] = self.counts.get(stub.issuer, 0) + 1
        if stub.jti is not None:
            self.jtis[stub.issuer, stub.jti] = stub.sid
        if stub.kind == Kind.REQUEST and prepared.items is not None:
            rows = freezes_of(prepared.items, stub.origin, known.index)
            self.open_freezes.setdefault(stub.issuer, set()).update(row.subject for row in rows if row.until_s > self.now_ms // 1000)

    def hold(self, held: Held, origin: str) -> None:
        """A statement of this batch is kept outside the log: its approval may stand behind it."""
        self.held[held.sid] = held
        self.targets[held.sid] = held_target(held, origin)
        self.counts[held.issuer] = self.counts.get(held.issuer, 0) + 1


def held_target(held: Held, origin: str) -> Target:
    """What an approval points at while the statement is outside the log."""
    return Target(origin, None, held.sid, held.issuer, held.kid, held.kind, held.label)


async def gather_facts(tx: Transaction, origin: str, batch: Sequence[Prepared], spent: Spent, *, now_ms: int, size: int) -> Facts:
    """Everything `Judge.judge` may ask about these statements. `size`: of the log, at which the batch begins."""
    stubs = [one.stub for one in batch if one.stub is not None]
    sids = {one.sid for one in batch}
    held = await tx.held.find(sids | _targets(stubs))
    # An approval brings a held statement in: what that one points at, and its jti, are asked for too.
    stubs += [stub for one in held.values() if one.sid not in sids and (stub := _stub_of(one)) is not None]
    stored = await tx.statements.locate_all(origin, sids | _targets(stubs))
    freezes = {stub.issuer for stub in stubs if stub.kind == Kind.LISTING and _shows_clear(stub)}
    facts = Facts(
        now_ms=now_ms,
        known={sid: _known(stored[sid]) for sid in sids if sid in stored},
        held=dict(held),
        targets={sid: _target(one) for sid, one in stored.items()},
        listed_at={sid: one.accepted_ms // 1000 for sid, one in stored.items()},
        jtis=await _jtis(tx, origin, stubs),
        counts={issuer: await _count(tx, spent, issuer, now_ms, size) for issuer in {stub.issuer for stub in stubs}},
        open_freezes={issuer: set(await tx.subjects.open_freezes(issuer, now_ms // 1000)) for issuer in freezes},
        guarded=await tx.filed.guarded(origin, {id_ for one in batch if one.items is not None for id_ in one.items.subjects}),
    )
    for sid, one in held.items():
        facts.targets.setdefault(sid, held_target(one, origin))
    return facts


async def _count(tx: Transaction, spent: Spent, issuer: str, now_ms: int, size: int) -> int:
    """What counts against a quota: also what was held, lest the shelf of held statements fill without end."""
    return await spent.of(tx, issuer, now_ms=now_ms, size=size) + await tx.held.count_since(issuer, now_ms - HOUR_MS)


def freezes_of(items: CheckedItems, origin: str, index: int) -> Iterator[ItemRow]:
    """The ids that the freeze requests among the facts of a `request` name."""
    for fact in items.facts:
        if fact.get("action") == "freeze":
            yield from ItemRow.of_freeze(origin, index, fact)


def _targets(stubs: Iterable[Stub]) -> set[str]:
    return {sid for stub in stubs if stub.kind in STATE_EDGE_KINDS for sid in stub.targets}


def _stub_of(held: Held) -> Stub | None:
    """The stub of a held statement, as it was verified when it came."""
    jws = held.wire.partition("~")[0]
    claims = read_json(b64u_decode(jws.split(".")[1]))
    return read_stub(claims, kid=held.kid, sid=held.sid, lenient=True) if isinstance(claims, dict) else None


async def _jtis(tx: Transaction, origin: str, stubs: Sequence[Stub]) -> dict[tuple[str, str], str]:
    wanted: defaultdict[str, set[str]] = defaultdict(set)
    for stub in stubs:
        if stub.jti is not None:
            wanted[stub.issuer].add(stub.jti)
    found: dict[tuple[str, str], str] = {}
    for issuer, jtis in wanted.items():
        for jti, sid in (await tx.statements.find_jti(origin, issuer, jtis)).items():
            found[issuer, jti] = sid
    return found


def _shows_clear(stub: Stub) -> bool:
    core = stub.parts.get("core")
    return core is not None and core.tlp == "CLEAR"


def _known(stored: Stored) -> Known:
    waiting = stored.state.state is State.WAITING
    return Known(stored.sid, stored.index, stored.accepted_ms, HeldReason.NEEDS2 if waiting else None)


def _target(stored: Stored) -> Target:
    return Target(stored.origin, stored.index, stored.sid, stored.issuer, stored.kid, stored.kind, stored.label)

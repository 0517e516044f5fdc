"""One page of a peer's log, judged in log order and written in the open transaction: rows first, then what follows from them.

What is written is the same whether the page comes in its turn or entry by entry years later (`supply`): rows by place, states by
the fold, content under the lowest good index of a sid.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace

from app.domain.errors import Refused, TooLarge, UnknownKid
from app.domain.folding import Event, Key, OriginState, ShownState, State
from app.domain.items import CheckedItems
from app.domain.statement import Kind, Stub, understands
from app.domain.tiles import MAX_ENTRY
from app.seal.keyring import Keyring
from app.seal.keyrings import Keyrings
from app.seal.registry_state import matters
from app.services.admit.changes import note_changes
from app.services.admit.foreign_judge import LAST_MS, Opened, covered_items, is_relayed, judge, open_entry
from app.services.admit.foreign_judge import Offered as _Offered
from app.services.admit.moving import Moved, read_moved
from app.services.admit.projection import pointed_at, put_content, put_statements, with_fresh
from app.services.admit.refold import Refolded, origin_state, refold
from app.services.admit.rows import INERT, Logged, context_of, event_of
from app.services.admit.valve import AHEAD_MS, let_in
from app.storage.database import Transaction
from app.storage.evidence import PoisonRow
from app.storage.log import LogEntry
from app.storage.mirrors import MirrorRow
from app.storage.withheld import PARTS, STUB, WithheldRow

NO_ITEMS = CheckedItems()
OUT_OF_TIME = "time"
"""Why an entry is reported that counts all the same: its log says that it was accepted before the one below it, or after today."""


@dataclass(slots=True)
class Page:
    """What becomes of each entry. `keyring` is a registry that may be tried on; `control` is what was tried."""

    mirror: MirrorRow
    keyring: Keyring
    from_relay: bool
    now_ms: int
    is_home: bool = False
    """Our own log, come back from a peer: no valve stands before it, and what its freeze requests name binds what is said here."""
    state: OriginState = field(init=False)
    is_trial: bool = False
    entries: list[LogEntry] = field(default_factory=list)
    logged: list[Logged] = field(default_factory=list)
    withheld: list[WithheldRow] = field(default_factory=list)
    poison: list[PoisonRow] = field(default_factory=list)
    control: list[tuple[int, Stub]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.state = origin_state(self.mirror)

    @property
    def origin(self) -> str:
        """Whose page it is."""
        return self.mirror.origin

    def anew(self, mirror: MirrorRow) -> Page:
        """The same for one attempt at writing it, under the terms as they are by then: what an attempt changes stays with that one."""
        return replace(
            self,
            mirror=mirror,
            entries=[*self.entries],
            logged=[*self.logged],
            withheld=[*self.withheld],
            poison=[*self.poison],
            control=[*self.control],
        )

    def withhold(self, index: int, what: str = STUB) -> None:
        """Note what did not come."""
        self.withheld.append(WithheldRow(self.origin, index, what, self.now_ms))

    def take(self, opened: Opened, offered: _Offered, leaf: bytes) -> None:
        """Judge one entry, the next in log order."""
        if opened.fault == UnknownKid.slug:  # the statement that brings its key may stand in front of it in this very page
            opened = open_entry(offered, self.keyring.public_key, from_relay=self.from_relay)
        stub = opened.stub
        if self.from_relay and stub is not None and not is_relayed(stub.label):
            self.withhold(opened.index)
            return
        if opened.sid is not None:
            self.entries.append(LogEntry(self.origin, opened.index, opened.sid, opened.entry, leaf))
        if stub is None:
            self.accuse(opened, opened.fault or "malformed")
        else:
            self._take_stub(opened, stub)

    def _take_stub(self, opened: Opened, stub: Stub) -> None:
        fault = judge(stub, self.keyring, index=opened.index, accepted_ms=opened.accepted_ms)
        if fault == UnknownKid.slug:
            # Nobody vouched for the key yet: it says no more than an entry whose key we shall never know.
            self.accuse(opened, fault)
            return
        if fault is not None:
            event = event_of(stub, self.origin, opened.index, bad=True)
            self.logged.append(Logged(stub, event, opened.accepted_ms, (), NO_ITEMS, INERT))
            self.accuse(opened, fault)
            return
        items, parts_fault = opened.items, opened.parts_fault
        try:
            items = covered_items(stub, items, self.keyring, index=opened.index)
        except Refused as error:
            items, parts_fault = NO_ITEMS, error.slug
        event = event_of(stub, self.origin, opened.index)
        state = first_state(event, self.state, self.keyring)
        self.logged.append(Logged(stub, event, opened.accepted_ms, opened.disclosures, items, state))
        if parts_fault is not None:
            self.accuse(opened, parts_fault)
        if opened.is_missing:
            self.withhold(opened.index, PARTS)
        self.learn(opened.index, stub)

    def learn(self, index: int, stub: Stub) -> None:
        """A control statement counts for what stands above it; past a fork, and past the end of the log, it waits."""
        if not matters(stub) or not understands(stub) or index >= registry_end(self.state):
            return
        if not self.is_trial:
            self.keyring, self.is_trial = self.keyring.copy(), True
        self.keyring.apply(index, stub)
        self.control.append((index, stub))

    def check_order(self, before: int) -> int:
        """Report what the log says it accepted before the entry below it, and the first that it did ahead of our clock; the time of the
        last. It counts all the same: a listing as soon as its time has come (valve).
        """
        accused = {row.index for row in self.poison}
        latest = LAST_MS if self.is_home else self.now_ms + AHEAD_MS
        for one in self.logged:
            is_ahead = before <= latest < one.accepted_ms
            if (one.accepted_ms < before or is_ahead) and one.event.index not in accused:
                self.poison.append(PoisonRow(self.origin, one.event.index, OUT_OF_TIME, None, self.now_ms))
            before = one.accepted_ms
        return before

    def accuse(self, opened: Opened, reason: str) -> None:
        """Keep what is wrong with an entry, and its bytes, unless they are more than any entry has: then its hash in the tree says enough."""
        entry = opened.entry if len(opened.entry) <= MAX_ENTRY else None
        self.poison.append(PoisonRow(self.origin, opened.index, reason, entry, self.now_ms))

    def give_up(self, index: int) -> None:
        """Nobody can give this entry: it is carried by its hash, and the log goes on."""
        self.withhold(index)
        self.poison.append(PoisonRow(self.origin, index, TooLarge.slug, None, self.now_ms))


def registry_end(state: OriginState) -> int:
    """Up to where control statements of a log say who may speak. Where nobody knows where it forked, that is the most that its branches
    can share: who was enrolled before must not fall silent for it, while all that removes waits from the least on (protocol §3.7).
    """
    if state.common is None:
        return state.size
    return state.common if state.heard is None else max(state.common, state.heard)


def first_state(event: Event, state: OriginState, keyring: Keyring) -> ShownState:
    """What the fold says of a good listing that nothing points at, under a key that nobody revoked; a guess for every other kind."""
    if event.index >= state.size:
        return INERT
    is_past = state.common is not None and event.index >= state.common
    waits = event.kind in keyring.needs2_at(event.index)
    return ShownState(State.WAITING if waits else State.ACTIVE, contested=is_past)


def is_plain(event: Event) -> bool:
    """Whether `first_state` is sure, if nothing points at it and its key was never revoked."""
    return (
        event.kind == Kind.LISTING
        and not (event.targets or event.bad or event.must)
        and "core" in event.parts
        and event.expires_at is not None
    )


# --- writing -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Written:
    """What a page did to storage, for whoever moves the index after the commit."""

    moved: Moved
    refolded: Refolded
    dormant: frozenset[int]


async def write_page(tx: Transaction, page: Page, keyrings: Keyrings, *, late: Sequence[Logged] = ()) -> Written:
    """Write a page and what follows from it; the caller swaps the head. `keyrings`: those of all logs, this one's as the page left it.

    `late`: statements that stand already, with parts that are new.
    """
    await tx.log.append(page.entries)
    again = await _content_once(tx, page)
    await put_statements(tx, page.logged, freezes=page.is_home)
    await _put_late(tx, late)
    await tx.withheld.put_many(page.withheld)
    await tx.evidence.put_poison(page.poison)
    events = [one.event for one in page.logged]
    # What an annotation says is shown with its targets: so its late part moves them, too.
    placed = [*events, *(one.event for one in late)]
    moving = [event for event in placed if not event.bad and (event.targets or event.kind == Kind.KEY_REVOKE)]
    also = again | {(page.origin, one.event.sid) for one in late} | await _unsure(tx, page.origin, events)
    refolded = await refold(tx, moving, keyrings=keyrings, also=also)
    listings = [_as_folded(one, refolded) for one in (*page.logged, *late) if one.stub.kind == Kind.LISTING]
    dormant = frozenset[int]() if page.is_home else await let_in(tx, page.mirror, listings, now_ms=page.now_ms)
    await tx.registry.refresh(page.origin, events)
    await note_changes(tx, page.now_ms, fresh=[*page.logged, *late], before=refolded.before)
    moved = await read_moved(tx, refolded.states, gone=refolded.gone, erased=refolded.destroyed)
    plain = [one for one in listings if (page.origin, one.stub.sid) not in refolded.states]
    return Written(with_fresh(moved, plain), refolded, dormant)


async def _put_late(tx: Transaction, late: Sequence[Logged]) -> None:
    await put_content(tx, late)
    contexts = {(one.event.origin, one.event.index): context_of(one) for one in late}
    await tx.statements.set_contexts({place: context for place, context in contexts.items() if context is not None})


def _as_folded(one: Logged, refolded: Refolded) -> Logged:
    state = refolded.states.get((one.event.origin, one.event.sid))
    return one if state is None else replace(one, state=state)


async def _unsure(tx: Transaction, origin: str, events: Sequence[Event]) -> set[Key]:
    """Which of these statements must be folded before their state is known."""
    revoked = {event.kid_target for event in await tx.statements.control_statements(origin, [Kind.KEY_REVOKE])}
    unsure = {(origin, event.sid) for event in events if not is_plain(event) or event.kid in revoked}
    return unsure | await pointed_at(tx, events)


async def _content_once(tx: Transaction, page: Page) -> set[Key]:
    """A sid at two indices counts at the lower good one: content is kept there alone. The sids that stand more than once."""
    good = [one for one in page.logged if not one.event.bad]
    lowest: dict[str, int] = {}
    for event in await tx.statements.events(page.origin, [one.event.sid for one in page.logged]):
        if not event.bad:
            lowest[event.sid] = min(event.index, lowest.get(event.sid, event.index))
    again = {(page.origin, sid) for sid in lowest}
    taken_over = [one.event.sid for one in good if one.event.index < lowest.get(one.event.sid, -1)]
    await tx.subjects.erase_items(page.origin, taken_over)
    for number, one in enumerate(page.logged):
        if one.event.bad:
            continue
        first = lowest.setdefault(one.event.sid, one.event.index)
        if first < one.event.index:
            page.logged[number] = replace(one, items=NO_ITEMS)
            again.add((page.origin, one.event.sid))
    return again | {(page.origin, sid) for sid in _repeated(one.event.sid for one in page.logged)}


def _repeated(sids: Iterable[str]) -> Collection[str]:
    seen: set[str] = set()
    return [sid for sid in sids if sid in seen or seen.add(sid)]  # type: ignore[func-returns-value]

"""From what moved to who must know: changes and due moments become events, in the transaction that takes them out (schemas §4.5).

    gate, foreign gate   note what moved, in the transaction of the fold         crash: nothing moved
    here                 match, number, queue for delivery, forget the change    crash: the change is still there; nothing was written
    deliver              send under the number of the event                      crash: sent again under the same number

What each watcher knows of each statement is kept (`watch_sent`, `told`): the same change seen twice is no second event. Corrections of
what somebody was told are urgent. One worker at a time does this; another takes over when its lease runs out.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from app.domain.answer import Listing, Moment
from app.domain.folding import Key, State
from app.domain.labels import PUBLIC, Reader, Tlp
from app.domain.statement import Kind
from app.domain.watching import (
    EMBARGO,
    STANDING,
    EventType,
    Word,
    correction,
    goes_to,
    keys_of_subject,
    known_before,
    says_the_same,
    step,
    told_word,
    word_of,
)
from app.services.admit.refold import by_origin
from app.storage.database import Database, Transaction
from app.storage.outbox import Due, Sent, WatchEvent
from app.storage.records import Stored
from app.storage.told import Told
from app.storage.watches import Watcher
from app.storage.webhooks import Delivery

log = logging.getLogger("cordon.watch")

PORTION = 16
"""Statements that one transaction looks at: each may have hundreds of items, and lookups go on beside it."""
QUIET_PORTION = 256
"""The same while nobody watches: then little more is asked of each than when it ends."""
QUIET_S = 0.25
LEASE = "watch"
LEASE_MS = 5_000
SEEDED = "watch_seeded"
DAY_MS = 86_400_000
KEEP_EVENTS_MS = 400 * DAY_MS
KEEP_TOLD_MS = 2 * 365 * DAY_MS
OVERDUE_MS = DAY_MS
AGAIN_MS = 10_000
OF_ITSELF = 1 << 62
"""Stands for the number of a change where something moved without one: its time had come."""

Steps = Sequence[tuple[int, str]]
"""(number, state before) of each change of one statement that waits, oldest first."""
ReaderOf = Callable[[str], Awaitable[Reader | None]]
"""Who an owner is now; None if no key of his may watch."""


@dataclass(frozen=True, slots=True)
class _Look:
    """One statement as it is now, with its items, and what it was."""

    stored: Stored
    steps: Steps
    listings: tuple[Listing, ...]
    successor: tuple[Listing, ...]
    """Items of what is in its place now: a replacement may have been replaced, or have ended, before anybody looked."""

    @property
    def is_new(self) -> bool:
        """Whether it was not there before."""
        return self.steps[0][1] == ""

    def knew(self, watcher: Watcher, reader: Reader, now: Word) -> tuple[bool, Word | None]:
        """Whether anything moved since somebody began to watch, who was never sent anything of it; and what he knew then."""
        number, before = next((step for step in self.steps if step[0] > watcher.since), (0, ""))
        # What is looked at once more moved before: whom that concerned was looked at then.
        is_his = number and (number != OF_ITSELF or before == EMBARGO or now is Word.EXPIRED)
        return bool(is_his), known_before(before, reader)


@dataclass(slots=True)
class _Found:
    """What a portion comes to. `corrected`: (owner, sid, subject) of those who are told here that they were told otherwise."""

    events: dict[str, list[WatchEvent]] = field(default_factory=lambda: defaultdict(list))
    sent: list[Sent] = field(default_factory=list)
    corrected: set[tuple[str, str, str]] = field(default_factory=set)


class Notify:
    """Turns changes into events; `tick` works off what waits."""

    def __init__(
        self,
        database: Database,
        *,
        moment: Callable[[], Moment],
        reader_of: ReaderOf,
        worker: str,
        shares_database: bool,
        settle: Callable[[], Awaitable[None]],
    ) -> None:
        """`settle`: bring into the database what clients were told up to now."""
        self._database = database
        self._moment = moment
        self._settle = settle
        self._reader_of = reader_of
        self._worker = worker
        self._shares_database = shares_database
        self._news = asyncio.Condition()
        self._rests_until = 0.0

    # --- life --------------------------------------------------------------------------------------------------------

    async def news(self, patience_s: float) -> None:
        """Until events were written in this process, or so long: another worker may have written some."""
        try:
            async with asyncio.timeout(patience_s), self._news:
                await self._news.wait()
        except TimeoutError:
            pass

    async def look(self) -> None:
        """`tick` for a loop that comes by often; at most every QUIET_S while there is nobody who would be told at once.

        A transaction for each statement that comes alone would be one more for the next one to wait for.
        """
        if time.monotonic() < self._rests_until and await self._is_quiet():
            return
        if await self.tick():
            self._rests_until = time.monotonic() + QUIET_S

    async def _is_quiet(self) -> bool:
        quick = self._database.quick
        return not (await quick.watches.is_anybody_watching() or await quick.webhooks.is_any())

    async def tick(self) -> int:
        """Look at everything that moved or is due; how many statements. Costs one small read where nothing did."""
        count = 0
        while await self._database.quick.outbox.has_work(self._moment().now_ms):
            await self._settle()
            looked = await self._database.run(self._turn)
            if not looked:  # another worker is at it
                break
            count += looked
            async with self._news:
                self._news.notify_all()
            await asyncio.sleep(0)
        return count

    async def upkeep(self) -> None:
        """What is old is forgotten; corrections that nobody acknowledges for a day are an operator's matter (CP-2)."""
        now_ms = self._moment().now_ms

        async def work(tx: Transaction) -> dict[str, int]:
            await tx.outbox.forget_events(now_ms - KEEP_EVENTS_MS)
            await tx.told.forget(now_ms - KEEP_TOLD_MS)
            return await tx.outbox.unacknowledged(now_ms - OVERDUE_MS)

        for owner, count in (await self._database.run(work)).items():
            log.error("CORRECTIONS: %s has not acknowledged %d corrections for more than a day: reach him by other means", owner, count)

    async def seed(self) -> None:
        """Once in a database that held listings before there was anybody to watch: when they end."""
        if await self._database.quick.meta.get(SEEDED) is not None:
            return
        after = None
        while True:
            async with self._database.reading() as tx:
                rows = await tx.statements.page(kind=Kind.LISTING, after=after, limit=1_000)
            due = [one for row in rows if not row.held for one in _ends(row)]
            await self._database.run(lambda tx, due=due: tx.outbox.put_due(due))  # type: ignore[misc]
            if len(rows) < 1_000:
                break
            after = (rows[-1].accepted_ms, rows[-1].origin, rows[-1].index)
        await self._database.run(lambda tx: tx.meta.set(SEEDED, b"1"))

    # --- one portion -------------------------------------------------------------------------------------------------

    async def _turn(self, tx: Transaction) -> int:
        moment = self._moment()
        if self._shares_database and not await tx.leases.take(LEASE, self._worker, moment.now_ms, LEASE_MS):
            return 0
        portion = PORTION if await tx.watches.is_anybody_watching() else QUIET_PORTION
        changes = await tx.outbox.changes(limit=portion)
        due = await tx.outbox.due(moment.now_ms, limit=portion)
        if not changes and not due:
            return 0
        await tx.watches.take_turn()
        steps: dict[Key, list[tuple[int, str]]] = defaultdict(list)
        for change in changes:
            steps[change.origin, change.sid].append((change.seq, change.before))
        for one in due:
            steps[one.origin, one.sid].append((OF_ITSELF, one.before))
        found = await self._look(tx, steps, moment)
        await tx.outbox.put_sent(found.sent)
        await tx.outbox.drop_changes([one.seq for one in changes])
        await tx.outbox.drop_due(due)
        # Once more: somebody may have been told from the index in the moment before it moved, and that is noted only now.
        await tx.outbox.put_due([Due(moment.now_ms + AGAIN_MS, c.origin, c.sid, c.before) for c in changes if c.before])
        for owner, events in found.events.items():
            await _publish(tx, owner, events, moment.now_ms)
        return len(steps)

    async def _look(self, tx: Transaction, steps: Mapping[Key, Steps], moment: Moment) -> _Found:
        stored = {
            (origin, sid): one for origin, sids in by_origin(steps) for sid, one in (await tx.statements.locate_all(origin, sids)).items()
        }
        await tx.outbox.put_due([row for one in stored.values() for row in _due(one, moment)])
        told: dict[Key, list[Told]] = defaultdict(list)
        for row in await tx.told.of({sid for _, sid in steps}):
            told[row.origin, row.sid].append(row)
        found = _Found()
        if not told and not await tx.watches.is_anybody_watching():
            return found
        looks = await _looks(tx, stored, steps)
        watchers = await _watchers(tx, looks)
        known = {(one.watchlist, one.watched, one.origin, one.sid): one for one in await tx.outbox.sent(_sids(looks))}
        readers: dict[str, Reader | None] = {}
        for owner in {w.owner for ws in watchers.values() for w in ws} | {row.owner for rows in told.values() for row in rows}:
            readers[owner] = await self._reader_of(owner)
        # What was there before goes first: what takes its place is then known already.
        for look in sorted(looks, key=lambda one: one.is_new):
            _for_watchers(look, watchers, known, readers=readers, moment=moment, found=found)
            await _for_told(tx, look, told[look.stored.origin, look.stored.sid], readers=readers, moment=moment, found=found)
        return found


def _ends(stored: Stored) -> Iterable[Due]:
    """When a listing ends by itself, if it still stands."""
    if stored.state.state is State.ACTIVE:
        yield Due((stored.state.expires_at or stored.event.expires_at or 0) * 1000, stored.origin, stored.sid, State.ACTIVE.value)


def _due(stored: Stored, moment: Moment) -> Iterable[Due]:
    """When a live listing looks otherwise by itself."""
    if stored.kind != Kind.LISTING or stored.state.state is not State.ACTIVE:
        return
    until_s = stored.state.expires_at or stored.event.expires_at or 0
    if until_s > moment.now_s:
        yield Due(until_s * 1000, stored.origin, stored.sid, State.ACTIVE.value)
    if stored.event.parts.get("core", stored.label).tlp is Tlp.CLEAR:
        open_ms = stored.accepted_ms + moment.public_delay_ms
        if open_ms > moment.now_ms:
            yield Due(open_ms, stored.origin, stored.sid, EMBARGO)


async def _looks(tx: Transaction, stored: Mapping[Key, Stored], steps: Mapping[Key, Steps]) -> list[_Look]:
    heirs = await _heirs(tx, stored)
    listings: dict[Key, list[Listing]] = defaultdict(list)
    for origin, sids in by_origin({*stored, *heirs.values()}):
        for listing in await tx.subjects.listings_of_sids(origin, sids):
            listings[listing.origin, listing.sid].append(listing)
    return [
        _Look(one, steps[key], tuple(listings[key]), tuple(listings[heirs[key]]) if key in heirs else ())
        for key in steps
        if (one := stored.get(key)) is not None and one.kind == Kind.LISTING
    ]


async def _heirs(tx: Transaction, stored: Mapping[Key, Stored]) -> dict[Key, Key]:
    """What is in the place of each that was superseded, at the end of the line: each stands later in its log than what it replaced."""
    known, heirs = dict(stored), {key: key for key in stored}
    while ahead := {key: (heir[0], sid) for key, heir in heirs.items() if heir in known and (sid := known[heir].state.superseded_by)}:
        heirs |= ahead
        for origin, sids in by_origin(set(ahead.values()) - set(known)):
            known |= {(origin, sid): one for sid, one in (await tx.statements.locate_all(origin, sids)).items()}
    return {key: heir for key, heir in heirs.items() if key != heir}


def _sids(looks: Sequence[_Look]) -> set[str]:
    """The statements and those that took their place."""
    return {one.stored.sid for one in looks} | {one.sid for look in looks for one in look.successor}


async def _watchers(tx: Transaction, looks: Sequence[_Look]) -> dict[str, list[Watcher]]:
    """By key."""
    keys = {key for look in looks for one in (*look.listings, *look.successor) for key in keys_of_subject(one.subject)}
    found: dict[str, list[Watcher]] = defaultdict(list)
    for watcher in await tx.watches.watchers(keys):
        found[watcher.key].append(watcher)
    return found


# --- those who watch -----------------------------------------------------------------------------------------------------

_Watched = tuple[str, str]


def _by_watched(listings: Iterable[Listing], watchers: Mapping[str, list[Watcher]]) -> dict[_Watched, tuple[Watcher, list[Listing]]]:
    """Which items concern whom."""
    found: dict[_Watched, tuple[Watcher, list[Listing]]] = {}
    for one in listings:
        for key in keys_of_subject(one.subject):
            for watcher in watchers.get(key, ()):
                _, items = found.setdefault((watcher.watchlist, watcher.watched), (watcher, []))
                if one not in items:
                    items.append(one)
    return found


def _for_watchers(
    look: _Look,
    watchers: Mapping[str, list[Watcher]],
    known: dict[tuple[str, str, str, str], Sent],
    *,
    readers: Mapping[str, Reader | None],
    moment: Moment,
    found: _Found,
) -> None:
    origin, sid = look.stored.origin, look.stored.sid
    after = _by_watched(look.successor, watchers)
    for which, (watcher, items) in _by_watched(look.listings, watchers).items():
        reader = readers[watcher.owner]
        now = word_of(items, reader, moment) if reader is not None else None
        if reader is None or now is None:
            continue
        place = (*which, origin, sid)
        is_his, knew = (True, Word(known[place].word)) if place in known else look.knew(watcher, reader, now)
        if not is_his:
            continue
        if knew is None and now not in STANDING:
            continue
        event, told_sid, previous = step(knew, now), sid, None
        successors = after[which][1] if which in after else []
        if now is Word.SUPERSEDED and event is not None and (next_word := word_of(successors, reader, moment)) is not None:
            heir = successors[0]
            next_place = (*which, heir.origin, heir.sid)
            event, told_sid, previous = step(knew, next_word) if knew else None, heir.sid, sid
            if event is None and not (len(items) == len(successors) and all(map(says_the_same, items, successors))):
                event = EventType.CHANGED
            _know(found, known, next_place, next_word, moment)
        _know(found, known, place, now, moment)
        if event is not None:
            data = _data(told_sid, origin, subject=watcher.watched, watcher=watcher, previous=previous)
            found.events[watcher.owner].append(_event(event, data, moment, watchlist=watcher.watchlist))


def _know(
    found: _Found, known: dict[tuple[str, str, str, str], Sent], place: tuple[str, str, str, str], word: Word, moment: Moment
) -> None:
    row = Sent(*place, str(word), moment.now_ms)
    known[place] = row
    found.sent.append(row)


# --- those who were told -------------------------------------------------------------------------------------------------


async def _for_told(
    tx: Transaction,
    look: _Look,
    told: Sequence[Told],
    *,
    readers: Mapping[str, Reader | None],
    moment: Moment,
    found: _Found,
) -> None:
    """Who was told must be told, whatever he may read today (CP-2)."""
    for row in told:
        reader = readers[row.owner] or PUBLIC
        items = [one for one in look.listings if one.subject == row.subject] or look.listings
        now = told_word(items, reader, moment)
        if str(now) == row.word:
            continue
        await tx.told.set_word(row, str(now))
        heir = next((one for one in look.successor if any(says_the_same(one, other) for other in items)), None)
        sid = row.sid
        if now is Word.SUPERSEDED and heir is not None:
            sid, now = heir.sid, told_word([heir], reader, moment)
            await tx.told.put([Told(row.owner, heir.origin, sid, row.subject, str(now), row.first_ms, row.last_ms)])
        event = correction(Word(row.word), now)
        if event is not None and (row.owner, sid, row.subject) not in found.corrected:
            found.corrected.add((row.owner, sid, row.subject))
            data = _data(sid, row.origin, subject=row.subject)
            found.events[row.owner].append(_event(event, data, moment, urgent=True))


# --- events --------------------------------------------------------------------------------------------------------------


def _data(sid: str, origin: str, *, subject: str, watcher: Watcher | None = None, previous: str | None = None) -> bytes:
    words = {
        "sid": sid,
        "origin": origin,
        "subject": subject,
        "watchlist": watcher.watchlist if watcher else None,
        "reference": watcher.reference if watcher else None,
        "previous_sid": previous,
        "url": f"/v1/statements/{sid}",
    }
    return orjson.dumps(words)


def _event(kind: EventType, data: bytes, moment: Moment, *, watchlist: str = "", urgent: bool = False) -> WatchEvent:
    return WatchEvent(0, moment.now_ms, str(kind), urgent, watchlist, data)


async def _publish(tx: Transaction, owner: str, events: Sequence[WatchEvent], now_ms: int) -> None:
    """Number the events of a client, corrections first, and send them to his addresses."""
    numbered = await tx.outbox.put_events(owner, sorted(events, key=lambda one: not one.urgent))
    for hook in await tx.webhooks.of_owner(owner):
        if hook.state == "active":
            await tx.webhooks.queue(
                Delivery(hook.id, one.seq, one.urgent, now_ms)
                for one in numbered
                if goes_to(one.type, one.watchlist, events=hook.events, watchlists=hook.watchlists)
            )

"""THE GATE FOR WHAT PEERS LOGGED: every entry of every followed log is opened, judged and folded here as if we had logged it.

Nothing is taken on a peer's word that can be computed: bytes hash to the leaves of the tree that we recomputed, signatures verify
under the registry of that log at that index, and states are our own fold. An entry that breaks a rule is carried inert and reported;
it never stops the log. What a crash means (protocol §3.7):

    open, verify, judge                    outside any transaction     crash: nothing happened
    write, fold, swap the cursor           in one transaction          crash: nothing happened; the page comes again
    commit; registry, index                in memory                   crash: the next start reads them from storage

What was judged is judged again in the transaction if registry or log have changed meanwhile. A page that was taken in already changes
nothing. What came out of its turn (`supply`) ends in the same rows as what came in it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from app.domain.errors import Betrayed, NotFound, Refused
from app.domain.folding import Key, State
from app.domain.fork import Bounds
from app.domain.statement import Kind, read_stub
from app.index.listings import Announced, ListingIndex
from app.seal.keyring import Keyring
from app.seal.keyrings import Keyrings
from app.seal.roots import read_document
from app.services.admit.changes import HELD, note_changes
from app.services.admit.filing import INDEX_EPOCH, read_epoch
from app.services.admit.foreign_ahead import CHUNK, Judged, open_chunk, take_all, take_chunk
from app.services.admit.foreign_judge import Offered, Opened
from app.services.admit.foreign_page import Page, Written, registry_end, write_page
from app.services.admit.foreign_supply import Lacking, late_parts, read_lacking, reconsider
from app.services.admit.moving import Face, Moved, faces_of, merged, moved_between, moved_by_members, read_moved
from app.services.admit.refold import origin_state, refold
from app.services.admit.rows import Logged
from app.services.admit.valve import waiting_at
from app.storage.database import Database, Transaction
from app.storage.faults import LostRace
from app.storage.log import Head
from app.storage.mirrors import FORKED, RETIRED, MirrorRow
from app.storage.withheld import PARTS, STUB

__all__ = ["Admission", "ForeignGate", "Offered"]

log = logging.getLogger("cordon.foreign")

REFOLD = 512
"""Statements that are folded at a time when a whole stretch of a log changes."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Admission:
    """What became of a page. `size`: the cursor now; `erased`: sids of erasures that are carried out here; `moved`: anything changed."""

    size: int
    logged: int = 0
    withheld: int = 0
    poisoned: int = 0
    dormant: int = 0
    erased: tuple[str, ...] = ()
    moved: bool = False


@dataclass(slots=True)
class _Kept:
    """A page after its commit: what the memory of this node must take in."""

    page: Page
    written: Written | None
    size: int
    moves: list[Moved] = field(default_factory=list)
    epoch: int | None = None
    announced: Announced | None = None

    def admission(self) -> Admission:
        """What is told of it."""
        page, written = self.page, self.written
        erasures = written.refolded.erasures if written is not None else ()
        return Admission(
            size=self.size,
            logged=len(page.logged),
            withheld=sum(row.what == STUB for row in page.withheld),
            poisoned=len(page.poison),
            dormant=len(written.dormant) if written is not None else 0,
            erased=tuple(sorted(sid for origin, sid in erasures if origin == page.origin)),
            moved=True,
        )


class ForeignGate:
    """The gate of all mirrors of one node; `load` before the first page."""

    def __init__(
        self,
        *,
        database: Database,
        keyrings: Keyrings,
        index: ListingIndex,
        clock: Callable[[], int],
        on_move: Callable[[str, int], None] | None = None,
    ) -> None:
        """`on_move(origin, size)` is told after each commit that moved something."""
        self._database = database
        self._keyrings = keyrings
        self._index = index
        self._clock = clock
        self._on_move = on_move
        self._lock = asyncio.Lock()
        self._registry_at: dict[str, int] = {}
        self._faces: dict[str, dict[str, Face]] = {}

    # --- life ----------------------------------------------------------------------------------------------------------

    async def load(self) -> None:
        """The registry of every mirror, from its root documents and its log as stored; of logs that are mirrors no more, none."""
        async with self._lock:
            known = self._keyrings.origins()  # who comes to be known while this is read is in memory before he is in what is read
            await self._load(known)

    async def _load(self, known: Sequence[str]) -> None:
        async with self._database.reading() as tx:
            mirrors = {row.origin: row for row in await tx.mirrors.all()}
            for origin in known:
                if origin not in mirrors:
                    self._keyrings.drop(origin)
                    self._registry_at.pop(origin, None)
            for row in mirrors.values():
                peer = await tx.peers.get(row.node)
                if peer is not None and row.origin != self._keyrings.own.origin:
                    documents = [read_document(root.document).document for root in await tx.registry.roots(peer.jurisdiction)]
                    self._registry_at[row.origin] = 0
                    self._keyrings.put(await self._read_registry(tx, row, Keyring(row.origin, documents)))
                    self._faces[row.origin] = await faces_of(tx, row.origin)

    async def _read_registry(self, tx: Transaction, mirror: MirrorRow, keyring: Keyring) -> Keyring:
        """Take in the control statements that were stored since we last looked; what was judged inert is none."""
        head = await tx.log.head(mirror.origin)
        read, end = self._registry_at.get(mirror.origin, 0), registry_end(origin_state(mirror))
        if head is None or head.size <= read:
            return keyring
        for event in await tx.registry.control_events(mirror.origin, first=read):
            if event.state is State.INERT or event.index >= end:
                continue
            try:
                stub = read_stub(dict(event.claims), kid=event.kid, sid=event.sid, lenient=True)
            except Refused as error:
                raise Betrayed(f"entry {event.index} of {mirror.origin} is damaged in storage: {error.detail}") from error
            keyring.apply(event.index, stub)
        self._registry_at[mirror.origin] = head.size
        return keyring

    # --- pages ---------------------------------------------------------------------------------------------------------

    async def admit(
        self,
        origin: str,
        page: Sequence[Offered],
        *,
        leaves: Sequence[bytes],
        after: Head,
        relay_from: str | None,
        judged: Judged | None = None,
    ) -> Admission:
        """Take in the entries from the cursor on, without a hole, and move the cursor to `after` (size, root at that size).

        `leaves`: their hashes in the tree that we recomputed; `relay_from`: the node that gave them, None for the origin itself;
        `judged`: what `judge` made of this very page, perhaps while the one before was written.
        Betrayed if bytes do not hash to their leaf (ask another source); LostRace if the cursor stands elsewhere; NotFound for
        a log that is not followed.
        """
        first = after.size - len(page)
        if [one.index for one in page] != list(range(first, after.size)) or len(leaves) != len(page):
            raise ValueError("a page goes from the cursor to its end without holes, with a leaf for each entry")
        if judged is None:
            judged = await self.judge(origin, page, leaves, from_relay=relay_from is not None)

        async def work(tx: Transaction) -> _Kept | Admission:
            mirror, head = await self._mirror(tx, origin)
            if head.size != first:
                return Admission(head.size)
            taken = await self._page(tx, mirror, relay_from is not None)
            if judged.stands_for(taken):
                taken = judged.page.anew(mirror)
            else:
                await take_all(taken, judged.opened, page, leaves)
            last_ms = taken.check_order(head.accepted_ms)
            done = await self._write(tx, taken, after.size)
            await tx.log.swap_head(first, Head(origin, after.size, after.root, last_ms))
            return done

        async with self._lock:
            if self._index.positions.get(origin, 0) < first:  # another worker was there, or our own last page lost its end
                async with self._database.reading() as tx:
                    await self._catch_up(tx, origin)
            done = await self._take_in(work)
            if done.size < after.size:
                raise LostRace(f"the cursor of {origin} stands at {done.size}, the page begins at {first}: read it again")
            return done

    async def supply(self, origin: str, parts: Sequence[Offered], *, relay_from: str | None = None) -> Admission:
        """Late entitlement, healing: stubs of entries that were withheld, and parts of statements. What is not missing is passed over.

        An offer without `entry` brings parts to a stub that is held. Raises as `admit`; the cursor stays.
        """
        async with self._lock:
            async with self._database.reading() as tx:
                _, head = await self._mirror(tx, origin)
                lacking = await read_lacking(tx, origin, parts, size=head.size)
            offers, leaves = [one.offered for one in lacking], [one.leaf for one in lacking]
            opened = [one for one in await self._open(origin, offers, leaves, from_relay=relay_from is not None) if one is not None]
            if not opened:
                return Admission(head.size)

            async def work(tx: Transaction) -> _Kept:
                mirror, head = await self._mirror(tx, origin)
                page = await self._page(tx, mirror, relay_from is not None)
                again = await read_lacking(tx, origin, parts, size=head.size)
                if [(one.what, one.offered) for one in again] != [(one.what, one.offered) for one in lacking]:
                    raise LostRace("somebody else has brought some of this: look again")
                return await self._supplied(tx, page, lacking, opened, head.size)

            return await self._take_in(work)

    async def _supplied(self, tx: Transaction, page: Page, lacking: Sequence[Lacking], opened: Sequence[Opened], size: int) -> _Kept:
        pairs = list(zip(lacking, opened, strict=True))
        parts = [pair for pair in pairs if pair[0].what == PARTS]
        late = await late_parts(tx, page, [one for one, _ in parts], [found for _, found in parts])
        for one, found in pairs:
            if one.what == STUB:
                page.take(found, one.offered, one.leaf)
        came = {one.index for one in page.entries} | {row.index for row in page.poison}
        await tx.withheld.drop(page.origin, came)
        await tx.evidence.drop_poison(page.origin, came)  # one that a source once gave without end; what is wrong with it is written below
        done = await self._write(tx, page, size, late=late)
        if page.control:
            done.moves += await self._reconsidered(tx, page, min(index for index, _ in page.control), size)
        if page.logged or page.poison or late:
            done.epoch = await _next_epoch(tx)
        return done

    async def reconsider(self, origin: str, *, first: int = 0) -> None:
        """Judge and fold a log again from `first` on: a root document came after what rests on it."""

        async def work(tx: Transaction) -> _Kept:
            mirror, head = await self._mirror(tx, origin)
            page = await self._page(tx, mirror, from_relay=False)
            return _Kept(page, None, head.size, await self._reconsidered(tx, page, first, head.size), await _next_epoch(tx))

        async with self._lock:
            await self._take_in(work)

    async def _reconsidered(self, tx: Transaction, page: Page, first: int, size: int) -> list[Moved]:
        """What is judged bad now is gone, so that it may be any id that has lost something."""
        return [await read_moved(tx, await reconsider(tx, page, first, size, self._keyrings)), Moved(touched=None)]

    # --- pieces --------------------------------------------------------------------------------------------------------

    async def judge(self, origin: str, page: Sequence[Offered], leaves: Sequence[bytes], *, from_relay: bool) -> Judged:
        """Open a page and judge it as things stand, before the transaction: the home gate waits for every moment of that."""
        async with self._database.reading() as tx:
            mirror, _ = await self._mirror(tx, origin)
        keyring = self._keyrings.get(origin)
        assert keyring is not None
        judged = Judged([], Page(mirror, keyring, from_relay, self._clock()), keyring, keyring.version)
        for at in range(0, len(page), CHUNK):
            some, over = page[at : at + CHUNK], leaves[at : at + CHUNK]
            opened = open_chunk(some, over, judged.page.keyring.public_key, from_relay)
            judged.opened.extend(opened)
            take_chunk(judged.page, opened, some, over)
            await asyncio.sleep(0)
        return judged

    async def _open(self, origin: str, page: Sequence[Offered], leaves: Sequence[bytes], *, from_relay: bool) -> list[Opened | None]:
        """Hash, read and verify; None for what is withheld."""
        keyring = self._keyrings.get(origin)
        if keyring is None:
            raise NotFound(f"{origin} is not followed here: add its node as a peer")
        found: list[Opened | None] = []
        for at in range(0, len(page), CHUNK):
            found += open_chunk(page[at : at + CHUNK], leaves[at : at + CHUNK], keyring.public_key, from_relay)
            await asyncio.sleep(0)
        return found

    async def _mirror(self, tx: Transaction, origin: str) -> tuple[MirrorRow, Head]:
        mirror, head = await tx.mirrors.get(origin), await tx.log.head(origin)
        if mirror is None or head is None or self._keyrings.get(origin) is None:
            raise NotFound(f"{origin} is not followed here: add its node as a peer")
        return mirror, head

    async def _page(self, tx: Transaction, mirror: MirrorRow, from_relay: bool) -> Page:
        """An empty page under the registry as this transaction sees it."""
        keyring = self._keyrings.get(mirror.origin)
        assert keyring is not None
        return Page(mirror, await self._read_registry(tx, mirror, keyring), from_relay, self._clock())

    async def _write(self, tx: Transaction, page: Page, size: int, *, late: Sequence[Logged] = ()) -> _Kept:
        keyrings = self._keyrings.beside(page.keyring)
        written = await write_page(tx, page, keyrings, late=late)
        done = _Kept(page, written, size, [written.moved])
        if page.control:
            done.moves.append(await moved_by_members(tx, page.origin, before=self._faces.get(page.origin, {})))
        return done

    async def _take_in(self, work: Callable[[Transaction], Awaitable[_Kept | T]]) -> Admission | T:
        """Do the work in a transaction, and what follows from its commit in the same turn of the index."""

        async def announced(tx: Transaction) -> _Kept | T:
            done = await work(tx)
            if isinstance(done, _Kept):
                done.announced = self._index.announce(merged(done.moves).filing)
            return done

        async with self._index.turn() as turn:
            done = await turn.run(self._database, announced)
            return self._finish(done) if isinstance(done, _Kept) else done

    def _finish(self, done: _Kept) -> Admission:
        """After the commit: registry, index, and whoever wants to know."""
        page, origin = done.page, done.page.origin
        self._learn(page)
        self._registry_at[origin] = max(done.size, self._registry_at.get(origin, 0))
        moved = merged(done.moves)
        places = {origin: (self._index.positions.get(origin, 0), done.size)}
        self._index.move(moved.touched, announced=done.announced, places=places, epoch=done.epoch)
        self._index.has_erased |= moved.erased
        self._faces[origin] = dict(moved.faces) if moved.faces is not None else self._faces.get(origin, {})
        admission = done.admission()
        if self._on_move is not None and admission.moved:
            self._on_move(origin, done.size)
        return admission

    def _learn(self, page: Page) -> None:
        live = self._keyrings.get(page.origin)
        if not page.is_trial or live is None:
            return
        for document in live.documents:  # one may have come while the page was written
            if document not in page.keyring.documents:
                page.keyring.add_root(document)
        self._keyrings.put(page.keyring)

    # --- what humans and evidence decide ---------------------------------------------------------------------------------

    async def mark_forked(self, origin: str, bounds: Bounds, *, reason: str) -> None:
        """The log signed two histories that part within `bounds`: beyond them adds survive and removals wait (protocol §3.7).

        Once more with closer bounds, when somebody has shown the other branch: what lies between is judged again.
        """
        async with self._database.reading() as tx:
            before = await tx.mirrors.get(origin)
        was_forked = before is not None and before.state == FORKED and before.common is not None
        first = min(bounds.common, before.common or 0) if before is not None and was_forked else bounds.common

        async def part(tx: Transaction) -> bool:
            return await tx.mirrors.set_state(origin, FORKED, reason, common=bounds.common, heard=bounds.heard)

        await self._bound(origin, first, part)
        if was_forked:
            await self.load()
            await self.reconsider(origin, first=bounds.common)

    async def retire(self, origin: str, *, final_size: int) -> None:
        """The root document ends the log at `final_size` entries: nothing beyond them ever counts. The way out of a fork, too."""
        reason = f"ended by the root document at {final_size} entries"
        async with self._database.reading() as tx:
            before = await tx.mirrors.get(origin)
        common = before.common if before is not None and before.state == FORKED else None
        first = final_size if common is None else min(common, final_size)

        async def end(tx: Transaction) -> bool:
            # A fork is lifted by humans alone: here the root key holders have signed that it is.
            return await tx.mirrors.set_state(origin, RETIRED, reason, final_size=final_size, by_human=common is not None)

        await self._bound(origin, first, end)
        if first < final_size:  # what the registrar said past the fork counts now, and what rests on it
            await self.load()
            await self.reconsider(origin, first=first)

    async def _bound(self, origin: str, first: int, change: Callable[[Transaction], Awaitable[bool]]) -> None:
        """Set a bound and fold again all that lies beyond it, and what that touches."""

        async def work(tx: Transaction) -> _Kept | None:
            if not await change(tx):
                return None
            mirror, head = await self._mirror(tx, origin)
            page = await self._page(tx, mirror, from_relay=False)
            page.keyring, page.is_trial = page.keyring.copy(before=registry_end(page.state)), True
            keyrings, folded, before, gone = self._keyrings.beside(page.keyring), set[Key](), dict[Key, str](), set[str]()
            for start in range(first, head.size, REFOLD):
                events = await tx.statements.events_between(origin, start, min(start + REFOLD, head.size))
                moving = [event for event in events if not event.bad and (event.targets or event.kind == Kind.KEY_REVOKE)]
                also = {(origin, event.sid) for event in events}
                refolded = await refold(tx, moving, keyrings=keyrings, also=also)
                folded |= refolded.states.keys()
                gone |= set(refolded.gone)
                before = {**refolded.before, **before}
                await tx.registry.refresh(origin, events)
            renamed = await moved_by_members(tx, origin, before=self._faces.get(origin, {}))
            epoch = await _next_epoch(tx)
            await note_changes(tx, self._clock(), before=before)
            return _Kept(page, None, head.size, [renamed, await read_moved(tx, folded, gone=gone)], epoch)

        async with self._lock:
            await self._take_in(work)

    async def quarantine(self, origin: str, on: bool) -> None:
        """Let nothing of a log count here, or let it count again. Its entries are followed all the same."""

        async def work(tx: Transaction) -> int:
            if not await tx.mirrors.set_quarantined(origin, on):
                raise NotFound(f"{origin} is not followed here: add its node as a peer")
            head, epoch = await tx.log.head(origin), await _next_epoch(tx)
            for first in range(0, head.size if head is not None else 0, REFOLD):
                events = await tx.statements.events_between(origin, first, first + REFOLD)
                was = State.ACTIVE.value if on else HELD
                await note_changes(tx, self._clock(), before={(origin, event.sid): was for event in events if event.kind == Kind.LISTING})
            return epoch

        async with self._lock, self._index.turn() as turn:
            epoch = await turn.run(self._database, work)
            self._index.move(None, announced=self._index.announce(()), epoch=epoch)

    async def release(self, origin: str, *, indices: Collection[int] | None = None) -> int:
        """Let listings count that the valve kept dormant, all or those at `indices`; how many."""

        async def work(tx: Transaction) -> tuple[int, Moved, int]:
            waiting = await waiting_at(tx, origin, indices)
            await tx.valve.release(origin, waiting)
            epoch, moves = await _next_epoch(tx), list[Moved]()
            for at in range(0, len(waiting), REFOLD):
                events = await tx.statements.events_at(origin, waiting[at : at + REFOLD])
                await note_changes(tx, self._clock(), before={(origin, event.sid): HELD for event in events if event.kind == Kind.LISTING})
                moves.append(await read_moved(tx, [(origin, event.sid) for event in events]))
            return len(waiting), merged(moves), epoch

        # The file has them since they were logged: what does not count is filed, too.
        async with self._lock, self._index.turn() as turn:
            released, moved, epoch = await turn.run(self._database, work)
            self._index.move(moved.touched, announced=self._index.announce(()), epoch=epoch)
        return released

    # --- among several workers ---------------------------------------------------------------------------------------------

    async def follow(self) -> None:
        """Take in what another worker has done: pages by their place; of everything else only that it was done, as it may be any id."""
        async with self._database.reading() as tx:
            epoch = await read_epoch(tx)
        if epoch > self._index.epoch[1]:
            await self.look_again()
        if await self._take_pages():  # another worker has taken in the root document of a peer
            await self.load()
            await self._take_pages()

    async def _take_pages(self) -> bool:
        """What was logged in each mirror since; whether there is one of a peer whose registry is not known here."""
        is_new = False
        async with self._lock, self._database.reading() as tx:
            for mirror in await tx.mirrors.all():
                keyring = self._keyrings.get(mirror.origin)
                if keyring is None:
                    is_new = is_new or await tx.peers.get(mirror.node) is not None
                elif keyring is not self._keyrings.own:
                    await self._read_registry(tx, mirror, keyring)
                    await self._catch_up(tx, mirror.origin)
        return is_new

    async def look_again(self) -> None:
        """Another process has changed what counts here, of whatever statements."""
        await self.load()
        async with self._index.turn() as turn:
            await turn.take()
            async with self._database.reading() as tx:
                epoch = await read_epoch(tx)
            self._index.move(None, epoch=epoch)

    async def _catch_up(self, tx: Transaction, origin: str) -> None:
        head, at = await tx.log.head(origin), self._index.positions.get(origin, 0)
        if head is None or head.size <= at:
            return
        moves = await moved_between(tx, origin, at, head.size), await moved_by_members(tx, origin, before=self._faces.get(origin, {}))
        moved = merged(moves)
        async with self._index.turn() as turn:
            await turn.take()
            self._index.move(moved.touched, announced=self._index.announce(moved.filing), places={origin: (at, head.size)})
        self._faces[origin] = dict(moved.faces) if moved.faces is not None else self._faces.get(origin, {})


async def _next_epoch(tx: Transaction) -> int:
    epoch = await read_epoch(tx) + 1
    await tx.meta.set(INDEX_EPOCH, b"%d" % epoch)
    return epoch

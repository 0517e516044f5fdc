"""Logs of peers without their nodes: entries signed with real keys, in whatever order and with whatever faults, and a node that follows them.

fr = PeerLog(Town.found(tmp_path / "fr", code="fr", clock=clock))
here = Here(database, town, clock)
await here.follow(fr)
fr.log(*fr.town.settled(), fr.town.signer("fr.bka#1").listing(wallet(1)))
await here.take(fr)
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from app.domain.folding import Event, Folded, OriginState, State, fold
from app.domain.labels import EVERYTHING
from app.domain.merkle import leaf_hash
from app.domain.statement import ohash_of, read_stub, understands
from app.domain.tiles import Edge
from app.index.listed import ListedIds
from app.index.listings import ListingIndex
from app.seal.keyring import Keyring
from app.seal.keyrings import Keyrings
from app.seal.roots import read_document
from app.services.admit import FileKeeper
from app.services.admit.foreign import Admission, ForeignGate, Offered
from app.services.enroll import read_root_documents
from app.storage.database import Database, Transaction
from app.storage.log import Head
from app.storage.mirrors import MirrorRow
from app.storage.peers import PeerRow
from tests.factories import Town
from tests.filed import check_filed


@dataclass(slots=True)
class PeerLog:
    """The log of a jurisdiction as its node would have it, or as a rogue node would."""

    town: Town
    entries: list[bytes] = field(default_factory=list)
    texts: list[tuple[str, ...]] = field(default_factory=list)

    @property
    def origin(self) -> str:
        return self.town.origin

    @property
    def node(self) -> str:
        return self.origin.partition("/")[0]

    def log(self, *wires: str, ms: int | None = None) -> int:
        """Append statements, accepted now; the index of the last one."""
        for wire in wires:
            jws, *texts = wire.split("~")
            self.log_raw(f"{self.town.clock() if ms is None else ms} {jws}".encode("ascii"), *filter(None, texts))
        return len(self.entries) - 1

    def log_raw(self, entry: bytes, *texts: str) -> int:
        """Append whatever a rogue node would; its index."""
        self.entries.append(entry)
        self.texts.append(texts)
        return len(self.entries) - 1

    def offered(self, first: int, end: int, *, hide: Collection[int] = (), bare: Collection[int] = ()) -> list[Offered]:
        """Lines of [first, end): `hide` are withheld, `bare` come without disclosures."""
        return [
            Offered(index, None) if index in hide else Offered(index, self.entries[index], () if index in bare else self.texts[index])
            for index in range(first, end)
        ]

    def documents(self) -> list[bytes]:
        return read_root_documents(self.town.data_dir)


class Here:
    """A node that follows logs: a database, registries, an index and the gate for what peers logged."""

    def __init__(
        self,
        database: Database,
        town: Town,
        *,
        keyrings: Keyrings | None = None,
        index: ListingIndex | None = None,
        listed: ListedIds | None = None,
    ) -> None:
        own = Keyring(town.origin, [read_document(data).document for data in read_root_documents(town.data_dir)])
        self.database = database
        self.clock = town.clock
        self.keyrings = keyrings or Keyrings(own)
        self.keeper: FileKeeper | None = None
        self.listed_ids = ListedIds() if listed is None else listed
        if index is None:
            index = ListingIndex(database, self.listed_ids)
            self.keeper = FileKeeper(database, index, self.listed_ids, guarded=list)
        self.index = index
        self.moves: list[tuple[str, int]] = []
        self.gate = ForeignGate(
            database=database,
            keyrings=self.keyrings,
            index=self.index,
            clock=town.clock,
            on_move=lambda origin, size: self.moves.append((origin, size)),
        )

    async def start(self) -> None:
        """Take the index to where the database stands, with a file in memory."""
        if self.keeper is not None:
            await self.keeper.start()
            await self.keeper.tick()
            self.keeper = None

    async def follow(self, peer: PeerLog, **terms: Any) -> None:
        """Begin a mirror."""
        await self.start()
        async with self.database.transaction() as tx:
            await tx.peers.put(PeerRow(peer.node, peer.town.code, f"https://{peer.node}", "00" * 32))
            await tx.mirrors.create(MirrorRow(peer.origin, peer.node, **terms))
            await tx.log.create(peer.origin, self.clock())
            for data in peer.documents():
                document = read_document(data).document
                await tx.registry.put_root(document.jurisdiction, document.version, data, document.sha256)
        await self.gate.load()

    async def cursor(self, peer: PeerLog) -> int:
        async with self.database.reading() as tx:
            head = await tx.log.head(peer.origin)
        assert head is not None
        return head.size

    async def take(
        self, peer: PeerLog, end: int | None = None, *, relay: str | None = None, page: Sequence[Offered] | None = None, **lines: Any
    ) -> Admission:
        """Recompute the tree up to `end` and take the entries from the cursor on in one page."""
        first, end = await self.cursor(peer), len(peer.entries) if end is None else end
        leaves = [leaf_hash(entry) for entry in peer.entries[:end]]
        grown = Edge().append(leaves)
        async with self.database.transaction() as tx:
            await tx.log.write_tiles(peer.origin, grown.changed)
            await tx.mirrors.set_tree(peer.origin, end, grown.root, "")
        offered = peer.offered(first, end, **lines) if page is None else page
        return await self.gate.admit(
            peer.origin, offered, leaves=leaves[first:end], after=Head(peer.origin, end, grown.root, 0), relay_from=relay
        )

    async def state(self, peer: PeerLog, index: int) -> State:
        """The stored state of the statement at an index."""
        async with self.database.reading() as tx:
            (event,) = await tx.statements.events_at(peer.origin, [index])
            found = await tx.statements.locate(peer.origin, event.sid)
        assert found is not None
        return found.state.state

    async def poison(self, peer: PeerLog) -> dict[int, str]:
        """What is carried inert, or reported, and why."""
        async with self.database.reading() as tx:
            return {row.index: row.reason for row in await tx.evidence.poison_page(peer.origin, limit=10_000)}

    async def lacking(self, peer: PeerLog) -> dict[int, str]:
        """What is withheld."""
        async with self.database.reading() as tx:
            return {row.index: row.what for row in await tx.withheld.between(peer.origin, 0, len(peer.entries) + 1)}

    async def listed(self, subject: str) -> list[tuple[str, int]]:
        """Where the live listings of an id stand."""
        return [(one.origin, one.index) for one in await self.index.find(subject)]


def far(peer_origin: str, sid: str) -> str:
    """How a dispute names a statement of another log."""
    return f"{ohash_of(peer_origin)}/{sid}"


# --- the law -----------------------------------------------------------------------------------------------------------


async def fold_everything(tx: Transaction, keyrings: Mapping[str, Keyring]) -> tuple[Folded, list[Event]]:
    """The pure fold of all that is stored, under registries worked through from the good control statements that are stored."""
    mirrors = {row.origin: row for row in await tx.mirrors.all()}
    vector: dict[str, OriginState] = {}
    events: list[Event] = []
    worked: dict[str, Keyring] = {}
    for origin in await tx.log.origins():
        head, mirror = await tx.log.head(origin), mirrors.get(origin)
        assert head is not None
        end = min(head.size, mirror.final_size) if mirror and mirror.final_size is not None else head.size
        common = mirror.common if mirror and mirror.state == "forked" else None
        # The registry counts as far as the branches may be one, where nobody knows where they part.
        heard = end if mirror is None or common is None else min(max(common, mirror.heard or 0), end)
        vector[origin] = OriginState("live", end) if common is None else OriginState("forked", end, common, {"a": end}, heard)
        own = await tx.statements.events_between(origin, 0, head.size)
        events += [_on_branch(event, common) for event in own]
        worked[origin] = Keyring(origin, keyrings[origin].documents)
        bad = {event.index for event in own if event.bad}
        for one in await tx.registry.control_events(origin):
            stub = read_stub(dict(one.claims), kid=one.kid, sid=one.sid, lenient=True)
            if one.index not in bad and one.index < heard and understands(stub):
                worked[origin].apply(one.index, stub)
    folded = fold(
        events,
        vector=vector,
        reader=EVERYTHING,
        as_of=None,
        registrar_kids={origin: keyring.registrar_kids for origin, keyring in worked.items()},
        needs2=lambda origin, index: worked[origin].needs2_at(index),
    )
    return folded, events


def _on_branch(event: Event, common: int | None) -> Event:
    return event if common is None or event.index < common else replace(event, branch="a")


async def check_fold(database: Database, keyrings: Keyrings, *, ever: set[tuple[str, str, str]] | None = None) -> Folded:
    """Stored states are those of the pure fold; what it ever destroyed is gone, and nothing else is.

    `ever`: what it destroyed before, added to. An erasure that falls afterwards, with its key or past a fork, brings nothing back.
    """
    async with database.reading() as tx:
        folded, events = await fold_everything(tx, {one.origin: one for one in keyrings})
        destroyed = {(gone.origin, gone.sid, gone.part) for gone in folded.destroyed}
        ever = destroyed if ever is None else ever
        ever |= destroyed
        for event in events:
            stored = (await tx.statements.locate_all(event.origin, [event.sid]))[event.sid].state
            pure = folded.states.get((event.origin, event.sid))
            if pure is None:
                assert stored.state is State.INERT, event
                continue
            expiry = event.expires_at if stored.expires_at is None else stored.expires_at
            expected = (pure.state, pure.superseded_by, pure.contested)
            assert (stored.state, stored.superseded_by, stored.contested) == expected, (event, stored, pure)
            assert pure.state is State.INERT or expiry == pure.expires_at, (event, stored, pure)
            for part in await tx.statements.parts_of(event.origin, [event.index]):
                place = (event.origin, event.sid, part.part)
                assert part.is_erased or place not in destroyed, (event, part)
                assert not part.is_erased or place in ever, (event, part)
        erased = [(origin, sid) for origin, sid, part in destroyed if part == "core"]
        for origin, sid in erased:
            assert await tx.subjects.listings_of_sids(origin, [sid]) == []
    return folded


async def check_index(database: Database, index: ListingIndex) -> None:
    """The index says what the database says, and its file misses nothing."""
    await check_filed(database, index)

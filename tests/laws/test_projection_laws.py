"""The law of the projection: whatever comes through the gate, in whatever batches, what is stored is what the pure fold gives.

Random histories of every kind of statement, good and bad, are submitted to a real node in batches of random size. After every
batch: stored states are those of the whole history folded; tombstones are what the fold destroyed; the index in memory is the one a
fresh start would load; the registry is the one the log gives; the log's entries hash to every checkpoint that was ever signed.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from app.domain.folding import Folded, OriginState, State, fold
from app.domain.labels import EVERYTHING
from app.domain.merkle import consistency_path, root_of, verify_consistency
from app.domain.statement import Kind, read_stub
from app.domain.tiles import TileReader
from app.index.listings import ListingIndex
from app.seal.keyring import Keyring
from app.seal.notes import read_checkpoint
from app.services.admit import Admitted
from app.services.node import Node, load_index
from app.storage.database import Transaction
from tests.factories import GUARD, Clock, Signer, Town, accept, entity, link, sid_in, wallet, wallet_id

SEEDS = range(6)
AGENTS = ("de.bka#1", "de.bka#2", "de.bka#3", "de.lka#1", "de.lka#2")
REGISTRARS = ("de.registrar#1", "de.registrar#2")
AMBER = {"tlp": "AMBER", "aud": ["de.example", "de.exchange"]}
LABELS: tuple[dict[str, Any], ...] = ({"tlp": "CLEAR"}, {}, {}, {}, AMBER, {"tlp": "AMBER", "aud": ["de.example"]})
CHOICES = (
    ["listing"] * 12 + ["supersede"] * 4 + ["renew"] * 3 + ["retract"] * 4 + ["erase"] * 3 + ["dispute"] * 3 + ["endorse"] * 2
    + ["approve"] * 7 + ["reaffirm"] * 4 + ["key-revoke"] * 2 + ["policy", "member", "guard", "again", "bad", "freeze"]
)  # fmt: skip


class Author:
    """Writes a random history, knowing only what it has written itself."""

    def __init__(self, town: Town, seed: int) -> None:
        self.town, self.random = town, random.Random(seed)
        self.written: list[tuple[str, str, str]] = []  # sid, kind, kid
        self.wires: list[str] = []

    def batch(self) -> list[str]:
        return [self.statement() for _ in range(self.random.choice((1, 1, 2, 3, 5, 9)))]

    def statement(self) -> str:
        kind = self.random.choice(CHOICES)
        if kind == "again" and self.wires:
            return self.random.choice(self.wires)
        kid = self.random.choice(AGENTS)
        wire = self._write(kind, self.town.signer(kid))
        said = {"supersede": "listing", "guard": "listing", "again": "listing", "bad": "listing", "freeze": "request"}.get(kind, kind)
        self.written.append((sid_in(wire), said, kid))
        self.wires.append(wire)
        return wire

    def _write(self, kind: str, signer: Signer) -> str:
        r, label = self.random, self.random.choice(LABELS)
        match kind:
            case "supersede":
                return signer.listing(*self._items(), **label, t=self._targets("listing"))
            case "renew":
                return signer.renew(*self._targets("listing"), days=r.choice((5, 400, 700)), **label)
            case "retract":
                return self._by(signer).retract(*self._targets("listing", "dispute", "request"), **label)
            case "erase":
                return self._by(signer).erase(*self._targets("listing"), parts=r.choice((["core"], ["ctx"], ["core", "ctx"])), **label)
            case "dispute":
                return self._any_of(signer, "de.ombud#1").dispute(*self._targets("listing"), stage=r.choice((None, "upheld")), **label)
            case "endorse":
                return signer.endorse(*self._targets("listing"), **label)
            case "approve":
                return self._by(signer).approve(*self._targets("listing", "retract", "erase", "policy", "key-revoke", "member"), **label)
            case "reaffirm":
                return self._by(signer).reaffirm(*self._targets("listing", "retract", "approve", "dispute", "reaffirm"), **label)
            case "key-revoke":
                reason = r.choice(("compromised", "superseded"))
                return self.town.registrar().revoke(r.choice(AGENTS), reason=reason, from_index=r.randrange(80))
            case "policy":
                needs2 = r.choice(([], ["listing"], ["retract", "erase"], ["policy", "key-revoke"], ["reaffirm", "dispute"]))
                return self.town.policy(needs2=needs2, four_eyes=r.choice(([], ["clear"])), public_delay_h=r.randrange(100))
            case "member":
                return self.town.member("de.bka", keys=("1", "2", "3"), name=f"Name {r.randrange(99)}", country="DE")
            case "guard":
                return signer.listing(wallet(r.randrange(10), **GUARD), **label)
            case "freeze":
                return signer.freeze_request(wallet_id(r.randrange(10)))
            case "bad":
                return signer.listing(wallet(1, severity=77))
            case _:
                return signer.listing(*self._items(), days=r.choice((1, 200)), others=r.choice(({}, {"ctx": [{"note": "n"}]})), **label)

    def _items(self) -> list[dict[str, Any]]:
        r = self.random
        items = [wallet(n, severity=r.randrange(5)) for n in r.sample(range(10), r.choice((1, 2, 4)))]
        if r.random() < 0.3:
            items.append(link(wallet_id(r.randrange(10)), wallet_id(50 + r.randrange(3))))
        return [*items, entity("golden-sun")] if r.random() < 0.2 else items

    def _targets(self, *kinds: str) -> list[str]:
        """Mostly one that fits and came lately, so that histories grow deep; sometimes several, sometimes one of nothing."""
        fitting = [sid for sid, kind, _ in self.written if kind in kinds][-12:] or [sid_in(self.town.signer("de.bka#1").listing(wallet(1)))]
        return self.random.sample(fitting, min(len(fitting), self.random.choice((1, 1, 1, 2))))

    def _by(self, signer: Signer) -> Signer:
        return self._any_of(signer, *REGISTRARS) if self.random.random() < 0.5 else signer

    def _any_of(self, signer: Signer, *kids: str) -> Signer:
        return self.town.signer(self.random.choice(kids)) if self.random.random() < 0.6 else signer


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
async def test_what_is_stored_is_what_the_fold_gives(seed: int, town: Town, clock: Clock, database_url: str) -> None:
    """The whole law, after every batch, and once more after a restart."""
    author, notes, destroyed = Author(town, seed), list[str](), set[tuple[str, str]]()
    said: dict[str, int] = {}
    async with town.open(database_url) as node:
        await accept(node, *town.settled(), town.member("de.bka", keys=("1", "2", "3"), country="DE"))
        for _ in range(22):
            clock.advance(s=author.random.choice((0, 1, 3000)))
            batch = author.batch()
            for wire, result in zip(batch, await node.gate.submit(batch), strict=True):
                word = str(result.status) if isinstance(result, Admitted) else result.slug
                said[word] = said.get(word, 0) + 1
                if isinstance(result, Admitted) and result.receipt is not None:
                    assert town.check_receipt(wire, result).size <= node.own_log.size
            notes.append((await node.publisher.checkpoint()).note)
            async with node.database.reading() as tx:
                folded = await check_states(tx, node, town)
                destroyed |= {(one.sid, one.part) for one in folded.destroyed}
                await check_tombstones(tx, town, destroyed)
            await check_index(node, town, folded)
        assert node.gate.frozen is None
        async with node.database.reading() as tx:
            await check_log(tx, town, notes)
            await check_registry(tx, node, town)
    assert said["accepted"] > 20, said
    async with town.open(database_url) as again:
        async with again.database.reading() as tx:
            folded = await check_states(tx, again, town)
        await check_index(again, town, folded)


async def whole_keyring(tx: Transaction, node: Node, town: Town) -> Keyring:
    """The registry worked through from the log, by nobody's memory."""
    keyring = Keyring(town.origin, node.documents)
    for event in await tx.registry.control_events(town.origin):
        keyring.apply(event.index, read_stub(dict(event.claims), kid=event.kid, sid=event.sid, lenient=True))
    return keyring


async def check_states(tx: Transaction, node: Node, town: Town) -> Folded:
    head = await tx.log.head(town.origin)
    assert head is not None
    events = await tx.statements.events_between(town.origin, 0, head.size)
    assert [event.index for event in events] == list(range(head.size))
    keyring = await whole_keyring(tx, node, town)
    folded = fold(
        events,
        vector={town.origin: OriginState("live", head.size)},
        reader=EVERYTHING,
        as_of=None,
        registrar_kids={town.origin: keyring.registrar_kids},
        needs2=lambda _origin, index: keyring.policy_at(index).needs2,
    )
    stored = await tx.statements.locate_all(town.origin, [event.sid for event in events])
    for event in events:
        here, pure = stored[event.sid].state, folded.states[town.origin, event.sid]
        expiry = event.expires_at if here.expires_at is None else here.expires_at
        assert (here.state, expiry, here.superseded_by, here.contested) == (
            pure.state,
            pure.expires_at,
            pure.superseded_by,
            pure.contested,
        ), (event.index, event.kind)
    return folded


async def check_tombstones(tx: Transaction, town: Town, destroyed: set[tuple[str, str]]) -> None:
    """What was destroyed once stays destroyed, and nothing else is; an item row is where its part is."""
    head = await tx.log.head(town.origin)
    assert head is not None
    events = await tx.statements.events_between(town.origin, 0, head.size)
    rows = await tx.statements.parts_of(town.origin, range(head.size))
    erased = {(events[row.index].sid, row.part) for row in rows if row.is_erased}
    there = {(sid, part) for sid, part in destroyed if part in _parts(rows, events, sid)}
    assert erased == there
    listings = await tx.subjects.listings_of_sids(town.origin, [sid for sid, part in erased if part == "core"])
    assert listings == []


def _parts(rows: Any, events: Any, sid: str) -> set[str]:
    return {row.part for row in rows if events[row.index].sid == sid}


async def check_index(node: Node, town: Town, folded: Folded) -> None:
    fresh = ListingIndex()
    await load_index(node.database, fresh, town.origin)
    assert node.index.position == fresh.position == node.own_log.size
    assert node.index._by_subject == fresh._by_subject
    assert {end: set(map(repr, links)) for end, links in node.index._links.items()} == {
        end: set(map(repr, links)) for end, links in fresh._links.items()
    }
    assert {key: set(ids) for key, ids in node.index._by_key.items()} == {key: set(ids) for key, ids in fresh._by_key.items()}
    live = {(one.origin, one.sid) for one in folded.active}
    assert set(_statements(node.index)) <= live
    async with node.database.reading() as tx:
        rows = await tx.subjects.listings_of_sids(town.origin, [sid for _, sid in live])
    assert {(x.sid, x.number) for x in rows} == {(x.sid, x.number) for xs in node.index._by_subject.values() for x in xs}
    assert {x.state for x in rows} <= {State.ACTIVE.value}


def _statements(index: ListingIndex) -> Iterator[tuple[str, str]]:
    for listings in index._by_subject.values():
        yield from ((x.origin, x.sid) for x in listings)


async def check_log(tx: Transaction, town: Town, notes: list[str]) -> None:
    head = await tx.log.head(town.origin)
    assert head is not None
    entries = await tx.log.entries(town.origin, 0, head.size)
    leaves = [entry.leaf for entry in entries]
    assert [entry.index for entry in entries] == list(range(head.size))
    tiles = await tx.log.read_tiles(town.origin, [(level, n) for level in range(3) for n in range(3)])
    read = TileReader(lambda level, index: tiles[level, index])
    before = None
    for note in notes:
        signed = read_checkpoint(note, town.origin, verifiers=town.log_keys)
        assert root_of(leaves[: signed.size]) == signed.root
        if before is not None:
            path = consistency_path(before.size, signed.size, read)
            verify_consistency(path, old_size=before.size, old_root=before.root, new_size=signed.size, new_root=signed.root)
        before = signed
    assert before is not None
    assert before.size == head.size


async def check_registry(tx: Transaction, node: Node, town: Town) -> None:
    whole = await whole_keyring(tx, node, town)
    assert node.keyring.members() == whole.members()
    assert node.keyring.waiting == whole.waiting
    assert [node.keyring.policy_at(n) for n in range(node.own_log.size + 1)] == [whole.policy_at(n) for n in range(node.own_log.size + 1)]
    assert [node.keyring.key(kid) for kid in AGENTS] == [whole.key(kid) for kid in AGENTS]
    listed = {one.id: one.name for one in await tx.registry.members()}
    assert listed == {member.id: member.name for member in whole.members()}
    assert Kind.MEMBER == "member"

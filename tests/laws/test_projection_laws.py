"""The law of the projection: whatever comes through the gate, in whatever batches, what is stored is what the pure fold gives.

Random histories of every kind of statement, good and bad, are submitted to a real node in batches of random size. After every
batch: stored states are those of the whole history folded; tombstones are what the fold destroyed; the index in memory is the one a
fresh start would load; the registry is the one the log gives; the log's entries hash to every checkpoint that was ever signed.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from app.services.admit import Admitted
from app.services.node import Node
from app.storage.database import Transaction
from tests.checks import check_index, check_log, check_states, check_tombstones, whole_keyring
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


async def check_registry(tx: Transaction, node: Node, town: Town) -> None:
    whole = await whole_keyring(tx, node, town)
    assert node.keyring.members() == whole.members()
    assert node.keyring.waiting == whole.waiting
    assert [node.keyring.policy_at(n) for n in range(node.own_log.size + 1)] == [whole.policy_at(n) for n in range(node.own_log.size + 1)]
    assert [node.keyring.key(kid) for kid in AGENTS] == [whole.key(kid) for kid in AGENTS]
    listed = {one.id: one.name for one in await tx.registry.members()}
    assert listed == {member.id: member.name for member in whole.members()}

"""The law of the mirrors: whatever came, in whatever pages, from whomever, early or late, what is stored is what the pure fold gives.

Random histories of three jurisdictions, good and bad, with edges across logs in both directions, are taken in by one node in pages of
random size, by way of relays and of the origin, with stubs and parts withheld and supplied later, logs forked and retired on the way.
After every step: states are the pure fold's, tombstones its destructions, and the index the one a fresh start would load. In the
end, when everything was supplied: all of it equals what another node holds that was given each log whole, in one page.
"""

from __future__ import annotations

import random
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.domain.fork import Bounds
from app.services.admit.foreign import Offered
from app.storage.database import Database
from tests.factories import Clock, Signer, Town, link, sid_in, wallet, wallet_id
from tests.filed import filed_ids
from tests.mirrors import Here, PeerLog, check_fold, check_index, far

SEEDS = range(6)
CODES = ("fr", "nl", "be")
AGENTS = ("bka#1", "bka#2", "bka#3", "lka#1", "new#1")
LABELS: tuple[dict[str, Any], ...] = ({"tlp": "CLEAR"}, {}, {}, {}, {"tlp": "AMBER", "aud": ["de.example"]})
KINDS = (
    ["listing"] * 12 + ["supersede"] * 4 + ["renew"] * 3 + ["retract"] * 4 + ["erase"] * 3 + ["dispute"] * 5 + ["endorse"] * 3
    + ["approve"] * 6 + ["reaffirm"] * 3 + ["key-revoke"] * 2 + ["policy", "member", "enrol", "again", "bad", "bad", "parts"]
)  # fmt: skip


class Author:
    """Writes random histories of several logs, as agencies and as rogue nodes."""

    def __init__(self, logs: list[PeerLog], seed: int) -> None:
        self.logs, self.random = logs, random.Random(seed)
        self.written: list[tuple[PeerLog, str, str]] = []  # log, sid, kind

    def write(self, peer: PeerLog, count: int) -> None:
        """That many more entries."""
        for _ in range(count):
            kind = self.random.choice(KINDS)
            if kind == "again":
                at = self.random.randrange(len(peer.entries))
                peer.log_raw(peer.entries[at], *peer.texts[at])
            elif kind == "bad":
                self._rogue(peer)
            else:
                wire = self._wire(kind, peer)
                self.written.append((peer, sid_in(wire), {"supersede": "listing", "parts": "listing"}.get(kind, kind)))
                peer.log(wire)

    def _rogue(self, peer: PeerLog) -> None:
        """What no honest node would have logged."""
        r, signer = self.random, self._agent(peer)
        match r.randrange(5):
            case 0:
                peer.log_raw(r.randbytes(r.randrange(80)))
            case 1:
                wire = signer.listing(wallet(r.randrange(10)))
                peer.log(wire[:60] + ("A" if wire[60] != "A" else "B") + wire[61:])
            case 2:
                peer.log(signer.listing(wallet(r.randrange(10))), ms=r.randrange(10**12))
            case 3:
                other = r.choice(self.logs)
                peer.log(Signer(signer.key, other.origin, peer.town.clock).listing(wallet(1)))
            case _:
                peer.log(peer.town.signer(f"{peer.town.code}.exchange#1").listing(wallet(r.randrange(10), severity="odd")))

    def _wire(self, kind: str, peer: PeerLog) -> str:
        r, signer, label, town = self.random, self._agent(peer), self.random.choice(LABELS), peer.town
        match kind:
            case "supersede":
                return signer.listing(*self._items(), **label, t=self._near(peer, "listing"))
            case "renew":
                return signer.renew(*self._near(peer, "listing"), days=r.choice((5, 400, 700)), **label)
            case "retract":
                return self._or_registrar(peer, signer).retract(*self._near(peer, "listing", "dispute", "endorse"), **label)
            case "erase":
                parts = r.choice((["core"], ["ctx"], ["core", "ctx"], ["pii"]))
                return self._or_registrar(peer, signer).erase(*self._near(peer, "listing"), parts=parts, **label)
            case "dispute" | "endorse":
                item = {"ground": "wrong_person", **r.choice(({}, {"stage": "upheld"}))}
                return signer.say(kind, {"t": self._anywhere()}, {"core": [item]}, **label)
            case "approve":
                return self._or_registrar(peer, signer).approve(
                    *self._near(peer, "listing", "retract", "policy", "key-revoke", "member"), **label
                )
            case "reaffirm":
                return self._or_registrar(peer, signer).reaffirm(*self._near(peer, "listing", "retract", "approve", "dispute"), **label)
            case "key-revoke":
                reason = r.choice(("compromised", "superseded"))
                return town.registrar().revoke(f"{town.code}.{r.choice(AGENTS)}", reason=reason, from_index=r.randrange(80))
            case "policy":
                return town.policy(needs2=r.choice(([], ["listing"], ["retract", "erase"], ["policy", "key-revoke"], ["dispute"])))
            case "member":
                return town.member(f"{town.code}.bka", keys=("1", "2", "3"), name=f"Name {r.randrange(99)}")
            case "enrol":
                return town.member(f"{town.code}.new", keys=("1",))
            case _:
                return signer.listing(*self._items(), days=r.choice((1, 200)), others=r.choice(({}, {"ctx": [{"note": "n"}]})), **label)

    def _agent(self, peer: PeerLog) -> Signer:
        return peer.town.signer(f"{peer.town.code}.{self.random.choice(AGENTS)}")

    def _or_registrar(self, peer: PeerLog, signer: Signer) -> Signer:
        return peer.town.signer(f"{peer.town.code}.registrar#{self.random.choice('12')}") if self.random.random() < 0.4 else signer

    def _items(self) -> list[dict[str, Any]]:
        r = self.random
        items = [wallet(n, severity=r.randrange(5)) for n in r.sample(range(10), r.choice((1, 2)))]
        return [*items, link(wallet_id(r.randrange(10)), wallet_id(50 + r.randrange(3)))] if r.random() < 0.3 else items

    def _near(self, peer: PeerLog, *kinds: str) -> list[str]:
        own = [sid for log, sid, kind in self.written if log is peer and kind in kinds][-10:]
        return self.random.sample(own, min(len(own), self.random.choice((1, 1, 2)))) or [sid_in(f"{'A' * 20}.b.c~")]

    def _anywhere(self) -> list[str]:
        """Statements of any log, also such as the reader has not got yet."""
        all_of_them = [far(log.origin, sid) for log, sid, kind in self.written if kind == "listing"][-20:]
        return self.random.sample(all_of_them, min(len(all_of_them), self.random.choice((1, 1, 2)))) or [far(self.logs[0].origin, "A" * 43)]


class Reader:
    """Takes the logs in as chance has it."""

    def __init__(self, here: Here, seed: int) -> None:
        self.here, self.random = here, random.Random(seed)

    async def page(self, peer: PeerLog) -> None:
        """One more page, some of it withheld, perhaps by way of a relay."""
        r, first = self.random, await self.here.cursor(peer)
        end = min(len(peer.entries), first + r.choice((1, 2, 5, 20)))
        hide = {n for n in range(first, end) if r.random() < 0.2}
        bare = {n for n in range(first, end) if r.random() < 0.2}
        await self.here.take(peer, end, relay=r.choice((None, None, "relay.example")), hide=hide, bare=bare)

    async def heal(self, peer: PeerLog, share: float = 0.5) -> None:
        """Some of what is missing, in any order, sometimes from a relay, with what was never asked for."""
        r = self.random
        asked = [n for n in await self.here.lacking(peer) if r.random() < share] + [0]
        r.shuffle(asked)
        offers = [Offered(n, peer.entries[n], () if share < 1 and r.random() < 0.2 else peer.texts[n]) for n in asked]
        await self.here.gate.supply(peer.origin, offers, relay_from=None if share == 1 or r.random() < 0.7 else "relay.example")


def _logs(folder: Path, clock: Clock) -> list[PeerLog]:
    logs = [PeerLog(Town.found(folder / code, code=code, clock=clock)) for code in CODES]
    for peer in logs:
        peer.log(*peer.town.settled(), peer.town.member(f"{peer.town.code}.bka", keys=("1", "2", "3")))
    return logs


async def _check(here: Here, ever: set[tuple[str, str, str]]) -> None:
    await check_fold(here.database, here.keyrings, ever=ever)
    await check_index(here.database, here.index)


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
async def test_what_is_stored_is_what_the_fold_gives(seed: int, town: Town, clock: Clock, database: Database, tmp_path: Path) -> None:
    """After every page and every supply, with forks and ends on the way."""
    logs, here = _logs(tmp_path, clock), Here(database, town)
    author, reader, ever = Author(logs, seed), Reader(here, seed), set[tuple[str, str, str]]()
    for peer in logs:
        await here.follow(peer)
    for step in range(28):
        clock.advance(s=reader.random.choice((0, 1, 3000)))
        peer = reader.random.choice(logs)
        author.write(peer, reader.random.randrange(8))
        if await here.cursor(peer) < len(peer.entries):
            await reader.page(peer)
        if step % 3 == 0:
            await reader.heal(reader.random.choice(logs))
        if step == 15 and seed % 2:
            forked = reader.random.choice(logs)
            common = reader.random.randrange(5, max(6, await here.cursor(forked)))
            await here.gate.mark_forked(forked.origin, Bounds(common, common), reason="two histories")
        if step == 20 and seed % 3 == 0:
            ended = reader.random.choice(logs)
            await here.gate.retire(ended.origin, final_size=max(7, await here.cursor(ended) - 4))
        await _check(here, ever)
    fresh = Here(database, town)
    await fresh.gate.load()
    await fresh.start()
    for peer in logs:
        while await fresh.cursor(peer) < len(peer.entries):
            await Reader(fresh, seed).page(peer)
        await Reader(fresh, seed).heal(peer, 1)
    await _check(fresh, ever)


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
async def test_late_and_piecemeal_is_the_same_as_whole_and_at_once(
    seed: int, town: Town, clock: Clock, sqlite_template: Path, tmp_path: Path
) -> None:
    """Two nodes end with the same rows and the same index, the one by a thousand detours."""
    logs = _logs(tmp_path, clock)
    author = Author(logs, seed)
    for _ in range(12):
        for peer in logs:
            author.write(peer, author.random.randrange(6))
    ends = []
    for number, name in enumerate(("piecemeal", "whole")):
        file = tmp_path / f"{name}.sqlite3"
        shutil.copyfile(sqlite_template, file)
        database = Database(f"sqlite+aiosqlite:///{file}")
        here, ever = Here(database, town), set[tuple[str, str, str]]()
        reader = Reader(here, seed)
        for peer in logs:
            await here.follow(peer)
        if number == 0:
            while lagging := [peer for peer in logs if await here.cursor(peer) < len(peer.entries)]:
                await reader.page(reader.random.choice(lagging))
                await reader.heal(reader.random.choice(logs))
            for _ in range(3):  # a stub, then its parts, then the parts of what a late key made good
                for peer in logs:
                    await reader.heal(peer, 1)
        else:
            for peer in reversed(logs):
                await here.take(peer)
        assert [await here.lacking(peer) for peer in logs] == [{}, {}, {}]
        await _check(here, ever)
        async with database.reading() as tx:
            ids = await filed_ids(tx)
        ends.append(
            (await _everything(here, logs), {name: [await here.index.find(id_) for id_ in sorted(some)] for name, some in ids.items()})
        )
        await database.close()
    assert ends[0][0] == ends[1][0]
    assert ends[0][1] == ends[1][1]


async def _everything(here: Here, logs: list[PeerLog]) -> list[Any]:
    """All that is held of the logs, without the order in which disclosures came, and what is poison by its effect."""
    found: list[Any] = []
    async with here.database.reading() as tx:
        for peer in logs:
            for event in await tx.statements.events_between(peer.origin, 0, len(peer.entries)):
                record = await tx.statements.record(event.sid, peer.origin)
                assert record is not None
                rows = await tx.statements.parts_of(peer.origin, [event.index])
                parts = sorted((row.part, digest, row.is_erased) for row in rows for digest in row.hashes())
                found.append((event, replace(record.stored, event=event), record.jti, parts))
            listings = await tx.subjects.listings_of_sids(
                peer.origin, [e.sid for e in await tx.statements.events_between(peer.origin, 0, len(peer.entries))]
            )
            found.append(listings)
            found.append([row for row in await tx.registry.members() if row.origin == peer.origin])
        for peer in logs:
            found.append({i: reason for i, reason in (await here.poison(peer)).items() if reason != "time"})
    return found

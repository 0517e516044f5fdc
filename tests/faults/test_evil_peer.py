"""F-11 to F-14, F-20: a peer that lies. What it says is carried inert or refused, it is counted as failed, and nobody else notices."""

from __future__ import annotations

import asyncio
import gc
import random
import sys
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest

from app.domain.errors import Betrayed, CordonError, Refused, Unavailable
from app.domain.folding import State
from app.domain.labels import EVERYTHING
from app.domain.merkle import leaf_hash
from app.domain.statement import ohash_of
from app.domain.tiles import MAX_ENTRY
from app.main import Wires, create_app
from app.seal.notes import verify_fork
from app.services.admit import Admitted
from app.services.federation import Federation
from app.services.node import Node
from app.services.trust import Terms
from app.settings import load
from tests.factories import DAY_S, Clock, Signer, Town, accept, key_of, sid_in, wallet, wallet_id
from tests.faults.evil import EvilPeer, Reply, Vice
from tests.faults.sins import SINS
from tests.faults.vices import VICES
from tests.simulator import ASSESSED
from tests.waiting import within

pytestmark = pytest.mark.slow

PATIENCE_S = 0.5
"""The deadline of a question while a peer drips or says nothing: what is tested is that there is one."""
MEMORY = 32 * 2**20


@dataclass(slots=True)
class Scene:
    """An honest node that follows an honest peer and an evil one, over real sockets, round by round."""

    node: Node
    federation: Federation
    town: Town
    clock: Clock
    good: EvilPeer
    evil: EvilPeer
    said: int = 100

    async def look(self) -> list[CordonError]:
        """One round of everything, and what failed in it. Anything but our own errors comes through."""
        return await self.federation.step()

    async def held(self, peer: EvilPeer) -> int:
        """How many entries of a peer were taken in."""
        async with self.node.database.reading() as tx:
            head = await tx.log.head(peer.origin)
        assert head is not None
        return head.size

    def grow(self, peer: EvilPeer) -> int:
        """One more listing by a peer; the number of its wallet."""
        self.said += 1
        peer.log(peer.town.signer(f"{peer.town.code}.bka#1").listing(wallet(self.said)))
        return self.said

    async def issuers(self, number: int) -> list[str]:
        """Who lists a wallet, as answers have it."""
        return sorted(one.issuer for one in await self.node.index.find(wallet_id(number)))

    async def assert_others_stand(self, news: int) -> None:
        """Our own listing and the honest peer's are as they were, and the newest of the honest peer is in."""
        assert await self.issuers(1) == ["de.bka"]
        assert await self.issuers(2) == ["fr.bka"]
        assert await self.issuers(news) == ["fr.bka"]
        assert await self.held(self.good) == self.good.book.size
        assert self.node.gate.frozen is None


@asynccontextmanager
async def open_scene(folder: Path, url: str, clock: Clock) -> AsyncIterator[Scene]:
    town = Town.found(folder / "de", clock=clock)
    settings = {"data_dir": town.data_dir, "database_url": url, "commit_window_ms": 0, "allow_loopback": True, **ASSESSED}
    app = create_app(load(settings, environment={}), clock=clock, wires=Wires(None, by_hand=True))
    async with (
        EvilPeer.open(folder, "fr", clock) as good,
        EvilPeer.open(folder, "ev", clock) as evil,
        app.router.lifespan_context(app),
    ):
        node: Node = app.state.api.node
        federation = node.federation
        assert federation is not None
        own = town.signer("de.bka#1").listing(wallet(1))
        await accept(node, *town.settled(), own)
        theirs = good.town.signer("fr.bka#1").listing(wallet(2))
        good.log(*good.town.settled(), theirs)
        evil.log(*evil.town.settled(), evil.town.signer("ev.bka#1").listing(wallet(3)))
        evil.victims = (f"{ohash_of(town.origin)}/{sid_in(own)}", f"{ohash_of(good.origin)}/{sid_in(theirs)}")
        for peer in (good, evil):
            await federation.trust.add(peer.url, peer.pin)
        await federation.reload()
        scene = Scene(node, federation, town, clock, good, evil)
        assert await scene.look() == []
        assert await scene.held(evil) == evil.book.size
        yield scene


@pytest.fixture
async def scene(tmp_path: Path, sqlite_migrated_url: str, clock: Clock) -> AsyncIterator[Scene]:
    """Everybody knows everybody, and nobody has been wicked yet."""
    async with open_scene(tmp_path, sqlite_migrated_url, clock) as one:
        yield one


class Memory:
    """The most that was held within the block, against what was held before: by Python's own account of its objects.

    What the process has of the system says as much of the tests before this one: of what its C library keeps, and in which pieces.
    """

    grown = 0

    def __enter__(self) -> Self:
        gc.collect()
        tracemalloc.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.grown = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()


async def commit(scene: Scene, vice: Vice) -> list[CordonError]:
    """The evil peer grows, and answers with a vice; one round."""
    scene.grow(scene.evil)
    news, before = scene.grow(scene.good), scene.evil.committed
    scene.clock.advance(s=61)  # root documents and what is withheld are due again
    scene.evil.vice = vice
    async with within(15):  # the slow ones would go on for ten minutes and more
        with pytest.MonkeyPatch.context() as patched:
            if vice.is_slow:
                patched.setattr("app.sdk.peer._DEADLINE_S", PATIENCE_S)
            errors = await scene.look()
            errors += await scene.look()  # the first may have been for the root documents
    assert scene.evil.committed > before, f"{vice.name} was never asked for"
    await scene.assert_others_stand(news)
    return errors


async def repent(scene: Scene) -> None:
    """The same peer without vice: we take in what it has logged meanwhile, as if nothing had been."""
    scene.evil.vice = None
    for _ in range(3):
        scene.clock.advance(s=61)
        errors = await scene.look()
    assert errors == []
    assert await scene.held(scene.evil) == scene.evil.book.size
    async with scene.node.database.reading() as tx:
        row = await tx.mirrors.get(scene.evil.origin)
        assert row is not None
        assert row.state == "live"
        assert await tx.withheld.counts(scene.evil.origin) == {}


@pytest.mark.parametrize("names", [[*VICES][at::6] for at in range(6)], ids=lambda names: f"{len(names)}-{names[0]}")
async def test_every_vice_fails_alone(scene: Scene, names: list[str]) -> None:
    """One after the other: counted as failed (or harmless), others unaffected, no slot kept; afterwards its log is taken in as it is."""
    with Memory() as memory:
        for name in names:
            errors = await commit(scene, VICES[name])
            assert bool(errors) != VICES[name].is_harmless, (name, errors)
            assert all(isinstance(error, (Refused, Unavailable, Betrayed)) for error in errors), (name, errors)
            await repent(scene)
            gc.collect()  # what is counted is what we hold, not what nobody has cleared away yet
    sys.stderr.write(f"{memory.grown / 2**20:.1f} MiB held at most\n")
    assert memory.grown < MEMORY, f"{memory.grown / 2**20:.0f} MiB"


@pytest.mark.parametrize("seed", range(2))
async def test_vices_in_any_order(scene: Scene, seed: int) -> None:
    """A seeded sequence without repentance between: in the end its log is as good as if it had always been honest."""
    dice = random.Random(seed)
    quick = [name for name, one in VICES.items() if not one.is_slow]
    for name in dice.sample(quick, 8):
        await commit(scene, VICES[name])
        if dice.random() < 0.3:
            await repent(scene)
    await repent(scene)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 110))
async def test_vices_in_any_order_for_long(scene: Scene, seed: int) -> None:
    """The same with sixty vices a seed, with repetitions, slow ones too."""
    dice = random.Random(seed)
    for name in dice.choices([*VICES], k=60):
        await commit(scene, VICES[name])
        if dice.random() < 0.2:
            await repent(scene)
    await repent(scene)


async def test_every_sin_is_carried_inert_once(scene: Scene) -> None:
    """F-20: whatever stands in the log, at whatever place: named, kept as evidence, reported; what comes after it counts."""
    names, dice = [*SINS], random.Random(7)
    dice.shuffle(names)
    sinful = []
    for name in names:
        sinful.append(scene.evil.book.size)
        SINS[name](scene.evil)
        scene.grow(scene.evil)
    news, last = scene.grow(scene.good), scene.said - 1
    assert await scene.look() == []
    for _ in range(3):
        await scene.look()
    await scene.assert_others_stand(news)
    assert await scene.held(scene.evil) == scene.evil.book.size
    assert await scene.issuers(last) == ["ev.bka"]
    assert await scene.issuers(666) == []
    async with scene.node.database.reading() as tx:
        found = {row.index: row.reason for row in await tx.evidence.poison_page(limit=1000)}
        waiting = await tx.evidence.poison_page(unreported=True, limit=1000)
        stored = await tx.statements.locate(scene.town.origin, scene.evil.victims[0].partition("/")[2])
    assert stored is not None
    assert stored.state.state is State.ACTIVE
    # The order of the log is what counts for what is about others; and after a time far ahead the next entry goes back in time.
    inert = {at for at, name in zip(sinful, names, strict=True) if "others" in name}
    back = sinful[names.index("a time far ahead")] + 1
    assert found.pop(back) == "time"
    assert set(sinful) - inert <= found.keys() <= set(sinful), found
    assert waiting == []
    size = scene.node.own_log.size
    for _ in range(2):
        scene.clock.advance(s=61)
        assert await scene.look() == []
    assert scene.node.own_log.size == size, "what was reported once is not reported again"


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (b"", "malformed"),
        (b"1 " + b"a" * 70_000, "too_large"),
        ("1 ä.ö.ü\u0000".encode(), "malformed"),
        (b"1 " + b"a" * 7_000_000, "too_large"),
    ],
    ids=["empty", "too long", "beyond ASCII", "longer than a page"],
)
async def test_an_entry_of_no_form_is_carried_by_its_hash(scene: Scene, entry: bytes, reason: str) -> None:
    """No statement can be so: its hash stands in the tree, it is reported once, and what stands beside and behind it counts."""
    before, at = scene.grow(scene.evil), scene.evil.book.append(entry)
    after = scene.grow(scene.evil)
    for _ in range(2):
        news = scene.grow(scene.good)
        assert await scene.look() == []
        await scene.assert_others_stand(news)
        assert await scene.held(scene.evil) == scene.evil.book.size
        assert await scene.issuers(before) == await scene.issuers(after) == ["ev.bka"]
    async with scene.node.database.reading() as tx:
        (poison,) = await tx.evidence.poison_page(scene.evil.origin, limit=9)
        assert (await tx.log.leaves(scene.evil.origin, at, at + 1))[0] == leaf_hash(entry)
    assert (poison.index, poison.reason, poison.reported) == (at, reason, True)
    assert len(poison.entry or b"") <= MAX_ENTRY


async def test_a_line_without_end_that_was_a_lie_is_healed(scene: Scene) -> None:
    """A source gives a good entry a line that does not end: the log goes on; once it gives the entry as it is, that counts."""
    number = scene.grow(scene.evil)
    at, sound = scene.evil.book.size - 1, scene.evil.lines
    scene.evil.lines = lambda indices: sound(indices) if at not in indices else Reply(body=b"x" * 7_000_000)  # type: ignore[method-assign]
    later = scene.grow(scene.evil)
    assert await scene.look() == []
    assert (await scene.issuers(number), await scene.issuers(later)) == ([], ["ev.bka"])
    scene.evil.lines = sound  # type: ignore[method-assign]
    scene.clock.advance(s=61)
    assert await scene.look() == []
    assert await scene.issuers(number) == ["ev.bka"]
    async with scene.node.database.reading() as tx:
        assert await tx.evidence.poison_page(scene.evil.origin, limit=9) == []


async def test_two_faces_to_us_are_kept_as_evidence(scene: Scene) -> None:
    """Equivocation: the proof is saved and checks, the log is marked, listings stay; nothing the peer says afterwards undoes it."""
    evil, common = scene.evil, scene.evil.book.size
    other = evil.book.branch()
    scene.grow(evil)
    await scene.look()
    evil.book = other
    for _ in range(2):
        gone = scene.grow(evil)
    news = scene.grow(scene.good)
    await scene.look()
    await scene.assert_others_stand(news)
    async with scene.node.database.reading() as tx:
        row = await tx.mirrors.get(evil.origin)
        (kept,) = [one for one in await tx.evidence.all() if one.form == "fork"]
    assert row is not None
    assert (row.state, row.common) == ("forked", common)
    verify_fork(kept.text, evil.origin, log_keys=evil.town.log_keys)
    assert await scene.issuers(3) == ["ev.bka"]
    assert await scene.issuers(gone) in ([], ["ev.bka"])
    for _ in range(2):
        scene.clock.advance(s=61)
        scene.grow(evil)
        await scene.look()
    async with scene.node.database.reading() as tx:
        again = await tx.mirrors.get(evil.origin)
    assert again is not None
    assert again.state == "forked"


async def test_a_peer_whose_clock_is_a_year_ahead(scene: Scene) -> None:
    """F-24: it is followed and reported; a heartbeat from the future vouches for nothing; what it lists waits until that time has come,
    and ends at most two years after it.
    """
    clock, evil = scene.clock, scene.evil
    async with scene.node.database.reading() as tx:
        vouched = await tx.mirrors.get(evil.origin)
    ahead = Clock(clock() + 365 * DAY_S * 1000)
    evil.town.clock = ahead
    signer = evil.town.signer("ev.bka#1")
    later = Signer(key_of("ev.bka#1"), evil.origin, Clock(ahead() + 365 * DAY_S * 1000))
    waits = signer.listing(wallet(50), days=300)
    evil.log(waits, signer.listing(wallet(51), days=900), later.listing(wallet(53), days=700))
    assert await scene.look() == []
    assert [await scene.issuers(number) for number in (50, 51, 53)] == [[], [], []]
    async with scene.node.database.reading() as tx:
        row = await tx.mirrors.get(evil.origin)
        poison = {one.index: one.reason for one in await tx.evidence.poison_page(evil.origin, limit=9)}
        stored = await tx.statements.locate(evil.origin, sid_in(waits))
    first = evil.book.size - 3
    assert poison == {first: "time", first + 1: "validity", first + 2: "validity"}
    assert stored is not None
    assert (stored.state.state, stored.held) == (State.ACTIVE, True), "the fold says the same on every node; what waits waits here"
    assert vouched is not None
    assert row is not None
    assert row.note_ms <= vouched.note_ms, "nobody is vouched for by a time that has not come"
    ours = (await accept(scene.node, scene.town.signer("de.bka#1").listing(wallet(52))))[0]
    assert isinstance(ours, Admitted)
    assert ours.accepted_ms == clock()
    fed, _ = await scene.node.consultation.statements(EVERYTHING, issuer=None, kind=None, since_ms=clock(), after=None, limit=99)
    assert ours.sid in str(fed)
    assert sid_in(waits) not in str(fed), "who reads on from the newest statement misses nothing for a clock of others"
    clock.advance(s=365 * DAY_S - 30)
    await scene.look()
    assert await scene.issuers(50) == ["ev.bka"]
    (listing,) = await scene.node.index.find(wallet_id(50))
    assert listing.expires_at <= clock() // 1000 + 730 * DAY_S


async def test_who_floods_from_the_future_meets_the_valve_all_the_same(scene: Scene) -> None:
    """Three items an hour are agreed: what was more than that when it came stays dormant when its time has come."""
    evil = scene.evil
    await scene.federation.trust.set_terms(evil.origin, Terms(added_per_hour=3, total=1_000))
    await scene.federation.reload()
    evil.town.clock = Clock(scene.clock() + 600_000)
    signer = evil.town.signer("ev.bka#1")
    evil.log(*(signer.listing(wallet(60 + number)) for number in range(5)))
    assert await scene.look() == []
    assert [await scene.issuers(60 + number) for number in range(5)] == [[]] * 5
    scene.clock.advance(s=600)
    await scene.look()
    assert [number for number in range(5) if await scene.issuers(60 + number)] == [0, 1]


async def test_a_peer_that_always_has_news_is_not_asked_without_pause(tmp_path: Path, sqlite_migrated_url: str, clock: Clock) -> None:
    """It answers every long poll at once, with nothing new: our loop takes breath between its questions."""
    async with open_scene(tmp_path, sqlite_migrated_url, clock) as scene:
        follower = scene.federation.followers[scene.evil.node]
        task = asyncio.create_task(follower.run())
        await asyncio.sleep(0.5)
        before = len(scene.evil.asked)
        await asyncio.sleep(2)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert len(scene.evil.asked) - before <= 20

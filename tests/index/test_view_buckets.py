"""The buckets of a tier in the index: they move as listings do, and remember what changed between two trees."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from app.domain.answer import Listing, Match, Moment, Scope, find
from app.domain.errors import InvalidProof, Malformed
from app.domain.identifiers import bucket_of, id_key
from app.domain.labels import Label, Tlp
from app.domain.statement import sid_of
from app.domain.view import BUCKETS, BucketTree, parse_bucket, verify_answer, verify_segment
from app.domain.viewing import TIERS, at_second
from app.index.views import View, count_entries, with_entry
from tests.factories import GUARD, JUDGEMENT, START_MS, wallet_id

HOUR_MS = 3_600_000
MOMENT = Moment(now_ms=START_MS, public_delay_ms=72 * HOUR_MS, own_origin="de.example/log")


def listing(number: int, subject: str, **changes: object) -> Listing:
    """A listing that counts for everybody, unless told otherwise."""
    one = Listing(
        origin="de.example/log",
        index=number,
        sid=sid_of(f"{number}.{number}.x"),
        number=0,
        subject=subject,
        item={"type": "wallet", "id": subject, **JUDGEMENT},
        context={},
        issuer="de.bka",
        issuer_name="BKA",
        country="DE",
        label=Label(Tlp.CLEAR),
        core_label=Label(Tlp.CLEAR),
        handling=(),
        accepted_ms=START_MS - 100 * HOUR_MS,
        expires_at=START_MS // 1000 + 86_400,
        state="active",
    )
    return one._replace(**changes)


class World:
    """Listings by id that change at random, and the views of both tiers over them."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.said: dict[str, list[Listing]] = {}
        self.views = {tier: View(reader) for tier, reader in TIERS.items()}
        self.moment = MOMENT
        self.count = 0

    def change(self) -> None:
        """One listing comes, goes, changes its state, or time passes."""
        subject = wallet_id(self.rng.randrange(12))
        own = self.said.setdefault(subject, [])
        if own and self.rng.random() < 0.4:
            own.remove(self.rng.choice(own))
        elif own and self.rng.random() < 0.3:
            place = self.rng.randrange(len(own))
            own[place] = own[place]._replace(contested=not own[place].contested)
        else:
            own.append(self._new(subject))
        for view in self.views.values():
            view.touch([subject])
        if self.rng.random() < 0.3:
            self.moment = replace(self.moment, now_ms=self.moment.now_ms + self.rng.randrange(40) * HOUR_MS)

    def _new(self, subject: str) -> Listing:
        self.count += 1
        rng = self.rng
        label = Label(rng.choice((Tlp.CLEAR, Tlp.CLEAR, Tlp.GREEN)))
        core = label if rng.random() < 0.8 else Label(Tlp.RED, frozenset({"x.example"}))
        item: dict[str, object] = {"type": "wallet", "id": subject, **JUDGEMENT, "severity": rng.randrange(5)}
        if rng.random() < 0.15:
            item |= GUARD
        if rng.random() < 0.15:
            item["scope"] = rng.choice(({"tag": "7"}, {"chains": ["eip155:1"]}))
        if rng.random() < 0.3:
            item["embargo_until"] = rng.choice(("2026-09-21T16:00:00Z", "2026-09-22", "2026-10-02T00:00:00Z"))
        accepted = self.moment.now_ms - rng.randrange(100) * HOUR_MS
        expires = self.moment.now_s + rng.randrange(1, 400) * 3600
        origin = rng.choice(("de.example/log", "fr.example/log"))
        return listing(
            self.count, subject, origin=origin, item=item, label=label, core_label=core, accepted_ms=accepted, expires_at=expires
        )

    def find(self, subject: str) -> list[Listing]:
        return self.said.get(subject, [])


@pytest.mark.parametrize("seed", range(6))
async def test_a_bucket_says_what_a_lookup_says(seed: int) -> None:
    """Law: for every id, at every step of a random history with removals, embargoes, guards and expiries, both tiers list what a
    lookup by that tier's reader calls `listed`, and prove the rest not listed.
    """
    world = World(seed)
    for _ in range(25):
        world.change()
        moment = at_second(world.moment, world.moment.now_s)
        for tier, view in world.views.items():
            while not view.look(world.find, moment, most=3):
                pass
            sealed = await view.seal()
            assert view.is_current(moment.now_s)
            for number in range(12):
                subject = wallet_id(number)
                direct = find(subject, world.find(subject), (), scope=Scope(), reader=TIERS[tier], moment=moment)
                answer = sealed.answer(bucket_of(id_key(subject)))
                entry = verify_answer(id_key(subject), answer, root=sealed.tree.root)
                assert (entry is not None) == (direct.match is Match.LISTED), (tier, subject)
                if entry is not None:
                    assert entry.severity == direct.severity
    for view in world.views.values():
        sealed = await view.seal()
        if seed == 0:
            assert sealed.tree.root == BucketTree.build(dict(enumerate(sealed.buckets))).root
        assert sealed.entries == sum(len(parse_bucket(data, number)) for number, data in enumerate(sealed.buckets))


async def test_what_changed_since_a_tree_is_remembered() -> None:
    """A mirror that stands at an earlier root is told the buckets that moved since; an unknown root is not guessed at."""
    view = View(TIERS["clear"])
    said = {wallet_id(n): [listing(n, wallet_id(n))] for n in range(3)}
    roots, changed = [], []
    for number in range(3):
        view.touch([wallet_id(number)])
        assert view.look(lambda subject: said[subject], MOMENT)
        roots.append((await view.seal()).tree.root)
        changed.append(bucket_of(id_key(wallet_id(number))))
    assert view.changed_since(roots[2]) == frozenset()
    assert view.changed_since(roots[1]) == {changed[2]}
    assert view.changed_since(roots[0]) == {changed[1], changed[2]}
    assert view.changed_since(bytes(32)) is None


async def test_time_alone_moves_a_view() -> None:
    """What is held back from the public appears at the second at which its delay ends, and goes at its expiry, without a word said."""
    view = View(TIERS["clear"])
    fresh = listing(1, wallet_id(1), accepted_ms=START_MS, expires_at=START_MS // 1000 + 100 * 3600)
    view.touch([fresh.subject])

    async def entries(second: int) -> int:
        while not view.look(lambda _: [fresh], at_second(MOMENT, second)):
            pass
        return (await view.seal()).entries

    begin = START_MS // 1000
    assert await entries(begin) == 0
    assert view.is_current(begin + 72 * 3600 - 1)
    assert not view.is_current(begin + 72 * 3600)
    assert await entries(begin + 72 * 3600) == 1
    assert await entries(begin + 100 * 3600 - 1) == 1
    assert await entries(begin + 100 * 3600) == 0


def test_entries_are_spliced_in_order() -> None:
    """Whatever the order in which ids come and go, the bucket is that of its entries in ascending order."""
    rng = random.Random(5)
    entries = {bytes([1, 2]) + rng.randbytes(30): bytes([3, 7, 1]) + rng.randbytes(16) for _ in range(20)}
    data, kept = b"", dict(entries)
    for key in rng.sample(sorted(entries), 20):
        data = with_entry(data, key, key + entries[key])
    for key in rng.sample(sorted(entries), 7):
        data = with_entry(data, key, b"")
        del kept[key]
    assert data == b"".join(key + kept[key] for key in sorted(kept))
    assert count_entries(data) == len(kept) == len(parse_bucket(data, 0x0102))
    assert with_entry(data, bytes(32), b"") == data


async def test_a_segment_is_proved_whole() -> None:
    """256 buckets with their path lead to the root; one byte more, one bucket less or another place do not."""
    view = View(TIERS["green"])
    said = {wallet_id(n): [listing(n, wallet_id(n))] for n in range(300)}
    view.touch(said)
    while not view.look(lambda subject: said[subject], MOMENT):
        pass
    sealed = await view.seal()
    number = bucket_of(id_key(wallet_id(7))) >> 8
    buckets = list(sealed.buckets[number << 8 : (number + 1) << 8])
    _, path = sealed.tree.segment(number)
    verify_segment(number, buckets, path, root=sealed.tree.root)
    with pytest.raises(InvalidProof):
        verify_segment(number ^ 1, buckets, path, root=sealed.tree.root)
    with pytest.raises(InvalidProof):
        verify_segment(number, [*buckets[:-1], buckets[-1] + b"\0"], path, root=sealed.tree.root)
    with pytest.raises(Malformed):
        verify_segment(number, buckets[:-1], path, root=sealed.tree.root)
    assert len(sealed.buckets) == BUCKETS

"""The buckets of a tier in the index: worked out in bulk as one by one, moved by what changed, remembering what is between two trees."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from app.domain.answer import Listing, Match, Moment, Scope, find
from app.domain.errors import InvalidProof, Malformed
from app.domain.glance import glance
from app.domain.identifiers import bucket_of, id_key
from app.domain.labels import Label, Tlp
from app.domain.reach import CLEAR, GREEN, reach_of
from app.domain.statement import sid_of
from app.domain.view import BUCKETS, BucketTree, count_entries, parse_bucket, verify_answer, verify_segment
from app.domain.viewing import TIERS, at_second, entry_of, next_change
from app.index.due import Due
from app.index.tiers import PARTS, Columns, Logs, entries_of, next_changes
from app.index.views import View, put
from app.storage.viewed import FLAGS, IS_GREEN, NO_EMBARGO, SEVERITY, ViewedRow
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


def viewed(one: Listing) -> ViewedRow | None:
    """The row that storage would give of a listing, if any tier could show it."""
    reach, *others = reach_of(one.label, one.core_label, one.issuer)
    if one.state != "active" or others or reach not in (CLEAR, GREEN):
        return None
    severity, category, flags, embargo_ms = glance(one.item)
    numbers = severity * SEVERITY + category + flags * FLAGS + (IS_GREEN if reach == GREEN else 0)
    embargo_ms = NO_EMBARGO if embargo_ms is None else embargo_ms
    return ViewedRow(one.origin, one.index, one.subject, one.sid, embargo_ms, one.accepted_ms, one.expires_at, numbers)


class World:
    """Listings by id that change at random while time passes."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.said: dict[str, list[Listing]] = {}
        self.moment = replace(MOMENT, weightless=frozenset({"it.example/log"}))
        self.count = 0

    def change(self) -> str:
        """One listing comes, goes, is contested or retracted, or time passes; the id of which something else is said."""
        subject = wallet_id(self.rng.randrange(12))
        own = self.said.setdefault(subject, [])
        if own and self.rng.random() < 0.4:
            own.remove(self.rng.choice(own))
        elif own and self.rng.random() < 0.3:
            place = self.rng.randrange(len(own))
            own[place] = own[place]._replace(contested=not own[place].contested, state=self.rng.choice(("active", "active", "retracted")))
        else:
            own.append(self._new(subject))
        if self.rng.random() < 0.3:
            self.moment = replace(self.moment, now_ms=self.moment.now_ms + self.rng.randrange(40) * HOUR_MS)
        return subject

    def _new(self, subject: str) -> Listing:
        self.count += 1
        rng = self.rng
        label = Label(rng.choice((Tlp.CLEAR, Tlp.CLEAR, Tlp.GREEN)))
        core = label if rng.random() < 0.8 else Label(Tlp.RED, frozenset({"x.example"}))
        item: dict[str, object] = {"type": "wallet", "id": subject, **JUDGEMENT, "severity": rng.randrange(5)}
        item["typologies"] = rng.choice((["fraud.investment"], ["fraud.phishing", "fraud.investment"], ["other.terror_financing"], []))
        if rng.random() < 0.15:
            item |= GUARD
        if rng.random() < 0.15:
            item["scope"] = rng.choice(({"tag": "7"}, {"chains": ["eip155:1"]}))
        if rng.random() < 0.3:
            item["embargo_until"] = rng.choice(("2026-09-21T16:00:00Z", "2026-09-22", "2026-10-02T00:00:00Z"))
        accepted = self.moment.now_ms - rng.randrange(100) * HOUR_MS - rng.randrange(1000)
        expires = self.moment.now_s + rng.randrange(1, 400) * 3600
        origin = rng.choice(("de.example/log", "fr.example/log", "it.example/log"))
        new = listing(self.count, subject, origin=origin, item=item, label=label, core_label=core, accepted_ms=accepted, expires_at=expires)
        # Now and then a statement names an id twice.
        return new._replace(sid=rng.choice(self.said[subject]).sid) if self.said[subject] and rng.random() < 0.1 else new

    def all(self) -> list[Listing]:
        return [one for said in self.said.values() for one in said]


def columns_of(listings: Sequence[Listing], logs: Logs) -> Columns:
    return Columns.of([row for row in map(viewed, listings) if row is not None], logs)


@pytest.mark.parametrize("seed", range(8))
def test_in_bulk_as_one_by_one(seed: int) -> None:
    """Law: at every step of a random history with guards, tags, embargoes, expiries and logs without weight the entries that are worked
    out from narrow columns, all together or in pages, are those of `entry_of`; so is the second at which each may be another.
    """
    world, logs = World(seed), Logs()
    for _ in range(40):
        world.change()
        moment = at_second(world.moment, world.moment.now_s)
        everything = world.all()
        pages = [columns_of(everything[first : first + 5], logs) for first in range(0, len(everything), 5)]
        columns = Columns.joined(pages)
        for reader in TIERS.values():
            entries = entries_of(columns, logs, reader, moment)
            one_by_one = {id_key(subject): entry_of(subject, said, reader, moment) for subject, said in world.said.items()}
            assert dict(entries.each()) == {key: entry for key, entry in one_by_one.items() if entry}
            parts = [entries_of(columns.part(number), logs, reader, moment) for number in range(PARTS)]
            assert b"".join(one.data.tobytes() for one in parts) == entries.data.tobytes()
            assert b"".join(entries.buckets(entries.ends())) == b"".join(one_by_one[key] for key in sorted(one_by_one))
            shown = [one for one in everything if viewed(one) is not None]
            alone = [(next_change([one], reader, moment) or 0) if one.expires_at > moment.now_s else 0 for one in shown]
            assert next_changes(columns, reader, moment).tolist() == alone


@pytest.mark.parametrize("seed", range(4))
async def test_a_bucket_says_what_a_lookup_says(seed: int) -> None:
    """Law: for every id, at every step of a random history with removals, embargoes, guards and expiries, both tiers list what a
    lookup by that tier's reader calls `listed`, and prove the rest not listed.
    """
    world, logs = World(seed), Logs()
    views = {tier: View() for tier in TIERS}
    due = Due()
    waiting: set[str] = set()
    for _ in range(25):
        waiting.add(world.change())
        moment = at_second(world.moment, world.moment.now_s)
        waiting.update(due.take_ids(moment.now_s))
        for tier, view in views.items():
            for subject in waiting:
                said = world.said.get(subject, [])
                columns = columns_of(said, logs)
                put([view], [id_key(subject)], [dict(entries_of(columns, logs, TIERS[tier], moment).each())])
                due.add((second, subject) for second in next_changes(columns, TIERS[tier], moment).tolist() if second)
            sealed = await view.seal()
            for number in range(12):
                subject = wallet_id(number)
                direct = find(subject, world.said.get(subject, []), (), scope=Scope(), reader=TIERS[tier], moment=moment)
                answer = sealed.answer(bucket_of(id_key(subject)))
                entry = verify_answer(id_key(subject), answer, root=sealed.tree.root)
                assert (entry is not None) == (direct.match is Match.LISTED), (tier, subject)
                if entry is not None:
                    assert entry.severity == direct.severity
        waiting.clear()
    for view in views.values():
        sealed = await view.seal()
        if seed == 0:
            assert sealed.tree.root == BucketTree.build(dict(enumerate(sealed.buckets))).root
        assert sealed.entries == sum(len(parse_bucket(data, number)) for number, data in enumerate(sealed.buckets))


def entry(subject: str, *numbers: int) -> tuple[bytes, Mapping[bytes, bytes]]:
    """The key of an id, and its entry by it in a view that everybody reads."""
    said = [listing(number, subject) for number in numbers]
    return id_key(subject), {id_key(subject): entry_of(subject, said, TIERS["green"], MOMENT)}


async def test_what_changed_since_a_tree_is_remembered() -> None:
    """A mirror that stands at an earlier root is told the buckets that moved since; an unknown root is not guessed at."""
    view = View()
    roots, changed = [], []
    for number in range(3):
        key, entries = entry(wallet_id(number), number)
        put([view], [key], [entries])
        roots.append((await view.seal()).tree.root)
        changed.append(bucket_of(key))
    assert view.changed_since(roots[2]) == frozenset()
    assert view.changed_since(roots[1]) == {changed[2]}
    assert view.changed_since(roots[0]) == {changed[1], changed[2]}
    assert view.changed_since(bytes(32)) is None


async def test_all_anew_is_a_change_of_what_differs() -> None:
    """A view that is read anew keeps its trail, and what is the same in another tier is the same object."""
    view = View()
    for number in range(20):
        key, entries = entry(wallet_id(number), number)
        put([view], [key], [entries])
    before = await view.seal()
    buckets = list(before.buckets)
    key, _ = entry(wallet_id(3), 3)
    buckets[bucket_of(key)] = b""
    view.become(0, [bytes(bytearray(data)) for data in buckets])
    assert (await view.seal()).entries == 19
    assert view.changed_since(before.tree.root) == {bucket_of(key)}
    other = view.alike(0, [bytes(bytearray(data)) for data in buckets])
    assert all(one is own for one, own in zip(other, (await view.seal()).buckets, strict=True))


def test_what_falls_due_is_told_once() -> None:
    """Places by second, a statement that names many ids once; ids at the soonest of their seconds."""
    due, logs = Due(), Logs()
    rows = [viewed(listing(number // 2, wallet_id(number), expires_at=100 + number // 4)) for number in range(8)]
    columns = Columns.of([row for row in rows if row is not None], logs)
    due.all_at(columns.until_s, columns.logs, columns.indices)
    assert (due.count(99), due.count(100), due.count(101)) == (0, 2, 4)
    assert due.places(100, most=10) == (2, {0: [0, 1]})
    due.drop(2)
    assert due.places(200, most=1) == (1, {0: [2]})
    due.add([(50, "b"), (40, "a"), (45, "b"), (60, "b")])
    assert due.take_ids(44) == ["a"]
    assert due.count(45) == 1
    assert due.take_ids(60) == ["b", "b"]
    due.add([(70, "b")])
    assert due.take_ids(70) == ["b"]


async def test_what_both_tiers_list_is_kept_once() -> None:
    """Also where it was told entry by entry; what only one of them lists is its own, and a tier's changes are its own."""
    public, inner = View(), View()
    for number in range(20):
        key, entries = entry(wallet_id(number), number)
        put([public, inner], [key], [entries, entries])
    put([inner], [id_key(wallet_id(3))], [{}])
    apart = bucket_of(id_key(wallet_id(3)))
    ours = await public.seal()
    theirs = await inner.seal(like=ours)
    assert {number for number in range(BUCKETS) if ours.buckets[number] is not theirs.buckets[number]} == {apart}
    assert (ours.entries, theirs.entries) == (20, 19)
    assert theirs.tree.root == BucketTree.build(dict(enumerate(theirs.buckets))).root != ours.tree.root
    key, entries = entry(wallet_id(3), 3)
    put([public, inner], [key], [entries, entries])
    assert not public.is_changed
    again = await inner.seal(like=ours)
    assert again.buckets[apart] is ours.buckets[apart]
    assert (again.entries, again.tree.root) == (20, ours.tree.root)
    assert inner.changed_since(theirs.tree.root) == {apart}
    put([public, inner], [key], [entries, entries])
    assert not inner.is_changed


async def test_hashes_taken_from_another_tier_are_those_of_ones_own() -> None:
    """Whatever each of the two lists, and whichever was sealed when: the roots are those of the buckets alone."""
    rng = random.Random(9)
    views, keys = [View(), View()], [bytes([rng.randrange(4), rng.randrange(8)]) + rng.randbytes(30) for _ in range(60)]
    older = None
    for turn in range(6):
        for key in rng.sample(keys, 25):
            entry_bytes = key + bytes([1, turn, 1]) + rng.randbytes(16)
            put(views, [key], [{key: entry_bytes} if rng.random() < 0.7 else {} for _ in views])
        first = await views[0].seal()
        second = await views[1].seal(like=older if turn % 3 == 1 else first)  # the other may stand at an older moment
        for sealed in (first, second):
            assert sealed.tree.root == BucketTree.build(dict(enumerate(sealed.buckets))).root
            assert sealed.entries == sum(map(count_entries, sealed.buckets))
        older = first


def test_places_that_come_later_are_due_in_their_turn_whether_few_or_many() -> None:
    """Those that wait to be put in order are counted as soon as one of them is due; a place that is said twice is looked at once."""
    due, logs = Due(), np.zeros(3, np.uint16)
    due.all_at(np.array([100, 300, 0]), logs, np.array([0, 1, 2]))
    due.add_places(np.array([200, 0, 250]), logs, np.array([5, 6, 7]))
    due.add_places(np.array([200, 200, 90]), logs, np.array([5, 8, 9]))
    assert (due.count(89), due.count(90)) == (0, 1)
    assert due.places(90, most=10) == (1, {0: [9]})
    due.drop(1)
    assert due.places(260, most=10) == (4, {0: [0, 5, 8, 7]})
    due.drop(4)
    many = np.arange(10_000)
    for some in np.split(many, 100):
        due.add_places(some + 1_000, np.zeros(len(some), np.uint16), some)
    assert (due.count(299), due.count(300), due.count(5_999)) == (0, 1, 5_001)
    due.all_at(np.array([7]), logs[:1], np.array([1]))
    assert due.count(20_000) == 1


def test_entries_are_spliced_in_order() -> None:
    """Whatever the order in which ids come and go, the bucket is that of its entries in ascending order."""
    rng = random.Random(5)
    entries = {bytes([1, 2]) + rng.randbytes(30): bytes([3, 7, 1]) + rng.randbytes(16) for _ in range(20)}
    view, kept = View(), dict(entries)
    for key in rng.sample(sorted(entries), 20):
        put([view], [key], [{key: key + entries[key]}])
    for key in rng.sample(sorted(entries), 7):
        put([view], [key], [{}])
        del kept[key]
    data = view.bucket(0x0102)
    assert data == b"".join(key + kept[key] for key in sorted(kept))
    assert count_entries(data) == len(kept) == len(parse_bucket(data, 0x0102)) == view.freeze().entries
    put([view], [b"\x01\x02" + bytes(30)], [{}])
    assert view.bucket(0x0102) == data
    more = bytes([1, 2]) + rng.randbytes(30)
    put([view], [more], [{more: more + bytes([2, 2, 2]) + rng.randbytes(32)}])
    for key in rng.sample(sorted(kept), 5):  # beside one of another length
        put([view], [key], [{}])
        del kept[key]
    assert [found.key for found in parse_bucket(view.bucket(0x0102), 0x0102)] == sorted([*kept, more])
    put([view], [more], [{}])
    assert view.bucket(0x0102) == b"".join(key + kept[key] for key in sorted(kept))


async def test_a_segment_is_proved_whole() -> None:
    """256 buckets with their path lead to the root; one byte more, one bucket less or another place do not."""
    view = View()
    for n in range(300):
        key, entries = entry(wallet_id(n), n)
        put([view], [key], [entries])
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

"""Laws of the fold over random histories (protocol §3.9): order-free, idempotent, restrictive, erasure-convergent, incremental."""

from __future__ import annotations

import random
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.folding import Event, Folded, Key, OriginState, ShownState, State, fold
from app.domain.folding_scope import Affected, Gathering, affected
from app.domain.labels import EVERYTHING, Label, Reader, Tlp, can_read
from tests.laws.histories import AS_OF, ORIGINS, READERS, REGISTRAR_KIDS, History, random_history
from tests.laws.plain_fold import plain_fold

seeds = st.integers(min_value=0, max_value=2**32)
readers = st.sampled_from((*READERS, EVERYTHING))


def folded(history: History, reader: Reader = EVERYTHING, events: list[Event] | None = None) -> Folded:
    return fold(history.events if events is None else events, reader=reader, **history.arguments())  # type: ignore[arg-type]


def test_the_random_histories_are_rich() -> None:
    """The other laws say little unless every state, an approval that counts, a reaffirmation and a fork's `pii` occur often."""
    seen: dict[str, int] = {}
    for seed in range(200):
        history = random_history(seed)
        state = folded(history)
        for shown in state.states.values():
            seen[shown.state] = seen.get(shown.state, 0) + 1
        seen["contested"] = seen.get("contested", 0) + sum(listing.contested for listing in state.active)
        seen["disputed"] = seen.get("disputed", 0) + sum(bool(listing.disputed_by) for listing in state.active)
        seen["destroyed"] = seen.get("destroyed", 0) + len(state.destroyed)
        for kind in ("reaffirm", "approve"):
            without = folded(history, events=[e for e in history.events if e.kind != kind])
            seen[kind] = seen.get(kind, 0) + any(state.states[key] != shown for key, shown in without.states.items())
    assert min(seen.get(word, 0) for word in [*State, "contested", "disputed", "destroyed", "reaffirm", "approve"]) >= 10, seen


@settings(max_examples=120, deadline=None)
@given(seeds, readers)
def test_two_programs_of_different_design_agree(seed: int, reader: Reader) -> None:
    """The passes of `fold` give what a plain recursive reading of the spec gives."""
    history = random_history(seed)
    state = folded(history, reader)
    active, destroyed = plain_fold(history.events, reader=reader, **history.arguments())  # type: ignore[arg-type]
    assert tuple((a.origin, a.sid, a.expires_at, a.contested, a.disputed_by, a.endorsed_by) for a in state.active) == active
    assert tuple((d.origin, d.sid, d.part) for d in state.destroyed) == destroyed


@settings(max_examples=120, deadline=None)
@given(seeds, readers, st.randoms(use_true_random=False))
def test_order_and_repetition_mean_nothing(seed: int, reader: Reader, rng: random.Random) -> None:
    """Any order of arrival and any number of deliveries give one state."""
    history = random_history(seed)
    shuffled = history.events + rng.choices(history.events, k=10)
    rng.shuffle(shuffled)
    assert folded(history, reader, shuffled) == folded(history, reader)


@settings(max_examples=120, deadline=None)
@given(seeds, st.sampled_from(READERS))
def test_a_lesser_reader_sees_a_restriction(seed: int, reader: Reader) -> None:
    """A reader who holds only the stubs he may see reaches what the holder of all shows him; and nothing in it is news to the holder."""
    history = random_history(seed)
    his_own = [e for e in history.events if can_read(e.label, reader)]
    shown = folded(history, reader)
    assert folded(history, reader, his_own) == shown
    whole = folded(history)
    assert all(whole.states[key] == state for key, state in shown.states.items())
    assert {(a.origin, a.sid) for a in shown.active} <= {(a.origin, a.sid) for a in whole.active}
    assert set(shown.destroyed) <= set(whole.destroyed)


@settings(max_examples=120, deadline=None)
@given(seeds)
def test_erasing_a_carrier_never_revives_what_it_ended(seed: int) -> None:
    """Erasing every listing that could be erased leaves no listing alive that was dead, and takes its named parts away."""
    history = random_history(seed, forks=False)
    origin = ORIGINS[0]
    history.policies[origin] = []  # so that the erasures below need no approval
    size = history.vector[origin].size
    before = folded(history)
    held = [e for e in history.events if e.origin != origin or e.index < size]
    listings = [e for e in held if e.origin == origin and e.kind == "listing"]
    kid = REGISTRAR_KIDS[origin][0]
    blank = Event(origin, size, "", "erase", kid.partition("#")[0], kid, Label(Tlp.CLEAR), erased_parts=("core", "pii"))
    erasures = [replace(blank, index=size + n, sid=f"x{n:03}", targets=(e.sid,)) for n, e in enumerate(listings)]
    history.vector[origin] = OriginState(size=size + len(erasures))
    after = folded(history, events=held + erasures)
    assert {(a.origin, a.sid) for a in after.active} == {(a.origin, a.sid) for a in before.active if a.origin != origin}
    gone = {(d.sid, d.part) for d in after.destroyed if d.origin == origin}
    assert {(e.sid, part) for e in listings if not e.bad for part in ("core", "pii") if part in e.parts} <= gone


class Keeper:
    """A stand-in for the storage: holds events, answers the loads that `folding_scope` asks for, keeps states up to date."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.events: list[Event] = []
        self.states: dict[Key, ShownState] = {}

    def arrive(self, batch: list[Event]) -> None:
        self.events += batch
        touched = self.touched(batch)
        small = folded(self.history, events=self.gathered(touched))
        self.states.update((key, small.states[key]) for key in touched if key in small.states)

    def touched(self, batch: list[Event]) -> set[Key]:
        asked: list[Event] = batch
        refold: set[Key] = set()
        known: set[Key] = set()
        while asked:
            known |= {(e.origin, e.sid) for e in asked}
            scope: Affected = affected(asked, origins=ORIGINS)
            refold |= scope.refold
            asked = [
                e
                for e in self.events
                if (e.origin, e.sid) not in known
                and (
                    (e.origin, e.sid) in scope.follow
                    or any((e.origin, e.kid) == (o, kid) and e.index >= start for o, kid, start in scope.keys)
                )
            ]
        return refold

    def gathered(self, wanted: set[Key]) -> list[Event]:
        gathering = Gathering()
        keys = gathering.start([e for e in self.events if (e.origin, e.sid) in wanted], [e for e in self.events if e.kind == "key-revoke"])
        while keys:
            sids = {sid for _, sid in keys}
            keys = gathering.take([e for e in self.events if any(t.rpartition("/")[2] in sids for t in e.targets)])
        return gathering.events


@settings(max_examples=100, deadline=None)
@given(seeds, st.integers(min_value=1, max_value=15))
def test_incremental_equals_whole(seed: int, batch: int) -> None:
    """States kept up to date batch by batch, each from its small gathered history, are those of the whole history."""
    history = random_history(seed, size=60)
    keeper = Keeper(history)
    in_log_order = sorted(history.events, key=lambda e: e.index)
    for start in range(0, len(in_log_order), batch):
        keeper.arrive(in_log_order[start : start + batch])
        assert keeper.states == folded(history, events=keeper.events).states


@settings(max_examples=100, deadline=None)
@given(seeds, st.randoms(use_true_random=False))
def test_a_gathered_part_folds_like_the_whole(seed: int, rng: random.Random) -> None:
    """For any chosen statements the gathered history gives their states, their annotations and what is destroyed of them."""
    history = random_history(seed, size=60)
    keeper = Keeper(history)
    keeper.events = history.events
    chosen = {(e.origin, e.sid) for e in rng.sample(history.events, 5)}
    small, whole = folded(history, events=keeper.gathered(chosen)), folded(history)
    assert [a for a in small.active if (a.origin, a.sid) in chosen] == [a for a in whole.active if (a.origin, a.sid) in chosen]
    assert [d for d in small.destroyed if (d.origin, d.sid) in chosen] == [d for d in whole.destroyed if (d.origin, d.sid) in chosen]
    assert {k: v for k, v in small.states.items() if k in chosen} == {k: v for k, v in whole.states.items() if k in chosen}


def test_gathering_is_small() -> None:
    """A statement in a long chain of replacements needs its own edges, not the chain."""
    clear = Label(Tlp.CLEAR)
    chain = [
        Event(ORIGINS[0], i, f"s{i}", "listing", "de.police", "de.police#1", clear, {"core": clear}, (f"s{i - 1}",) if i else (), AS_OF + 1)
        for i in range(500)
    ]
    keeper = Keeper(History(events=chain))
    keeper.events = chain
    assert len(keeper.gathered({(ORIGINS[0], "s10")})) == 2

"""The fold's bookkeeping beyond the vectors: words for every statement, policies in force, forks, and what is affected."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from app.domain.folding import Destroyed, Event, Folded, OriginState, ShownState, State, fold
from app.domain.folding_scope import affected, needs2_by_policy
from app.domain.labels import EVERYTHING, PUBLIC, Label, Tlp
from app.domain.statement import ohash_of

DE, FR = "de.example/log", "fr.example/log"
CLEAR = Label(Tlp.CLEAR)
GREEN = Label(Tlp.GREEN)
KIDS = {DE: ("de.registrar#1", "de.registrar#2"), FR: ("fr.registrar#1",)}
LIVE = {DE: OriginState(size=100), FR: OriginState(size=100)}


def event(index: int, sid: str, kind: str = "listing", *, kid: str = "de.bka#1", origin: str = DE, **more: Any) -> Event:
    defaults: dict[str, Any] = {"label": CLEAR}
    if kind == "listing":
        defaults |= {"parts": {"core": CLEAR, "pii": CLEAR}, "expires_at": 2_000}
    return Event(origin, index, sid, kind, kid.partition("#")[0], kid, **(defaults | more))


def run(*events: Event, **more: Any) -> Folded:
    return fold(events, **({"vector": LIVE, "reader": EVERYTHING, "as_of": 1_000, "registrar_kids": KIDS} | more))


def words(*events: Event, **more: Any) -> dict[str, str]:
    return {sid: str(shown.state) for (_, sid), shown in run(*events, **more).states.items()}


def test_every_statement_has_a_word() -> None:
    """Each way to end or to wait has its own word; the strongest one wins."""
    assert words(
        event(0, "replaced"),
        event(1, "new", targets=("replaced",)),
        event(2, "gone"),
        event(3, "r", "retract", targets=("gone",)),
        event(4, "wiped"),
        event(5, "x", "erase", targets=("wiped", "gone"), erased_parts=("core",)),
        event(6, "old", expires_at=1_000),
        event(7, "broken", bad=True),
        event(8, "future", must=("aurora",)),
        event(9, "unknown", "delist-now", targets=("new",)),
        event(10, "struck", kid="de.fiu#1"),
        event(11, "k", "key-revoke", kid="de.registrar#1", kid_target="de.fiu#1", from_index=10, reason="compromised"),
        event(12, "hollow", parts={"ctx": CLEAR}),
        event(13, "usurped", "key-revoke", kid_target="de.bka#1", from_index=0, reason="compromised"),
    ) == {
        "replaced": "superseded", "new": "active", "gone": "erased", "r": "active", "wiped": "erased", "x": "active", "old": "expired",
        "broken": "inert", "future": "inert", "unknown": "inert", "struck": "inert", "k": "active", "hollow": "inert", "usurped": "inert",
    }  # fmt: skip


def test_without_a_clock_nothing_expires() -> None:
    """The stored state leaves expiry to the reader's clock: `as_of` None gives `active` and the effective end."""
    folded = run(event(0, "a", expires_at=5), event(1, "n", "renew", targets=("a",), expires_at=7), as_of=None)
    assert folded.states[DE, "a"] == ShownState(State.ACTIVE, expires_at=7)
    assert [listing.expires_at for listing in folded.active] == [7]


def test_superseded_by_names_the_earliest_replacement() -> None:
    """Two listings replace one: the first in the log is named, in whatever order they came."""
    events = [event(0, "a"), event(1, "zz", targets=("a",)), event(2, "bb", targets=("a",))]
    for order in (events, events[::-1]):
        assert run(*order).states[DE, "a"].superseded_by == "zz"


def test_policy_in_force_at_the_index_decides() -> None:
    """A statement is judged by the last policy before it in its own log, not by the newest and not by another log's."""
    needs2 = needs2_by_policy({DE: [(2, {"listing"}), (5, set())]})
    events = [event(i, f"s{i}") for i in (1, 2, 3, 5, 6)] + [event(3, "f3", origin=FR, kid="fr.police#1")]
    assert words(*events, needs2=needs2) == {
        "s1": "active",
        "s2": "active",
        "s3": "waiting",
        "s5": "waiting",
        "s6": "active",
        "f3": "active",
    }


def test_an_approval_is_heard_through_its_own_revocation_only_if_reaffirmed() -> None:
    """approve by a revoked key falls; a reaffirmation of the approval brings it and the listing back."""
    events = [
        event(0, "a"),
        event(1, "p", "approve", kid="de.bka#2", targets=("a",)),
        event(2, "k", "key-revoke", kid="de.registrar#1", kid_target="de.bka#2", from_index=1, reason="compromised"),
    ]
    assert words(*events, needs2=["listing"])["a"] == "waiting"
    revived = [*events, event(3, "f", "reaffirm", kid="de.bka#3", targets=("p",))]
    assert words(*revived, needs2=["listing"]) == {"a": "active", "p": "active", "k": "active", "f": "active"}


def test_a_reaffirmation_is_not_revived() -> None:
    """A reaffirm under a revoked key does nothing, though another names it."""
    assert (
        words(
            event(0, "k", "key-revoke", kid="de.registrar#1", kid_target="de.bka#1", from_index=0, reason="compromised"),
            event(1, "a"),
            event(2, "f", "reaffirm", targets=("a",)),
            event(3, "g", "reaffirm", kid="de.bka#2", targets=("f",)),
        )["a"]
        == "inert"
    )


def test_removals_past_a_fork_wait_but_personal_data_goes() -> None:
    """An erasure past the fork is `waiting`; of its parts only `pii` is destroyed; the listing stays."""
    folded = run(
        event(0, "a"),
        event(1, "x", "erase", targets=("a",), erased_parts=("core", "pii"), branch="b"),
        event(1, "r", "retract", targets=("a",), branch="a"),
        vector={DE: OriginState("forked", common=1, branches={"a": 2, "b": 2})},
    )
    assert folded.destroyed == (Destroyed(DE, "a", "pii"),)
    assert {sid: shown.state for (_, sid), shown in folded.states.items()} == {"a": State.ACTIVE, "x": State.WAITING, "r": State.WAITING}
    assert folded.states[DE, "r"].contested
    assert not folded.states[DE, "a"].contested


def test_entries_past_a_fork_without_a_known_branch_do_not_count() -> None:
    """Past the common prefix only the branches the vector names are there, each up to its own size."""
    vector = {DE: OriginState("forked", common=1, branches={"a": 2})}
    assert words(
        event(0, "p"), event(1, "a", branch="a"), event(2, "long", branch="a"), event(1, "b", branch="b"), event(1, "n"), vector=vector
    ) == {
        "p": "active",
        "a": "active",
    }


def test_a_bad_entry_does_not_shadow_the_good_one() -> None:
    """The sid leaves the signature out, so a spoilt copy may stand first in a log: the good one counts at its own index."""
    copy = event(0, "a", bad=True)
    assert words(copy, event(2, "a"), event(1, "r", "retract", targets=("a",))) == {"a": "active", "r": "active"}


def test_states_hide_what_the_reader_may_not_see() -> None:
    """Neither a state nor a destroyed part tells the public of a GREEN statement."""
    hidden = event(0, "a", label=GREEN, parts={"core": GREEN})
    folded = run(hidden, event(1, "x", "erase", targets=("a",), erased_parts=("core",)), reader=PUBLIC)
    assert set(folded.states) == {(DE, "x")}
    assert folded.destroyed == ()


def test_erasure_of_what_the_target_never_had_is_nothing() -> None:
    """`destroyed` names parts that exist: a keeper has nothing else to take away."""
    assert run(event(0, "a"), event(1, "x", "erase", targets=("a",), erased_parts=("ctx", "pii"))).destroyed == (Destroyed(DE, "a", "pii"),)


def test_affected_by_an_edge() -> None:
    """A retraction touches itself and its target, and the target is to be followed: it may be a dispute that stops showing."""
    scope = affected([event(5, "r", "retract", targets=("a", "b"))])
    assert scope.refold == {(DE, "r"), (DE, "a"), (DE, "b")}
    assert scope.follow == {(DE, "a"), (DE, "b")}
    assert scope.keys == frozenset()


def test_affected_across_logs() -> None:
    """A dispute touches the listing of the other log if that log is known, nothing of its own by the same sid."""
    dispute = event(5, "d", "dispute", targets=(f"{ohash_of(FR)}/a", "0" * 64 + "/a", "a"))
    assert affected([dispute], origins=[DE, FR]).refold == {(DE, "d"), (FR, "a")}
    assert affected([dispute]).refold == {(DE, "d")}


@pytest.mark.parametrize(("reason", "start"), [("compromised", 3), ("superseded", 9)])
def test_affected_by_a_revocation(reason: str, start: int) -> None:
    """A revocation asks for the statements of that key from the index that counts."""
    revoke = event(9, "k", "key-revoke", kid="de.registrar#1", kid_target="de.bka#1", from_index=3, reason=reason)
    assert affected([revoke]).keys == {(DE, "de.bka#1", start)}


def test_affected_by_a_second_key_leads_to_what_it_frees() -> None:
    """approve → the waiting retraction → its target: two askings reach all three."""
    retract = event(5, "r", "retract", targets=("a",))
    first = affected([event(6, "p", "approve", kid="de.bka#2", targets=("r",))])
    assert first.follow == {(DE, "r")}
    assert first.refold | affected([retract]).refold == {(DE, "p"), (DE, "r"), (DE, "a")}


@pytest.mark.slow
def test_time_grows_with_the_number_of_events() -> None:
    """Ten times the history takes about ten times the time, in one long chain of replacements and renewals as well."""

    def chain(length: int) -> list[Event]:
        first = event(0, "s0")
        links = [replace(first, index=i, sid=f"s{i}", targets=(f"s{i - 1}",)) for i in range(1, length)]
        return [first, *links, *(event(length + i, f"n{i}", "renew", targets=("s0",), expires_at=i) for i in range(length))]

    def seconds(length: int) -> float:
        events = chain(length)
        best = float("inf")
        for _ in range(3):
            begun = time.process_time()
            run(*events, vector={DE: OriginState(size=10**9)})
            best = min(best, time.process_time() - begun)
        return best

    assert seconds(20_000) < 40 * seconds(2_000)

"""The keyring: who may sign at which index, as a function of the log and the root documents alone."""

from __future__ import annotations

import itertools
import random

import pytest

from app.domain.errors import KeyNotValid, Schema, UnknownKid
from app.domain.statement import Stub
from app.seal.keyring import Effect, Keyring
from tests.seal.registries import (
    NOW,
    ORIGIN,
    approve,
    key,
    logged_root,
    member,
    named,
    policy,
    revoke,
    root_chain,
    stub,
)


def keyring(*statements: Stub, documents: int = 1) -> Keyring:
    """A keyring of `statements` at indexes 0, 1, 2 …"""
    made = Keyring(ORIGIN, root_chain(*[{} for _ in range(documents - 1)]))
    for index, statement in enumerate(statements):
        made.apply(index, statement)
    return made


def good(made: Keyring, kid: str, index: int, accepted_s: int = NOW, **options: object) -> bool:
    """Whether a key may sign at an index; unknown and invalid alike are False."""
    try:
        made.check_key(kid, index=index, accepted_s=accepted_s, **options)  # type: ignore[arg-type]
    except (KeyNotValid, UnknownKid):
        return False
    return True


def test_a_member_key_is_good_after_its_registration() -> None:
    """Not at the index of the registration itself, nor before."""
    made = keyring(logged_root("r", root_chain()[0]), member("m"))
    assert [good(made, "zz.police#1", index) for index in (0, 1, 2, 99)] == [False, False, True, True]
    assert made.public_key("zz.police#1") == key("zz.police#1").public
    assert (made.member_of("zz.police#1") or made.members()[-1]).id == "zz.police"


def test_a_member_knows_since_which_index_it_stands_so() -> None:
    """The index of its newest statement."""
    made = keyring(logged_root("r", root_chain()[0]), member("m"))
    assert [one.index for one in made.members()] == [1]


def test_the_home_node_knows_no_other_spelling_of_a_kid() -> None:
    """Lower case, no white space, no path: only what was registered."""
    made = keyring(member("m"))
    assert [made.public_key(kid) for kid in ("zz.police", "ZZ.police#1", "zz.police#1 ", "zz.police#01", "../zz.police#1", "")] == [
        None
    ] * 6


def test_a_key_is_good_by_the_moment_of_acceptance() -> None:
    """nbf ≤ accepted < exp."""
    made = keyring(member("m", nbf=100, exp=200))
    assert [good(made, "zz.police#1", 1, at) for at in (99, 100, 199, 200)] == [False, True, True, False]


def test_the_newest_statement_of_a_member_replaces_it_and_keeps_its_keys() -> None:
    """Mandate and terms come from the newest, keys are never dropped, and the past keeps the terms it had."""
    second = key("zz.police#2")
    made = keyring(member("m", exp=500), member("n", "zz.police", second, name="New", exp=900), member("o", exp=700, name="Last"))
    assert (made.member("zz.police") or made.members()[0]).name == "Last"
    assert (made.member("zz.police", before=2) or made.members()[0]).name == "New"
    assert [record.kid for record in made.keys_of("zz.police")] == ["zz.police#1", "zz.police#2"]
    assert [good(made, "zz.police#1", index, 600) for index in (1, 2, 3)] == [False, False, True]
    assert good(made, "zz.police#2", 3, 800)


def test_revocation_is_by_index() -> None:
    """What was signed below `from_index` stands, whatever the clock says; the lowest revocation counts."""
    made = keyring(member("m"), revoke("a", "zz.police#1", 7), revoke("b", "zz.police#1", 4))
    assert [good(made, "zz.police#1", index) for index in (3, 4, 7)] == [True, False, False]
    assert made.revoked_from("zz.police#1") == 4
    record = made.key("zz.police#1")
    assert record is not None
    assert (record.revoked_from, str(record.reason), record.registered_index) == (4, "compromised", 0)


def test_superseded_counts_from_its_own_index() -> None:
    """Whatever `from_index` says."""
    made = keyring(member("m"), stub("listing", "zz.police#1", sid="l"), revoke("a", "zz.police#1", 0, "superseded"))
    assert [good(made, "zz.police#1", index) for index in (1, 2)] == [True, False]


@pytest.mark.parametrize(
    "statement",
    [
        revoke("x", "zz.police#1", 0, by="zz.police#1"),
        revoke("x", "zz.police#1", 0, by="zz.registrar#9"),
        revoke("x", "zz.police#1", 0, tlp="GREEN"),
        revoke("x", "zz.police#1", 0, org="yy.example/log"),
        revoke("x", "zz.police#1", -1),
        revoke("x", "zz.police#1", 0, "lost"),
    ],
    ids=["by-agency", "unknown-registrar-key", "green", "other-log", "negative-index", "unknown-reason"],
)
def test_what_cannot_revoke_does_nothing(statement: Stub) -> None:
    """Carried inert: the key stays good."""
    made = keyring(member("m"), statement)
    assert made.effect_of("x") is Effect.INERT
    assert good(made, "zz.police#1", 5)


def test_registrar_keys_are_not_revoked_by_statements() -> None:
    """Only a root document changes them."""
    made = keyring(revoke("x", "zz.registrar#2", 0))
    assert good(made, "zz.registrar#2", 5)
    assert made.effect_of("x") is Effect.INERT


def test_two_persons() -> None:
    """A kind in `needs2` is inert until another registrar key approves, and counts from the approval on."""
    made = keyring(policy("p", "member"), member("m"), stub("listing", "zz.x#1", sid="l"), approve("a", "m"))
    assert [good(made, "zz.police#1", index) for index in (2, 3, 4)] == [False, False, True]
    assert made.effect_of("m") is Effect.EFFECTIVE


@pytest.mark.parametrize(
    "approval",
    [approve("a", "m", by="zz.registrar#1"), approve("a", "m", by="zz.police#1"), approve("a", "other"), approve("a", "m", tlp="GREEN")],
    ids=["same-key", "agency", "other-target", "less-visible"],
)
def test_what_is_no_second_person(approval: Stub) -> None:
    """The same key, an agency, another target, an approval that not everybody sees: the member waits on."""
    made = keyring(policy("p", "member"), member("m"), approval)
    assert made.effect_of("m") is Effect.WAITING
    assert made.waiting == ("m",)
    assert made.public_key("zz.police#1") is None


def test_a_policy_judges_what_comes_after_it() -> None:
    """A member logged before the policy needs no approval; a new policy needs one if the old says so."""
    made = keyring(member("m"), policy("p", "policy"), policy("q"), member("n", "zz.fiu"))
    assert (made.effect_of("m"), made.effect_of("q"), made.effect_of("n")) == (Effect.EFFECTIVE, Effect.WAITING, Effect.EFFECTIVE)
    assert made.needs2_at(1) == frozenset()
    assert made.needs2_at(2) == {"policy"}
    assert made.policy_at().public_delay_h == 72


def test_one_key_stands_under_one_member_once() -> None:
    """The same key under another member, under another kid of its own member, or under the registrar: inert."""
    police = key("zz.police#1")
    stolen = {**named(police), "nbf": 0, "exp": 9}
    of_registrar = {**named(key("zz.registrar#1")), "kid": "zz.customs#1", "nbf": 0, "exp": 9}
    made = keyring(
        member("m", "zz.police", police),
        member("n", "zz.fiu", keys=[{**stolen, "kid": "zz.fiu#1"}]),
        member("o", "zz.police", keys=[{**stolen, "kid": "zz.police#2"}]),
        member("q", "zz.customs", keys=[of_registrar]),
        member("r", "zz.tax", keys=[{**named(key("zz.tax#1")), "nbf": 0, "exp": 9}, {**named(key("zz.tax#1")), "kid": "zz.tax#2", "nbf": 0, "exp": 9}]),
    )  # fmt: skip
    assert [made.effect_of(sid) for sid in "mnoqr"] == [Effect.EFFECTIVE, *[Effect.INERT] * 4]
    assert [one.id for one in made.members()] == ["zz.police"]


def test_a_kid_is_never_reused() -> None:
    """Another key under a known kid is inert, and the old key stays."""
    made = keyring(member("m"), member("n", "zz.police", key("zz.police#1", "other")))
    assert made.effect_of("n") is Effect.INERT
    assert made.public_key("zz.police#1") == key("zz.police#1").public


@pytest.mark.parametrize("member_id", ["yy.police", "zz.example"])
def test_a_registrar_names_members_of_its_own_namespace(member_id: str) -> None:
    """Not those of another jurisdiction, and none that is called like the node."""
    assert keyring(member("m", member_id)).effect_of("m") is Effect.INERT


def test_groups_count_then_and_today() -> None:
    """Whoever joins later does not see what was shared before; whoever left sees no more."""

    def group(sid: str, *members: str) -> Stub:
        return stub("group", sid=sid, id="group:zz.north", name="North", owner="zz.police", members=list(members))

    made = keyring(group("a", "fr.example", "nl.example"), stub("listing", "zz.x#1", sid="l"), group("b", "fr.example", "pl.example"))
    who = ["fr.example", "nl.example", "pl.example"]
    assert [bool(made.groups_of({one}, 1)) for one in who] == [True, False, False]
    assert [bool(made.groups_of({one}, 3)) for one in who] == [True, False, True]
    assert made.groups_of({"xx.example", "fr.example"}) == {"group:zz.north"}
    assert made.groups_of({"fr.example"}, 0) == frozenset()
    other = stub("group", sid="c", id="group:yy.north", name="N", owner="zz.police", members=["fr.example"])
    assert keyring(other).groups() == ()


def test_memberships_come_in_stretches_of_the_log() -> None:
    """The stretches say the same as `groups_of` at every index: who left and came back has two."""

    def group(sid: str, *members: str) -> Stub:
        return stub("group", sid=sid, id="group:zz.north", name="North", owner="zz.police", members=list(members))

    filler = [stub("listing", "zz.x#1", sid=f"l{n}") for n in range(3)]
    made = keyring(
        group("a", "fr.example", "nl.example"), filler[0], group("b", "nl.example"), filler[1],
        policy("p", "group"), group("c", "fr.example", "nl.example"), filler[2], approve("d", "c"),
    )  # fmt: skip
    assert made.membership_spans("nl.example") == (("group:zz.north", 1, None),)
    assert made.membership_spans("fr.example") == (("group:zz.north", 1, 3), ("group:zz.north", 8, None))
    assert made.membership_spans("pl.example") == ()
    for who in ("fr.example", "nl.example", "pl.example"):
        for index in range(12):
            in_span = any(first <= index and (end is None or index < end) for _, first, end in made.membership_spans(who))
            assert in_span == bool(made.groups_of({who}, index))
    left = keyring(group("a", "fr.example"), group("b", "nl.example"))
    assert left.membership_spans("fr.example") == ()


def test_the_version_moves_with_the_registry() -> None:
    """Statements that matter and root documents move it, listings and repetitions do not."""
    first, second = root_chain({})
    made = Keyring(ORIGIN, [first])
    seen = [made.version]
    for index, statement in enumerate([member("m"), policy("p"), revoke("k", "zz.police#1", 1)]):
        made.apply(index, statement)
        seen.append(made.version)
    made.add_root(second)
    assert seen == sorted(set(seen))
    assert made.version not in seen
    before = made.version
    made.apply(9, stub("listing", "zz.police#1", sid="l"))
    made.apply(0, member("m"))
    assert made.version == before


def test_registrar_keys_change_with_the_logged_root() -> None:
    """A new registrar key signs the `root` statement that names it, and is good from there on; the dropped one ends there."""
    replaced = {"registrar": {"keys": [named(key("zz.registrar#2")), named(key("zz.registrar#3"))]}}
    first, second = root_chain(replaced)
    made = Keyring(ORIGIN, [first, second])
    made.apply(0, logged_root("r", first))
    assert good(made, "zz.registrar#1", 3)
    assert not good(made, "zz.registrar#3", 3)
    assert not good(made, "zz.registrar#1", 3, at_home=True)
    assert good(made, "zz.registrar#3", 3, kind="root", at_home=True)
    assert made.apply(3, logged_root("s", second, "zz.registrar#3")) is Effect.EFFECTIVE
    assert [good(made, "zz.registrar#1", index) for index in (3, 4)] == [True, False]
    assert [good(made, "zz.registrar#3", index) for index in (3, 4)] == [False, True]
    assert made.registrar_kids == {"zz.registrar#1", "zz.registrar#2", "zz.registrar#3"}
    assert made.apply(5, member("m", by="zz.registrar#1")) is Effect.INERT
    assert made.apply(6, member("n", by="zz.registrar#3")) is Effect.EFFECTIVE


def test_a_root_statement_must_name_a_verified_document() -> None:
    """A wrong digest, an unknown version and a step back are inert."""
    first, second = root_chain({"contact": "new@zz.example"})
    made = Keyring(ORIGIN, [first, second])
    wrong = stub("root", sid="w", ver=2, sha256="00" * 32)
    unknown = stub("root", sid="u", ver=3, sha256=second.sha256)
    effects = [made.apply(index, one) for index, one in enumerate((wrong, unknown, logged_root("b", second), logged_root("c", first)))]
    assert effects == [Effect.INERT, Effect.INERT, Effect.EFFECTIVE, Effect.INERT]


def test_a_root_document_that_arrives_late_is_taken_into_account() -> None:
    """Peers may read the log before the chain: the state is the same in the end."""
    first, second = root_chain({"registrar": {"keys": [named(key("zz.registrar#3"))]}})
    statements = [logged_root("r", first), logged_root("s", second, "zz.registrar#3"), member("m", by="zz.registrar#3")]
    late = Keyring(ORIGIN, [first])
    for index, statement in enumerate(statements):
        late.apply(index, statement)
    assert late.effect_of("m") is Effect.INERT
    late.add_root(second)
    assert late.effect_of("m") is Effect.EFFECTIVE
    assert good(late, "zz.police#1", 3)


def test_node_keys_sign_for_the_node() -> None:
    """They come from the root document and are no member's."""
    made = keyring()
    assert good(made, "zz.example#1", 0)
    assert made.member_of("zz.example#1") is None
    assert made.registrar == "zz.registrar"


def test_without_root_documents_nobody_may_speak() -> None:
    """No registrar, no members."""
    made = Keyring(ORIGIN)
    assert made.apply(0, member("m")) is Effect.INERT
    assert (made.registrar, made.public_key("zz.registrar#1")) == (None, None)
    with pytest.raises(UnknownKid):
        made.check_key("zz.registrar#1", index=1, accepted_s=NOW)


def story() -> list[tuple[int, Stub]]:
    """A history in which nearly everything depends on something else."""
    return list(
        enumerate(
            [
                logged_root("r", root_chain()[0]),
                member("m"),
                policy("p", "member", "key-revoke"),
                member("n", "zz.fiu"),
                member("o", "zz.fiu", key("zz.fiu#1", "other")),
                approve("a", "o", "n"),
                revoke("k", "zz.police#1", 2),
                approve("b", "k"),
                revoke("l", "zz.fiu#1", 0, "superseded"),
                member("m", exp=5),
            ]
        )
    )


def answers(made: Keyring) -> object:
    """Everything that a gate would ask of the keyring of the story."""
    keys = [[good(made, kid, index) for index in range(12)] for kid in ("zz.police#1", "zz.fiu#1", "zz.registrar#1")]
    return (
        keys,
        [made.effect_of(sid) for sid in "rmpnoakbl"],
        made.waiting,
        made.members(),
        [made.key(k) for k in ("zz.police#1", "zz.fiu#1")],
    )


def test_the_order_of_arrival_means_nothing() -> None:
    """The same log in any order, with repetitions, gives the same answers; a sid at two indexes counts at the lower."""
    expected = answers(keyring(*[statement for _, statement in story()]))
    generator = random.Random(7)
    orders = [story()[::-1], *(generator.sample(story(), len(story())) for _ in range(30))]
    for order in orders:
        made = Keyring(ORIGIN, root_chain())
        for index, statement in itertools.chain(order, order[:4]):
            made.apply(index, statement)
        assert answers(made) == expected
        assert answers(made.copy()) == expected


def test_a_growing_log_changes_no_past_but_by_revocation() -> None:
    """What a key could sign at an index stays so when the log grows, except where a revocation reaches back to."""
    made = Keyring(ORIGIN, root_chain())
    before: list[bool] = []
    for index, statement in story():
        made.apply(index, statement)
        now = [good(made, "zz.police#1", past) for past in range(index + 1)]
        changed = [past for past, (was, is_) in enumerate(zip(before, now, strict=False)) if was != is_]
        assert not changed or (index == 7 and min(changed) == 2)
        before = now


def test_a_copy_goes_its_own_way() -> None:
    """A batch that is rolled back leaves the keyring as it was."""
    made = keyring(member("m"))
    tried = made.copy()
    tried.apply(1, member("n", "zz.fiu"))
    assert tried.public_key("zz.fiu#1") is not None
    assert made.public_key("zz.fiu#1") is None


@pytest.mark.parametrize(
    "statement",
    [
        revoke("x", "zz.fiu#1", 0),
        revoke("x", "zz.registrar#2", 0),
        revoke("x", "zz.example#1", 0),
        member("x", "zz.fiu", keys=[{**named(key("zz.police#1")), "kid": "zz.fiu#1", "nbf": 0, "exp": 9}]),
        member("x", "yy.fiu"),
        member("x", "zz.fiu", **{"class": "king"}),
        member("x", "zz.fiu", by="zz.registrar#9"),
        stub("root", sid="x", ver=9, sha256="00" * 32),
        stub("group", sid="x", id="group:yy.north", name="N", owner="zz.police", members=[]),
    ],
)  # fmt: skip
def test_the_home_node_refuses_what_would_be_inert(statement: Stub) -> None:
    """`schema`, with a pointer; nothing is logged that does nothing."""
    made = keyring(member("m"))
    with pytest.raises(Schema) as refused:
        made.check_control(statement, index=1)
    assert refused.value.faults


def test_the_home_node_takes_what_has_effect() -> None:
    """Good control statements pass, and so do kinds that are no control."""
    made = keyring(member("m"))
    for statement in (member("x", "zz.fiu"), revoke("x", "zz.police#1", 0), policy("x"), stub("listing", "zz.police#1", sid="x")):
        made.check_control(statement, index=1)
        assert made.copy().apply(1, statement) in {Effect.EFFECTIVE, Effect.NONE}

"""Registrar statements: members, groups, policies, revocations are read strictly, and leniently where a peer copies them."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.errors import Schema
from app.domain.labels import Tlp
from app.domain.registry import (
    KeyRevocation,
    MemberClass,
    Policy,
    RevocationReason,
    check_control,
    is_group_id,
    owner_of_kid,
    read_group,
    read_jwk,
    read_key_revoke,
    read_member,
    read_policy,
    read_root_claim,
)

JWK = {"kty": "EC", "crv": "P-256", "x": "N9D5BOoPnEom2gos1sL7rzvxr4lGgGwr-3NfC4ReWu8", "y": "r-oEqUc_w6zA_YDe0nVHwI7OO_5TFAYvHGsNu2BVsEM"}
KEY = {"kid": "de.bka#1", "jwk": JWK, "nbf": 1_700_000_000, "exp": 1_800_000_000}
MANDATE = {"kinds": ["listing", "retract"], "categories": ["fraud"], "tlp_max": "AMBER"}
MEMBER = {"id": "de.bka", "name": "BKA", "class": "agency", "mandate": MANDATE, "keys": [KEY]}
POLICY = {
    "needs2": ["member"],
    "four_eyes": ["person"],
    "public_delay_h": 24,
    "review_months": 6,
    "freeze_days": {"freeze": 10},
    "neutrality": True,
}
GROUP = {"id": "group:de.north", "name": "North", "owner": "de.bka", "members": ["fr.example", "de.bka"]}


def changed(claims: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """A copy of `claims` with the member at `path` set, or dropped when `value` is `...`."""
    name, _, rest = path.partition("/")
    copy = dict(claims)
    if rest and isinstance(copy[name], list):
        copy[name] = [changed(copy[name][0], rest, value)]
    elif rest:
        copy[name] = changed(copy[name], rest, value)
    elif value is ...:
        del copy[name]
    else:
        copy[name] = value
    return copy


def test_a_member_is_read_with_the_defaults_of_its_mandate() -> None:
    """1,000 statements an hour and no persons, unless the mandate says so."""
    member = read_member(MEMBER, index=7)
    assert (member.id, member.name, member.member_class, member.index) == ("de.bka", "BKA", MemberClass.AGENCY, 7)
    assert (member.mandate.quota_per_hour, member.mandate.persons, member.mandate.tlp_max) == (1000, False, Tlp.AMBER)
    assert member.mandate.kinds == {"listing", "retract"}
    assert (member.keys[0].kid, member.keys[0].not_before, member.keys[0].expires) == ("de.bka#1", 1_700_000_000, 1_800_000_000)


def test_everything_optional_is_read() -> None:
    """Country, address, contact, LEI and licence."""
    licence = {"register": "BaFin", "number": "123", "checked_at": "2026-11-01"}
    more = {"country": "DE", "url": "https://bka.example", "contact": "desk@bka.example", "lei": "529900T8BM49AURSDO55", "licence": licence}
    member = read_member({**MEMBER, **more})
    assert (member.country, member.url, member.contact, member.lei) == tuple(list(more.values())[:4])
    assert dict(member.licence or {}) == licence


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("id", "DE.bka"), ("id", "de.bka\n"), ("id", "de.registrar"), ("id", "de.root"), ("id", ...), ("id", 1), ("id", "de.fiu"),
        ("name", ""), ("name", "a\nb"), ("name", "x" * 201), ("name", ...), ("class", "auditor"), ("class", ...), ("class", ["agency"]),
        ("mandate", ...), ("mandate", []), ("mandate/kinds", ...), ("mandate/kinds", "listing"), ("mandate/kinds", ["member"]),
        ("mandate/kinds", ["listing", "listing"]), ("mandate/kinds", ["hearsay"]), ("mandate/categories", ...),
        ("mandate/categories", ["Fraud"]), ("mandate/categories", [3]), ("mandate/tlp_max", "amber"), ("mandate/tlp_max", ...),
        ("mandate/quota_per_hour", True), ("mandate/quota_per_hour", -1), ("mandate/quota_per_hour", 1.0), ("mandate/persons", 1),
        ("mandate/person", True), ("keys", []), ("keys", ...), ("keys", [KEY, KEY]), ("keys/kid", "de.fiu#1"), ("keys/kid", "de.bka"),
        ("keys/kid", "de.bka#"), ("keys/kid", "de.bka#1 "), ("keys/kid", "de.bka#1\n"), ("keys/kid", "de.bka#é"), ("keys/nbf", True),
        ("keys/nbf", 1_800_000_000), ("keys/exp", ...), ("keys/exp", "1"), ("keys/note", "x"), ("keys/jwk", JWK["x"]), ("keys/jwk", ...),
        ("country", "de"), ("country", "D"), ("lei", "529900"), ("url", 1), ("contact", ""), ("licence", {}),
        ("licence", {"register": "r", "number": "1", "checked_at": "yesterday"}),
    ],
)  # fmt: skip
def test_a_wrong_member_is_refused(path: str, value: object) -> None:
    """Each fault alone is `schema`, and the fault points somewhere."""
    with pytest.raises(Schema) as refused:
        read_member(changed(MEMBER, path, value))
    assert refused.value.faults[0].pointer.startswith("/")


@pytest.mark.parametrize("path", ["mandate/newer", "keys/newer"])
def test_a_peer_reads_over_newer_members(path: str) -> None:
    """What a later version adds does not cost a peer the whole member; the home node refuses to log it."""
    claims = changed(MEMBER, path, ["x"])
    assert read_member(claims, lenient=True) == read_member(MEMBER)
    with pytest.raises(Schema):
        read_member(claims)


def test_a_class_bounds_the_mandate_whoever_logged_it() -> None:
    """A VASP never gets to list: refused at home, and without effect at a peer."""
    claims = changed(changed(MEMBER, "class", "vasp"), "mandate/kinds", ["sighting", "listing"])
    with pytest.raises(Schema):
        read_member(claims)
    assert read_member(claims, lenient=True).mandate.kinds == {"sighting"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kty", "oct"), ("crv", "P-384"), ("x", "A" * 43), ("x", JWK["x"][:-1] + "9"), ("x", JWK["x"] + "="), ("y", 5), ("d", "AAAA"),
        ("use", "sig"), ("y", "r-oEqUc_w6zA_YDe0nVHwI7OO_5TFAYvHGsNu2BVsEI"), ("x", "N9D5A-oPnEsm2gos1sL7rzvxr4pGgGwr-3NfC4ReWu4"), ("y", ...),
    ],
)  # fmt: skip
def test_only_exact_points_of_p256_are_keys(name: str, value: object) -> None:
    """No other curve, no other member, no point off the curve or not reduced."""
    assert read_jwk(JWK) == JWK
    with pytest.raises(Schema):
        read_jwk(changed(JWK, name, value))


def test_revocations() -> None:
    """`superseded` counts from the revocation itself, whatever `from_index` says."""
    claims = {"kid": "de.bka#1", "reason": "compromised", "from_index": 4}
    assert read_key_revoke(claims) == KeyRevocation("de.bka#1", RevocationReason.COMPROMISED, 4)
    assert read_key_revoke(claims).counts_from(9) == 4
    assert read_key_revoke({**claims, "reason": "superseded"}).counts_from(9) == 9


@pytest.mark.parametrize(
    ("path", "value"),
    [("kid", "de.bka"), ("kid", ...), ("reason", "lost"), ("reason", ...), ("from_index", -1), ("from_index", True), ("from_index", ...)],
)
def test_wrong_revocations_are_refused(path: str, value: object) -> None:
    """kid, reason and index are required and of their form."""
    with pytest.raises(Schema):
        read_key_revoke(changed({"kid": "de.bka#1", "reason": "compromised", "from_index": 4}, path, value))


def test_policies() -> None:
    """All terms are read; delay, review and freeze days have defaults."""
    assert read_policy(POLICY) == Policy(frozenset({"member"}), frozenset({"person"}), 24, 6, {"freeze": 10})
    assert read_policy({"needs2": [], "four_eyes": [], "neutrality": True}) == Policy()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("needs2", "member"), ("needs2", ["approve"]), ("needs2", ["hearsay"]), ("needs2", ...), ("four_eyes", ["two"]), ("four_eyes", ...),
        ("public_delay_h", -1), ("public_delay_h", True), ("review_months", 13), ("review_months", 0), ("freeze_days", []),
        ("freeze_days", {"freeze": 0}), ("freeze_days", {"seize": 3}), ("neutrality", ...), ("neutrality", 1), ("neutrality", False),
    ],
)  # fmt: skip
def test_wrong_policies_are_refused(path: str, value: object) -> None:
    """Above all a policy cannot make approvals wait for approvals, nor drop the neutrality attestation."""
    with pytest.raises(Schema):
        read_policy(changed(POLICY, path, value))


def test_groups() -> None:
    """Node and member ids, in the order given."""
    group = read_group({**GROUP, "releasability": "members only"}, index=3)
    assert (group.id, group.owner, group.members, group.releasability, group.index) == (
        "group:de.north", "de.bka", ("fr.example", "de.bka"), "members only", 3,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("id", "de.north"), ("id", "group:north"), ("owner", "fr.example.org"), ("owner", ...), ("members", "de.bka"),
        ("members", ["group:de.x"]), ("members", ["de.bka", "de.bka"]), ("members", [1]), ("members", ["De.bka"]), ("name", ...),
    ],
)  # fmt: skip
def test_wrong_groups_are_refused(path: str, value: object) -> None:
    """A group never holds a group: membership is one look-up deep."""
    with pytest.raises(Schema):
        read_group(changed(GROUP, path, value))


def test_root_claims() -> None:
    """A version and the digest of the decoded payload."""
    assert read_root_claim({"ver": 2, "sha256": "ab" * 32}).version == 2
    for wrong in ({"ver": 0, "sha256": "ab" * 32}, {"ver": 1, "sha256": "AB" * 32}, {"ver": 1}, {"ver": True, "sha256": "ab" * 32}):
        with pytest.raises(Schema):
            read_root_claim(wrong)


def test_every_control_kind_is_checked_at_home() -> None:
    """`check_control` knows all five and passes the rest."""
    for kind in ("member", "key-revoke", "group", "policy", "root"):
        with pytest.raises(Schema):
            check_control(kind, {})
    check_control("listing", {})
    check_control("member", MEMBER)


def test_ids_have_one_spelling() -> None:
    """Kids and group ids are matched whole."""
    assert owner_of_kid("de.bka#2026-a") == "de.bka"
    assert [owner_of_kid(kid) for kid in ("de.bka", "#1", "de.bka#", "de.bka#1\n", "DE.bka#1", "../x#1")] == [None] * 6
    assert is_group_id("group:de.north")
    assert not is_group_id("group:de.north\n")

"""Laws about persons: whatever is sent, no protected person is accepted and no forbidden member gets in (DP-02, NP-2, NP-7)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import CordonError, ProtectedPerson
from app.domain.items import check_items
from app.domain.labels import Label, Tlp
from app.domain.registry import Mandate, Member, MemberClass, Policy
from app.domain.statement import Disclosure, Kind, Stub
from app.domain.vocabulary import lists

MEMBER = Member(
    id="de.bka",
    name="BKA",
    member_class=MemberClass.AGENCY,
    mandate=Mandate(kinds=frozenset(Kind), categories=("fraud",), tlp_max=Tlp.RED, persons=True),
    keys=(),
)
STUB = Stub(
    issuer="de.bka",
    origin="de.example/log",
    kind="listing",
    kid="de.bka#1",
    sid="s",
    issued_at=1_790_000_000,
    expires_at=1_790_086_400,
    label=Label(Tlp.GREEN),
    parts={part: Label(Tlp.GREEN) for part in ("core", "ctx", "pii")},
    targets=(),
    jti=None,
    handling=(),
    licence=None,
    must=(),
    digests=(),
    claims={},
)
WALLET: dict[str, Any] = {
    "type": "wallet",
    "id": "eip155:0:0xd88e9f990b10ce19fdc482fb21fde2f46d9ba24b",
    "typologies": ["fraud.investment"],
    "roles": ["collection"],
    "severity": 3,
    "basis": "authority_data",
    "reliability": "B",
    "credibility": 2,
    "status": "suspected",
    "action": "review",
}
CONTEXT: dict[str, Any] = {
    "type": "context",
    "purpose": "fraud_prevention",
    "legal_basis": {"instrument": "criminal_investigation"},
    "assertion": "assessment",
    "evidence_standard": "reasonable_grounds",
    "evidence": [{"sha256": "ab" * 32, "kind": "victim_statement", "held_by": "issuer"}],
    "review_by": "2027-03-01",
    "redress": {"contact": "redress desk", "route": "direct"},
    "neutrality": True,
    "coercion_screen": {"result": "none_found", "role": "operator", "assessed_at": "2026-09-01", "indicators": []},
}
DESIGNATION = {"authority": "US Treasury", "programme": "CYBER2", "measure": "asset_freeze", "date": "2026-01-05", "reference": "SDN 1"}
ALLOWED = ("convicted", "charged", "suspect", "designated")

texts = st.text(max_size=12)
near_statuses = st.sampled_from(
    [*ALLOWED, "victim", "witness", "missing", "Suspect", "suspect ", "suspects", "possible_trafficking_victim"]
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | texts | near_statuses,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(texts | st.sampled_from(["kind", "person_status", "names", "type"]), inner, max_size=3)
    ),
    max_leaves=8,
)


def accept(**parts: list[Any]) -> None:
    disclosures = [
        Disclosure("", "", "", f"{part}.{number}", part, number, value)
        for part, values in parts.items()
        for number, value in enumerate(values)
    ]
    check_items(STUB, disclosures, member=MEMBER, policy=Policy())


def persons_in(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, list):
        return [person for one in value for person in persons_in(one)]
    if isinstance(value, dict):
        own = [value] if value.get("kind") == "person" else []
        return own + [person for one in value.values() for person in persons_in(one)]
    return []


def names_in(value: Any) -> set[str]:
    if isinstance(value, list):
        return set().union(*map(names_in, value)) if value else set()
    if isinstance(value, dict):
        return {name.lower() for name in value}.union(*map(names_in, value.values()))
    return set()


@given(status=near_statuses | texts | json_values, designated=st.booleans())
def test_only_four_statuses_are_ever_accepted(status: Any, designated: bool) -> None:
    """Over all strings and values: convicted, charged, suspect, or designated with its entry; else `protected_person`."""
    person: dict[str, Any] = {"type": "entity", "kind": "person", "person_status": status}
    if designated:
        person["designations"] = [DESIGNATION]
    good = isinstance(status, str) and status in ALLOWED and (status != "designated" or designated)
    if good:
        accept(core=[WALLET, CONTEXT], pii=[person])
    else:
        with pytest.raises(CordonError) as caught:
            accept(core=[WALLET, CONTEXT], pii=[person])
        if isinstance(status, str):
            assert isinstance(caught.value, ProtectedPerson)


@given(
    pii=st.lists(
        st.dictionaries(
            st.sampled_from(["kind", "type", "person_status", "people", "designations"]), json_values | st.just("person"), max_size=4
        ),
        max_size=3,
    )
)
def test_no_accepted_statement_holds_a_person_of_another_status(pii: list[Any]) -> None:
    """Whatever shape `pii` has: if it is accepted, every person in it, at any depth, has one of the four statuses."""
    try:
        accept(core=[WALLET, CONTEXT], pii=pii)
    except CordonError:
        return
    for person in persons_in(pii):
        assert person["person_status"] in ALLOWED


@given(
    path=st.lists(st.one_of(st.sampled_from(["a", "notes", "scope2", "x"]), st.just(0)), max_size=4),
    name=st.sampled_from(sorted(lists.FORBIDDEN_MEMBERS)),
    value=json_values,
    place=st.sampled_from(["wallet", "context", "ctx", "pii"]),
)
def test_a_forbidden_name_is_refused_at_any_depth(path: list[Any], name: str, value: Any, place: str) -> None:
    """Bury it as deep as the JSON limit allows, in any item of any part: refused."""
    buried: Any = {name: value}
    for step in reversed(path):
        buried = [buried] if step == 0 else {step: buried}
    extra = buried if isinstance(buried, dict) else {"list": buried}
    parts: dict[str, list[Any]] = {"core": [WALLET, CONTEXT]}
    if place == "wallet":
        parts["core"] = [{**WALLET, **extra}, CONTEXT]
    elif place == "context":
        parts["core"] = [WALLET, {**CONTEXT, **extra}]
    else:
        parts[place] = [extra]
    with pytest.raises(CordonError):
        accept(**parts)


@given(extra=st.dictionaries(texts | st.sampled_from(["Victim", "age", "message", "kind"]), json_values, max_size=3))
def test_nothing_accepted_carries_a_forbidden_name_or_a_person_outside_pii(extra: dict[str, Any]) -> None:
    """Random unknown members: kept if harmless, never kept if not."""
    item = {**extra, **WALLET}
    try:
        accept(core=[item, CONTEXT])
    except CordonError:
        return
    assert names_in(item).isdisjoint(lists.FORBIDDEN_MEMBERS)
    assert not persons_in(item)

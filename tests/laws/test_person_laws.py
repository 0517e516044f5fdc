"""Laws about persons: whatever is sent, no protected person is accepted and no forbidden member gets in (DP-02, NP-2, NP-7)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import CordonError, ProtectedPerson
from app.domain.items import check_items
from app.domain.registry import Policy
from app.domain.vocabulary import lists
from tests.domain.item_material import CONTEXT, ENTITY, SCREEN, WALLET, changed, disclosures, member, stub

MEMBER = member(persons=True)
STUB = stub()
SCREENED = changed(CONTEXT, coercion_screen=SCREEN)
DESIGNATION = ENTITY["designations"][0]
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
    check_items(STUB, disclosures(**parts), member=MEMBER, policy=Policy())


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
        accept(core=[WALLET, SCREENED], pii=[person])
    else:
        with pytest.raises(CordonError) as caught:
            accept(core=[WALLET, SCREENED], pii=[person])
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
        accept(core=[WALLET, SCREENED], pii=pii)
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
    parts: dict[str, list[Any]] = {"core": [WALLET, SCREENED]}
    if place == "wallet":
        parts["core"] = [{**WALLET, **extra}, SCREENED]
    elif place == "context":
        parts["core"] = [WALLET, {**SCREENED, **extra}]
    else:
        parts[place] = [extra]
    with pytest.raises(CordonError):
        accept(**parts)


@given(extra=st.dictionaries(texts | st.sampled_from(["Victim", "age", "message", "kind"]), json_values, max_size=3))
def test_nothing_accepted_carries_a_forbidden_name_or_a_person_outside_pii(extra: dict[str, Any]) -> None:
    """Random unknown members: kept if harmless, never kept if not."""
    item = {**extra, **WALLET}
    try:
        accept(core=[item, SCREENED])
    except CordonError:
        return
    assert names_in(item).isdisjoint(lists.FORBIDDEN_MEMBERS)
    assert not persons_in(item)

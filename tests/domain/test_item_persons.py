"""Persons, mules and recruiters: where they may stand, who may list them, and who is referred instead (rule 4)."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.errors import PersonalData, ProtectedPerson, ReferNotList, Schema, ScopeDenied
from app.domain.vocabulary import lists
from tests.domain.item_material import (
    CONTEXT,
    ENTITY,
    INDICATOR,
    LINK,
    PERSON,
    SCREEN,
    WALLET,
    WALLET_ID,
    at_path,
    changed,
    check,
    refusal,
)

# --- rule 4: persons ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(lists.FORBIDDEN_MEMBERS))
@pytest.mark.parametrize(
    "nest", [lambda x: x, lambda x: {"a": x}, lambda x: {"a": [{"b": x}]}, lambda x: {"a": [[x]]}], ids=["top", "object", "list", "lists"]
)
@pytest.mark.parametrize("spelling", [str.lower, str.title])
def test_forbidden_names_are_refused_at_any_depth_of_any_item(name: str, nest: Any, spelling: Any) -> None:
    """There is no place for a victim in any item of any part."""
    extra = nest({spelling(name): "x"})
    for item in (WALLET, INDICATOR, ENTITY, LINK):
        assert isinstance(refusal({**item, **extra}, CONTEXT), ProtectedPerson)
    assert isinstance(refusal(WALLET, {**CONTEXT, **extra}), ProtectedPerson)
    assert isinstance(refusal(WALLET, CONTEXT, ctx=[extra]), ProtectedPerson)
    assert isinstance(refusal(WALLET, CONTEXT, pii=[extra]), ProtectedPerson)
    assert isinstance(refusal({**WALLET, "scope": {"tag": "1", **extra}}, CONTEXT), ProtectedPerson)
    assert isinstance(refusal(WALLET, at_path(CONTEXT, ("redress",), {**CONTEXT["redress"], **extra})), ProtectedPerson)


def test_names_that_only_contain_a_forbidden_word_are_kept() -> None:
    """Whole member names: `message`, `image_sha256` and `stage` are not `age` or `image`."""
    check({**WALLET, "message": "x", "image_sha256": "y", "victims_counted": 3}, CONTEXT)


def test_a_person_stands_in_pii_and_nowhere_else() -> None:
    """In `core`, nested in an unknown member, or in `ctx`: `personal_data`."""
    for core, parts in (
        ((PERSON, CONTEXT), {}),
        (({**WALLET, "owner": {"kind": "person"}}, CONTEXT), {}),
        (({**WALLET, "kind": "person"}, CONTEXT), {}),
        ((WALLET, CONTEXT), {"ctx": [{"people": [PERSON]}]}),
    ):
        assert isinstance(refusal(*core, persons=True, **parts), PersonalData)


def test_a_person_needs_the_mandate_the_status_and_the_screen() -> None:
    """Rule 4, step by step."""
    screened = changed(CONTEXT, coercion_screen=SCREEN)
    assert isinstance(refusal(WALLET, screened, pii=[PERSON]), ScopeDenied)
    got = check(WALLET, screened, pii=[PERSON], persons=True)
    assert got.person
    assert got.subjects == (WALLET_ID,)
    for status in (..., None, "victim", "witness", "missing", "Suspect", "suspect ", 5, ["suspect"]):
        error = refusal(WALLET, screened, pii=[changed(PERSON, person_status=status)], persons=True)
        assert isinstance(error, ProtectedPerson)
        assert error.faults[0].pointer == "/parts/pii/0/person_status"
    missing = refusal(WALLET, CONTEXT, pii=[PERSON], persons=True)
    assert isinstance(missing, Schema)
    assert missing.faults[0].pointer == "/parts/core/1/coercion_screen"
    unassessed = refusal(WALLET, changed(CONTEXT, coercion_screen={**SCREEN, "result": "not_assessed"}), pii=[PERSON], persons=True)
    assert isinstance(unassessed, Schema)
    assert unassessed.faults[0].pointer == "/parts/core/1/coercion_screen/result"


def test_a_person_hidden_deeper_in_pii_is_a_person() -> None:
    """`pii` is free, but not a way around the status."""
    screened = changed(CONTEXT, coercion_screen=SCREEN)
    assert isinstance(refusal(WALLET, screened, pii=[{"people": [changed(PERSON, person_status="victim")]}], persons=True), ProtectedPerson)
    assert isinstance(refusal(WALLET, screened, pii=[{"person_status": "victim"}], persons=True), ProtectedPerson)
    assert check(WALLET, CONTEXT, pii=[{"name": "Erika Mustermann", "born": "1970-01-01"}]).person is False


def test_designated_persons_come_with_the_entry_of_the_list() -> None:
    """`designated` only with a `designations` entry."""
    screened = changed(CONTEXT, coercion_screen=SCREEN)
    designated = changed(PERSON, person_status="designated")
    assert isinstance(refusal(WALLET, screened, pii=[designated], persons=True), ProtectedPerson)
    assert isinstance(refusal(WALLET, screened, pii=[changed(designated, designations=[{}])], persons=True), Schema)
    assert check(WALLET, screened, pii=[changed(designated, designations=ENTITY["designations"])], persons=True).person


@pytest.mark.parametrize(
    "item",
    [changed(WALLET, roles=["mule"]), changed(INDICATOR, roles=["cmln_motorcade"]), changed(ENTITY, kind="recruiter")],
    ids=["mule", "motorcade", "recruiter"],
)
def test_mules_and_recruiters_need_the_screen(item: dict[str, Any]) -> None:
    """The screen is required where a coerced person may stand behind the role."""
    error = refusal(item, CONTEXT)
    assert isinstance(error, Schema)
    assert error.faults[0].pointer == "/parts/core/1/coercion_screen"
    check(item, changed(CONTEXT, coercion_screen={**SCREEN, "result": "not_assessed"}))


def test_indicators_of_trafficking_are_referred_and_not_listed() -> None:
    """By the screen, or by the flag wherever it stands, before any other fault of rule 4."""
    present = changed(CONTEXT, coercion_screen={**SCREEN, "result": "indicators_present"})
    flag = {"possible_trafficking_victim": True}
    assert isinstance(refusal(WALLET, present), ReferNotList)
    assert isinstance(refusal(WALLET, present, pii=[changed(PERSON, person_status="victim")]), ReferNotList)
    assert isinstance(refusal({**WALLET, **flag}, CONTEXT), ReferNotList)
    assert isinstance(refusal({**ENTITY, "notes": [flag]}, CONTEXT), ReferNotList)
    assert isinstance(refusal(WALLET, CONTEXT, pii=[{**PERSON, **flag}]), ReferNotList)
    assert isinstance(
        refusal(WALLET, changed(CONTEXT, coercion_screen={**SCREEN, "indicators": ["possible_trafficking_victim"]})), ReferNotList
    )
    check({**WALLET, "possible_trafficking_victim": False}, CONTEXT)

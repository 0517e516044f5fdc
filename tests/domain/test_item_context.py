"""The one context of a listing: every mandatory member, its lists and forms, its term of review."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.errors import PersonalData, Schema
from app.domain.items import check_items
from app.domain.registry import Policy
from tests.domain.item_material import (
    CONTEXT,
    ENTITY,
    INDICATOR,
    SCREEN,
    WALLET,
    at_path,
    changed,
    check,
    disclosures,
    member,
    refusal,
    stub,
)

# --- the context -------------------------------------------------------------------------------------------------------

MANDATORY = [name for name in CONTEXT if name != "type"]


@pytest.mark.parametrize("name", MANDATORY)
def test_a_context_without_a_mandatory_member_is_refused_and_the_member_named(name: str) -> None:
    """DP-01: drop any, and the problem names it."""
    error = refusal(WALLET, changed(CONTEXT, **{name: ...}))
    assert isinstance(error, Schema)
    assert error.faults[0].pointer == f"/parts/core/1/{name}"
    assert error.faults[0].code == "missing"
    assert name in error.detail


@pytest.mark.parametrize("name", [name for name in WALLET if name != "type"])
@pytest.mark.parametrize("item", [WALLET, INDICATOR], ids=["wallet", "indicator"])
def test_an_item_without_a_mandatory_member_is_refused_and_the_member_named(item: dict[str, Any], name: str) -> None:
    """Reliability, credibility, basis, status, action and the rest are never assumed."""
    error = refusal(changed(item, **{name: ...}), CONTEXT)
    assert isinstance(error, Schema)
    assert error.faults[0].pointer == f"/parts/core/0/{name}"
    assert name in error.detail


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("purpose",), "curiosity"),
        (("purpose",), ["fraud_prevention"]),
        (("legal_basis",), "criminal_investigation"),
        (("legal_basis", "instrument"), ...),
        (("legal_basis", "instrument"), "hunch"),
        (("legal_basis", "reference"), 5),
        (("assertion",), "opinion"),
        (("evidence_standard",), "hunch"),
        (("evidence",), []),
        (("evidence",), {}),
        (("evidence", 0), "x"),
        (("evidence", 0, "sha256"), "AB" * 32),
        (("evidence", 0, "sha256"), ...),
        (("evidence", 0, "kind"), "rumour"),
        (("evidence", 0, "held_by"), "somebody"),
        (("evidence", 0, "held_by"), ...),
        (("review_by",), "2027-09-22"),
        (("review_by",), "20270301"),
        (("review_by",), "2027-W10-5"),
        (("review_by",), "2027-02-30"),
        (("review_by",), 1),
        (("redress",), {}),
        (("redress", "route"), "none"),
        (("redress", "contact"), ""),
        (("neutrality",), False),
        (("neutrality",), 1),
        (("summary",), "x" * 501),
        (("summary",), 5),
        (("coercion_screen",), {}),
        (("coercion_screen",), {**SCREEN, "result": "fine"}),
        (("coercion_screen",), {**SCREEN, "role": "victim"}),
        (("coercion_screen",), {**SCREEN, "assessed_at": "soon"}),
        (("coercion_screen",), {**SCREEN, "indicators": "none"}),
    ],
    ids=repr,
)
def test_a_context_outside_the_lists_and_forms_is_refused(path: tuple[str | int, ...], value: Any) -> None:
    """Each closed list and form of the context, with a pointer at the member."""
    error = refusal(WALLET, at_path(CONTEXT, path, value))
    assert isinstance(error, Schema)
    assert error.faults[0].pointer.startswith(f"/parts/core/1/{path[0]}")


def test_a_review_is_due_within_the_months_of_the_policy() -> None:
    """Twelve months after `iat` to the day, or as many as the policy says."""
    check(WALLET, changed(CONTEXT, review_by="2027-09-21"))
    strict = Policy(review_months=6)
    with pytest.raises(Schema):
        check_items(stub(), disclosures(core=[WALLET, changed(CONTEXT, review_by="2027-03-22")]), member=member(), policy=strict)


def test_a_listing_has_exactly_one_context_and_something_to_list() -> None:
    """None, two, or a context alone: refused."""
    for core in (
        (WALLET,),
        (WALLET, CONTEXT, CONTEXT),
        (CONTEXT,),
        (WALLET, CONTEXT, "x"),
        (WALLET, CONTEXT, {"type": "rumour"}),
        (WALLET, CONTEXT, {}),
    ):
        assert isinstance(refusal(*core), Schema)


def test_a_summary_with_personal_data_is_refused() -> None:
    """In the context and in an entity; the detail does not repeat it."""
    for core in ((WALLET, changed(CONTEXT, summary="Ask jane@example.org")), (changed(ENTITY, summary="born 1985-03-12"), CONTEXT)):
        error = refusal(*core)
        assert isinstance(error, PersonalData)
        assert "jane" not in error.detail
        assert "1985" not in error.detail

"""Items of requests, responses, outcomes, sightings, disputes, retractions and evidence."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.errors import PersonalData, ProtectedPerson, Schema
from app.domain.items import check_items
from app.domain.registry import Policy
from tests.domain.item_material import DISPUTE, FACTS, POLICY, REQUEST, WALLET_ID, changed, check_fact, disclosures, member, stub

# --- the other kinds ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", sorted(FACTS))
def test_the_forms_of_the_other_kinds_are_accepted(kind: str) -> None:
    """As schemas §2 shows them, with `type` and without."""
    item = FACTS[kind]
    assert check_fact(kind, item).facts == (item,)
    check_fact(kind, changed(item, type=...))
    with pytest.raises(Schema):
        check_fact(kind, {**item, "type": "wallet"})
    with pytest.raises(ProtectedPerson):
        check_fact(kind, {**item, "about": {"victim_name": "x"}})


@pytest.mark.parametrize(
    ("kind", "counts"),
    [("request", {1}), ("response", {1}), ("outcome", {1, 2}), ("sighting", {1, 2}), ("dispute", {0, 1}), ("endorse", {0, 1})],
)
def test_each_kind_has_its_number_of_items(kind: str, counts: set[int]) -> None:
    """One request, one response; outcomes and sightings by the many; a dispute may be bare."""
    for count in range(3):
        if count in counts:
            check_fact(kind, *[FACTS[kind]] * count)
        else:
            with pytest.raises(Schema):
                check_fact(kind, *[FACTS[kind]] * count)


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("request", {"action": "seize"}),
        ("request", {"subjects": []}),
        ("request", {"subjects": [WALLET_ID, WALLET_ID]}),
        ("request", {"subjects": ["0x1"]}),
        ("request", {"legal_basis": {"instrument": "court_order"}}),
        ("request", {"legal_basis": ...}),
        ("request", {"deadline": ...}),
        ("request", {"deadline": "tomorrow"}),
        ("request", {"expires_at": ...}),
        ("request", {"expires_at": "2026-01-01T00:00:00Z"}),
        ("request", {"contact": ...}),
        ("request", {"embargo_until": "2026-09-30"}),
        ("response", {"answer": "maybe"}),
        ("response", {"amount": ...}),
        ("response", {"asset": ...}),
        ("response", {"at": ...}),
        ("response", {"answer": "released", "amount": ..., "asset": ""}),
        ("response", {"answer": "declined", "reason": None}),
        ("response", {"answer": "declined", "reason": "busy"}),
        ("response", {"reason": "funds_gone"}),
        ("response", {"reviewed_by_human": ...}),
        ("response", {"reviewed_by_human": "yes"}),
        ("response", {"subjects": ["x"]}),
        ("outcome", {"result": "success"}),
        ("outcome", {"amount": ...}),
        ("outcome", {"usd_value": "1e3"}),
        ("outcome", {"usd_as_of": ...}),
        ("outcome", {"result": "persons_assisted"}),
        ("outcome", {"count": -1}),
        ("outcome", {"country": "South Korea"}),
        ("outcome", {"typologies": ["x"]}),
        ("outcome", {"confidence": 101}),
        ("outcome", {"at": ...}),
        ("sighting", {"subject": ...}),
        ("sighting", {"subject": "x"}),
        ("sighting", {"seen": "once"}),
        ("sighting", {"hour": "2026-09-21T08:30:00Z"}),
        ("sighting", {"count": 0}),
        ("dispute", {"ground": ...}),
        ("dispute", {"ground": "annoying"}),
        ("dispute", {"stage": "done"}),
        ("dispute", {"since": "always"}),
        ("endorse", {"stage": "done"}),
    ],
    ids=repr,
)
def test_the_other_kinds_outside_the_lists_and_forms_are_refused(kind: str, changes: dict[str, Any]) -> None:
    """Closed lists, required members and forms of requests, responses, outcomes, sightings and disputes."""
    with pytest.raises(Schema) as caught:
        check_fact(kind, changed(FACTS[kind], **changes))
    assert caught.value.faults[0].pointer.startswith("/parts/core/0")


def test_a_freeze_ends_within_the_days_of_the_policy() -> None:
    """DP-13: the rule table of the jurisdiction bounds each action."""
    check_fact("request", REQUEST, policy=Policy(freeze_days={"freeze": 10}))
    with pytest.raises(Schema) as caught:
        check_fact("request", REQUEST, policy=Policy(freeze_days={"freeze": 5}))
    assert caught.value.faults[0].pointer == "/parts/core/0/expires_at"
    check_fact("request", changed(REQUEST, action="inform", expires_at=..., legal_basis={"instrument": "fiu_analysis"}))


def test_persons_assisted_are_a_count() -> None:
    """A count, never names; no money with it."""
    check_fact("outcome", {"result": "persons_assisted", "count": 12, "at": "2026-09-21"})


def test_a_note_of_a_dispute_holds_no_personal_data() -> None:
    """Free text of a disclosed part is scanned."""
    with pytest.raises(PersonalData):
        check_fact("dispute", {**DISPUTE, "note": "Call +49 30 1234567"})


def test_a_retraction_says_why_in_a_word_of_the_list() -> None:
    """`ctx` {reason, note?}."""
    retraction = stub("retract", parts=("ctx",))
    got = check_items(retraction, disclosures(ctx=[{"reason": "coerced_person"}]), member=member(), policy=POLICY)
    assert got.notes == ({"reason": "coerced_person"},)
    check_items(retraction, [], member=member(), policy=POLICY)
    for note in ({"reason": "because"}, {}, "error"):
        with pytest.raises(Schema):
            check_items(retraction, disclosures(ctx=[note]), member=member(), policy=POLICY)


def test_evidence_carries_its_text() -> None:
    """`ctx` {text}."""
    check_items(stub("evidence"), disclosures(ctx=[{"text": "cordon-fork/v1\n"}]), member=None, policy=POLICY)
    with pytest.raises(Schema):
        check_items(stub("evidence"), disclosures(ctx=[{}]), member=None, policy=POLICY)

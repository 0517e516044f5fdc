"""The rules of the home gate on items: forms, closed lists, the context, roles and actions, persons, the other kinds."""

from __future__ import annotations

import copy
import time
from typing import Any

import pytest

from app.domain.errors import CordonError, PersonalData, ProtectedPerson, ReferNotList, Schema, ScopeDenied
from app.domain.items import CheckedItems, check_categories, check_embargo, check_items, collect_items, four_eyes_reason
from app.domain.labels import Label, Tlp
from app.domain.registry import Mandate, Member, MemberClass, Policy
from app.domain.statement import Disclosure, Kind, Stub
from app.domain.vocabulary import lists

IAT = 1_790_000_000  # 2026-09-21
WALLET_ID = "eip155:0:0xd88e9f990b10ce19fdc482fb21fde2f46d9ba24b"
TRON_ID = "tron:0x2b6653dc:TRoAbFf3FdcX13v1sNGhSwvhu3duvNkxAg"

WALLET: dict[str, Any] = {
    "type": "wallet",
    "id": WALLET_ID,
    "typologies": ["fraud.investment"],
    "roles": ["collection"],
    "severity": 3,
    "basis": "authority_data",
    "reliability": "B",
    "credibility": 2,
    "status": "suspected",
    "action": "review",
}
INDICATOR = {**WALLET, "type": "indicator", "id": "domain:login-wallet.example"}
ENTITY: dict[str, Any] = {
    "type": "entity",
    "id": "entity:de.bka:golden-sun",
    "kind": "company",
    "names": [{"name": "Golden Sun", "lang": "en", "kind": "primary"}],
    "jurisdictions": ["KH"],
    "summary": "Operates a compound.",
    "designations": [
        {"authority": "US Treasury", "programme": "CYBER2", "measure": "asset_freeze", "date": "2026-01-05", "reference": "SDN 12345"}
    ],
    "identifiers": [{"scheme": "lei", "value": "5493001KJTIIGC8Y1R12"}],
}
LINK: dict[str, Any] = {
    "type": "link",
    "from": WALLET_ID,
    "to": TRON_ID,
    "relation": "transfers_to",
    "tx": f"tx:eip155:1:0x{'ab' * 32}",
    "amount": "1250.50",
    "asset": "USDT",
    "at": "2026-09-02T08:00:00Z",
    "basis": "ledger_immanent",
    "confidence": 100,
}
CONTEXT: dict[str, Any] = {
    "type": "context",
    "purpose": "fraud_prevention",
    "legal_basis": {"instrument": "victim_report"},
    "assertion": "assessment",
    "evidence_standard": "reasonable_grounds",
    "evidence": [{"sha256": "ab" * 32, "kind": "victim_statement", "held_by": "issuer"}],
    "review_by": "2027-03-01",
    "redress": {"contact": "redress desk", "route": "direct"},
    "neutrality": True,
}
SCREEN: dict[str, Any] = {"result": "none_found", "role": "operator", "assessed_at": "2026-09-01", "indicators": []}
PERSON: dict[str, Any] = {
    "type": "entity",
    "kind": "person",
    "id": "entity:de.bka:p-1",
    "names": [{"name": "N. N.", "kind": "primary"}],
    "person_status": "suspect",
}
POLICY = Policy()


def member(*, persons: bool = False, categories: tuple[str, ...] = ("fraud",)) -> Member:
    mandate = Mandate(kinds=frozenset(Kind), categories=categories, tlp_max=Tlp.RED, persons=persons)
    return Member(id="de.bka", name="BKA", member_class=MemberClass.AGENCY, mandate=mandate, keys=())


def stub(kind: str = "listing", *, tlp: Tlp = Tlp.GREEN, parts: tuple[str, ...] = ("core", "ctx", "pii")) -> Stub:
    return Stub(
        issuer="de.bka",
        origin="de.example/log",
        kind=kind,
        kid="de.bka#1",
        sid="s",
        issued_at=IAT,
        expires_at=IAT + 86_400,
        label=Label(tlp),
        parts={part: Label(tlp) for part in parts},
        targets=(),
        jti=None,
        handling=(),
        licence=None,
        must=(),
        digests=(),
        claims={},
    )


def disclosures(**parts: list[Any]) -> list[Disclosure]:
    return [
        Disclosure("", "", "", f"{part}.{number}", part, number, value)
        for part, values in parts.items()
        for number, value in enumerate(values)
    ]


def check(*core: Any, persons: bool = False, tlp: Tlp = Tlp.GREEN, **parts: list[Any]) -> CheckedItems:
    return check_items(stub(tlp=tlp), disclosures(core=list(core), **parts), member=member(persons=persons), policy=POLICY)


def refusal(*core: Any, **parts: Any) -> CordonError:
    with pytest.raises(CordonError) as caught:
        check(*core, **parts)
    return caught.value


def changed(item: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {name: value for name, value in {**item, **changes}.items() if value is not ...}


def at_path(item: dict[str, Any], path: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    """A deep copy of `item` with the value at `path` set, or taken away for `...`."""
    result = copy.deepcopy(item)
    owner: Any = result
    for step in path[:-1]:
        owner = owner[step]
    if value is ...:
        del owner[path[-1]]
    else:
        owner[path[-1]] = value
    return result


# --- what is accepted --------------------------------------------------------------------------------------------------


def test_the_forms_of_the_specification_are_accepted() -> None:
    """One wallet, indicator, entity and link as schemas §2 shows them, with every optional member."""
    wallet = changed(
        WALLET,
        first_seen="2026-09-02",
        last_seen="2026-09-03T00:00:00Z",
        assets=["USDT"],
        entity="entity:de.bka:golden-sun",
        vasp="kr.exchange",
        embargo_until="2026-11-25T00:00:00Z",
        scope={"chains": ["eip155:56"], "tag": "12345"},
        designation={"list": "OFAC SDN", "entry": "12345", "date": "2026-01-05"},
        future_member={"kept": ["and", "ignored"]},
    )
    got = check(wallet, INDICATOR, ENTITY, LINK, CONTEXT)
    assert [(row.number, row.type, row.id) for row in got.rows] == [
        (0, "wallet", WALLET_ID),
        (1, "indicator", "domain:login-wallet.example"),
        (2, "entity", "entity:de.bka:golden-sun"),
    ]
    assert got.rows[0].value is wallet
    assert [(link.number, link.source, link.target) for link in got.links] == [(3, WALLET_ID, TRON_ID)]
    assert got.context is CONTEXT
    assert got.subjects == (WALLET_ID, "domain:login-wallet.example")
    assert got.typologies == {"fraud.investment"}
    assert (got.person, got.hold, got.clear, got.guards) == (False, False, False, ())


@pytest.mark.parametrize("item", [ENTITY, LINK], ids=["entity", "link"])
def test_a_listing_may_be_of_an_entity_or_a_link_alone(item: dict[str, Any]) -> None:
    """One or more wallet, indicator, entity, link."""
    assert check(item, CONTEXT).subjects == ()


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


# --- forms of items ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("typologies", []),
        ("typologies", "fraud"),
        ("typologies", ["fraud", "fraud"]),
        ("typologies", ["piracy"]),
        ("typologies", ["fraud.<b>"]),
        ("typologies", ["fraud."]),
        ("typologies", [1]),
        ("typologies", [["fraud"]]),
        ("roles", "collection"),
        ("roles", ["boss"]),
        ("roles", ["collection", "collection"]),
        ("roles", [{}]),
        ("severity", 5),
        ("severity", -1),
        ("severity", True),
        ("severity", 3.0),
        ("severity", "3"),
        ("basis", "rumour"),
        ("basis", ["heuristic"]),
        ("reliability", "G"),
        ("reliability", "b"),
        ("credibility", 0),
        ("credibility", 7),
        ("credibility", False),
        ("status", "disputed"),
        ("action", "freeze"),
        ("first_seen", "yesterday"),
        ("first_seen", "2026-09-02T08:00:00+02:00"),
        ("last_seen", None),
        ("assets", "USDT"),
        ("assets", [""]),
        ("entity", "golden-sun"),
        ("entity", WALLET_ID),
        ("vasp", "some exchange"),
        ("vasp", ""),
        ("embargo_until", "2026-11-25"),
        ("embargo_until", "2026-11-25T24:00:00Z"),
        ("scope", []),
        ("scope", {"chains": []}),
        ("scope", {"chains": ["BSC"]}),
        ("scope", {"tag": 5}),
        ("designation", "OFAC"),
        ("designation", {"list": "OFAC SDN", "entry": "1"}),
        ("id", "0xd88e9f990b10ce19fdc482fb21fde2f46d9ba24b"),
        ("id", "eip155:0:0xD88e9f990b10ce19fdc482fb21fde2f46d9ba24b"),
        ("id", "domain:login-wallet.example"),
        ("id", "entity:de.bka:golden-sun"),
        ("id", 5),
    ],
    ids=repr,
)
def test_a_wallet_outside_the_lists_and_forms_is_refused(name: str, value: Any) -> None:
    """Each member has one form; the fault points at it."""
    error = refusal(changed(WALLET, **{name: value}), CONTEXT)
    assert isinstance(error, Schema)
    assert error.faults[0].pointer.startswith(f"/parts/core/0/{name}")


def test_the_fault_of_a_bad_id_carries_the_code_of_the_address_error() -> None:
    """`schema` with `checksum` in `errors[].code` (schemas §4.1)."""
    error = refusal(changed(WALLET, id=TRON_ID[:-1] + "h"), CONTEXT)
    assert isinstance(error, Schema)
    assert error.faults[0].pointer == "/parts/core/0/id"
    assert error.faults[0].code == "checksum"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("id",), "entity:de.bka:Golden Sun"),
        (("id",), ...),
        (("kind",), "club"),
        (("kind",), ...),
        (("names",), []),
        (("names",), ...),
        (("names", 0, "name"), ""),
        (("names", 0, "kind"), "nickname"),
        (("names", 0, "lang"), "English, please"),
        (("jurisdictions",), ["kh"]),
        (("jurisdictions",), ["XQZ"]),
        (("designations", 0, "measure"), "ban"),
        (("designations", 0, "date"), ...),
        (("designations", 0, "authority"), ...),
        (("identifiers", 0, "scheme"), ...),
        (("identifiers",), "lei"),
    ],
    ids=repr,
)
def test_an_entity_outside_the_lists_and_forms_is_refused(path: tuple[str | int, ...], value: Any) -> None:
    """Forms of entities."""
    error = refusal(at_path(ENTITY, path, value), CONTEXT)
    assert isinstance(error, Schema)
    assert error.faults[0].pointer.startswith(f"/parts/core/0/{path[0]}")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("from", ...),
        ("from", "somewhere"),
        ("to", ...),
        ("relation", "knows"),
        ("basis", "rumour"),
        ("confidence", 101),
        ("confidence", True),
        ("amount", "1,250.50"),
        ("amount", "-1"),
        ("amount", "01"),
        ("amount", 5),
        ("asset", ...),
        ("at", "2026-09-02"),
        ("tx", "0xabc"),
    ],
    ids=repr,
)
def test_a_link_outside_the_lists_and_forms_is_refused(name: str, value: Any) -> None:
    """Forms of links; an amount stands beside its asset."""
    error = refusal(changed(LINK, **{name: value}), CONTEXT)
    assert isinstance(error, Schema)
    assert error.faults[0].pointer == f"/parts/core/0/{name}"


def test_a_newer_typology_is_taken_under_its_known_parent() -> None:
    """An unknown code below a known one is kept; the mandate for the parent covers it."""
    got = check(changed(WALLET, typologies=["fraud.investment.ai_trading"]), CONTEXT)
    check_categories(got, member(categories=("fraud.investment",)))


# --- rules 1 to 3 ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", sorted(lists.ACTIONS))
@pytest.mark.parametrize("assertion", sorted(lists.ASSERTIONS))
@pytest.mark.parametrize("standard", lists.EVIDENCE_STANDARDS)
@pytest.mark.parametrize("instrument", sorted(lists.INSTRUMENTS))
def test_strong_actions_need_strong_grounds(action: str, assertion: str, standard: str, instrument: str) -> None:
    """The whole matrix of rule 1: a clear and rigorous fact, or a competent instrument (DP-03, DP-16)."""
    context = changed(CONTEXT, assertion=assertion, evidence_standard=standard, legal_basis={"instrument": instrument})
    strong = action in ("block", "hold_and_report")
    grounds = instrument in ("court_order", "fiu_suspension", "criminal_investigation", "sanctions") or (
        assertion == "fact" and standard in ("clear_and_rigorous", "adjudicated")
    )
    if strong and not grounds:
        error = refusal(changed(WALLET, action=action), context)
        assert isinstance(error, Schema)
        assert error.faults[0].pointer == "/parts/core/0/action"
    else:
        assert check(changed(WALLET, action=action), context).hold is strong


def test_the_wallet_of_a_victim_is_never_listed() -> None:
    """Not with any action, not beside other roles."""
    for action in lists.INFORMATIVE_ACTIONS:
        assert isinstance(refusal(changed(WALLET, roles=["collection", "victim_wallet"], action=action), CONTEXT), Schema)


@pytest.mark.parametrize("role", sorted(lists.INFORMATIVE_ROLES))
@pytest.mark.parametrize("action", sorted(lists.ACTIONS))
def test_what_must_not_be_blocked_takes_informative_actions_only(role: str, action: str) -> None:
    """Exchanges, tokens, bridges and benign services: monitor or do_not_block (domain.md, decision 5)."""
    context = changed(CONTEXT, legal_basis={"instrument": "court_order"})
    item = changed(WALLET, roles=[role], action=action)
    if action in ("monitor", "do_not_block"):
        got = check(item, context)
        assert got.guards == ((WALLET_ID,) if (role, action) == ("service_benign", "do_not_block") else ())
    else:
        assert isinstance(refusal(item, context), Schema)


def test_a_guard_needs_no_typology_and_an_accusation_does() -> None:
    """An allow-list entry accuses nobody."""
    got = check(changed(WALLET, typologies=[], roles=["service_benign"], action="do_not_block", severity=0), CONTEXT)
    assert got.guards == (WALLET_ID,)
    assert isinstance(refusal(changed(WALLET, typologies=[]), CONTEXT), Schema)


@pytest.mark.parametrize("vasp", ["kr.exchange", "5493001KJTIIGC8Y1R12", "exchange.example.com"])
def test_a_deposit_address_names_its_vasp(vasp: str) -> None:
    """`cash_out_deposit` without `vasp` is refused; a member id, an LEI or a domain will do."""
    item = changed(WALLET, roles=["cash_out_deposit"])
    assert refusal(item, CONTEXT).faults[0].pointer == "/parts/core/0/vasp"
    check(changed(item, vasp=vasp), CONTEXT)


def test_a_sanctions_entry_names_list_entry_and_date() -> None:
    """`designation` is required with `sanctions.listed`."""
    item = changed(WALLET, typologies=["sanctions.listed"])
    assert refusal(item, CONTEXT).faults[0].pointer == "/parts/core/0/designation"
    check(changed(item, designation={"list": "OFAC SDN", "entry": "12345", "date": "2026-01-05"}), CONTEXT)


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


# --- what the gate asks afterwards -------------------------------------------------------------------------------------


def test_every_typology_lies_within_the_mandate() -> None:
    """One code outside is `scope_denied`, with a pointer at its item; a category covers its narrower codes."""
    got = check(WALLET, changed(INDICATOR, typologies=["fraud.job", "theft.exploit"]), CONTEXT)
    check_categories(got, member(categories=("fraud", "theft.exploit")))
    with pytest.raises(ScopeDenied) as caught:
        check_categories(got, member(categories=("fraud",)))
    assert caught.value.faults[0].pointer == "/parts/core/1/typologies"
    with pytest.raises(ScopeDenied):
        check_categories(got, None)


def test_a_clear_item_under_an_open_freeze_needs_an_embargo() -> None:
    """Rule 6: the public page must not warn the owner."""
    got = check(WALLET, CONTEXT, tlp=Tlp.CLEAR)
    assert (got.clear, got.unembargoed) == (True, (WALLET_ID,))
    check_embargo(got, {TRON_ID})
    with pytest.raises(Schema) as caught:
        check_embargo(got, {WALLET_ID})
    assert caught.value.faults[0].pointer == "/parts/core/0/embargo_until"
    check_embargo(check(changed(WALLET, embargo_until="2026-12-01T00:00:00Z"), CONTEXT, tlp=Tlp.CLEAR), {WALLET_ID})
    check_embargo(check(WALLET, CONTEXT), {WALLET_ID})


def test_four_eyes_look_where_the_policy_says() -> None:
    """Persons, holds and CLEAR listings, each only if the policy names it."""
    screened = changed(CONTEXT, coercion_screen=SCREEN, legal_basis={"instrument": "court_order"})
    person = check(WALLET, screened, pii=[PERSON], persons=True)
    hold = check(changed(WALLET, action="block"), screened)
    clear = check(WALLET, screened, tlp=Tlp.CLEAR)
    for words, expected in (
        ((), (None, None, None)),
        (("person", "hold", "clear"), ("person", "hold", "clear")),
        (("clear",), (None, None, "clear")),
    ):
        policy = Policy(four_eyes=frozenset(words))
        assert tuple(four_eyes_reason(one, policy) for one in (person, hold, clear)) == expected


# --- the other kinds ---------------------------------------------------------------------------------------------------

REQUEST: dict[str, Any] = {
    "type": "request",
    "action": "freeze",
    "subjects": [WALLET_ID],
    "legal_basis": {"instrument": "court_order", "reference": "12 Gs 3/26"},
    "deadline": "2026-09-22T00:00:00Z",
    "expires_at": "2026-09-30T00:00:00Z",
    "contact": "desk@police.example",
    "embargo_until": "2026-09-30T00:00:00Z",
}
RESPONSE: dict[str, Any] = {
    "answer": "partly_held",
    "amount": "900",
    "asset": "USDT",
    "subjects": [WALLET_ID],
    "at": "2026-09-21T00:00:00Z",
    "reason": None,
    "reviewed_by_human": True,
}
OUTCOME: dict[str, Any] = {
    "type": "outcome",
    "result": "funds_frozen",
    "amount": "900",
    "asset": "USDT",
    "usd_value": "899.10",
    "usd_as_of": "2026-09-21",
    "count": None,
    "country": "KR",
    "typologies": ["fraud.investment"],
    "confidence": 90,
    "at": "2026-09-21",
}
SIGHTING: dict[str, Any] = {"type": "sighting", "subject": WALLET_ID, "seen": "attempted", "hour": "2026-09-21T08:00:00Z", "count": 1}
DISPUTE: dict[str, Any] = {
    "ground": "not_mine",
    "stage": "under_review",
    "since": "2026-09-20",
    "note": "The holder shows another contract.",
}
FACTS = {
    "request": REQUEST,
    "response": RESPONSE,
    "outcome": OUTCOME,
    "sighting": SIGHTING,
    "dispute": DISPUTE,
    "endorse": {"note": "We know it too."},
}


def check_fact(kind: str, *items: Any, policy: Policy = POLICY, ctx: list[Any] | None = None) -> CheckedItems:
    return check_items(stub(kind), disclosures(core=list(items), ctx=ctx or []), member=member(), policy=policy)


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
    check_items(retraction, disclosures(ctx=[{"reason": "coerced_person"}]), member=member(), policy=POLICY)
    check_items(retraction, [], member=member(), policy=POLICY)
    for note in ({"reason": "because"}, {}, "error"):
        with pytest.raises(Schema):
            check_items(retraction, disclosures(ctx=[note]), member=member(), policy=POLICY)


def test_evidence_carries_its_text() -> None:
    """`ctx` {text}."""
    check_items(stub("evidence"), disclosures(ctx=[{"text": "cordon-fork/v1\n"}]), member=None, policy=POLICY)
    with pytest.raises(Schema):
        check_items(stub("evidence"), disclosures(ctx=[{}]), member=None, policy=POLICY)


# --- a peer's copy -----------------------------------------------------------------------------------------------------


def test_a_peer_keeps_what_it_can_read_and_refuses_nothing() -> None:
    """Newer words and unreadable items are carried or left out; the rest is indexed."""
    newer = changed(WALLET, action="explain", roles=["collection", "new_role"], typologies=["piracy"])
    half = changed(LINK, to="somewhere")
    odd: list[Any] = [
        half,
        changed(half, **{"from": "nowhere", "to": WALLET_ID}),
        {"type": "wallet", "id": "0x1"},
        {"type": "wallet", "id": 5},
        {"type": "hologram", "id": WALLET_ID},
        "x",
        {"type": ["wallet"]},
        None,
    ]
    guard = changed(INDICATOR, roles=["service_benign"], action="do_not_block")
    got = collect_items(stub(tlp=Tlp.CLEAR), disclosures(core=[newer, guard, ENTITY, LINK, CONTEXT, *odd], pii=[PERSON]))
    assert [row.id for row in got.rows] == [WALLET_ID, INDICATOR["id"], ENTITY["id"]]
    assert got.guards == (INDICATOR["id"],)
    assert len(got.links) == 1
    assert got.context == CONTEXT
    assert got.clear
    assert collect_items(stub("sighting"), disclosures(core=[SIGHTING])).facts == (SIGHTING,)
    assert collect_items(stub(), []).context is None


def test_an_ordinary_wallet_is_checked_in_microseconds() -> None:
    """250 wallets a statement: the rules cost far less than the signatures around them."""
    core = [changed(WALLET, id=f"eip155:0:0x{number:040x}") for number in range(1, 251)] + [CONTEXT]
    given = disclosures(core=core)
    best = min(_timed(given) for _ in range(5))
    assert best / 250 < 60e-6  # generous for a loaded machine; the benchmark says what it is


def _timed(given: list[Disclosure]) -> float:
    began = time.perf_counter()
    check_items(stub(), given, member=member(), policy=POLICY)
    return time.perf_counter() - began

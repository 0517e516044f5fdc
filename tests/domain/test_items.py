"""The home gate on the items of a listing: what is accepted, forms, closed lists, actions and roles; and a peer's copy."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.errors import Schema, ScopeDenied
from app.domain.items import check_categories, check_embargo, collect_items, four_eyes_reason
from app.domain.labels import Tlp
from app.domain.registry import Policy
from app.domain.vocabulary import lists
from tests.domain.item_material import (
    CONTEXT,
    ENTITY,
    INDICATOR,
    LINK,
    PERSON,
    SCREEN,
    SIGHTING,
    TRON_ID,
    WALLET,
    WALLET_ID,
    at_path,
    changed,
    check,
    disclosures,
    member,
    refusal,
    stub,
)

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

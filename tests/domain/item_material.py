"""Good items of every type, and the few steps by which the tests of items bend them."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from app.domain.errors import CordonError
from app.domain.items import CheckedItems, check_items
from app.domain.labels import Label, Tlp
from app.domain.registry import Mandate, Member, MemberClass, Policy
from app.domain.statement import Disclosure, Kind, Stub

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

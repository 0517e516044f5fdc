"""`/compat/trm`: sanctions screening and wallet screening (domain §2.3, §2.4).

A listing is OWNERSHIP, a declared counterparty COUNTERPARTY, any other relation INDIRECT. We know no volumes: they are "0", and never
decide anything here. A row that cannot be read refuses the request, as their answer has no place for it and `false` would be a lie.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.responses import Response

from app.api import examples_compat as ex
from app.api import schemas as s
from app.api.bodies import as_model, read_body
from app.api.callers import JSON, Visit
from app.api.compat.callers import Looking, answer, note
from app.api.compat.docs import told
from app.api.docs import takes
from app.domain.address import Wallet
from app.domain.answer import Listing, Moment, Relation
from app.domain.canonical import JsonValue
from app.domain.confirmed import Recalled
from app.domain.errors import Fault, InvalidAddress
from app.domain.vocabulary import TYPOLOGIES, nearest_known

router = APIRouter(prefix="/compat/trm", tags=["compatible"])

_PROBLEMS = "bad_json unsupported_media_type invalid_address idempotency_mismatch in_progress"
_LEVELS = ((0, "Unknown"), (1, "Low"), (5, "Medium"), (10, "High"), (15, "Severe"))
# Theirs where one is known; else ours, marked so that no client takes it for one of theirs.
_CATEGORIES = {
    "sanctions": ("Sanctions", "69"),
    "theft": ("Hacked or Stolen Funds", "34"),
    "fraud": ("Scam", None),
    "laundering.mixing": ("Mixer", None),
    "extortion.ransomware": ("Ransomware", None),
    "other.terror_financing": ("Terrorist financing", None),
    "other.csam": ("CSAM", None),
    "trafficking": ("Human trafficking", None),
}

M = TypeVar("M", bound=BaseModel)


@router.post(
    "/public/v1/sanctions/screening",
    operation_id="compat_trm_sanctions",
    summary="TRM sanctions screening: whether each address is listed by a confirmed statement.",
    openapi_extra=takes({JSON: ex.TRM_SANCTION_QUERIES}, s.TrmSanctionQueries),
    responses=told("One a query, in order.", s.TrmSanctions, ex.TRM_SANCTIONS, s.TrmError, _PROBLEMS, errors={}),
)
async def compat_trm_sanctions(visit: Looking) -> Response:
    """`isSanctioned` is the imitated word for: listed here, with status confirmed, for whatever reason."""
    body = await visit.request.body()
    asked = as_model(read_body(visit.request, body), s.TrmSanctionQueries).root

    async def work() -> Response:
        rows, moment = await _recall(visit, [(one.address, None) for one in asked], with_related=False)
        words: list[JsonValue] = [
            {"address": one.address, "isSanctioned": bool(row.statements)} for one, row in zip(asked, rows, strict=True)
        ]
        return answer(visit, words, moment)

    return await visit.once(body, work)


@router.post(
    "/public/v2/screening/addresses",
    operation_id="compat_trm_wallets",
    summary="TRM wallet screening: what was confirmed of each wallet, and of those related to it.",
    openapi_extra=takes({JSON: ex.TRM_WALLET_QUERIES}, s.TrmWalletQueries),
    responses=told("One a query, in order.", s.TrmWallets, ex.TRM_WALLETS, s.TrmError, _PROBLEMS, errors={}),
)
async def compat_trm_wallets(visit: Looking) -> Response:
    """Levels are our severities 0 to 4 as 0, 1, 5, 10, 15."""
    body = await visit.request.body()
    asked = as_model(read_body(visit.request, body), s.TrmWalletQueries).root

    async def work() -> Response:
        rows, moment = await _recall(visit, [(one.address, one.chain) for one in asked], with_related=True)
        base = visit.api.node.identity.public_url
        words: list[JsonValue] = [wallet(one, row, base) for one, row in zip(asked, rows, strict=True)]
        return answer(visit, words, moment)

    return await visit.once(body, work)


async def _recall(visit: Visit, queries: Sequence[tuple[str, str | None]], *, with_related: bool) -> tuple[list[Recalled], Moment]:
    """All of them at one moment; InvalidAddress names every row that cannot be read."""
    visit.spend_addresses(len(queries))
    recall = visit.api.node.recall
    moment, rows, faults = recall.now(), list[Recalled](), list[Fault]()
    for number, (text, chain) in enumerate(queries):
        try:
            rows.append(await recall.one(text, visit.caller.reader, moment, chain=chain))
        except InvalidAddress as error:
            faults.append(Fault(f"/{number}/address", error.code, error.detail))
    if faults:
        await note(visit, [], moment, invalid=len(faults))
        where = "; ".join(f"{fault.pointer}: {fault.code}, {fault.detail}" for fault in faults[:10])
        raise InvalidAddress(faults[0].code, f"nothing was screened, {len(faults)} of the addresses cannot be read: {where}")
    await note(visit, rows, moment, with_related=with_related)
    return rows, moment


def wallet(asked: s.TrmWalletQuery, row: Recalled, base_url: str) -> JsonValue:
    """One answer in their words."""
    subject = row.subject
    related = [(one, _RISK_TYPES.get(hit.relation, "INDIRECT")) for hit in row.related for one in hit.statements]
    indicators = dict.fromkeys((_risk(one), kind) for one, kind in [*((one, "OWNERSHIP") for one in row.statements), *related])
    return {
        "accountExternalId": asked.accountExternalId,
        "address": subject.address if isinstance(subject, Wallet) else subject.id,
        "addressSubmitted": asked.address,
        "addressIncomingVolumeUsd": "0",
        "addressOutgoingVolumeUsd": "0",
        "addressTotalVolumeUsd": "0",
        "addressRiskIndicators": [_indicator(risk, kind) for risk, kind in indicators],
        "chain": asked.chain,
        "entities": [_entity(one, base_url) for one in row.statements],
        "externalId": asked.externalId,
        "trmAppUrl": f"{base_url}/v1/wallets/{subject.id}" if isinstance(subject, Wallet) else f"{base_url}/v1/indicators",
    }


_RISK_TYPES = {Relation.COUNTERPARTY: "COUNTERPARTY"}
Risk = tuple[str, str, int]
"""Category, its id, severity."""


def _risk(listing: Listing) -> Risk:
    codes = listing.item.get("typologies")
    first = str(codes[0]) if isinstance(codes, list) and codes else "other.unknown"
    name, id_ = category(first)
    severity = listing.item.get("severity")
    return name, id_, min(max(severity, 0), 4) if isinstance(severity, int) else 0


def category(code: str) -> tuple[str, str]:
    """Their name and number for a typology, or ours: the number then begins with `cordon-`."""
    known = nearest_known(code) or "other"
    parent: str | None = known
    while parent is not None:
        if parent in _CATEGORIES:
            name, id_ = _CATEGORIES[parent]
            return name, id_ or f"cordon-{TYPOLOGIES[parent].number}"
        parent = TYPOLOGIES[parent].broader
    return TYPOLOGIES[known].label.capitalize(), f"cordon-{TYPOLOGIES[known].number}"


def _indicator(risk: Risk, kind: str) -> JsonValue:
    name, id_, severity = risk
    level, label = _LEVELS[severity]
    return {
        "category": name,
        "categoryId": id_,
        "categoryRiskScoreLevel": level,
        "categoryRiskScoreLevelLabel": label,
        "incomingVolumeUsd": "0",
        "outgoingVolumeUsd": "0",
        "totalVolumeUsd": "0",
        "riskType": kind,
    }


def _entity(listing: Listing, base_url: str) -> JsonValue:
    name, id_, severity = _risk(listing)
    level, label = _LEVELS[severity]
    entity = listing.item.get("entity")
    return {
        "category": name,
        "categoryId": id_,
        "entity": entity if isinstance(entity, str) else None,
        "riskScoreLevel": level,
        "riskScoreLevelLabel": label,
        "trmAppUrl": f"{base_url}/v1/statements/{listing.sid}",
        "trmUrn": f"/statement/{listing.sid}",
    }

"""`/compat/chainalysis`: the sanctions screening API, one address a request (domain §2.1).

Every confirmed listing is an identification; `category` says in Chainalysis' words of which kind, so `sanctions` stands only where a
sanctions list is named.
"""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from app.api import examples_compat as ex
from app.api import schemas as s
from app.api.compat.callers import Looking, answer, note
from app.api.compat.docs import told
from app.domain.answer import Listing, day_text, shown_state
from app.domain.canonical import JsonValue
from app.domain.errors import InvalidAddress
from app.domain.vocabulary import TYPOLOGIES, nearest_known

router = APIRouter(prefix="/compat/chainalysis", tags=["compatible"])

INVALID_KEY = {"message": "Invalid API Key"}


@router.get(
    "/api/v1/address/{address}",
    operation_id="compat_chainalysis_address",
    summary="Chainalysis sanctions screening: what was confirmed of one address.",
    responses=told(
        "One identification a confirmed listing; none if there is none, which does not mean that the address is safe.",
        s.ChainalysisAddress,
        ex.CHAINALYSIS,
        s.ChainalysisError,
        "invalid_address",
        errors={"unauthenticated": INVALID_KEY},
    ),
)
async def compat_chainalysis_address(visit: Looking, address: str) -> Response:
    """Any spelling; an address that cannot be read is 400, never an empty list."""
    visit.spend_addresses(1)
    recall, moment = visit.api.node.recall, visit.api.node.recall.now()
    try:
        row = await recall.one(address, visit.caller.reader, moment)
    except InvalidAddress:
        await note(visit, [], moment, invalid=1)
        raise
    await note(visit, [row], moment)
    base = visit.api.node.identity.public_url
    state = [(one, shown_state(one, visit.caller.reader, moment)) for one in row.statements]
    return answer(visit, {"identifications": [identification(one, shown, base) for one, shown in state]}, moment)


def identification(listing: Listing, state: str, base_url: str) -> JsonValue:
    """One confirmed listing in their words."""
    category = category_of(listing)
    issuer = "member agency" if "NO-ATTRIBUTION" in listing.handling else listing.issuer_name
    said = listing.item.get("designation")
    if isinstance(said, dict):
        name = f"SANCTIONS: {said.get('list')} {said.get('entry')} : {said.get('date')}"
    else:
        name = f"{category.upper()}: {issuer} : {day_text(listing.accepted_ms // 1000)}"
    where = f" ({listing.country})" if listing.country else ""
    kinds = ", ".join(_labels(listing)) or "no typology"
    description = f"{issuer}{where}: {kinds}; confirmed{'' if state == 'active' else '; ' + state}"
    return {"category": category, "name": name, "description": description, "url": f"{base_url}/v1/statements/{listing.sid}"}


def category_of(listing: Listing) -> str:
    """Their word for the first typology, that of sanctions before all others."""
    words = [word for code in _codes(listing) for word in _words(code)]
    if any(code.partition(".")[0] == "sanctions" for code in _codes(listing)):
        return "sanctions"
    return words[0] if words else "other"


def _words(code: str) -> tuple[str, ...]:
    known = nearest_known(code)
    return TYPOLOGIES[known].mappings["chainalysis"] if known else ()


def _labels(listing: Listing) -> list[str]:
    return [TYPOLOGIES[known].label if (known := nearest_known(code)) else code for code in _codes(listing)]


def _codes(listing: Listing) -> list[str]:
    codes = listing.item.get("typologies")
    return [str(code) for code in codes] if isinstance(codes, list) else []

"""Signed receipts of screenings: `receipt: true` in `POST /v1/screen`, and the same again by id (schemas §4.2, §4.4)."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter
from starlette.responses import Response

from app.api import examples_views as ex
from app.api import schemas as s
from app.api.callers import ReadingReceipts, Visit
from app.api.docs import answers
from app.domain.answer import Match
from app.domain.canonical import JsonValue
from app.domain.errors import TooLarge
from app.domain.permission import Action, permit
from app.domain.policy_rules import Policy
from app.domain.screening_receipt import MOST_ITEMS
from app.domain.viewing import CLEAR, GREEN
from app.services.screen import Caller as Asker
from app.services.screen import Query as Row
from app.storage.receipts import HeadNote

router = APIRouter(prefix="/v1/receipts", tags=["screening"])


async def screen_with_receipt(
    visit: Visit, rows: Sequence[Row], asker: Asker, *, hits_only: bool, policy: Policy | None = None
) -> dict[str, JsonValue]:
    """All rows in one step under a view head of the caller's tier, told only once access log and receipt are durable."""
    permit(visit.caller, Action.READ_RECEIPTS)
    if len(rows) > MOST_ITEMS:
        raise TooLarge(f"{len(rows)} items with a receipt: at most {MOST_ITEMS}, ask in parts or without one")
    node = visit.api.node
    tier = GREEN if visit.caller.tier == GREEN else CLEAR
    published, screened = await node.views.answer_under(tier, lambda tx: node.screening.screen_in(tx, rows, asker, policy=policy))
    head = HeadNote(published.digest, tier, published.head.as_of, published.note)
    await node.access_log.record(screened.entries)
    attested = await node.attestation.attest(visit.caller.member, screened.rows, screened.moment, head)
    shown: list[JsonValue] = [one for one in screened.results if not hits_only or one["match"] != Match.NOT_LISTED]
    proof: dict[str, JsonValue] = {"receipt": attested.token, "receipt_id": attested.rid, "salts": [*attested.salts]}
    return {**screened.frame, **proof, "results": shown}


@router.get(
    "/{rid}",
    operation_id="get_receipt",
    summary="A signed receipt of one's own, with the view head that it names.",
    responses=answers("As it was given; the salts are the client's alone.", s.KeptReceipt, ex.RECEIPT, "not_found not_acceptable"),
)
async def get_receipt(visit: ReadingReceipts, rid: str) -> Response:
    """Of others' receipts it is not told that they exist."""
    kept = await visit.api.node.attestation.kept(rid)
    permit(visit.caller, Action.READ_RECEIPTS, owner=kept.owner)
    return await visit.stored({"receipt_id": kept.rid, "receipt": kept.token, "head": kept.head.note})

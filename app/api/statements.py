"""Statements: submitting them, reading them back, their proofs, and what waits for a second key (schemas §4.1)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated

import orjson
from fastapi import APIRouter, Query
from starlette.responses import Response

from app.api import examples as ex
from app.api import schemas as s
from app.api.bodies import media_type, read_ascii
from app.api.callers import JSON, NDJSON, NO_STORE, PRIVATE, TEXT, Reading, ReadingHeld, ReadingText, Submitting, Visit, policy_of
from app.api.context import Api
from app.api.docs import TextResponse, answers, takes
from app.api.limits import Policy
from app.api.problems import problem_words
from app.domain.answer import epoch_ms
from app.domain.canonical import JsonValue
from app.domain.errors import CordonError, Malformed, Refused, TooLarge, UnsupportedMediaType
from app.services.admit import Admitted, Result, Status

router = APIRouter(tags=["statements"])

BATCH_MOST = 500
SD_JWT = "application/sd-jwt"
GIVES = (JSON, TEXT, NDJSON)
"""What a submission may be answered with."""
_STATUS = {Status.ACCEPTED: 201, Status.KNOWN: 200, Status.HELD: 202}
_WIDE = frozenset({"CLEAR", "GREEN"})


@router.post(
    "/v1/statements",
    operation_id="submit_statements",
    summary="Submit one signed statement, or up to 500, one a line.",
    openapi_extra=takes({SD_JWT: ex.WIRE, TEXT: ex.WIRE + "\n" + ex.WIRE}),
    responses=answers(
        {201: "New.", 200: "Known: the first receipt. Or a batch: one row a line.", 202: "Held for a second key."},
        s.Submission,
        ex.SUBMISSION,
        "malformed bad_header bad_json unknown_kid bad_signature key_not_valid wrong_origin scope_denied edge_not_authorised jti_conflict "
        "target_not_earlier too_large unsupported_media_type schema unknown_kind clock_skew validity tlp disclosure_mismatch weak_salt "
        "edge_visibility personal_data_in_stub personal_data protected_person refer_not_list quota log_frozen idempotency_mismatch in_progress",
        others={NDJSON: ex.SUBMISSION_ROWS, TEXT: ex.RECEIPT},
    ),
    status_code=201,
)
async def submit_statements(visit: Submitting) -> Response:
    """The signature is the authority: no key is needed. What is refused counts against the sender, what is accepted against its mandate."""
    visit.require_rest()
    kind = media_type(visit.request)
    body = await visit.request.body()
    wires = wires_in(kind, body)

    async def work() -> Response:
        results = await visit.api.node.gate.submit(wires)
        count_refused(visit.api, visit.who, policy_of(visit.api, visit.caller), results)
        accept = visit.request.headers.get("accept", "")
        return answer_to(kind, results, accept=accept, path=visit.request.scope["path"], request_id=visit.passage.id)

    return await visit.once(body, work)


def wires_in(kind: str, body: bytes) -> list[str]:
    """The statements of a body of this media type."""
    if kind == SD_JWT:
        return [read_ascii(body)]
    if kind == TEXT:
        return _lines(read_ascii(body))
    raise UnsupportedMediaType(f"send `Content-Type: {SD_JWT}` (one statement) or `{TEXT}` (one a line)")


def _lines(text: str) -> list[str]:
    lines = text.removesuffix("\n").split("\n")
    if lines == [""]:
        raise Malformed("the body is empty: send one statement a line")
    if len(lines) > BATCH_MOST:
        raise TooLarge(f"{len(lines)} statements in one request: at most {BATCH_MOST}")
    return lines


def count_refused(api: Api, who: str, asked: Policy, results: Iterable[Result]) -> None:
    """Refusals cost the sender: who signs what is accepted is bounded by his mandate, who sends rubbish by this."""
    refused = sum([isinstance(result, Refused) for result in results])
    api.limiter.spend(who, asked, min(refused, api.limiter.left(who, asked)))


def answer_to(kind: str, results: Sequence[Result], *, accept: str, path: str, request_id: str) -> Response:
    """One receipt, or a row a line. Raises the refusal of a single statement."""
    if kind == TEXT:
        return _rows(results, path, request_id)
    (result,) = results
    if isinstance(result, CordonError):
        raise result
    if result.receipt is not None and TEXT in accept and JSON not in accept:
        return Response(result.receipt, status_code=_STATUS[result.status], media_type=TEXT)
    return Response(orjson.dumps(_words(result)), status_code=_STATUS[result.status], media_type=JSON, headers={"Cache-Control": NO_STORE})


def _rows(results: Iterable[Result], path: str, request_id: str) -> Response:
    lines = []
    for row, result in enumerate(results, 1):
        if isinstance(result, CordonError):
            problem = problem_words(result, instance=path, request_id=request_id)
            lines.append(orjson.dumps({"row": row, "error": problem}))
        else:
            lines.append(orjson.dumps({"row": row, **_words(result)}))
    return Response(b"\n".join([*lines, b""]), media_type=NDJSON)


def _words(result: Admitted) -> dict[str, JsonValue]:
    words: dict[str, JsonValue] = {"sid": result.sid, "status": str(result.status)}
    if result.reason is not None:
        words["reason"] = str(result.reason)
    for name, value in (("index", result.index), ("accepted_ms", result.accepted_ms), ("receipt", result.receipt)):
        if value is not None:
            words[name] = value
    return words


@router.get(
    "/v1/statements",
    operation_id="list_statements",
    summary="Statements that the caller may see, by time of acceptance.",
    responses=answers("A page.", s.StatementBriefs, ex.STATEMENTS, "schema invalid_cursor not_acceptable"),
)
async def list_statements(visit: Reading, asked: Annotated[s.StatementsPage, Query()]) -> Response:
    """Hidden statements leave no gap."""
    place = await visit.place(asked.cursor)
    after = (int(place[0]), str(place[1]), int(place[2])) if place else None
    since_ms = epoch_ms(asked.since) if asked.since else 0
    items, last = await visit.api.node.consultation.statements(
        visit.caller.reader, issuer=asked.issuer, kind=asked.kind, since_ms=since_ms, after=after, limit=asked.limit
    )
    if items:
        await visit.told("list", "statements", _sids(items))
    return await visit.stored(await visit.page(items, last), cache=cache_of(visit))


@router.get(
    "/v1/statements/{sid}",
    operation_id="get_statement",
    summary="One statement as the caller may see it.",
    responses=answers("The record.", s.StatementRecord, ex.STATEMENT, "not_found not_acceptable"),
)
async def get_statement(visit: Reading, sid: str) -> Response:
    """Stub, the parts that the caller may have, state, and the statements that point at it."""
    words = await visit.api.node.consultation.statement(sid, visit.caller.reader)
    await visit.told("read", sid, [sid])
    stub = words["stub"]
    is_wide = isinstance(stub, dict) and stub.get("tlp") in _WIDE
    return await visit.stored(words, cache=cache_of(visit) if is_wide else NO_STORE)


@router.get(
    "/v1/statements/{sid}/proof",
    operation_id="get_statement_proof",
    summary="The receipt of a logged statement under the newest checkpoint.",
    response_class=TextResponse,
    responses=answers("c2sp.org/tlog-proof@v1.", None, ex.RECEIPT, "not_found log_frozen not_acceptable", media=TEXT),
)
async def get_statement_proof(visit: ReadingText, sid: str) -> Response:
    """The `extra` line is that of the first receipt."""
    text = await visit.api.node.publisher.receipt(sid, visit.caller.reader)
    await visit.told("read_proof", sid, [sid])
    return await visit.stored_bytes(text.encode("utf-8"), TEXT, cache=NO_STORE)


@router.get(
    "/v1/held",
    operation_id="list_held",
    summary="What waits outside the log for a second key of the caller's agency.",
    responses=answers("A page.", s.HeldStatements, ex.HELD, "schema invalid_cursor not_acceptable"),
)
async def list_held(visit: ReadingHeld, asked: Annotated[s.Page, Query()]) -> Response:
    """Dropped after 14 days without an approval."""
    place = await visit.place(asked.cursor)
    after = (int(place[0]), str(place[1])) if place else (-1, "")
    items, last = await visit.api.node.consultation.held(visit.caller.member, after=after, limit=asked.limit)
    return await visit.stored(await visit.page(items, last), cache=NO_STORE)


def cache_of(visit: Visit) -> str:
    """What is told to somebody known may be narrower than it looks: only the public's answers are kept, and briefly."""
    return NO_STORE if visit.caller.actor else PRIVATE


def _sids(items: Iterable[JsonValue]) -> list[str]:
    return [str(item["sid"]) for item in items if isinstance(item, Mapping)]

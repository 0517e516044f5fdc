"""Screening: one address or many (schemas §4.2). `GET /v1/screen/{address}` is the hot path of the whole node.

It is answered by a bare ASGI endpoint before the application is entered (performance §1: a FastAPI handler alone costs more than the
answer). The FastAPI route of the same path behind it documents it and does the same by the same rules; a test holds both to the same
bytes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, cast
from urllib.parse import parse_qsl

import orjson
from fastapi import APIRouter, Query
from pydantic import ValidationError
from starlette.responses import Response
from starlette.types import Receive, Scope

from app.api import examples as ex
from app.api import schemas as s
from app.api.bodies import as_model, media_type, read_body
from app.api.bulk import HitsDoor, admitted, answer_compact, answer_stream, form_of, leave
from app.api.callers import (
    JSON,
    NO_STORE,
    PRIVATE,
    Screening,
    ScreeningRows,
    check_accept,
    is_peer,
    policy_of,
    purpose_of,
    recognise,
    remembered,
    tells_why,
)
from app.api.context import Api
from app.api.docs import answers, takes
from app.api.edge import Passage
from app.api.fields import MOST_KEPT
from app.api.limits import DAY_S, Header, policy
from app.api.logs import request_id
from app.api.policies import policy_asked
from app.api.problems import from_pydantic
from app.api.receipts import screen_with_receipt
from app.api.sandbox import degraded_if_asked, screening_for
from app.domain.errors import BadRequest, Forbidden, Schema, TooLarge, Unauthenticated
from app.domain.permission import Action, Caller, permit
from app.services.screen import Answer
from app.services.screen import Caller as Asker
from app.services.screen import Query as Row

router = APIRouter(tags=["screening"])

Results = Sequence[Mapping[str, Any]]
NOT_LISTED = "not_listed"

PREFIX = "/v1/screen"
PATH = PREFIX + "/{address}"
_PROBLEMS = "schema not_acceptable"
_NARROW = frozenset({"AMBER", "AMBER+STRICT", "RED"})
_JSON = JSON.encode("ascii")
_JSON_QUERIES = {
    b"": s.BulkQuery(),
    b"checksums=true": s.BulkQuery(checksums="true"),
    b"checksums=false": s.BulkQuery(checksums="false"),
}
_CACHE: dict[str, Header] = {cache: (b"cache-control", cache.encode("ascii")) for cache in (PRIVATE, NO_STORE)}
_NOT_KEPT = _CACHE[NO_STORE]


class Asking:
    """What follows from who calls: worked out once for as long as he stays recognised."""

    __slots__ = ("addresses", "asker", "caller", "is_permitted", "requests", "tells_why", "word")

    def __init__(self, api: Api, caller: Caller) -> None:
        self.caller = caller
        self.word = str(caller.caller_class)
        self.requests = policy_of(api, caller)
        quota = caller.addresses_per_day
        self.addresses = None if quota is None else policy("addresses", quota, DAY_S)
        self.asker = Asker(caller.reader, caller.actor, owner=caller.owner)
        self.tells_why = tells_why(caller, Action.SCREEN)
        self.is_permitted = True
        try:
            permit(caller, Action.SCREEN)
        except (Unauthenticated, Forbidden):
            self.is_permitted = False


class ScreenOne:
    """`GET /v1/screen/{address}` without a framework, as a shortcut of the edge."""

    route = PATH

    def __init__(self, api: Api) -> None:
        self._api = api
        self._askings: dict[str, Asking] = {}

    def __call__(self, passage: Passage, last: str, query_string: bytes) -> Awaitable[None] | None:
        """The same key, quota, permission and purpose as on every route, in their order; raises Refused."""
        caller = remembered(self._api, passage)
        if caller is None:
            return self._recognised(passage, last, query_string)
        return self._ask(passage, self._asking(caller), last, query_string)

    async def _recognised(self, passage: Passage, last: str, query_string: bytes) -> None:
        rest = self._ask(passage, self._asking(await recognise(self._api, passage)), last, query_string)
        if rest is not None:
            await rest

    def _ask(self, passage: Passage, asking: Asking, last: str, query_string: bytes) -> Awaitable[None] | None:
        api = self._api
        who = passage.actor or passage.callsign
        api.spend(passage, who, asking.requests)
        if not asking.is_permitted:
            permit(asking.caller, Action.SCREEN)
        pairs = _pairs(query_string) if query_string else None
        accept = passage.headers.get(b"accept")
        if accept is not None:
            check_accept(accept, (JSON,))
        asker = asking.asker
        if asking.tells_why or b"cordon-purpose" in passage.headers or b"cordon-case" in passage.headers:
            purpose, case = purpose_of(passage, asking.caller, Action.SCREEN)
            asker = Asker(asking.caller.reader, asking.caller.actor, purpose, case, asking.caller.owner)
        chain, tag = _scope_of(pairs) if pairs else (None, None)
        if asking.addresses is not None:
            api.spend(passage, who, asking.addresses)
        row = Row(last, chain, tag)
        if asking.caller.is_test:
            return self._try_out(passage, asking.caller, row, asker)
        return api.node.screening.answer_at_once(row, asker, partial(self._tell, passage, asking.word))

    def _tell(self, passage: Passage, word: str, answer: Answer) -> None:
        self._api.measures.lookups[answer.match, word] += 1
        passage.tell(answer.body, _keeping(answer))

    async def _try_out(self, passage: Passage, caller: Caller, row: Row, asker: Asker) -> None:
        words = degraded_if_asked(self._api, caller, await self._api.node.sandbox.screen_one(row, asker))
        told = cast("Results", [words["result"]])
        _count(self._api, caller, told)
        passage.tell(orjson.dumps(words), _CACHE[_cache_of(_tlps(told))])

    def _asking(self, caller: Caller) -> Asking:
        known = self._askings.get(caller.actor)
        if known is None or known.caller is not caller:
            if len(self._askings) >= MOST_KEPT:
                self._askings.clear()
            known = self._askings[caller.actor] = Asking(self._api, caller)
        return known


class RowsDoor:
    """`POST /v1/screen` without the framework, which alone costs a tenth of a list: JSON, and lists of hits.

    JSON is answered by the route's own function, so by the same rules; streams by `HitsDoor`. Both leave the rest to the route.
    """

    def __init__(self, api: Api) -> None:
        self._api = api
        self._hits = HitsDoor(api)

    async def __call__(self, passage: Passage, scope: Scope, receive: Receive) -> bool:
        """Answer it, or leave it to the route: False, and nothing was done."""
        how = _JSON_QUERIES.get(scope["query_string"])
        if how is None or passage.headers.get(b"content-type") != _JSON or is_peer(self._api, passage):
            return await self._hits(passage, scope, receive)
        token = request_id.set(passage.id)
        try:
            response = await screen_addresses(await admitted(self._api, passage, scope, receive), how)
        finally:
            request_id.reset(token)
        await leave(passage, response, scope, receive)
        return True


def _keeping(answer: Answer) -> Header:
    return _CACHE[_cache_of(answer.tlps)] if answer.tlps else _NOT_KEPT


def _pairs(query_string: bytes) -> dict[str, str]:
    """The names and values of a query string; those that stand twice and control characters are refused."""
    try:
        text = query_string.decode("ascii")
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=8)
    except ValueError as error:
        raise BadRequest("the query is not UTF-8, or has more than 8 parameters") from error
    if len(dict(pairs)) != len(pairs):
        raise Schema("a query parameter stands twice: send it once")
    if any(c < " " or c == "\x7f" for name, value in pairs for c in name + value):
        raise BadRequest("the query holds control characters or is not UTF-8")
    return dict(pairs)


def _scope_of(pairs: dict[str, str]) -> tuple[str | None, str | None]:
    """`chain` and `tag`; everything else is refused."""
    try:
        asked = s.ScopeQuery.model_validate(pairs)
    except ValidationError as error:
        raise from_pydantic(error, "query") from error
    return asked.chain, asked.tag


def _cache_of(tlps: Iterable[object]) -> str:
    """Hits may be kept for a minute by the caller alone, narrow ones and misses not at all (CP-5). `tlps`: of the statements told."""
    told = set(tlps)
    return PRIVATE if told and _NARROW.isdisjoint(told) else NO_STORE


def _tlps(results: Results) -> Iterator[object]:
    return (said["tlp"] for result in results for said in result["statements"])


# --- the same as FastAPI routes ------------------------------------------------------------------------------------------


@router.get(
    PATH,
    operation_id="screen_address",
    summary="One address or indicator, in any spelling.",
    responses=answers(
        "What was said of it. A text that cannot be read is `invalid`, with its error.", s.ScreenOne, ex.SCREEN_ONE, _PROBLEMS
    ),
)
async def screen_address(visit: Screening, address: str, asked: Annotated[s.ScopeQuery, Query()]) -> Response:
    """No verdict: what was said, by whom, and what its issuer suggests."""
    return await _one(visit, address, asked)


@router.get(
    "/v1/screen",
    operation_id="screen_address_by_query",
    summary="The same for a text that is no path segment: a web address, a handle.",
    responses=answers("What was said of it.", s.ScreenOne, ex.SCREEN_ONE, _PROBLEMS),
)
async def screen_address_by_query(visit: Screening, asked: Annotated[s.ScreenQuery, Query()]) -> Response:
    """See `screen_address`."""
    return await _one(visit, asked.id, asked)


async def _one(visit: Screening, text: str, asked: s.ScopeQuery) -> Response:
    visit.spend_addresses(1)
    screening = screening_for(visit.api, visit.caller)
    words = await screening.screen_one(Row(text, asked.chain, asked.tag), _asker(visit))
    words = degraded_if_asked(visit.api, visit.caller, words)
    results = cast("Results", [words["result"]])
    _count(visit.api, visit.caller, results)
    return visit.answer(words, cache=_cache_of(_tlps(results)))


@router.post(
    "/v1/screen",
    operation_id="screen_addresses",
    summary="Up to 10,000 addresses or indicators as JSON; up to a million rows as NDJSON, CSV or plain lines, answered in the same type.",
    openapi_extra=takes({JSON: ex.SCREEN_REQUEST}, s.ScreenRequest, others=ex.SCREEN_STREAMS),
    responses=answers(
        "One result a row, in order.",
        s.ScreenMany,
        ex.SCREEN_MANY,
        "bad_json too_large unsupported_media_type schema not_acceptable idempotency_mismatch in_progress",
        others=ex.SCREENED_STREAMS,
    ),
)
async def screen_addresses(visit: ScreeningRows, how: Annotated[s.BulkQuery, Query()]) -> Response:
    """One bad row never fails the others."""
    form = form_of(visit.request)
    if form is not None:
        judge = await policy_asked(visit, how.policy)
        return await answer_stream(visit, form, hits_only=how.include == "hits", checksums=how.checksums == "true", policy=judge)
    if how.include is not None or how.policy is not None:
        raise Schema("a JSON body says itself what it includes and by which policy: leave the query parameters `include` and `policy` out")
    body = await visit.request.body()
    is_repeatable = "idempotency-key" in visit.request.headers
    if not is_repeatable and not visit.caller.is_test and media_type(visit.request) == JSON:
        answer = await answer_compact(visit, body, checksums=how.checksums != "false")
        if answer is not None:
            return answer
    value = read_body(visit.request, body, bulk=True)
    items = value.get("items") if isinstance(value, dict) else None
    if isinstance(items, list) and len(items) > s.SCREEN_MOST:
        raise TooLarge(f"{len(items)} items in one request: at most {s.SCREEN_MOST}")
    asked = as_model(value, s.ScreenRequest)
    rows = [Row(item.address, item.chain, item.tag, item.reference) for item in asked.items]

    policy = await policy_asked(visit, asked.policy)

    async def work() -> Response:
        visit.spend_addresses(len(rows))
        hits_only = asked.include == "hits"
        if asked.receipt:
            words = await screen_with_receipt(visit, rows, _asker(visit), hits_only=hits_only, policy=policy)
        else:
            words = await screening_for(visit.api, visit.caller).screen_many(rows, _asker(visit), hits_only=hits_only, policy=policy)
            words = degraded_if_asked(visit.api, visit.caller, words)
        results = cast("Results", words["results"])
        _count(visit.api, visit.caller, results, asked=len(rows))
        return visit.answer(words, cache=_cache_of(_tlps(results)))

    return await visit.once(body, work)


def _asker(visit: Screening) -> Asker:
    caller: Caller = visit.caller
    return Asker(caller.reader, caller.actor, visit.purpose, visit.case, caller.owner)


def _count(api: Api, caller: Caller, results: Results, *, asked: int = 0) -> None:
    """`asked`: rows, of which those without a hit may be left out of the results."""
    lookups, who = api.measures.lookups, str(caller.caller_class)
    for result in results:
        lookups[result["match"], who] += 1
    if asked > len(results):
        lookups[NOT_LISTED, who] += asked - len(results)

"""Who calls, what he may ask, how often, and why: the dependency that stands in front of every route (schemas §3, trust-and-ops S-01).

A route names its action by the type of its `visit` parameter (`Reading`, `Screening` …); one without is refused by a test. The order
is: key, permission, quota, purpose. What a caller may *see* is decided by labels, further down.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlencode

import orjson
from fastapi import Depends, Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from app.api.context import Api, api_of, passage_of
from app.api.edge import Passage
from app.api.limits import DAY_S, Policy, policy
from app.api.parts import Parts
from app.api.repeats import once
from app.api.stamps import Place
from app.domain.canonical import JsonValue
from app.domain.errors import (
    BadRequest,
    Fault,
    NotAcceptable,
    PreconditionFailed,
    PreconditionRequired,
    Schema,
    Unauthenticated,
)
from app.domain.permission import PUBLIC_CALLER, Action, Caller, CallerClass, permit
from app.domain.vocabulary.lists import PURPOSES
from app.storage.audit import AuditEntry

JSON = "application/json"
TEXT = "text/plain"
NDJSON = "application/x-ndjson"
CSV = "text/csv"
BYTES = "application/octet-stream"
PRIVATE = "private, max-age=60"
SHORT = "public, max-age=60"
NO_STORE = "no-store"
EVENTS = "text/event-stream"
TLOG_SIZE = "text/x.tlog.size"

_TELL_WHY = frozenset({CallerClass.AGENCY, CallerClass.REDRESS})
_ACTIONS_WITH_REASON = frozenset({Action.SCREEN, Action.READ, Action.FOLLOW})
_CASE = re.compile(r"[ -~]{1,128}")


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of somebody known: what a route works with."""

    request: Request
    api: Api
    passage: Passage
    caller: Caller
    who: str
    """The name under which he is counted."""
    purpose: str = ""
    case: str = ""

    @property
    def audience(self) -> str:
        """To whom an entity tag or a cursor belongs."""
        return self.caller.actor or "public"

    # --- answers -----------------------------------------------------------------------------------------------------

    def answer(self, words: JsonValue, *, status: int = 200, cache: str = NO_STORE) -> Response:
        """JSON that is not kept anywhere as such."""
        return Response(orjson.dumps(words), status_code=status, media_type=JSON, headers={"Cache-Control": cache})

    async def stored(self, words: Mapping[str, JsonValue], *, volatile: str = "as_of", cache: str = PRIVATE) -> Response:
        """JSON of a stored thing, with an entity tag; 304 if the caller has it. `volatile`: the member that only tells the time."""
        is_dated = volatile in words
        steady = orjson.dumps({name: value for name, value in words.items() if name != volatile})
        etag = await self.api.stamps.etag(self.audience, steady, weak=is_dated)
        return self._or_304(orjson.dumps(words), JSON, {"Cache-Control": cache, "ETag": etag})

    async def stored_bytes(self, body: bytes, media_type: str, *, cache: str) -> Response:
        """Bytes of a stored thing, with an entity tag."""
        etag = await self.api.stamps.etag(self.audience if cache.startswith("private") else "", body)
        return self._or_304(body, media_type, {"Cache-Control": cache, "ETag": etag})

    async def stored_parts(self, parts: Iterator[bytes], *, name: str, length: int, media_type: str, cache: str) -> Response:
        """The same of something large, part by part; `name`: what tells its bytes from all others."""
        etag = await self.api.stamps.etag(self.audience if cache.startswith("private") else "", name.encode("ascii"))
        headers = {"Cache-Control": cache, "ETag": etag}
        if self._has(etag):
            return Response(status_code=304, headers=headers)
        return Parts(parts, length, media_type=media_type, headers=headers)

    def _or_304(self, body: bytes, media_type: str, headers: dict[str, str]) -> Response:
        if self._has(headers["ETag"]):
            return Response(status_code=304, headers=headers)
        return Response(body, media_type=media_type, headers=headers)

    def _has(self, etag: str) -> bool:
        asked = self.request.headers.get("if-none-match")
        return asked is not None and _names(asked, etag)

    async def check_version(self, words: Mapping[str, JsonValue]) -> None:
        """`If-Match` names the version at hand; PreconditionRequired, PreconditionFailed."""
        asked = self.request.headers.get("if-match")
        if asked is None:
            raise PreconditionRequired("this changes something: send `If-Match` with the ETag of the version that you have seen")
        etag = await self.api.stamps.etag(self.audience, orjson.dumps(words))
        if not _names(asked, etag, weakly=False):
            raise PreconditionFailed("it has changed since: read it again, then decide")

    # --- pages -------------------------------------------------------------------------------------------------------

    async def place(self, cursor: str | None) -> list[str | int] | None:
        """Where a page begins: None for the first."""
        if cursor is None:
            return None
        return await self.api.stamps.read_cursor(cursor, scope=self._page_scope(), now_s=self.api.node.clock() // 1000)

    async def page(self, items: Iterable[JsonValue], after: Place | None) -> dict[str, JsonValue]:
        """`items` and the link to what follows; `after` is the place of the last item, None at the end."""
        following: JsonValue = None
        if after is not None:
            cursor = await self.api.stamps.cursor(after, scope=self._page_scope(), now_s=self.api.node.clock() // 1000)
            following = f"{self.request.scope['path']}?{urlencode([*self._filters(), ('cursor', cursor)])}"
        return {"items": [*items], "next": following}

    def _filters(self) -> list[tuple[str, str]]:
        return sorted((name, value) for name, value in self.request.query_params.multi_items() if name != "cursor")

    def _page_scope(self) -> str:
        filters = [(name, value) for name, value in self._filters() if name != "limit"]
        return orjson.dumps([self.request.scope["path"], filters, self.audience]).decode("utf-8")

    # --- effects -----------------------------------------------------------------------------------------------------

    async def once(self, body: bytes, work: Callable[[], Awaitable[Response]]) -> Response:
        """`work`, once for each `Idempotency-Key`."""
        node = self.api.node
        name = self.caller.actor or await self.api.stamps.name_of(self.who)
        return await once(node.database, self.request, body, caller=name, now_ms=node.clock(), work=work)

    async def told(self, action: str, subject: str, sids: Iterable[str] = ()) -> None:
        """Record, before the answer leaves, what a known caller was told."""
        if not self.caller.actor:
            return
        entry = AuditEntry(self.api.node.clock(), self.caller.actor, action, subject, self.purpose, self.case, tuple(dict.fromkeys(sids)))
        await self.api.node.access_log.record([entry])

    def require_rest(self) -> None:
        """OverQuota if nothing is left of how often he may ask; takes nothing."""
        require_rest(self.api, self.passage, self.who, policy_of(self.api, self.caller))

    def spend_addresses(self, count: int) -> None:
        """Take `count` addresses of the day's quota, if the key has one."""
        quota = self.caller.addresses_per_day
        if quota is not None:
            self.api.spend(self.passage, self.who, policy("addresses", quota, DAY_S), count)


class Asks:
    """The dependency of a route that does `action` and gives one of `gives`."""

    schemes: tuple[str, ...] = ("apiKey",)
    """How a key may be sent, by name of the security scheme."""

    def __init__(self, action: Action, *gives: str, counted: bool = True) -> None:
        self.action = action
        self._gives = gives or (JSON,)
        self._counted = counted

    async def __call__(self, request: Request) -> Visit:
        """Raises Unauthenticated, Forbidden, OverQuota, Schema (purpose), NotAcceptable."""
        api, passage = api_of(request), passage_of(request.scope)
        caller = await recognise(api, passage) if not is_peer(api, passage) else await recognise_peer(api, passage, request, self.action)
        return self.admit(request, api, passage, caller)

    def admit(self, request: Request, api: Api, passage: Passage, caller: Caller, *, is_query_known: bool = False) -> Visit:
        """The same of somebody who was recognised. `is_query_known`: the query is one of those that have a meaning here."""
        who = caller.actor or passage.callsign
        if self._counted:
            api.spend(passage, who, self.policy_of(api, caller))
        permit(caller, self.action)
        if not is_query_known:
            self.check_query(request)
        check_accept(passage.headers.get(b"accept"), self._gives)
        purpose, case = purpose_of(passage, caller, self.action)
        return Visit(request, api, passage, caller, who, purpose, case)

    def policy_of(self, api: Api, caller: Caller) -> Policy:
        """How often this caller may ask here."""
        return policy_of(api, caller)

    def check_query(self, request: Request) -> None:
        """Schema or BadRequest for parameters that have no meaning here."""
        check_query(request)


async def recognise(api: Api, passage: Passage) -> Caller:
    """The caller behind the Authorization header; the public if there is none. Wrong keys count against the address they come from."""
    caller = remembered(api, passage)
    if caller is not None:
        return caller
    try:
        caller = await api.node.recognition.recognise(passage.key_text or "")
    except Unauthenticated:
        api.spend(passage, passage.callsign, api.public_policy)
        raise
    passage.actor = caller.actor
    return caller


def remembered(api: Api, passage: Passage) -> Caller | None:
    """The same without a question to the database: None if there has to be one."""
    if passage.key_text is None:
        return PUBLIC_CALLER
    caller = api.node.recognition.remembered(passage.key_text)
    if caller is not None:
        passage.actor = caller.actor
    return caller


def is_peer(api: Api, passage: Passage) -> bool:
    """Whether the credentials are a token (three segments with dots) and this node has peers; an API key has no dot."""
    return api.federated is not None and b"." in passage.headers.get(b"authorization", b"")


async def recognise_peer(api: Api, passage: Passage, request: Request, action: Action) -> Caller:
    """The peer behind a request token, which is bound to method, whole URL and body. Wrong ones count against their address."""
    scope = request.scope
    query = scope["query_string"]
    raw = scope.get("raw_path") or scope["path"].encode("ascii")
    target = (raw + b"?" + query if query else raw).decode("latin-1")
    is_for_all = action is Action.PUBLISHED and api.chosen.log_public and "/entries/" not in target
    try:
        caller = await api.federation.tokens.recognise(
            passage.key_text or "", method=scope["method"], target=target, body=await request.body(), once=not is_for_all
        )
    except Unauthenticated:
        api.spend(passage, passage.callsign, api.public_policy)
        raise
    passage.actor = caller.actor
    return caller


def require_rest(api: Api, passage: Passage, who: str, asked: Policy) -> None:
    """OverQuota if nothing is left of a policy; takes nothing."""
    api.spend(passage, who, asked, 0 if api.limiter.left(who, asked) else 1)


def policy_of(api: Api, caller: Caller) -> Policy:
    """How often this caller may ask."""
    if not caller.actor:
        return api.public_policy
    return policy("lookup", caller.requests_per_minute or api.chosen.rate_client_per_minute)


def tells_why(caller: Caller, action: Action) -> bool:
    """Whether this caller has to say why he does it."""
    return caller.caller_class in _TELL_WHY and action in _ACTIONS_WITH_REASON


def purpose_of(passage: Passage, caller: Caller, action: Action) -> tuple[str, str]:
    """Cordon-Purpose and Cordon-Case: an agency says why it reads, and in which case (DP-06)."""
    has_to = tells_why(caller, action)
    if not has_to and b"cordon-purpose" not in passage.headers and b"cordon-case" not in passage.headers:
        return "", ""
    purpose = passage.headers.get(b"cordon-purpose", b"").decode("latin-1")
    case = passage.headers.get(b"cordon-case", b"").decode("latin-1")
    if has_to and not (purpose and case.strip()):
        raise Schema(
            "an agency says why it reads: send the headers `Cordon-Purpose` (a code of /v1/vocabulary) and `Cordon-Case` (your reference)"
        )
    if purpose and purpose not in PURPOSES:
        raise Schema(f"Cordon-Purpose is one of {', '.join(sorted(PURPOSES))}", faults=(Fault("", "purpose"),))
    if case and _CASE.fullmatch(case) is None:
        raise Schema("Cordon-Case has 1 to 128 printable ASCII characters", faults=(Fault("", "case"),))
    return purpose, case


def check_accept(accept: bytes | None, gives: Iterable[str]) -> None:
    """NotAcceptable if `Accept` allows none of the types that a route gives."""
    if accept is None or b"*/*" in accept:
        return
    asked = {one.partition(b";")[0].strip().lower() for one in accept.split(b",")}
    for kind in gives:
        if kind.encode("ascii") in asked or kind.partition("/")[0].encode("ascii") + b"/*" in asked:
            return
    raise NotAcceptable(f"this route gives {' or '.join(gives)}: leave `Accept` out or allow it")


def check_query(request: Request) -> None:
    """A name that stands twice has no meaning here, nor has one on a route that takes none; control characters are no text."""
    if not request.scope["query_string"]:
        return
    route = request.scope.get("route")
    if isinstance(route, APIRoute) and not route.dependant.query_params:
        raise Schema("this route takes no query parameters")
    seen: set[str] = set()
    for name, value in request.query_params.multi_items():
        if name in seen:
            raise Schema("a query parameter stands twice: send it once")
        seen.add(name)
        if any(c < " " or c in "\x7f\ufffd" for c in name + value):
            raise BadRequest("the query holds control characters or is not UTF-8")


def _names(field: str, etag: str, *, weakly: bool = True) -> bool:
    """Whether an If-Match or If-None-Match field names this tag."""
    if field.strip() == "*":
        return True
    tags = [one.strip() for one in field.split(",")]
    if weakly:
        return etag.removeprefix("W/") in {tag.removeprefix("W/") for tag in tags}
    return etag in tags


Publicly = Annotated[Visit, Depends(Asks(Action.PUBLISHED))]
PubliclyText = Annotated[Visit, Depends(Asks(Action.PUBLISHED, TEXT))]
PubliclyBytes = Annotated[Visit, Depends(Asks(Action.PUBLISHED, BYTES))]
Reading = Annotated[Visit, Depends(Asks(Action.READ))]
ReadingText = Annotated[Visit, Depends(Asks(Action.READ, TEXT))]
ReadingHeld = Annotated[Visit, Depends(Asks(Action.READ_HELD))]
Screening = Annotated[Visit, Depends(Asks(Action.SCREEN))]
ASKS_SCREENING_ROWS = Asks(Action.SCREEN, JSON, NDJSON, CSV, TEXT)
ScreeningRows = Annotated[Visit, Depends(ASKS_SCREENING_ROWS)]
ScreeningText = Annotated[Visit, Depends(Asks(Action.SCREEN, TEXT))]
ScreeningBytes = Annotated[Visit, Depends(Asks(Action.SCREEN, BYTES))]
Submitting = Annotated[Visit, Depends(Asks(Action.SUBMIT, JSON, TEXT, NDJSON, counted=False))]
ReadingReceipts = Annotated[Visit, Depends(Asks(Action.READ_RECEIPTS))]
OwnPolicies = Annotated[Visit, Depends(Asks(Action.OWN_POLICIES))]
ReadingKeys = Annotated[Visit, Depends(Asks(Action.READ_KEYS))]
ManagingKeys = Annotated[Visit, Depends(Asks(Action.MANAGE_KEYS))]
Following = Annotated[Visit, Depends(Asks(Action.FOLLOW))]
FollowingLines = Annotated[Visit, Depends(Asks(Action.FOLLOW, NDJSON))]
Gossiping = Annotated[Visit, Depends(Asks(Action.GOSSIP))]
Listening = Annotated[Visit, Depends(Asks(Action.GOSSIP, EVENTS))]
Watching = Annotated[Visit, Depends(Asks(Action.WATCH))]
WatchingEvents = Annotated[Visit, Depends(Asks(Action.WATCH, EVENTS))]
Witnessing = Annotated[Visit, Depends(Asks(Action.WITNESS, TEXT, TLOG_SIZE))]

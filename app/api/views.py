"""Views: the signed head of a tier, its buckets one by one, its segments and deltas for mirrors, and the policy (protocol §3.10, schemas §4.4).

CLEAR is for all, GREEN for holders of a key of that tier. What is served is the same for everybody who may have it, so that it tells
nothing of who asks: static bytes with an entity tag. A bucket is answered before the application is entered, as single lookups are.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response

from app.api import examples_views as ex
from app.api import schemas as s
from app.api.callers import (
    BYTES,
    JSON,
    TEXT,
    Asks,
    Publicly,
    Screening,
    ScreeningBytes,
    ScreeningText,
    Visit,
    check_accept,
    policy_of,
    purpose_of,
    recognise,
    remembered,
)
from app.api.context import Api
from app.api.docs import BytesResponse, TextResponse, answers
from app.api.edge import Passage, Shortcut
from app.api.limits import Policy
from app.domain.canonical import b64u_decode
from app.domain.errors import Forbidden, Malformed, NotFound, Schema, Unauthenticated
from app.domain.merkle import HASH_BYTES
from app.domain.permission import Action, Caller, permit
from app.domain.view import read_bucket_text
from app.domain.viewing import CLEAR, TIERS

router = APIRouter(prefix="/v1/view", tags=["views"])

_CACHE = {tier: "public, max-age=60" if tier == CLEAR else "private, max-age=60" for tier in TIERS}
_PROBLEMS = "not_found not_acceptable"


def check_tier(caller: Caller, tier: str) -> None:
    """NotFound for a tier that there is not; Unauthenticated or Forbidden for one above the caller's."""
    if tier not in TIERS:
        raise NotFound(f"there is no such tier: {' or '.join(sorted(TIERS))}")
    if tier in (CLEAR, caller.tier):
        return
    if not caller.actor:
        raise Unauthenticated(f"the {tier} view is for holders of an API key: send `Authorization: Bearer cordon_…`, or ask for clear")
    raise Forbidden(f"this key reads the clear view only: ask the operator for one of tier {tier}")


def _number(text: str, digits: int) -> int:
    try:
        return read_bucket_text(text, digits=digits)
    except Malformed as error:
        raise NotFound(error.detail) from error


class AsksForCopies(Asks):
    """A copy is 256 requests. Whoever has no key may make some in an hour, as quickly as he can: what is published is for all, and a
    copy spares the node every lookup that its owner would send.
    """

    def policy_of(self, api: Api, caller: Caller) -> Policy:
        """The one of copies for the public, his own for everybody else."""
        return super().policy_of(api, caller) if caller.actor else api.copies_policy


Copying = Annotated[Visit, Depends(AsksForCopies(Action.SCREEN, BYTES))]


@router.get(
    "/policy",
    operation_id="get_view_policy",
    summary="The local policy under which the views are computed.",
    responses=answers("The document whose SHA-256 stands in the newest heads.", s.ViewPolicy, ex.POLICY, "not_acceptable"),
)
async def get_view_policy(visit: Publicly) -> Response:
    """Byte for byte what was hashed."""
    return await visit.stored_bytes(await visit.api.node.views.policy(), JSON, cache=_CACHE[CLEAR])


@router.get(
    "/{tier}/head",
    operation_id="get_view_head",
    summary="The newest signed head of a tier.",
    response_class=TextResponse,
    responses=answers("A signed note.", None, ex.HEAD, _PROBLEMS, media=TEXT),
)
async def get_view_head(visit: ScreeningText, tier: str) -> Response:
    """Signed at each change, and at least once a minute."""
    check_tier(visit.caller, tier)
    published = await visit.api.node.views.current(tier)
    return await visit.stored_bytes(published.note.encode("utf-8"), TEXT, cache="no-store")


@router.get(
    "/{tier}/bucket/{hhhh}",
    operation_id="get_view_bucket",
    summary="One of 65,536 buckets, with its path and the head: proves listed and not listed.",
    responses=answers("The bucket, padded to a multiple of 1,024 bytes.", s.ViewBucket, ex.BUCKET, _PROBLEMS),
)
async def get_view_bucket(visit: Screening, tier: str, hhhh: str) -> Response:
    r"""`hhhh`: the first 16 bits of SHA-256("cordon-id/v1\n" ‖ id), four lower-case hex digits."""
    check_tier(visit.caller, tier)
    published = await visit.api.node.views.current(tier)
    return await visit.stored_bytes(published.bucket(_number(hhhh, 4)), JSON, cache=_CACHE[tier])


@router.get(
    "/{tier}/segment/{hh}",
    operation_id="get_view_segment",
    summary="256 neighbouring buckets, proved together: a part of a snapshot.",
    response_class=BytesResponse,
    responses=answers("Head, path and buckets, as docs/protocol/view.md describes them.", None, "", _PROBLEMS, media=BYTES),
)
async def get_view_segment(visit: Copying, tier: str, hh: str) -> Response:
    """`hh`: the first 8 bits of the buckets, two lower-case hex digits. Without a key it costs nothing of the minute, but of some copies
    an hour.
    """
    check_tier(visit.caller, tier)
    published = await visit.api.node.views.current(tier)
    parts, length = published.segment(_number(hh, 2))
    return await visit.stored_parts(parts, name=f"{published.digest}/{hh}", length=length, media_type=BYTES, cache=_CACHE[tier])


@router.get(
    "/{tier}/delta/{root}",
    operation_id="get_view_delta",
    summary="The buckets that changed since the tree of a root.",
    response_class=BytesResponse,
    responses=answers("Head and buckets, as docs/protocol/view.md describes them.", None, "", f"{_PROBLEMS} gone", media=BYTES),
)
async def get_view_delta(visit: ScreeningBytes, tier: str, root: str) -> Response:
    """`root`: base64url of the root that the caller has. 410 if it is not remembered: fetch the segments."""
    check_tier(visit.caller, tier)
    try:
        known = b64u_decode(root)
    except Malformed as error:
        raise NotFound(error.detail) from error
    if len(known) != HASH_BYTES:
        raise NotFound("a root is base64url of 32 bytes")
    return await visit.stored_bytes(await visit.api.node.views.delta(tier, known), BYTES, cache="no-store")


class OneBucket:
    """`GET /v1/view/{tier}/bucket/{hhhh}` without a framework, as a shortcut of the edge: the same rules, the same bytes."""

    route = "/v1/view/{tier}/bucket/{hhhh}"

    def __init__(self, api: Api, tier: str) -> None:
        self._api = api
        self._tier = tier

    async def __call__(self, passage: Passage, last: str, query_string: bytes) -> None:
        """Raises Refused, which the edge turns into a problem."""
        api, tier = self._api, self._tier
        caller = remembered(api, passage) or await recognise(api, passage)
        api.spend(passage, caller.actor or passage.callsign, policy_of(api, caller))
        permit(caller, Action.SCREEN)
        if query_string:
            raise Schema("this route takes no query parameters")
        check_accept(passage.headers.get(b"accept"), (JSON,))
        purpose_of(passage, caller, Action.SCREEN)
        check_tier(caller, tier)
        published = await api.node.views.current(tier)
        body, cache = published.bucket(_number(last, 4)), _CACHE[tier]
        etag = await api.stamps.etag(caller.actor if tier != CLEAR else "", body)
        headers = [(b"cache-control", cache.encode("ascii")), (b"etag", etag.encode("ascii"))]
        if passage.headers.get(b"if-none-match") == etag.encode("ascii"):
            await passage.send({"type": "http.response.start", "status": 304, "headers": headers})
            await passage.send({"type": "http.response.body", "body": b""})
            return
        headers += [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json")]
        await passage.send({"type": "http.response.start", "status": 200, "headers": headers})
        await passage.send({"type": "http.response.body", "body": body})


def bucket_shortcuts(api: Api) -> dict[str, Shortcut]:
    """One a tier, by the prefix of its path."""
    return {f"/v1/view/{tier}/bucket": OneBucket(api, tier) for tier in TIERS}

"""What peers ask of each other: entries by label, heads and their signals, evidence, mirrors, and the witness (protocol §3.7, §3.8).

Peers come with a token signed for this one request; members of this jurisdiction may read entries and heads with an API key, by their
labels. Mirrors and the witness are for everybody. The routes exist only on a node that federates; bodies leave as bytes.
"""

from __future__ import annotations

import asyncio
import re
import time
from itertools import pairwise
from typing import Annotated, Protocol

import orjson
from fastapi import APIRouter, Query
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.api import examples as ex
from app.api import schemas as s
from app.api.bodies import as_model, media_type, read_body
from app.api.callers import (
    BYTES,
    EVENTS,
    JSON,
    NDJSON,
    NO_STORE,
    TEXT,
    TLOG_SIZE,
    Following,
    FollowingLines,
    Gossiping,
    Listening,
    PubliclyBytes,
    PubliclyText,
    Visit,
    Witnessing,
)
from app.api.docs import BytesResponse, EventsResponse, TextResponse, answers, takes
from app.api.log import check_open, serve_tile
from app.domain.canonical import JsonValue, read_decimal
from app.domain.errors import Malformed, NotFound, Schema, SizeConflict, UnsupportedMediaType
from app.domain.permission import CallerClass
from app.index.heads import HeadBoard
from app.services.publish import PARTS_MOST, Page

router = APIRouter(tags=["federation"])

COMMENT_EVERY_S = 15.0
STREAM_S = 300.0
"""How long a stream lasts at most: a peer whose key has ended must ask again, and finds out."""
STALLED_S = 30.0
_OHASH = re.compile(r"[0-9a-f]{64}")


# --- entries ----------------------------------------------------------------------------------------------------------


@router.get(
    "/fed/v1/entries",
    operation_id="get_entries",
    summary="Entries of a log by index, as the caller may have them.",
    responses=answers(
        "A line for each index, without holes; fewer than asked for: ask again from the next.",
        None,
        ex.ENTRY_LINES,
        "schema not_found not_acceptable",
        media=NDJSON,
    ),
)
async def get_entries(visit: FollowingLines, asked: Annotated[s.EntriesQuery, Query()]) -> Response:
    """At most 1,024 lines or 4 MiB. Of another's log only what is CLEAR or GREEN is given; the rest has its origin alone."""
    if asked.to < asked.first:
        raise Schema("`to` is the index after the last one: it is not before `from`")
    page = await visit.api.node.publisher.entries(asked.o, asked.first, asked.to, visit.caller.reader)
    return await _lines(visit, page, f"{asked.o}/{asked.first}-{asked.first + len(page.lines)}")


@router.get(
    "/fed/v1/parts",
    operation_id="get_parts",
    summary="Single entries with their parts: after a late entitlement, or to fetch again what was lost.",
    responses=answers(
        "Lines as of entries, for the indices asked for, upwards.", None, ex.ENTRY_LINES, "schema not_found not_acceptable", media=NDJSON
    ),
)
async def get_parts(visit: FollowingLines, asked: Annotated[s.PartsQuery, Query()]) -> Response:
    """Up to 256 indices by comma, upwards. Fewer lines: ask again for the rest."""
    indices = _indices(asked.ids)
    page = await visit.api.node.publisher.parts(asked.o, indices, visit.caller.reader)
    return await _lines(visit, page, f"{asked.o}/{asked.ids}"[:256])


async def _lines(visit: Visit, page: Page, subject: str) -> Response:
    if page.sids:
        # What a peer was given follows from the range; of a member each statement is written down.
        await visit.told("read_entries", subject, () if visit.caller.caller_class is CallerClass.NODE else page.sids)
    return Response(page.body, media_type=NDJSON, headers={"Cache-Control": NO_STORE})


def _indices(text: str) -> list[int]:
    try:
        found = [read_decimal(one) for one in text.split(",", PARTS_MOST)]
    except Malformed as error:
        raise Schema(f"`ids` are up to {PARTS_MOST} indices with commas between them") from error
    if any(later <= earlier for earlier, later in pairwise(found)) or len(found) > PARTS_MOST:
        raise Schema(f"`ids` are up to {PARTS_MOST} indices, upwards and each once")
    return found


# --- heads ------------------------------------------------------------------------------------------------------------


@router.get(
    "/fed/v1/heads",
    operation_id="get_heads",
    summary="The newest cosigned checkpoint of every log that this node holds.",
    responses=answers(
        {200: "What moved since the cursor.", 204: "Nothing moved within `wait`."}, s.Heads, ex.HEADS, "schema not_acceptable"
    ),
)
async def get_heads(visit: Following, asked: Annotated[s.HeadsQuery, Query()]) -> Response:
    """Without `since` all of them. With `wait` the answer comes as soon as something moves."""
    board = visit.api.federation.board
    found, following = await board.wait(asked.since, asked.wait) if asked.wait else board.since(asked.since)
    if not found:
        return Response(status_code=204)
    heads: list[JsonValue] = [{"o": head.ohash, "origin": head.origin, "note": head.note} for head in found]
    return visit.answer({"heads": heads, "next": following})


@router.get(
    "/fed/v1/stream",
    operation_id="stream_heads",
    summary="A signal whenever a log has grown.",
    response_class=EventsResponse,
    responses=answers("Server-sent events `head`, without data of the log.", None, ex.HEAD_EVENTS, "not_acceptable", media=EVENTS),
)
async def stream_heads(visit: Listening) -> Response:
    """A comment every 15 seconds; ends after five minutes, then ask again. Up to four at a time."""
    return HeadStream(visit.api.federation.board, visit.who)


class HeadStream(Response):
    """One stream. It sees by itself when its client goes, and gives up on one that does not read; nothing waits for it."""

    media_type = EVENTS

    def __init__(self, board: HeadBoard, who: str) -> None:
        super().__init__(headers={"Cache-Control": NO_STORE, "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._board = board
        self._who = who

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Quota if this client has too many; then events until it goes or its time is over."""
        with self._board.subscribe(self._who) as signal:
            pump = asyncio.create_task(self._pump(signal.take, send))
            gone = asyncio.create_task(_gone(receive))
            try:
                await asyncio.wait({pump, gone}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                pump.cancel()
                gone.cancel()
                await asyncio.gather(pump, gone, return_exceptions=True)

    async def _pump(self, take: _Take, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await _send(send, b": heads\n\n")
        ends = time.monotonic() + STREAM_S
        while (left := ends - time.monotonic()) > 0 and not self._board.is_closed:
            moved = await take(min(COMMENT_EVERY_S, left))
            lines = [b"event: head\ndata: %s\n\n" % orjson.dumps({"o": ohash, "size": size}) for ohash, size in moved]
            await _send(send, b"".join(lines) or b":\n\n")
        await send({"type": "http.response.body", "body": b""})


class _Take(Protocol):
    async def __call__(self, timeout_s: float) -> list[tuple[str, int]]: ...


async def _send(send: Send, body: bytes) -> None:
    async with asyncio.timeout(STALLED_S):
        await send({"type": "http.response.body", "body": body, "more_body": True})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


# --- telling ----------------------------------------------------------------------------------------------------------


@router.post(
    "/fed/v1/nudge",
    operation_id="nudge",
    summary="A peer says that a log has grown.",
    openapi_extra=takes({JSON: ex.NUDGE}, s.Nudge),
    responses=answers({204: "Heard."}, None, "", "bad_json schema unsupported_media_type not_found idempotency_mismatch in_progress"),
    response_class=Response,
    status_code=204,
)
async def nudge(visit: Gossiping) -> Response:
    """The node looks for itself; it forwards only what it has verified."""
    body = await visit.request.body()
    told = as_model(read_body(visit.request, body), s.Nudge)

    async def work() -> Response:
        await visit.api.federation.port.nudged(visit.caller.member, told.o, told.size)
        return Response(status_code=204)

    return await visit.once(body, work)


@router.post(
    "/fed/v1/evidence",
    operation_id="hand_over_evidence",
    summary="Evidence of a fork, or of an entry that should not have been logged.",
    openapi_extra=takes({TEXT: ex.FORK_EVIDENCE}),
    responses=answers(
        {202: "Taken; it is judged by what it proves."},
        None,
        "",
        "malformed invalid_proof unsupported_media_type not_found idempotency_mismatch in_progress",
    ),
    response_class=Response,
    status_code=202,
)
async def hand_over_evidence(visit: Gossiping) -> Response:
    """It proves itself: who brings it does not matter."""
    if media_type(visit.request) != TEXT:
        raise UnsupportedMediaType(f"send `Content-Type: {TEXT}`")
    body = await visit.request.body()
    text = _utf8(body)

    async def work() -> Response:
        await visit.api.federation.port.take_evidence(visit.caller.member, text)
        return Response(status_code=202)

    return await visit.once(body, work)


@router.post(
    "/fed/v1/acks",
    operation_id="acknowledge_erasures",
    summary="A peer says that it has carried out erasures.",
    openapi_extra=takes({JSON: ex.ACKNOWLEDGEMENT}, s.Acknowledgement),
    responses=answers({204: "Kept."}, None, "", "bad_json schema unsupported_media_type not_found idempotency_mismatch in_progress"),
    response_class=Response,
    status_code=204,
)
async def acknowledge_erasures(visit: Gossiping) -> Response:
    """The signed request is kept as the receipt."""
    body = await visit.request.body()
    told = as_model(read_body(visit.request, body), s.Acknowledgement)
    token = visit.passage.key_text or ""

    async def work() -> Response:
        await visit.api.federation.port.acknowledged(visit.caller.member, told.o, told.size, told.sids, token)
        return Response(status_code=204)

    return await visit.once(body, work)


def _utf8(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Malformed("evidence is UTF-8 text") from error


# --- mirrors ----------------------------------------------------------------------------------------------------------


@router.get(
    "/mirror/{ohash}/checkpoint",
    operation_id="get_mirror_checkpoint",
    summary="The newest verified checkpoint of a log that this node mirrors.",
    response_class=TextResponse,
    responses=answers("A signed note, with cosignatures.", None, ex.CHECKPOINT, "not_found log_frozen not_acceptable", media=TEXT),
)
async def get_mirror_checkpoint(visit: PubliclyText, ohash: str) -> Response:
    """`ohash` is the hex SHA-256 of the origin. All hash tiles up to its size are held here."""
    check_open(visit)
    published = await visit.api.node.publisher.checkpoint(_known_form(ohash))
    return await visit.stored_bytes(published.note.encode("utf-8"), TEXT, cache=NO_STORE)


@router.get(
    "/mirror/{ohash}/tile/{path:path}",
    operation_id="get_mirror_tile",
    summary="A hash tile of a mirrored log, or a bundle of its entries.",
    response_class=BytesResponse,
    responses=answers(
        "Hashes of 32 bytes, or entries each after its length.", None, "", "not_found log_frozen not_acceptable", media=BYTES
    ),
)
async def get_mirror_tile(visit: PubliclyBytes, ohash: str, path: str) -> Response:
    """Paths as of the log itself. A bundle with an entry that is withheld, or above GREEN, is not found."""
    return await serve_tile(visit, path, _known_form(ohash))


def _known_form(ohash: str) -> str:
    if _OHASH.fullmatch(ohash) is None:
        raise NotFound("a log is named by the hex SHA-256 of its origin")
    return ohash


# --- witness ----------------------------------------------------------------------------------------------------------


@router.post(
    "/witness/add-checkpoint",
    operation_id="add_checkpoint",
    summary="C2SP tlog-witness: a cosignature for a checkpoint that is consistent with all that this node has seen.",
    openapi_extra=takes({TEXT: ex.ADD_CHECKPOINT}),
    response_class=TextResponse,
    responses=answers(
        "Signature lines (0x04).",
        None,
        ex.COSIGNATURES,
        "malformed not_found size_conflict invalid_proof idempotency_mismatch in_progress",
        media=TEXT,
    ),
)
async def add_checkpoint(visit: Witnessing) -> Response:
    """404: an unknown log. 403: not signed by it. 409: the size to begin from, as `text/x.tlog.size`. 422: the proof does not hold."""
    body = await visit.request.body()

    async def work() -> Response:
        try:
            lines = await visit.api.federation.port.add_checkpoint(body)
        except SizeConflict as conflict:
            return Response(b"%d\n" % conflict.size, status_code=409, headers={"Content-Type": TLOG_SIZE})
        return Response(lines, media_type=TEXT)

    return await visit.once(body, work)

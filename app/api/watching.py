"""Watching: lists of what is watched, webhooks, the same events as pages and as a stream, corrections (schemas §4.5).

Everything is its owner's: the keys of one member that see the same. Of what belongs to others it is not told that it exists.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from typing import Annotated
from urllib.parse import urlencode

import orjson
from fastapi import APIRouter, Query
from starlette.responses import Response, StreamingResponse

from app.api import examples_watching as ex
from app.api import schemas as s
from app.api.bodies import as_model, read_body
from app.api.callers import EVENTS, JSON, NO_STORE, Visit, Watching, WatchingEvents
from app.api.docs import EventsResponse, answers, takes
from app.domain.answer import instant_text
from app.domain.canonical import JsonValue
from app.domain.errors import Malformed
from app.domain.watching import TEST_TYPE, event_id, read_event_id
from app.services.deliver import event_words, keys_in_force
from app.services.watch import read_items
from app.storage.outbox import WatchEvent
from app.storage.watches import Watchlist
from app.storage.webhooks import Webhook

router = APIRouter(prefix="/v1", tags=["watching"])

STREAM_S = 900.0
COMMENT_EVERY_S = 15.0
POLL_S = 0.5
PAGE = 100
_WRITE = "bad_json unsupported_media_type not_acceptable idempotency_mismatch in_progress"
_CHANGE = "bad_json unsupported_media_type not_acceptable not_found precondition_failed precondition_required"

# --- watchlists --------------------------------------------------------------------------------------------------------


@router.post(
    "/watchlists",
    operation_id="create_watchlist",
    summary="Watch wallets and indicators by id, or buckets of them.",
    openapi_extra=takes({JSON: ex.NEW_WATCHLIST}, s.NewWatchlist),
    responses=answers({201: "The list."}, s.WatchlistRecord, ex.WATCHLIST, _WRITE),
    status_code=201,
)
async def create_watchlist(visit: Watching) -> Response:
    """What is listed already is no news: screen it first. Up to 1,000 items at once; PATCH adds more."""
    body = await visit.request.body()
    asked = as_model(read_body(visit.request, body), s.NewWatchlist)
    items = read_items([(one.id, one.reference) for one in asked.items], asked.prefixes)

    async def work() -> Response:
        made = await visit.api.node.watching.create_list(visit.caller.owner, asked.name, items)
        return visit.answer(_list_words(made), status=201)

    return await visit.once(body, work)


@router.get(
    "/watchlists",
    operation_id="list_watchlists",
    summary="One's own lists.",
    responses=answers("Oldest first.", s.Watchlists, ex.WATCHLISTS, "not_acceptable"),
)
async def list_watchlists(visit: Watching) -> Response:
    """Without what they hold."""
    found = await visit.api.node.watching.lists(visit.caller.owner)
    return await visit.stored({"items": [_list_words(one) for one in found], "next": None}, cache=NO_STORE)


@router.get(
    "/watchlists/{id}",
    operation_id="get_watchlist",
    summary="One list.",
    responses=answers("Its ETag is what PATCH and DELETE want.", s.WatchlistRecord, ex.WATCHLIST, "not_found not_acceptable"),
)
async def get_watchlist(visit: Watching, id: str) -> Response:
    """Without what it holds."""
    return await visit.stored(_list_words(await _list(visit, id)), cache=NO_STORE)


@router.get(
    "/watchlists/{id}/items",
    operation_id="list_watched",
    summary="What a list holds.",
    responses=answers("A page.", s.WatchedItems, ex.WATCHED, "not_found not_acceptable"),
)
async def list_watched(visit: Watching, id: str, page: Annotated[s.Page, Query()]) -> Response:
    """By id."""
    one, place = await _list(visit, id), await visit.place(page.cursor)
    found = await visit.api.node.watching.items(one, after=str(place[0]) if place else "", limit=page.limit)
    after: tuple[str, ...] | None = (found[-1].watched,) if len(found) == page.limit else None
    items: list[JsonValue] = [{"id": item.watched, "reference": item.reference} for item in found]
    return await visit.stored(await visit.page(items, after), cache=NO_STORE)


@router.patch(
    "/watchlists/{id}",
    operation_id="change_watchlist",
    summary="Put items in and take others out, in one step.",
    openapi_extra=takes({JSON: ex.WATCHLIST_CHANGE}, s.WatchlistChange),
    responses=answers("The list.", s.WatchlistRecord, ex.WATCHLIST, _CHANGE),
)
async def change_watchlist(visit: Watching, id: str) -> Response:
    """What is taken out is taken out first."""
    asked = as_model(read_body(visit.request, await visit.request.body()), s.WatchlistChange)
    one = await _list(visit, id)
    await visit.check_version(_list_words(one))
    add = read_items([(item.id, item.reference) for item in asked.add], asked.prefixes, member="add")
    is_bucket = [len(text) == 4 for text in asked.remove]
    ids = read_items([(text, None) for text, bucket in zip(asked.remove, is_bucket, strict=True) if not bucket], [], member="remove")
    gone = [item.watched for item in ids] + [text for text, bucket in zip(asked.remove, is_bucket, strict=True) if bucket]
    changed = await visit.api.node.watching.change_list(one, name=asked.name, add=add, remove=gone)
    return await visit.stored(_list_words(changed), cache=NO_STORE)


@router.delete(
    "/watchlists/{id}",
    operation_id="end_watchlist",
    summary="Drop a list.",
    responses=answers({204: "It is gone."}, None, None, "not_found precondition_failed precondition_required"),
    status_code=204,
)
async def end_watchlist(visit: Watching, id: str) -> Response:
    """Its events stay."""
    one = await _list(visit, id)
    await visit.check_version(_list_words(one))
    await visit.api.node.watching.end_list(one)
    return _gone()


async def _list(visit: Visit, list_id: str) -> Watchlist:
    return await visit.api.node.watching.list_of(visit.caller.owner, list_id)


def _list_words(one: Watchlist) -> dict[str, JsonValue]:
    return {"id": one.id, "name": one.name, "created_at": instant_text(one.created_ms)}


def _gone() -> Response:
    return Response(status_code=204, headers={"Cache-Control": NO_STORE})


# --- webhooks ----------------------------------------------------------------------------------------------------------


@router.post(
    "/webhooks",
    operation_id="create_webhook",
    summary="Have events sent to an address of one's own.",
    openapi_extra=takes({JSON: ex.NEW_WEBHOOK}, s.NewWebhook),
    responses=answers({201: "The webhook; its secret is shown this once."}, s.NewWebhookRecord, ex.WEBHOOK_ONCE, _WRITE),
    status_code=201,
)
async def create_webhook(visit: Watching) -> Response:
    """Standard Webhooks: verify with the secret (v1), or with the public key (v1a)."""
    body = await visit.request.body()
    asked = as_model(read_body(visit.request, body), s.NewWebhook)

    async def work() -> Response:
        node = visit.api.node
        made = await node.watching.create_hook(visit.caller.owner, asked.url, events=asked.events, watchlists=asked.watchlists)
        await visit.told("create_webhook", made.id)
        return visit.answer(_with_secret(visit, made), status=201)

    return await visit.once(body, work)


@router.get(
    "/webhooks",
    operation_id="list_webhooks",
    summary="One's own webhooks, without their secrets.",
    responses=answers("Oldest first.", s.Webhooks, ex.WEBHOOKS, "not_acceptable"),
)
async def list_webhooks(visit: Watching) -> Response:
    """Disabled ones with the reason."""
    found = await visit.api.node.watching.hooks(visit.caller.owner)
    return await visit.stored({"items": [_hook_words(visit, one) for one in found], "next": None}, cache=NO_STORE)


@router.get(
    "/webhooks/{id}",
    operation_id="get_webhook",
    summary="One webhook without its secret.",
    responses=answers("Its ETag is what PATCH and DELETE want.", s.WebhookRecord, ex.WEBHOOK, "not_found not_acceptable"),
)
async def get_webhook(visit: Watching, id: str) -> Response:
    """`reason` says why it was disabled."""
    return await visit.stored(_hook_words(visit, await _hook(visit, id)), cache=NO_STORE)


@router.patch(
    "/webhooks/{id}",
    operation_id="change_webhook",
    summary="Send elsewhere, send other events, or send again.",
    openapi_extra=takes({JSON: ex.WEBHOOK_CHANGE}, s.WebhookChange),
    responses=answers("The webhook.", s.WebhookRecord, ex.WEBHOOK, _CHANGE),
)
async def change_webhook(visit: Watching, id: str) -> Response:
    """`state: active` enables what was disabled; what waited goes out, dead letters by `replay`."""
    asked = as_model(read_body(visit.request, await visit.request.body()), s.WebhookChange)
    one = await _hook(visit, id)
    await visit.check_version(_hook_words(visit, one))
    changed = await visit.api.node.watching.change_hook(
        one, url=asked.url, events=asked.events, watchlists=asked.watchlists, enable=asked.state == "active"
    )
    await visit.told("change_webhook", one.id)
    return await visit.stored(_hook_words(visit, changed), cache=NO_STORE)


@router.delete(
    "/webhooks/{id}",
    operation_id="end_webhook",
    summary="Send nothing there any more.",
    responses=answers({204: "It is gone."}, None, None, "not_found precondition_failed precondition_required"),
    status_code=204,
)
async def end_webhook(visit: Watching, id: str) -> Response:
    """What was on its way is dropped; the events stay in `/v1/events`."""
    one = await _hook(visit, id)
    await visit.check_version(_hook_words(visit, one))
    await visit.api.node.watching.end_hook(one)
    return _gone()


@router.post(
    "/webhooks/{id}/rotate",
    operation_id="rotate_webhook_secret",
    summary="A new secret; for a day both sign.",
    responses=answers("The webhook with its new secret.", s.NewWebhookRecord, ex.WEBHOOK_ONCE, "not_found not_acceptable"),
)
async def rotate_webhook_secret(visit: Watching, id: str) -> Response:
    """Once more at once would end the old one early."""
    changed = await visit.api.node.watching.rotate(await _hook(visit, id))
    await visit.told("rotate_webhook", changed.id)
    return visit.answer(_with_secret(visit, changed))


@router.post(
    "/webhooks/{id}/test",
    operation_id="test_webhook",
    summary="Send a test event now.",
    responses=answers("How it went.", s.TestDelivery, ex.TEST, "not_found not_acceptable"),
)
async def test_webhook(visit: Watching, id: str) -> Response:
    """Type `webhook.test.v1`, signed like all; not kept and not tried again."""
    one, now_ms = await _hook(visit, id), visit.api.node.clock()
    name = f"test-{secrets.token_hex(8)}"
    words: dict[str, JsonValue] = {"id": name, "type": TEST_TYPE, "timestamp": instant_text(now_ms), "urgent": False, "data": {}}
    outcome = await visit.api.node.deliverer.send(one, words)
    return visit.answer({"id": name, "delivered": outcome.arrived, "note": outcome.note})


@router.post(
    "/webhooks/{id}/replay",
    operation_id="replay_webhook",
    summary="Send everything after an event again.",
    openapi_extra=takes({JSON: ex.FROM}, s.FromEvent),
    responses=answers("How many events were queued.", s.Replayed, ex.REPLAYED, f"{_WRITE} not_found malformed"),
)
async def replay_webhook(visit: Watching, id: str) -> Response:
    """Under their old ids, dead letters among them."""
    body = await visit.request.body()
    asked = as_model(read_body(visit.request, body), s.FromEvent)
    one = await _hook(visit, id)
    after = read_event_id(visit.caller.owner, asked.cursor)

    async def work() -> Response:
        return visit.answer({"events": await visit.api.node.watching.replay(one, after)})

    return await visit.once(body, work)


@router.get(
    "/webhooks/{id}/dead-letters",
    operation_id="list_dead_letters",
    summary="Events that could not be delivered.",
    responses=answers("In their order.", s.DeadLetters, ex.DEAD_LETTERS, "not_found not_acceptable malformed"),
)
async def list_dead_letters(visit: Watching, id: str, page: Annotated[s.EventsPage, Query()]) -> Response:
    """With how the last attempt ended; `waiting` counts the events that are still on their way."""
    one, owner = await _hook(visit, id), visit.caller.owner
    found = await visit.api.node.watching.dead(one, after=_after(visit, page.cursor), limit=page.limit)
    items: list[JsonValue] = [{"id": event_id(owner, d.seq), "attempts": d.attempts, "note": d.note} for d in found]
    waiting = (await visit.api.node.watching.counts(one)).get("waiting", 0)
    words: dict[str, JsonValue] = {"items": items, "next": _next(visit, [d.seq for d in found], page.limit), "waiting": waiting}
    return await visit.stored(words, cache=NO_STORE)


async def _hook(visit: Visit, hook_id: str) -> Webhook:
    return await visit.api.node.watching.hook_of(visit.caller.owner, hook_id)


def _hook_words(visit: Visit, one: Webhook) -> dict[str, JsonValue]:
    key = keys_in_force(one, visit.api.node.clock())[0]
    return {
        "id": one.id,
        "url": one.url,
        "events": [*one.events],
        "watchlists": [*one.watchlists],
        "state": one.state,
        "reason": one.reason,
        "public_key": key.public,
        "created_at": instant_text(one.created_ms),
    }


def _with_secret(visit: Visit, one: Webhook) -> dict[str, JsonValue]:
    return {**_hook_words(visit, one), "secret": keys_in_force(one, visit.api.node.clock())[0].secret}


# --- events ------------------------------------------------------------------------------------------------------------


@router.get(
    "/events",
    operation_id="list_events",
    summary="What happened to what is watched, after a cursor.",
    responses=answers("In order.", s.WatchEvents, ex.EVENTS, "not_acceptable malformed"),
)
async def list_events(visit: Watching, page: Annotated[s.EventsPage, Query()]) -> Response:
    """The `id` of an event is its cursor; the number in it grows by one with each event of this client."""
    found = await _events(visit, _after(visit, page.cursor), page.limit)
    return await visit.stored(_page(visit, found, page.limit), cache=NO_STORE)


@router.get(
    "/events/stream",
    operation_id="stream_events",
    summary="The same events as they happen.",
    response_class=EventsResponse,
    responses=answers("Server-sent events; `Last-Event-ID` goes on where it broke off.", None, ex.STREAM, "malformed", media=EVENTS),
)
async def stream_events(visit: WatchingEvents, page: Annotated[s.EventsPage, Query()]) -> Response:
    """Without a cursor from now on. It begins with the cursor that it goes on from, and ends after a quarter of an hour: the client comes
    back with the last id, and has missed nothing.
    """
    cursor = visit.request.headers.get("last-event-id") or page.cursor
    if cursor is not None:
        after = _after(visit, cursor)
    else:
        async with visit.api.node.database.reading() as tx:
            after = await tx.outbox.last(visit.caller.owner)
    return StreamingResponse(_stream(visit, after), media_type=EVENTS, headers={"Cache-Control": NO_STORE, "X-Accel-Buffering": "no"})


async def _stream(visit: Visit, after: int) -> AsyncIterator[bytes]:
    yield b"id: %s\n: events\n\n" % event_id(visit.caller.owner, after).encode()
    ends = spoken = time.monotonic()
    ends += STREAM_S
    while time.monotonic() < ends and await visit.api.node.recognition.watcher(visit.caller.owner) is not None:
        found = await _events(visit, after, PAGE)
        if found:
            after, spoken = found[-1].seq, time.monotonic()
            yield b"".join(_sse(visit.caller.owner, one) for one in found)
        elif time.monotonic() - spoken > COMMENT_EVERY_S:
            spoken = time.monotonic()
            yield b":\n\n"
        if len(found) < PAGE:
            await visit.api.node.notify.news(min(POLL_S, max(0.0, ends - time.monotonic())))
            await asyncio.sleep(0)


def _sse(owner: str, one: WatchEvent) -> bytes:
    words = event_words(owner, one)
    return b"id: %s\nevent: %s\ndata: %s\n\n" % (str(words["id"]).encode(), one.type.encode(), orjson.dumps(words))


@router.get(
    "/corrections",
    operation_id="list_corrections",
    summary="What was told to this client and holds no longer.",
    responses=answers("In order; `acknowledged`: up to which this client has.", s.Corrections, ex.CORRECTIONS, "not_acceptable malformed"),
)
async def list_corrections(visit: Watching, page: Annotated[s.EventsPage, Query()]) -> Response:
    """Whoever was told of a listing is told when it is withdrawn, expires, or is suspended."""
    found = await _events(visit, _after(visit, page.cursor), page.limit, urgent=True)
    async with visit.api.node.database.reading() as tx:
        seq = await tx.told.acknowledged(visit.caller.owner)
    acknowledged: JsonValue = event_id(visit.caller.owner, seq) if seq else None
    return await visit.stored({**_page(visit, found, page.limit), "acknowledged": acknowledged}, cache=NO_STORE)


@router.post(
    "/corrections/acknowledge",
    operation_id="acknowledge_corrections",
    summary="Say that corrections up to an event have been acted on.",
    openapi_extra=takes({JSON: ex.FROM}, s.FromEvent),
    responses=answers("Up to which.", s.Acknowledged, ex.ACKNOWLEDGED, f"{_WRITE} malformed"),
)
async def acknowledge_corrections(visit: Watching) -> Response:
    """What is not acknowledged within a day is an operator's matter."""
    body = await visit.request.body()
    asked = as_model(read_body(visit.request, body), s.FromEvent)
    owner, node = visit.caller.owner, visit.api.node
    seq = read_event_id(owner, asked.cursor)

    async def work() -> Response:
        async with node.database.transaction() as tx:
            if seq > await tx.outbox.last(owner):
                raise Malformed("a cursor is the `id` of one of your events")
            seen = max(seq, await tx.told.acknowledged(owner))
            await tx.told.acknowledge(owner, seen, node.clock())
        return visit.answer({"acknowledged": event_id(owner, seen)})

    return await visit.once(body, work)


async def _events(visit: Visit, after: int, limit: int, *, urgent: bool = False) -> list[WatchEvent]:
    async with visit.api.node.database.reading() as tx:
        return await tx.outbox.events(visit.caller.owner, after=after, limit=limit, urgent=urgent)


def _after(visit: Visit, cursor: str | None) -> int:
    return 0 if cursor is None else read_event_id(visit.caller.owner, cursor)


def _page(visit: Visit, found: list[WatchEvent], limit: int) -> dict[str, JsonValue]:
    items: list[JsonValue] = [event_words(visit.caller.owner, one) for one in found]
    return {"items": items, "next": _next(visit, [one.seq for one in found], limit)}


def _next(visit: Visit, seqs: list[int], limit: int) -> str | None:
    if len(seqs) < limit:
        return None
    return f"{visit.request.scope['path']}?{urlencode({'limit': limit, 'cursor': event_id(visit.caller.owner, seqs[-1])})}"

"""Events on their way to the addresses of clients: signed, tried over three days, and never one address at the cost of another.

An event goes out under its own id however often it is tried. A 2xx takes it off the queue, anything else puts it off along the schedule
(trust-and-ops §4, F-21); after its last attempt it is a dead letter and the address is disabled, with the reason for its owner to read.
410 disables at once; 429, 502, 503 and 504 let all of that address rest. A crash between an answer and its record sends it again.
"""

from __future__ import annotations

import asyncio
import logging
import random
from base64 import b64decode
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Protocol

import orjson

from app.domain.answer import instant_text
from app.domain.canonical import JsonValue, read_decimal
from app.domain.errors import Malformed
from app.domain.labels import Reader
from app.domain.watching import event_id
from app.sdk.post import Outcome
from app.sdk.webhook import WebhookKey, headers_for
from app.storage.database import Database, Transaction
from app.storage.outbox import WatchEvent
from app.storage.webhooks import Delivery, Webhook
from app.storage.wholly import end_all

log = logging.getLogger("cordon.webhooks")

SCHEDULE_S = (0, 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Seconds before each attempt, counted from the one before."""
JITTER = 0.1
PER_ADDRESS = 4
IN_ALL = 64
REFILL_S = 0.05
REST_S = 60
MAX_REST_S = 86_400
THROTTLED = frozenset({429, 502, 503, 504})
GONE = 410
LEASE, LEASE_MS = "webhooks", 20_000


class Port(Protocol):
    """What sends."""

    async def post(self, url: str, headers: dict[str, str], body: bytes) -> Outcome:
        """Send one request."""
        ...

    async def close(self) -> None:
        """Give the connections back."""
        ...


def event_words(owner: str, event: WatchEvent) -> dict[str, JsonValue]:
    """An event as it is sent, listed and streamed."""
    return {
        "id": event_id(owner, event.seq),
        "type": event.type,
        "timestamp": instant_text(event.at_ms),
        "urgent": event.urgent,
        "data": orjson.loads(event.data),
    }


def keys_in_force(hook: Webhook, now_ms: int) -> list[WebhookKey]:
    """With what an address is signed now: during a rotation with the old key, too."""
    return [
        WebhookKey(b64decode(str(one["hmac"])), b64decode(str(one["seed"])))
        for one in hook.secrets
        if not isinstance(until := one["until_ms"], int) or until > now_ms
    ]


class Deliverer:
    """Sends what is due; `tick` goes on as long as attempts end quickly, and waits for no slow one."""

    def __init__(
        self,
        database: Database,
        poster: Port,
        *,
        reader_of: Callable[[str], Awaitable[Reader | None]],
        clock: Callable[[], int],
        worker: str,
        shares_database: bool,
    ) -> None:
        self._database = database
        self._poster = poster
        self._reader_of = reader_of
        self._clock = clock
        self._worker = worker
        self._shares_database = shares_database
        self._under_way: dict[tuple[str, int], asyncio.Task[None]] = {}
        self.outcomes: Counter[str] = Counter()
        """How many attempts ended how: delivered, failed, dead, disabled."""

    async def tick(self) -> None:
        """Send what is due: a few at a time to each address, so that a slow one keeps nobody waiting."""
        while await self._start_due() and self._under_way:
            ended, _ = await asyncio.wait(list(self._under_way.values()), timeout=REFILL_S, return_when=asyncio.FIRST_COMPLETED)
            if not ended:
                return

    async def _start_due(self) -> bool:
        """Start what is due and fits; whether there was any."""
        started = False
        now_ms = self._clock()
        hooks = await self._database.quick.webhooks.ready(now_ms)
        if not hooks or not await self._is_ours(now_ms):
            return False
        for hook in hooks:
            busy = sum(which == hook.id for which, _ in self._under_way)
            free = min(PER_ADDRESS - busy, IN_ALL - len(self._under_way))
            if free <= 0:
                continue
            # What was under way before this was read may have ended meanwhile: then what was read of it is no longer true.
            earlier = set(self._under_way)
            due = await self._database.quick.webhooks.due(hook.id, now_ms, limit=PER_ADDRESS + free)
            # Corrections first: nothing else is begun before each of them has been tried.
            for one in [one for one in due if one.urgent] or due:
                key = (one.webhook, one.seq)
                if free and key not in earlier and key not in self._under_way:
                    free -= 1
                    started = True
                    self._start(key, self._attempt(hook, one))
        return started

    def _start(self, key: tuple[str, int], work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._under_way[key] = task

        def done(ended: asyncio.Task[None]) -> None:
            self._under_way.pop(key, None)
            if not ended.cancelled() and ended.exception() is not None:
                log.error("a delivery stumbled and is tried again", exc_info=ended.exception())

        task.add_done_callback(done)

    async def settle(self) -> None:
        """Wait for the attempts under way."""
        while self._under_way:
            await asyncio.wait(list(self._under_way.values()))
            await asyncio.sleep(0)

    async def stop(self) -> None:
        """Break off: what was not recorded is sent again under the same id."""
        await end_all(self._under_way.values())
        await self._poster.close()

    async def _is_ours(self, now_ms: int) -> bool:
        if not self._shares_database:
            return True
        return await self._database.run(lambda tx: tx.leases.take(LEASE, self._worker, now_ms, LEASE_MS))

    # --- one attempt -------------------------------------------------------------------------------------------------

    async def _attempt(self, hook: Webhook, one: Delivery) -> None:
        if await self._reader_of(hook.owner) is None:
            await self._disable(hook, "no API key of yours may watch any more: make one with the scope `watch`, then enable this again")
            return
        async with self._database.reading() as tx:
            event = (await tx.outbox.events_at(hook.owner, [one.seq])).get(one.seq)
        if event is None:  # older than events are kept
            await self._database.run(lambda tx: tx.webhooks.done([(one.webhook, one.seq)]))
            return
        outcome = await self.send(hook, event_words(hook.owner, event))
        if outcome.arrived:
            self.outcomes["delivered"] += 1
            await self._database.run(lambda tx: tx.webhooks.done([(one.webhook, one.seq)]))
        else:
            await self._failed(hook, one, outcome)

    async def send(self, hook: Webhook, words: dict[str, JsonValue]) -> Outcome:
        """One signed request, nothing recorded."""
        body = orjson.dumps(words)
        now_ms = self._clock()
        headers = headers_for(keys_in_force(hook, now_ms), str(words["id"]), now_ms // 1000, body)
        return await self._poster.post(hook.url, headers, body)

    async def _failed(self, hook: Webhook, one: Delivery, outcome: Outcome) -> None:
        now_ms, tries = self._clock(), one.attempts + 1
        is_last = tries >= len(SCHEDULE_S)
        pause_s = 0.0 if is_last else SCHEDULE_S[tries] * (1 + JITTER * random.random())  # noqa: S311 — jitter, no secret
        later = Delivery(
            one.webhook, one.seq, one.urgent, now_ms + int(pause_s * 1000), tries, "dead" if is_last else "waiting", outcome.note
        )
        rest_s = _rest_s(outcome, now_ms)
        reason = ""
        if outcome.status == GONE:
            reason = "it answered 410 Gone"
        elif is_last:
            reason = f"it has not taken an event for three days ({outcome.note}): mend it, enable it, replay from the last event you have"

        async def work(tx: Transaction) -> bool:
            await tx.webhooks.put_off(later)
            now = await tx.webhooks.get(hook.id, for_change=True)
            if now is None or now.url != hook.url:  # its owner sends elsewhere by now: this says nothing of there
                return False
            if rest_s:
                await tx.webhooks.rest(hook.id, now_ms + rest_s * 1000)
            if reason:
                await tx.webhooks.set_state(hook.id, "disabled", reason)
            return bool(reason)

        is_disabled = await self._database.run(work)
        self.outcomes["dead" if is_last else "failed"] += 1
        if is_disabled:
            self._tell_disabled(hook, reason)

    async def _disable(self, hook: Webhook, reason: str) -> None:
        await self._database.run(lambda tx: tx.webhooks.set_state(hook.id, "disabled", reason))
        self._tell_disabled(hook, reason)

    def _tell_disabled(self, hook: Webhook, reason: str) -> None:
        self.outcomes["disabled"] += 1
        log.error("WEBHOOK %s of %s is disabled: %s", hook.id, hook.owner, reason)


def _rest_s(outcome: Outcome, now_ms: int) -> int:
    """How long an address rests that says it has too much to do."""
    if outcome.status not in THROTTLED:
        return 0
    return min(read_retry_after(outcome.retry_after, now_ms) or REST_S, MAX_REST_S)


def read_retry_after(text: str, now_ms: int) -> int:
    """Seconds from now that a `Retry-After` names, as a number or a date; 0 for none."""
    try:
        return min(read_decimal(text), MAX_REST_S)
    except Malformed:
        pass
    try:
        named = parsedate_to_datetime(text)
    except ValueError:
        return 0
    return max(0, int(named.astimezone(UTC).timestamp()) - int(datetime.fromtimestamp(now_ms / 1000, UTC).timestamp()))

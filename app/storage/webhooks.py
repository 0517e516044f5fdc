"""Webhooks: where the events of a client go, and those that are on their way (trust-and-ops §4).

Secrets are kept as they are: an HMAC needs the very bytes. Whoever reads the database can forge deliveries, nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import orjson
from sqlalchemy import bindparam, delete, exists, func, select, update

from app.storage.session import Session
from app.storage.sql import Query, Row, insertion_if_absent, upsertion
from app.storage.watch_tables import delivery, webhook

_W, _D = webhook.c, delivery.c
_PUT = upsertion(webhook)
_GET = Query(select(webhook).where(_W.id == bindparam("id")))
_TAKE = Query(select(webhook).where(_W.id == bindparam("id")).with_for_update())
_ANY = Query(select(_W.id).limit(1))
_OF_OWNER = Query(select(webhook).where(_W.owner == bindparam("owner")).order_by(_W.created_ms, _W.id))
_STATE = Query(update(webhook).where(_W.id == bindparam("which")).values(state=bindparam("to"), reason=bindparam("why")))
_REST = Query(update(webhook).where(_W.id == bindparam("which")).values(resting_ms=bindparam("until")))
_DROP = Query(delete(webhook).where(_W.id == bindparam("which")))
_DROP_ALL = Query(delete(delivery).where(_D.webhook == bindparam("which")))
_QUEUE = insertion_if_absent(delivery)
_IS_DUE = (_D.state == "waiting") & (_D.due_ms <= bindparam("now"))
_IS_AWAKE = (_W.state == "active") & (_W.resting_ms <= bindparam("awake"))
_READY = Query(select(webhook).where(_IS_AWAKE, exists().where(_D.webhook == _W.id, _IS_DUE)).order_by(_W.id))
# Corrections go first, then what is due longest.
_DUE = Query(
    select(delivery)
    .where(_D.webhook == bindparam("which"), _IS_DUE, exists().where(_W.id == _D.webhook, _IS_AWAKE))
    .order_by(_D.urgent.desc(), _D.due_ms, _D.seq)
    .limit(bindparam("most"))
)
_DONE = Query(delete(delivery).where(_D.webhook == bindparam("which"), _D.seq == bindparam("number")))
_RETRY = Query(
    update(delivery)
    .where(_D.webhook == bindparam("which"), _D.seq == bindparam("number"))
    .values(due_ms=bindparam("due"), attempts=bindparam("tries"), state=bindparam("to"), note=bindparam("why"))
)
_DEAD = Query(
    select(delivery)
    .where(_D.webhook == bindparam("which"), _D.state == "dead", _D.seq > bindparam("after"))
    .order_by(_D.seq)
    .limit(bindparam("most"))
)
_COUNTS = Query(select(_D.state, func.count()).where(_D.webhook == bindparam("which")).group_by(_D.state))


@dataclass(frozen=True, slots=True)
class Webhook:
    """One address of a client. `events`: patterns of types (`listing.*`); `watchlists`: ids, empty for all.

    `secrets`: newest first, each {"hmac": base64, "seed": base64, "until_ms": int or None}. `resting_ms`: nothing is sent before.
    """

    id: str
    owner: str
    url: str
    events: tuple[str, ...]
    watchlists: tuple[str, ...]
    secrets: tuple[Mapping[str, str | int | None], ...] = field(repr=False)
    created_ms: int
    state: str = "active"
    reason: str = ""
    resting_ms: int = 0


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way to one address. `note`: how the last attempt ended."""

    webhook: str
    seq: int
    urgent: bool
    due_ms: int
    attempts: int = 0
    state: str = "waiting"
    note: str = ""


class WebhookShelf:
    """Addresses and deliveries."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    async def put(self, one: Webhook) -> None:
        """Keep an address, or replace it."""
        filtered = orjson.dumps({"events": one.events, "watchlists": one.watchlists})
        secrets = orjson.dumps([dict(secret) for secret in one.secrets])
        row = (one.id, one.owner, one.url, filtered, secrets, one.state, one.reason, one.resting_ms, one.created_ms)
        await self._session.run_many(_PUT, [row])

    async def get(self, webhook_id: str, *, for_change: bool = False) -> Webhook | None:
        """An address by its id. `for_change`: nobody else changes it until this transaction ends."""
        rows = await self._session.rows(_TAKE if for_change else _GET, id=webhook_id)
        return _webhook(rows[0]) if rows else None

    async def is_any(self) -> bool:
        """Whether there is any address."""
        return bool(await self._session.rows(_ANY))

    async def of_owner(self, owner: str) -> list[Webhook]:
        """The addresses of an owner, oldest first."""
        return [_webhook(row) for row in await self._session.rows(_OF_OWNER, owner=owner)]

    async def set_state(self, webhook_id: str, state: str, reason: str = "") -> None:
        """Send there again, or no more."""
        await self._session.run(_STATE, which=webhook_id, to=state, why=reason)

    async def rest(self, webhook_id: str, until_ms: int) -> None:
        """Send nothing there before a moment: it said that it has too much to do."""
        await self._session.run(_REST, which=webhook_id, until=until_ms)

    async def end(self, webhook_id: str) -> None:
        """Drop an address and what was on its way there."""
        await self._session.run(_DROP_ALL, which=webhook_id)
        await self._session.run(_DROP, which=webhook_id)

    async def queue(self, rows: Iterable[Delivery]) -> None:
        """Send events; those that are on their way already are left alone."""
        await self._session.run_many(
            _QUEUE, [(one.webhook, one.seq, int(one.urgent), one.due_ms, one.attempts, one.state, one.note) for one in rows]
        )

    async def ready(self, now_ms: int) -> list[Webhook]:
        """The addresses to which something is to be sent by now: not the disabled, not those that rest."""
        return [_webhook(row) for row in await self._session.rows(_READY, awake=now_ms, now=now_ms)]

    async def due(self, webhook_id: str, now_ms: int, *, limit: int) -> list[Delivery]:
        """What is to be sent to an address by now, urgent first; nothing to one that is disabled or rests."""
        return [_delivery(row) for row in await self._session.rows(_DUE, which=webhook_id, now=now_ms, awake=now_ms, most=limit)]

    async def done(self, rows: Sequence[tuple[str, int]]) -> None:
        """These have arrived: (webhook, seq) each."""
        for which, number in rows:
            await self._session.run(_DONE, which=which, number=number)

    async def put_off(self, one: Delivery) -> None:
        """Try one again at its `due_ms`, or keep it among the dead."""
        await self._session.run(_RETRY, which=one.webhook, number=one.seq, due=one.due_ms, tries=one.attempts, to=one.state, why=one.note)

    async def dead(self, webhook_id: str, *, after: int = 0, limit: int = 100) -> list[Delivery]:
        """What could not be delivered, in order."""
        return [_delivery(row) for row in await self._session.rows(_DEAD, which=webhook_id, after=after, most=limit)]

    async def counts(self, webhook_id: str) -> dict[str, int]:
        """How many are waiting and how many are dead."""
        return {state: int(count) for state, count in await self._session.rows(_COUNTS, which=webhook_id)}


def _webhook(row: Row) -> Webhook:
    id_, owner, url, filtered, secrets, state, reason, resting_ms, created_ms = row
    chosen = orjson.loads(filtered)
    return Webhook(
        id=id_,
        owner=owner,
        url=url,
        events=tuple(chosen["events"]),
        watchlists=tuple(chosen["watchlists"]),
        secrets=tuple(orjson.loads(secrets)),
        created_ms=created_ms,
        state=state,
        reason=reason,
        resting_ms=resting_ms,
    )


def _delivery(row: Row) -> Delivery:
    which, seq, urgent, due_ms, attempts, state, note = row
    return Delivery(which, seq, bool(urgent), due_ms, attempts, state, note)

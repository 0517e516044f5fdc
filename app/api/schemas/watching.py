"""Watchlists, webhooks and events, asked and told (schemas §4.5)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from app.api.schemas.base import Asked, Limit, Told

Name = Annotated[str, StringConstraints(max_length=100)]
Address = Annotated[str, StringConstraints(min_length=1, max_length=2048)]
Prefix = Annotated[str, StringConstraints(pattern="^[0-9a-f]{4}$")]
Cursor = Annotated[str, StringConstraints(max_length=64)]


class WatchItem(Asked):
    """A wallet or an indicator in any spelling, and what the client calls it."""

    id: Address
    reference: Annotated[str | None, StringConstraints(max_length=256)] = None


class NewWatchlist(Asked):
    """Ids, or buckets: the first four hex digits of their keys, so that nobody learns whose they are."""

    name: Name = ""
    items: Annotated[list[WatchItem], Field(default_factory=list, max_length=1000)]
    prefixes: Annotated[list[Prefix], Field(default_factory=list, max_length=1000)]


class WatchlistChange(Asked):
    """What comes in and what goes out; `remove` names ids or buckets."""

    name: Name | None = None
    add: Annotated[list[WatchItem], Field(default_factory=list, max_length=1000)]
    prefixes: Annotated[list[Prefix], Field(default_factory=list, max_length=1000)]
    remove: Annotated[list[Address], Field(default_factory=list, max_length=1000)]


class NewWebhook(Asked):
    """Where events go, which, and from which lists (none named: all)."""

    url: Address
    events: Annotated[list[Name], Field(default_factory=lambda: ["listing.*"], min_length=1, max_length=20)]
    watchlists: Annotated[list[Name], Field(default_factory=list, max_length=100)]


class WebhookChange(Asked):
    """`state`: enable what was disabled."""

    url: Address | None = None
    events: Annotated[list[Name] | None, Field(min_length=1, max_length=20)] = None
    watchlists: Annotated[list[Name] | None, Field(max_length=100)] = None
    state: Literal["active"] | None = None


class FromEvent(Asked):
    """An event by its id."""

    cursor: Cursor


class EventsPage(Asked):
    """What comes after an event."""

    limit: Limit = 100
    cursor: Annotated[Cursor | None, Field(description="The `id` of the last event that you have.")] = None


class WatchlistRecord(Told):
    id: str
    name: str
    created_at: str


class Watchlists(Told):
    items: list[WatchlistRecord]
    next: str | None


class WatchedItem(Told):
    id: str
    reference: str | None


class WatchedItems(Told):
    items: list[WatchedItem]
    next: str | None


class WebhookRecord(Told):
    id: str
    url: str
    events: list[str]
    watchlists: list[str]
    state: Literal["active", "disabled"]
    reason: str
    public_key: str
    created_at: str


class NewWebhookRecord(WebhookRecord):
    secret: str


class Webhooks(Told):
    items: list[WebhookRecord]
    next: str | None


class TestDelivery(Told):
    id: str
    delivered: bool
    note: str


class Replayed(Told):
    events: int


class EventData(Told):
    sid: str
    origin: str
    subject: str
    watchlist: str | None
    reference: str | None
    previous_sid: str | None
    url: str


class WatchEvent(Told):
    id: str
    type: str
    timestamp: str
    urgent: bool
    data: EventData


class WatchEvents(Told):
    items: list[WatchEvent]
    next: str | None


class Corrections(WatchEvents):
    acknowledged: str | None


class Acknowledged(Told):
    acknowledged: str


class DeadLetter(Told):
    id: str
    attempts: int
    note: str


class DeadLetters(Told):
    items: list[DeadLetter]
    next: str | None
    waiting: int

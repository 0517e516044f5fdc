"""What callers send: bodies and queries, strict, nothing unknown (schemas §4)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from app.api.schemas.base import Asked, Instant, Limit, Word


class Page(Asked):
    """`limit` and `cursor` of every page."""

    limit: Limit = 100
    cursor: Annotated[str | None, Field(max_length=2048, description="From `next` of the page before.")] = None


class StatementsPage(Page):
    """Filters of the list of statements."""

    issuer: Word | None = None
    kind: Word | None = None
    since: Annotated[Instant | None, Field(description="Accepted at or after this instant.")] = None


class EntitiesPage(Page):
    """Filters of the list of entities, or one entity by `id`."""

    q: Annotated[str | None, Field(max_length=200, description="Words of a name; the last one may be unfinished.")] = None
    kind: Word | None = None
    country: Annotated[str | None, Field(pattern="^[A-Z]{2}$")] = None
    programme: Word | None = None
    id: Annotated[str | None, Field(max_length=2048)] = None


class SearchQuery(Asked):
    """Free search."""

    q: Annotated[str, Field(min_length=1, max_length=2048, description="Anything that was copied somewhere: an address, a domain, a name.")]
    limit: Limit = 100


class IdQuery(Asked):
    """An id that is no path segment."""

    id: Annotated[str, Field(min_length=1, max_length=2048)]


class ScopeQuery(Asked):
    """What narrows one address."""

    chain: Annotated[Word | None, Field(description="CAIP-2 id or common name.")] = None
    tag: Annotated[Word | None, Field(description="Memo or destination tag.")] = None


class ScreenQuery(ScopeQuery):
    """One address that is no path segment."""

    id: Annotated[str, Field(min_length=1, max_length=2048)]


class BulkQuery(Asked):
    """How a list is screened: only hits or every row, by which policy (both for streams; JSON says it in the body), and whether every
    checksum is verified.
    """

    include: Annotated[Literal["hits", "all"] | None, Field()] = None
    checksums: Annotated[Literal["true", "false"] | None, Field()] = None
    policy: Annotated[str | None, Field(min_length=1, max_length=64)] = None


class HealthQuery(Asked):
    """`?verbose` adds what was found, for the operator."""

    verbose: Annotated[Literal["", "1", "true"] | None, Field()] = None


class ScreenItem(Asked):
    """One address or indicator in any spelling."""

    address: Annotated[str, StringConstraints(max_length=4096)]
    chain: Annotated[str | None, StringConstraints(max_length=128)] = None
    tag: Annotated[str | None, StringConstraints(max_length=128)] = None
    direction: Annotated[str | None, StringConstraints(pattern=r"^[a-z_]{1,32}$")] = None
    reference: Annotated[str | None, StringConstraints(max_length=256)] = None


class ScreenRequest(Asked):
    """Up to 10,000 rows, with a signed receipt up to 500. `policy`: the name of one of the caller's own."""

    items: list[ScreenItem]
    include: Literal["all", "hits"] = "all"
    receipt: bool = False
    policy: Annotated[str | None, StringConstraints(max_length=64)] = None


class KeyQuota(Asked):
    """How often a key may ask."""

    requests_per_minute: Annotated[int | None, Field(ge=1, le=1_000_000)] = None
    addresses_per_day: Annotated[int | None, Field(ge=1, le=1_000_000_000)] = None


class NewKeyRequest(Asked):
    """A key for a member: its class is the member's."""

    member: Annotated[str, StringConstraints(min_length=1, max_length=253)]
    name: Annotated[str, StringConstraints(max_length=100)] = ""
    scopes: Annotated[list[Literal["screen", "watch", "read", "request"]], Field(min_length=1, max_length=4)]
    tier: Literal["clear", "green"] = "green"
    expires_at: Instant | None = None
    quota: KeyQuota = KeyQuota()

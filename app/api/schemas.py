"""The wire: what requests may hold and what answers do hold (schemas §3, §4).

Requests are strict and refuse unknown members. Answers are encoded straight from the services' words; the models here are their allow
list, held to it by the tests, and what `openapi.json` shows.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from app.domain.canonical import read_decimal
from app.domain.errors import Malformed

SCREEN_MOST = 10_000
PAGE_MOST = 1_000

_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")


def _decimal(value: object) -> object:
    """One spelling of a number in a query: no sign, no blank, no foreign digits."""
    if not isinstance(value, str):
        return value
    try:
        return read_decimal(value)
    except Malformed as error:
        raise ValueError(error.detail) from error


def is_instant(text: str) -> bool:
    """Whether a text is an instant of RFC 3339 in whole seconds with Z, and a day and time that exist."""
    if _INSTANT.fullmatch(text) is None:
        return False
    year, month, day, hour, minute, second = (int(part) for part in re.split("[-T:Z]", text)[:6])
    leap = month == 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    days = 29 if leap else (0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)[month] if 1 <= month <= 12 else 0
    return 1 <= day <= days and year >= 1970 and hour < 24 and minute < 60 and second < 60


def _instant(value: object) -> object:
    if isinstance(value, str) and not is_instant(value):
        raise ValueError("an instant is written 2026-10-02T08:00:00Z")
    return value


Instant = Annotated[str, BeforeValidator(_instant), Field(json_schema_extra={"format": "date-time"})]
Limit = Annotated[int, BeforeValidator(_decimal), Field(ge=1, le=PAGE_MOST)]
Word = Annotated[str, StringConstraints(max_length=128)]
Item = dict[str, Any]


class Asked(BaseModel):
    """A request: nothing but what stands here."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Told(BaseModel):
    """An answer: nothing but what stands here."""

    model_config = ConfigDict(extra="forbid")


# --- what is asked -----------------------------------------------------------------------------------------------------


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
    """Up to 10,000 rows. Receipts and policies are not offered yet: only their absence can be said."""

    items: list[ScreenItem]
    include: Literal["all", "hits"] = "all"
    receipt: Literal[False] = False
    policy: None = None


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


# --- what is told ------------------------------------------------------------------------------------------------------


class ProblemFault(Told):
    pointer: str
    code: str
    detail: str


class Problem(Told):
    """RFC 9457."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    instance: str | None = None
    request_id: str | None = None
    errors: list[ProblemFault]
    violated_policies: Annotated[list[str] | None, Field(alias="violated-policies")] = None
    assistance: dict[str, str] | None = None


class RootReference(Told):
    ver: int
    sha256: str
    url: str


class LogReference(Told):
    origin: str
    url: str


class ApiVersion(Told):
    version: str
    sunset: str | None


class NodeCard(Told):
    node: str
    jurisdiction: str
    name: str
    protocol: list[str]
    root: RootReference
    logs: list[LogReference]
    vocabulary: int
    time: str
    demonstration: bool
    api: list[ApiVersion]


class Submission(Told):
    sid: str
    status: Literal["accepted", "known", "held"]
    reason: Literal["protected", "four_eyes", "needs2"] | None = None
    index: int | None = None
    accepted_ms: int | None = None
    receipt: str | None = None


class SubmissionRow(Told):
    row: int
    sid: str | None = None
    status: Literal["accepted", "known", "held"] | None = None
    reason: Literal["protected", "four_eyes", "needs2"] | None = None
    index: int | None = None
    accepted_ms: int | None = None
    receipt: str | None = None
    error: Problem | None = None


class Edge(Told):
    kind: str
    sid: str
    origin: str
    issuer: str | None


class StatementRecord(Told):
    sid: str
    origin: str
    index: int
    accepted_at: str
    stub: Item
    jws: str
    parts: dict[str, list[Any] | Literal["withheld", "erased"]]
    disclosures: list[str]
    state: str
    effective_until: str | None
    edges: list[Edge]
    contested: bool


class StatementBrief(Told):
    sid: str
    origin: str
    index: int
    kind: str
    issuer: str | None
    tlp: str
    accepted_at: str
    state: str
    effective_until: str | None
    superseded_by: str | None


class StatementBriefs(Told):
    items: list[StatementBrief]
    next: str | None


class HeldStatement(Told):
    sid: str
    issuer: str
    kid: str
    kind: str
    reason: Literal["protected", "four_eyes"]
    received_at: str


class HeldStatements(Told):
    items: list[HeldStatement]
    next: str | None


class Source(Told):
    origin: str
    state: str
    age_s: int
    stale: bool


class Said(Told):
    """What one statement says of the id; the suggestion is its issuer's, what to do is for the reader to decide."""

    sid: str
    origin: str
    issuer: str | None
    issuer_name: str
    country: str | None
    listed_at: str
    expires_at: str
    typologies: list[str]
    roles: list[str]
    severity: int | None
    basis: str | None
    reliability: str | None
    credibility: int | None
    status: str | None
    suggested_action: str
    assertion: str | None
    evidence_standard: str | None
    instrument: str | None
    tlp: str
    handling: list[str]
    state: str
    disputed_since: str | None
    disputed_by: list[str]
    endorsed_by: list[str]
    review_by: str | None
    review_overdue: bool
    redress: Item | None


class SaidInFull(Said):
    scope: Item | None
    embargo_until: str | None
    context: Item


class RelatedId(Told):
    id: str
    relation: str
    listed: bool


class RowError(Told):
    code: str
    detail: str


MatchWord = Literal["invalid", "protected", "listed", "related", "not_listed"]


class ScreenResult(Told):
    row: int
    reference: str | None
    query: str
    id: str | None
    match: MatchWord
    severity: int | None
    statements: list[Said]
    related: list[RelatedId]
    policy: None
    human_review: Literal["required"] | None
    error: RowError | None


class ScreenFrame(Told):
    as_of: str
    degraded: bool
    sources: list[Source]


class ScreenOne(ScreenFrame):
    result: ScreenResult


class ScreenMany(ScreenFrame):
    results: list[ScreenResult]


class HistoryEvent(Told):
    at: str
    event: str
    sid: str


class Sibling(Told):
    id: str
    relation: str
    match: MatchWord


class SubjectRecord(Told):
    id: str
    match: MatchWord
    protected: str | None
    statements: list[SaidInFull]
    related: list[RelatedId]
    links: list[Item]
    history: list[HistoryEvent]
    as_of: str
    degraded: bool


class WalletRecord(SubjectRecord):
    family: str
    chain: str
    address: str
    siblings: list[Sibling]


class IndicatorRecord(SubjectRecord):
    kind: str


class EntityClaim(Told):
    sid: str
    issuer: str | None
    names: list[Item] | None
    kind: str | None
    jurisdictions: list[str] | None
    designations: list[Item] | None
    identifiers: list[Item] | None
    summary: str | None
    state: str


class SameAs(Told):
    id: str
    sid: str
    issuer: str | None


class Disagreement(Told):
    member: str
    values: list[Any]


class EntityRecord(Told):
    id: str
    claims: list[EntityClaim]
    same_as: list[SameAs]
    disagreements: list[Disagreement]
    links: list[Item]
    as_of: str
    degraded: bool


class Hit(Told):
    type: Literal["wallet", "indicator", "entity"]
    id: str
    label: str
    match: MatchWord | None
    score: int
    why: str


class Hits(Told):
    items: list[Hit]
    next: str | None


class SearchAnswer(Told):
    read_as: str
    items: list[Hit]
    as_of: str
    degraded: bool


class MandateWords(Told):
    kinds: list[str]
    categories: list[str]
    tlp_max: str
    quota_per_hour: int
    persons: bool


class MemberRecord(Told):
    id: str
    name: str
    class_: Annotated[str, Field(alias="class")]
    country: str | None
    url: str | None
    contact: str | None
    lei: str | None
    mandate: MandateWords
    since_index: int


class Members(Told):
    items: list[MemberRecord]
    next: str | None


class MemberKeyRecord(Told):
    kid: str
    jwk: dict[str, str]
    registered_index: int
    not_before: str
    expires: str
    revoked_from_index: int | None
    revocation_reason: str | None


class MemberKeys(Told):
    items: list[MemberKeyRecord]
    next: str | None


class ApiKeyRecord(Told):
    id: str
    member: str
    class_: Annotated[str, Field(alias="class")]
    name: str
    scopes: list[str]
    tier: str
    environment: str
    quota: dict[str, int]
    created_at: str
    expires_at: str | None
    ended_at: str | None


class NewApiKeyRecord(ApiKeyRecord):
    key: str


class ApiKeys(Told):
    items: list[ApiKeyRecord]
    next: str | None


class Health(Told):
    status: Literal["ok", "degraded", "failing"]
    checks: dict[str, str]


class VocabularyTypology(Told):
    code: str
    number: int
    broader: str | None
    label: str
    mappings: dict[str, list[str]]


class CodeLabel(Told):
    code: str
    label: str


class BasisWord(Told):
    code: str
    confidence: int


class Vocabulary(Told):
    version: int
    typologies: list[VocabularyTypology]
    roles: list[CodeLabel]
    basis: list[BasisWord]
    evidence_standard: list[str]
    lists: dict[str, list[str]]


class RootSignature(Told):
    protected: str
    signature: str


class RootGeneral(Told):
    payload: str
    signatures: list[RootSignature]

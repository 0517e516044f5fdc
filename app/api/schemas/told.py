"""What callers are told: every member of every answer, allow-listed (schemas §4)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from app.api.schemas.base import Item, Told
from app.api.schemas.policies import PolicyOutcome


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
    policy: PolicyOutcome | None
    human_review: Literal["required"] | None
    error: RowError | None


class Sums(Told):
    rows: int
    listed: int
    invalid: int


class ScreenSummary(Told):
    """The last line of an NDJSON stream; the others are `ScreenResult`."""

    summary: Sums


class ScreenFrame(Told):
    as_of: str
    degraded: bool
    sources: list[Source]


class ScreenOne(ScreenFrame):
    result: ScreenResult


class ScreenMany(ScreenFrame):
    receipt: Annotated[str | None, Field(description="Signed, if it was asked for: `cordon-receipt+jwt`.")] = None
    receipt_id: str | None = None
    salts: Annotated[list[str] | None, Field(description="One a row, base64url: what opens the receipt. They are kept nowhere here.")] = (
        None
    )
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

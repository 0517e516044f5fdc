"""Requests and answers in the shapes of other systems (domain §2). Their words are theirs: camelCase, strings for amounts, no `as_of`.

What they send beyond what is read here is ignored, as those systems ignore it; what they are told is allow-listed like all answers.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, RootModel, StringConstraints

from app.api.schemas.base import Told, read_whole

TRM_MOST = 500
YENTE_QUERIES = 100
YENTE_VALUES = 50

Address = Annotated[str, StringConstraints(min_length=1, max_length=4096)]
Short = Annotated[str, StringConstraints(max_length=256)]


class Lenient(BaseModel):
    """A request of a client that was written for another server: unknown members are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)


# --- Chainalysis ---------------------------------------------------------------------------------------------------------


class ChainalysisIdentification(Told):
    category: str
    name: str
    description: str
    url: str


class ChainalysisAddress(Told):
    """Empty where nothing was confirmed."""

    identifications: list[ChainalysisIdentification]


class ChainalysisError(Told):
    message: str


# --- TRM -----------------------------------------------------------------------------------------------------------------


class TrmSanctionQuery(Lenient):
    address: Address


class TrmSanctionQueries(RootModel[Annotated[list[TrmSanctionQuery], Field(min_length=1, max_length=TRM_MOST)]]):
    """An array of addresses."""


class TrmSanction(Told):
    address: str
    isSanctioned: Annotated[bool, Field(description="Listed here by a statement of status confirmed.")]  # noqa: N815 — their word


class TrmSanctions(RootModel[list[TrmSanction]]):
    """One a query, in their order."""


class TrmWalletQuery(Lenient):
    address: Address
    chain: Short | None = None
    accountExternalId: Short | None = None  # noqa: N815
    externalId: Short | None = None  # noqa: N815
    includeDataPerChain: bool | None = None  # noqa: N815


class TrmWalletQueries(RootModel[Annotated[list[TrmWalletQuery], Field(min_length=1, max_length=TRM_MOST)]]):
    """An array of wallets."""


class TrmRiskIndicator(Told):
    category: str
    categoryId: str  # noqa: N815
    categoryRiskScoreLevel: Literal[0, 1, 5, 10, 15]  # noqa: N815
    categoryRiskScoreLevelLabel: Literal["Unknown", "Low", "Medium", "High", "Severe"]  # noqa: N815
    incomingVolumeUsd: Literal["0"]  # noqa: N815
    outgoingVolumeUsd: Literal["0"]  # noqa: N815
    totalVolumeUsd: Literal["0"]  # noqa: N815
    riskType: Literal["OWNERSHIP", "COUNTERPARTY", "INDIRECT"]  # noqa: N815


class TrmEntity(Told):
    category: str
    categoryId: str  # noqa: N815
    entity: str | None
    riskScoreLevel: Literal[0, 1, 5, 10, 15]  # noqa: N815
    riskScoreLevelLabel: Literal["Unknown", "Low", "Medium", "High", "Severe"]  # noqa: N815
    trmAppUrl: str  # noqa: N815
    trmUrn: str  # noqa: N815


class TrmWallet(Told):
    accountExternalId: str | None  # noqa: N815
    address: str
    addressSubmitted: str  # noqa: N815
    addressIncomingVolumeUsd: Literal["0"]  # noqa: N815
    addressOutgoingVolumeUsd: Literal["0"]  # noqa: N815
    addressTotalVolumeUsd: Literal["0"]  # noqa: N815
    addressRiskIndicators: list[TrmRiskIndicator]  # noqa: N815
    chain: str | None
    entities: list[TrmEntity]
    externalId: str | None  # noqa: N815
    trmAppUrl: str  # noqa: N815


class TrmWallets(RootModel[list[TrmWallet]]):
    """One a query, in their order."""


class TrmError(Told):
    reason: str


# --- yente ---------------------------------------------------------------------------------------------------------------

Texts = Annotated[list[Annotated[str, StringConstraints(max_length=2048)]], Field(max_length=YENTE_VALUES)]


def _one_or_many(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _fraction(value: object) -> object:
    return float(value) if isinstance(value, str) and len(value) < 20 and value.replace(".", "", 1).isdecimal() else value


Limit = Annotated[int, BeforeValidator(read_whole), Field(ge=0, le=500)]
Fraction = Annotated[float, BeforeValidator(_fraction), Field(ge=0, le=1)]


class YenteExample(Lenient):
    """What a query looks for."""

    id: Short | None = None
    schema_: Annotated[Short, Field(alias="schema")]
    properties: dict[str, Annotated[Texts, BeforeValidator(_one_or_many)]]


class YenteQueries(Lenient):
    weights: dict[str, Any] = {}
    config: dict[str, Any] = {}
    queries: dict[str, YenteExample]


class YenteFilters(Lenient):
    """Parameters of match and search."""

    topics: Texts = []
    changed_since: Annotated[str | None, Field(max_length=32, pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9:]{5,8}Z?)?$")] = None
    exclude_entity_ids: Texts = []


class YenteMatchQuery(YenteFilters):
    algorithm: Short = "best"
    threshold: Fraction = 0.7
    cutoff: Fraction = 0.5
    limit: Limit = 5


class YenteSearchQuery(YenteFilters):
    q: Annotated[str, Field(max_length=2048)] = ""
    schema_: Annotated[Short, Field(alias="schema")] = "Thing"
    countries: Texts = []
    filter: Texts = []
    filter_op: Literal["AND", "OR"] = "AND"
    limit: Limit = 10
    offset: Annotated[int, BeforeValidator(read_whole), Field(ge=0, le=9499)] = 0


class YenteEntity(Told):
    id: str
    caption: str
    schema_: Annotated[str, Field(alias="schema")]
    properties: dict[str, list[str]]
    datasets: list[str]
    referents: list[str]
    target: bool
    first_seen: str
    last_seen: str
    last_change: str


class YenteExplanation(Told):
    score: float
    detail: str


class YenteScored(YenteEntity):
    score: float
    explanations: dict[str, YenteExplanation]
    match: bool


class YenteTotal(Told):
    value: int
    relation: Literal["eq"]


class YenteResponse(Told):
    """Of one query; `status` is 400 where an address in it cannot be read."""

    status: Literal[200, 400]
    results: list[YenteScored]
    total: YenteTotal
    query: dict[str, Any]


class YenteMatches(Told):
    responses: dict[str, YenteResponse]
    limit: int


class YenteFacetValue(Told):
    name: str
    label: str
    count: int


class YenteFacet(Told):
    label: str
    values: list[YenteFacetValue]


class YenteFound(Told):
    results: list[YenteEntity]
    facets: dict[str, YenteFacet]
    total: YenteTotal
    limit: int
    offset: int


class YenteDataset(Told):
    name: str
    title: str
    version: str
    updated_at: str
    entities_url: str | None
    delta_url: str | None
    index_version: str
    index_current: bool
    children: list[str]


class YenteCatalog(Told):
    datasets: list[YenteDataset]
    current: list[str]
    outdated: list[str]
    index_stale: bool


class YenteStatus(Told):
    status: Literal["ok"]


class YenteError(Told):
    detail: str

"""Screening policies as clients send and get them (schemas §4.2)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from app.api.schemas.base import Asked, Told
from app.domain.vocabulary import TYPOLOGIES
from app.domain.vocabulary.lists import ROLES

PolicyName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
OutcomeWord = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._ -]{1,64}$")]
Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]


def _typology(code: str) -> str:
    if code not in TYPOLOGIES:
        raise ValueError("no typology of the vocabulary: /v1/vocabulary lists them")
    return code


def _role(code: str) -> str:
    if code not in ROLES:
        raise ValueError("no role of the vocabulary: /v1/vocabulary lists them")
    return code


Typologies = Annotated[list[Annotated[str, AfterValidator(_typology)]], Field(max_length=100)]
Roles = Annotated[list[Annotated[str, AfterValidator(_role)]], Field(max_length=100)]
Statuses = Annotated[list[Literal["suspected", "confirmed"]], Field(max_length=2)]
Countries = Annotated[list[Country], Field(max_length=250, description="Of the issuers.")]


class PolicyRule(Asked):
    """Fires if one listing has all of this; an empty list asks for nothing."""

    name: PolicyName
    typologies: Typologies = Field(default_factory=list)
    status: Statuses = Field(default_factory=list)
    countries: Countries = Field(default_factory=list)
    roles: Roles = Field(default_factory=list)
    severity_min: Annotated[int, Field(ge=0, le=4)] = 0
    outcome: OutcomeWord


class PolicyRequest(Asked):
    """The outcome is that of the first rule that fires, else `default`. `name`, if it is given, is that of the path."""

    name: PolicyName | None = None
    rules: Annotated[list[PolicyRule], Field(max_length=100)]
    default: OutcomeWord


class PolicyRuleRecord(Told):
    name: str
    typologies: list[str]
    status: list[str]
    countries: list[str]
    roles: list[str]
    severity_min: int
    outcome: str


class PolicyRecord(Told):
    name: str
    rules: list[PolicyRuleRecord]
    default: str


class PolicyRecords(Told):
    items: list[PolicyRecord]
    next: None


class PolicyDryRun(Told):
    """How often each outcome would have been said; `unclear`: the receipts do not tell which."""

    policy: str
    since: str
    receipts: int
    rows: int
    outcomes: dict[str, int]
    rules: dict[str, int]
    unclear: int
    truncated: bool


class PolicyOutcome(Told):
    """What the caller's own policy makes of a row."""

    name: str
    outcome: str
    rules: list[str]

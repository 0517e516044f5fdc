"""The wire: what requests may hold and what answers do hold (schemas §3, §4).

Requests are strict and refuse unknown members. Answers are encoded straight from the services' words; the models here are their allow
list, held to it by the tests, and what `openapi.json` shows.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from app.domain.canonical import read_decimal
from app.domain.errors import Malformed

SCREEN_MOST = 10_000
PAGE_MOST = 1_000

_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")


def read_whole(value: object) -> object:
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
Limit = Annotated[int, BeforeValidator(read_whole), Field(ge=1, le=PAGE_MOST)]
Word = Annotated[str, StringConstraints(max_length=128)]
Item = dict[str, Any]


class Asked(BaseModel):
    """A request: nothing but what stands here."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Told(BaseModel):
    """An answer: nothing but what stands here."""

    model_config = ConfigDict(extra="forbid")

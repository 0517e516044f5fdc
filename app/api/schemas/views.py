"""Views and receipts of screening as they are told (schemas §2, §4.4). Bodies leave as bytes: their models are for the description."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from app.api.schemas.base import Told

Base64 = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]*={0,2}$")]


class ViewBucket(Told):
    """One bucket; `path`: 16 hashes up to the root in `head`."""

    tier: Literal["clear", "green"]
    bucket: Annotated[str, Field(pattern="^[0-9a-f]{4}$")]
    bytes: Base64
    path: Base64
    head: str
    pad: Annotated[str, Field(pattern=r"^\.*$")]


class KeptReceipt(Told):
    """A receipt as signed, and the head note whose hex SHA-256 is its claim `view`."""

    receipt_id: str
    receipt: str
    head: str


class OriginPolicy(Told):
    """How much a log counts here; null: without limit."""

    state: str
    added_per_hour: int | None
    total: int | None
    weight: int


class ViewPolicy(Told):
    """What this node makes of the fold when it says what is listed; `excluded`: ohash/sid of statements that wait behind the valve."""

    version: Literal[1]
    public_delay_h: int
    minimum_status: str
    excluded: list[str]
    guards_sha256: str
    origins: dict[str, OriginPolicy]
    valid_s: Annotated[int, Field(description="For how many seconds after `as_of` a copy of a view may be used.")]

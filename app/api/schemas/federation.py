"""What peers send and are told (schemas §4, "Federation bodies"). Entries leave as bytes: their model is for the description alone."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from app.api.schemas.base import Asked, Told, read_whole

WHOLE_MOST = 2**53 - 1
WAIT_MOST_S = 25
SIDS_MOST = 1_000

Ohash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$"), Field(description="Hex SHA-256 of an origin.")]
Sid = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{43}$")]
Whole = Annotated[int, Field(ge=0, le=WHOLE_MOST)]
WholeText = Annotated[int, BeforeValidator(read_whole), Field(ge=0, le=WHOLE_MOST)]


class EntriesQuery(Asked):
    """A range of a log; `to` does not belong to it."""

    o: Ohash
    first: Annotated[WholeText, Field(alias="from")]
    to: WholeText


class PartsQuery(Asked):
    """Single entries of a log."""

    o: Ohash
    ids: Annotated[str, Field(min_length=1, max_length=4352, description="Up to 256 indices by comma, upwards.")]


class HeadsQuery(Asked):
    """Since when, and how long to wait for something new."""

    since: Annotated[str, Field(max_length=64, description="`next` of the answer before.")] = ""
    wait: Annotated[int, BeforeValidator(read_whole), Field(ge=0, le=WAIT_MOST_S, description="Seconds.")] = 0


class Nudge(Asked):
    """A log has grown to a size."""

    o: Ohash
    size: Whole


class Acknowledgement(Asked):
    """Erase statements of a log, read up to a size, have been carried out."""

    o: Ohash
    size: Whole
    sids: Annotated[list[Sid], Field(min_length=1, max_length=SIDS_MOST)]


class Head(Told):
    o: str
    origin: str
    note: str


class Heads(Told):
    heads: list[Head]
    next: str


class EntryLine(Told):
    """One line of `entries` and `parts`: an entry with its disclosures and erased parts, or the word that it is withheld."""

    i: int
    e: str | None = None
    d: list[str] | None = None
    x: list[str] | None = None
    w: Literal["stub"] | None = None

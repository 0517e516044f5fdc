"""Callers of the routes in other systems' shapes: the same keys, sent the way those systems' clients send them (schemas §3).

`X-API-Key: cordon_…`, or Basic with the key as user name, as password, or as both. Nowhere else are they read.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Mapping, Sequence
from typing import Annotated

from fastapi import Depends, Request
from starlette.responses import Response

from app.api.callers import NO_STORE, TEXT, Asks, Visit
from app.api.context import passage_of
from app.domain.answer import Listing, Moment, instant_text
from app.domain.canonical import JsonValue
from app.domain.confirmed import Recalled
from app.domain.errors import BadRequest, Unauthenticated
from app.domain.permission import Action
from app.domain.sources import is_degraded
from app.domain.watching import told_word
from app.storage.audit import AuditEntry


class AsksCompat(Asks):
    """The dependency of these routes: unknown and repeated parameters are the imitated system's business."""

    schemes = ("apiKey", "compatKey", "compatBasic")

    async def __call__(self, request: Request) -> Visit:
        """Raises what `Asks` raises."""
        passage = passage_of(request.scope)
        key = key_of(passage.headers)
        if key is not None:
            passage.key_text = key
        return await super().__call__(request)

    def check_query(self, request: Request) -> None:
        """Only what is no text is refused."""
        for name, value in request.query_params.multi_items():
            if any(c < " " or c in "\x7f\ufffd" for c in name + value):
                raise BadRequest("the query holds control characters or is not UTF-8")


def key_of(headers: Mapping[bytes, bytes]) -> str | None:
    """The text of the key that stands in X-API-Key or Basic; None if neither is used. Unauthenticated where they contradict."""
    direct, authorization = headers.get(b"x-api-key"), headers.get(b"authorization")
    if direct is not None and authorization is not None:
        raise Unauthenticated("two credentials in one request: send `X-API-Key` or `Authorization`")
    if direct is not None:
        return direct.decode("latin-1").strip()
    scheme, _, credentials = (authorization or b"").partition(b" ")
    return _basic(credentials) if scheme.lower() == b"basic" else None


def _basic(credentials: bytes) -> str:
    """A text that opens nothing where the field is no Basic credentials of one key."""
    try:
        user, _, password = b64decode(credentials, validate=True).decode("ascii").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return ""
    if user and password and user != password:
        return ""
    return user or password


def answer(visit: Visit, words: JsonValue, moment: Moment, **headers: str) -> Response:
    """JSON, with what those shapes have no member for in the header."""
    response = visit.answer(words, cache=NO_STORE)
    response.headers.update({**frame(moment), **headers})
    return response


def frame(moment: Moment) -> dict[str, str]:
    """When an answer holds and whether a source cannot be relied on; and that it differs by the key however that was sent."""
    degraded = is_degraded(moment.sources, moment.now_s)
    return {"Cordon-As-Of": instant_text(moment.now_ms), "Cordon-Degraded": "true" if degraded else "false", "Vary": "X-API-Key"}


async def note(visit: Visit, rows: Sequence[Recalled], moment: Moment, *, invalid: int = 0, with_related: bool = False) -> None:
    """Count lookups; of known callers, record before they are told what they are told: also for the day when it ends.

    `with_related`: the shape also tells of what is related.
    """
    who = str(visit.caller.caller_class)
    for row in rows:
        visit.api.measures.lookups[str(row.match), who] += 1
    if invalid:
        visit.api.measures.lookups["invalid", who] += invalid
    if not visit.caller.actor:
        return
    said = [(row, [*row.statements, *(one for hit in row.related if with_related for one in hit.statements)]) for row in rows]
    await visit.api.node.access_log.record([_entry(visit, row, listings, moment) for row, listings in said if listings])


def _entry(visit: Visit, row: Recalled, said: Sequence[Listing], moment: Moment) -> AuditEntry:
    caller = visit.caller
    sids = tuple(dict.fromkeys(one.sid for one in said))
    told = tuple(
        (caller.owner, one.origin, one.sid, row.subject.id, str(told_word([one], caller.reader, moment))) for one in said if caller.owner
    )
    return AuditEntry(moment.now_ms, caller.actor, "screen", row.subject.id, visit.purpose, visit.case, sids, told)


Looking = Annotated[Visit, Depends(AsksCompat(Action.SCREEN))]
LookingText = Annotated[Visit, Depends(AsksCompat(Action.SCREEN, TEXT))]
Searching = Annotated[Visit, Depends(AsksCompat(Action.READ))]
Openly = Annotated[Visit, Depends(AsksCompat(Action.PUBLISHED))]

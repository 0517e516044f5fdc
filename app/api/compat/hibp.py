"""`/compat/hibp/range/{prefix}`: listed ids by the first 4 hex digits of SHA-256 of the canonical id, answered so that nobody learns
which one was meant (domain §2.10, §0.4).

Five digits and more are refused: over all addresses in use, 4 digits hide one among some 15,000, and each further digit takes 15 of 16
away. What stands in a range is what everybody of the caller's tier may know: nothing above GREEN, nothing under embargo for the public.
Lines have 64 bytes and come in sixteens, padded with lines of count 0, so that the length tells next to nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import sha256

from fastapi import APIRouter
from starlette.responses import Response

from app.api import examples_compat as ex
from app.api.callers import NO_STORE, TEXT
from app.api.compat.callers import LookingText, frame
from app.api.docs import TextResponse, answers
from app.domain.errors import BadRequest
from app.domain.viewing import CLEAR, GREEN

router = APIRouter(prefix="/compat/hibp", tags=["compatible"])

PREFIX_DIGITS = 4
LINES = 16
MOST_COUNT = 9
_PREFIX = re.compile(r"[0-9A-Fa-f]{4}")
_LONGER = re.compile(r"[0-9A-Fa-f]{5,64}")


@router.get(
    "/range/{prefix}",
    operation_id="compat_hibp_range",
    summary="HIBP range: listed ids that share 16 bits of SHA-256, padded.",
    response_class=TextResponse,
    responses=answers(
        "Lines `<60 hex digits>:<confirmed statements, at most 9>`; lines with count 0 are padding.",
        None,
        ex.HIBP,
        "not_acceptable",
        media=TEXT,
    ),
)
async def compat_hibp_range(visit: LookingText, prefix: str) -> Response:
    """SHA-256 of the canonical id as UTF-8, in hex; the first four digits are the prefix."""
    if _LONGER.fullmatch(prefix):
        raise BadRequest("a longer prefix would name the address: send the first 4 hex digits and compare the rest yourself")
    if not _PREFIX.fullmatch(prefix):
        raise BadRequest("a range is asked by the first 4 hex digits of SHA-256 over the canonical id")
    node = visit.api.node
    found = await node.recall.range(int(prefix, 16), GREEN if visit.caller.tier == GREEN else CLEAR)
    body = lines(prefix.upper(), found)
    headers = {"Cache-Control": NO_STORE, **frame(node.recall.now())}
    return Response(body, media_type=TEXT, headers=headers)


def lines(prefix: str, found: Sequence[tuple[str, int]]) -> str:
    """The lines of a range, padded to a multiple of 16, in order."""
    listed = [f"{key[PREFIX_DIGITS:].upper()}:{min(count, MOST_COUNT)}" for key, count in found]
    missing = LINES if not listed else -len(listed) % LINES
    padding = [sha256(f"padding {prefix} {number}".encode("ascii")).hexdigest()[PREFIX_DIGITS:].upper() + ":0" for number in range(missing)]
    return "\r\n".join(sorted([*listed, *padding]))

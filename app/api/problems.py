"""Our error tree, and the framework's own errors, as RFC 9457 problems: the only file with status codes (schemas §3).

Every answer that is not a success leaves through `problem_response`, so a refusal looks the same whoever refused.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from app.api.limits import OverQuota
from app.domain import errors as e
from app.domain.canonical import JsonValue, write_json

MEDIA_TYPE = "application/problem+json"
log = logging.getLogger("cordon.api")

STATUS: dict[str, int] = {
    "malformed": 400,
    "bad_header": 400,
    "bad_json": 400,
    "bad_request": 400,
    "invalid_cursor": 400,
    "unknown_kid": 401,
    "bad_signature": 401,
    "unauthenticated": 401,
    "key_not_valid": 403,
    "wrong_origin": 403,
    "scope_denied": 403,
    "edge_not_authorised": 403,
    "forbidden": 403,
    "originator_consent_required": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "not_acceptable": 406,
    "jti_conflict": 409,
    "target_not_earlier": 409,
    "in_progress": 409,
    "size_conflict": 409,
    "gone": 410,
    "precondition_failed": 412,
    "too_large": 413,
    "unsupported_media_type": 415,
    "schema": 422,
    "unknown_kind": 422,
    "clock_skew": 422,
    "validity": 422,
    "tlp": 422,
    "disclosure_mismatch": 422,
    "weak_salt": 422,
    "edge_visibility": 422,
    "personal_data_in_stub": 422,
    "personal_data": 422,
    "protected_person": 422,
    "refer_not_list": 422,
    "invalid_address": 422,
    "invalid_proof": 422,
    "idempotency_mismatch": 422,
    "precondition_required": 428,
    "quota": 429,
    "internal": 500,
    "unavailable": 503,
    "log_frozen": 503,
    "betrayed": 503,
}

# The routes in other systems' shapes refuse in those shapes too: one member with the text (domain §2). Where a system has exact words of
# its own, its clients may look for them. What cannot be read is 400 there.
_DIALECTS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "/compat/chainalysis/": ("message", {"unauthenticated": "Invalid API Key"}),
    "/compat/trm/": ("reason", {}),
    "/compat/yente/": ("detail", {}),
}

# What else a person in this situation needs to know (trust-and-ops NP-1, NP-7); national contacts come from the operator.
ASSISTANCE: dict[str, JsonValue] = {
    "note": "This person may be a victim of trafficking. Refer, do not list: nothing of what you sent was kept.",
    "national_referral_mechanism": "https://www.osce.org/cthb/national-referral-mechanisms",
    "iom": "https://www.iom.int/counter-trafficking",
}

# What the framework refuses by itself, in our words.
_FRAMEWORK: dict[int, tuple[type[e.CordonError], str]] = {
    401: (e.Unauthenticated, "send `Authorization: Bearer cordon_…`"),
    403: (e.Forbidden, "this is not allowed"),
    404: (e.NotFound, "there is no such route: see /openapi.json"),
    405: (e.MethodNotAllowed, "the route exists, but not with this method: `Allow` names those it has"),
    406: (e.NotAcceptable, "the route cannot answer in any form that `Accept` allows"),
    413: (e.TooLarge, "the body is larger than this route takes"),
    415: (e.UnsupportedMediaType, "the route does not read this Content-Type"),
    503: (e.Unavailable, "try again in a moment"),
}


def status_of(error: e.CordonError) -> int:
    """The HTTP status of one of our errors."""
    return STATUS.get(error.slug, 500)


def dialect_status(slug: str) -> int:
    """The HTTP status of an error on the routes in other systems' shapes."""
    return 400 if slug == "invalid_address" else STATUS.get(slug, 500)


def problem_words(error: e.CordonError, *, instance: str = "", request_id: str = "") -> dict[str, JsonValue]:
    """The problem document of an error (schemas §3)."""
    status = status_of(error)
    words: dict[str, JsonValue] = {
        "type": f"/problems/{error.slug}",
        "title": error.slug.replace("_", " ").capitalize(),
        "status": status,
        "code": error.slug,
        "detail": error.detail,
    }
    if instance:
        words["instance"] = instance
    if request_id:
        words["request_id"] = request_id
    words["errors"] = [{"pointer": f.pointer, "code": f.code, "detail": f.detail} for f in error.faults]
    if isinstance(error, OverQuota):
        words["violated-policies"] = [error.left[0].name]
    if isinstance(error, e.ReferNotList):
        words["assistance"] = ASSISTANCE
    return words


def problem_response(error: e.CordonError, request: Request) -> Response:
    """The answer for an error; path and request id are told, never a value from the body."""
    for prefix, (member, exact) in _DIALECTS.items():
        if request.scope["path"].startswith(prefix):
            body = write_json({member: exact.get(error.slug, error.detail)})
            return Response(body, status_code=dialect_status(error.slug), media_type="application/json", headers=_headers_of(error))
    request_id = getattr(request.state, "request_id", "")
    body = write_json(problem_words(error, instance=request.scope["path"], request_id=request_id))
    headers = _headers_of(error)
    return Response(body, status_code=status_of(error), media_type=MEDIA_TYPE, headers=headers)


def _headers_of(error: e.CordonError) -> dict[str, str]:
    headers = {"Cache-Control": "no-store"}
    if isinstance(error, e.Quota):
        headers["Retry-After"] = str(error.retry_after_s)
    elif isinstance(error, e.Unavailable | e.Betrayed):
        headers["Retry-After"] = "5"
    elif isinstance(error, e.TooLarge):
        headers["Connection"] = "close"  # the rest of the body is still coming
    elif isinstance(error, e.Unauthenticated | e.UnknownKid | e.BadSignature):
        headers["WWW-Authenticate"] = 'Bearer realm="cordon"'
    return headers


def install(app: FastAPI) -> None:
    """Route every kind of failure, ours and the framework's, through `problem_response`."""

    async def ours(request: Request, error: Exception) -> Response:
        assert isinstance(error, e.CordonError)
        if isinstance(error, e.Betrayed):
            log.critical("betrayed", extra={"detail": error.detail})
        return problem_response(error, request)

    async def framework(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        response = problem_response(_translate(error), request)
        for name, value in (error.headers or {}).items():
            response.headers[name] = value
        return response

    async def validation(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return problem_response(from_validation(error.errors()), request)

    async def unforeseen(request: Request, error: Exception) -> Response:
        log.error("unforeseen", exc_info=error)
        return problem_response(e.CordonError("something went wrong here: the request id finds it in our log"), request)

    app.add_exception_handler(e.CordonError, ours)
    app.add_exception_handler(HTTPException, framework)
    app.add_exception_handler(RequestValidationError, validation)
    app.add_exception_handler(Exception, unforeseen)


def from_validation(found: Sequence[Mapping[str, object]]) -> e.Schema:
    """pydantic's findings as one `schema` problem with a pointer each; values are not repeated."""
    faults = []
    for one in found[:50]:
        raw = one.get("loc", ())
        location = [str(part) for part in raw] if isinstance(raw, tuple | list) else []
        pointer = "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in location[1:])
        faults.append(e.Fault(pointer, str(one.get("type", "form")), str(one.get("msg", ""))))
    where = ", ".join(sorted({f.pointer or "/" for f in faults}))
    return e.Schema(f"these members or parameters are not as the API document says: {where}", faults=tuple(faults))


def from_pydantic(error: ValidationError, where: str) -> e.Schema:
    """The same for a model that we validate ourselves; `where` is body or query."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return from_validation([{**one, "loc": (where, *one["loc"])} for one in found])


def _translate(error: HTTPException) -> e.CordonError:
    known = _FRAMEWORK.get(error.status_code)
    if known is not None:
        return known[0](known[1])
    detail = str(error.detail)
    return e.BadRequest(detail) if 400 <= error.status_code < 500 else e.CordonError(detail)
